"""PERsD's variants as views of one set of records, its rounds, and the authors' released rows through the same code."""

from __future__ import annotations

import dataclasses
import difflib
import gzip
import json
import random
from typing import Any

import pytest

from baselines.persd import VARIANTS, Ablation, Config, Record, train, view
from harness.lab import completion_of, repair_prompt
from harness.settings.config import Budget
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of
from tests.needs import data_folder

DIRECT, REFINED, ATTEMPT = (f"    return x + {number}\n" for number in (1, 2, 3))
POOL = tuple(
    Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), DIRECT, 1) for place in range(10)
)
RECORDS = [
    Record(place, one, f"    return {place}\n", f"told {place}", f"    direct = {place}\n", f"    refined = {place}\n")
    for place, one in enumerate(POOL)
]
EVERY = {"persd": Config(), **{name: config for name, config in VARIANTS.items() if name != "stand"}}


def plain(examples: Any) -> list[tuple[str, str]]:
    return [(one.prompt, one.completion) for one in examples]


def code(label: str) -> list[tuple[str, str]]:
    return [(one.problem.prompt, getattr(one, label)) for one in RECORDS]


def repairs(label: str) -> list[tuple[str, str]]:
    return [(repair_prompt(one.problem, one.attempt, one.told), getattr(one, label)) for one in RECORDS]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("inpd", code("direct")),
        ("persd", code("refined")),
        ("inpd-refine", repairs("direct")),
        ("persd-refine", repairs("refined")),
        ("inpd-combine", repairs("direct") + code("direct")),
        ("persd-combine", repairs("refined") + code("direct")),
    ],
)
def test_a_variant_is_its_view_of_the_records(name, rows):
    assert sorted(plain(view(RECORDS, EVERY[name]))) == sorted(rows)


@pytest.mark.parametrize("name", EVERY)
def test_a_shuffled_set_of_records_gives_the_same_rows(name):
    shuffled = random.Random(0).sample(RECORDS, len(RECORDS))
    assert view(shuffled, EVERY[name]) == view(RECORDS, EVERY[name])


def test_combined_rows_are_two_per_problem():
    for name in ("persd-combine", "inpd-combine"):
        assert len(view(RECORDS, EVERY[name])) == 2 * len(RECORDS)


def test_the_code_rows_of_persd_combine_can_be_refined_too():
    rows = view(RECORDS, dataclasses.replace(EVERY["persd-combine"], ablation=Ablation(combine="refined")))
    assert sorted(plain(rows)) == sorted(repairs("refined") + code("refined"))


def test_mixing_direct_labels_in_adds_them_to_the_same_prompts():
    rows = view(RECORDS, Config(ablation=Ablation(mix_gold=True)))
    assert sorted(plain(rows)) == sorted(code("refined") + code("direct"))


def test_a_second_direct_label_is_a_row_of_its_own_where_there_is_one():
    records = [dataclasses.replace(one, second=ATTEMPT if one.place < 3 else "") for one in RECORDS]
    rows = view(records, Config(labels="direct", ablation=Ablation(two_gold=True)))
    assert sorted(plain(rows)) == sorted(code("direct") + [(one.problem.prompt, ATTEMPT) for one in RECORDS[:3]])
    assert view(records, Config()) == view(RECORDS, Config())


def scripted(request: Any) -> str:
    return request.problem.prompt + (DIRECT if request.kind == "solve" else REFINED)


def passes(problem: Problem, program: str) -> bool:
    return program in (problem.prompt + DIRECT, problem.prompt + REFINED)


def run(cfg: Config, cycles: int = 2, passes: Any = passes, teacher: Any = scripted, **budget: int) -> Any:
    engine = Scripted(teacher, lambda key, prompt, index: ATTEMPT, passes)
    whole = Budget(**{"examples": len(POOL), "updates": 5, "attempts": len(POOL), **budget})
    lab = lab_of(engine, POOL, cycles, whole)
    students = list(train(lab, cfg))
    return engine, lab, students


def test_what_the_teacher_sees_can_be_taken_away():
    engine, _, _ = run(Config(ablation=Ablation(own_code=False, feedback=False)))
    assert {(one.direct, one.feedback) for one in engine.asked("refine")} == {("", "")}


def test_mistakes_in_words_change_how_a_repair_is_asked_for_and_nothing_else():
    worded, plain = run(Config(ablation=Ablation(mistakes=True)))[0], run(Config())[0]
    assert {one.explain for one in worded.asked("refine")} == {True}
    assert [dataclasses.replace(one, explain=False) for one in worded.asked("refine")] == plain.asked("refine")
    assert [one for one in worded.requests if one.kind != "refine"] == plain.asked("solve")
    assert worded.trained == plain.trained


def test_second_direct_labels_are_drawn_at_a_temperature_and_kept_where_they_pass_and_differ():
    def drawn(request: Any) -> str:
        if request.kind == "solve" and request.index == 1:
            return request.problem.prompt + {"p1": REFINED, "p2": ATTEMPT}.get(request.problem.id, DIRECT)
        return scripted(request)

    engine, _, _ = run(Config(labels="direct", ablation=Ablation(two_gold=True)), teacher=drawn)
    assert {one.temperature for one in engine.asked("solve") if one.index == 1} == {0.8}
    assert [row.origin for row in engine.trained[0] if row.completion != DIRECT] == ["second p1"]  # p2's fails
    plain_run, _, _ = run(Config(labels="direct"), teacher=drawn)
    assert {one.index for one in plain_run.asked("solve")} == {0}


def test_rows_of_all_kinds_together_stay_within_the_budget_of_examples():
    cfg = Config(rows="combine", ablation=Ablation(mix_gold=True))
    engine, _, _ = run(cfg, cycles=1, examples=6)
    assert len(engine.trained[0]) == 6


def test_without_the_filter_failing_repairs_are_labels_too():
    def wrong(problem: Problem, program: str) -> bool:
        return program == problem.prompt + DIRECT

    assert run(Config(), passes=wrong)[0].trained == []
    engine, _, _ = run(Config(ablation=Ablation(filter=False)), passes=wrong)
    assert len(engine.trained[0]) == len(POOL)


def test_a_further_repair_is_asked_only_where_none_has_passed():
    def second(request: Any) -> str:
        late = request.kind == "refine" and request.index == 0 and request.problem.id == "p3"
        return request.problem.prompt + (ATTEMPT if late else DIRECT)

    engine, _, _ = run(Config(repairs=3), teacher=second)
    assert [one.problem.id for one in engine.asked("refine") if one.index > 0] == ["p3"]


@pytest.mark.parametrize(("restart", "second"), [(True, "base"), (False, "another")])
def test_a_second_round_attempts_with_the_current_student_and_trains_from_the_base_or_from_it(restart, second):
    engine, _, students = run(Config(rounds=2, restart=restart), attempts=20)
    assert [weights for weights, _, _ in engine.sampled] == ["base"] * 10 + [students[0].weights] * 10
    assert engine.starts == ["base", "base" if second == "base" else students[0].weights]


def test_cycles_after_the_last_round_go_on_from_the_current_student():
    engine, _, students = run(Config(rounds=2, restart=True), cycles=3, attempts=20)
    assert engine.starts == ["base", "base", students[1].weights]


def test_rounds_go_on_from_the_current_student_unless_told_otherwise():
    engine, lab, students = run(Config(rounds=2), cycles=3, attempts=20)
    assert engine.starts == ["base", students[0].weights, students[1].weights]
    assert len({one.weights for one in students}) == 3 and lab.spent.updates == 3 * 5


def test_rounds_share_the_attempts_that_one_pass_may_make():
    engine, lab, _ = run(Config(rounds=2), attempts=5)
    assert lab.spent.student_samples == 10 and len(engine.sampled) == 10


@pytest.mark.parametrize(("share", "kept"), [(1.0, 10), (0.3, 3)])
def test_a_share_keeps_problems_drawn_by_the_seed(share, kept):
    engine, _, _ = run(Config(share=share))
    assert len(engine.trained[0]) == kept
    assert [one.prompt for one in engine.trained[0]] == [one.prompt for one in run(Config(share=share))[0].trained[0]]


def test_rows_never_exceed_the_budget_of_examples_and_keep_both_rows_of_a_problem():
    engine, _, _ = run(EVERY["persd-combine"], examples=4)
    origins = [one.origin.split() for one in engine.trained[0]]
    assert len(origins) == 8
    assert {key for what, key in origins if what == "repair"} == {key for what, key in origins if what == "code"}


# --- the released rows -----------------------------------------------------------------------------------------------


def released(name: str) -> dict[int, dict[str, Any]]:
    path = data_folder() / "methods" / f"persd.first400.{name}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return {row["task_id"]: row for row in map(json.loads, stream)}


def released_records() -> tuple[list[Record], int]:
    """Return the authors' rows as records, and how many of their labels do not fit their header.

    The three files are cut after 400 rows in orders of their own, so only some problems stand in all.
    """
    refined, direct, failed = (released(name) for name in ("refined", "direct-on-persd-tasks", "inpd-refine"))
    shared = [key for key in refined if key in direct and key in failed]
    records: list[Record] = []
    for place, key in enumerate(shared):
        prompt = direct[key]["finetuning_prompt"]
        entry = prompt.rstrip().rpartition("def ")[2].partition("(")[0]
        problem = Problem(f"released/{key}", prompt, entry, (), "")
        texts = [completion_of(problem, prompt + body(one)) for one in (direct[key], refined[key])]
        shown, _, rest = failed[key]["finetuning_prompt"].rpartition("\nERROR: \n")
        attempt = shown.rpartition(prompt.rstrip().splitlines()[-1])[2].strip("\n")
        if texts[0] is not None and texts[1] is not None:
            records.append(Record(place, problem, f"{attempt}\n", rest.partition("\n\n")[0], texts[0], texts[1]))
    return records, len(shared) - len(records)


def body(row: dict[str, Any]) -> str:
    return row["finetuning_completion"].replace("\r\n", "\n").lstrip("\n") + "\n"


def test_the_released_rows_become_rows_of_every_view():
    records, broken = released_records()
    assert len(records) + broken == 191 and broken < 10
    for name, config in EVERY.items():
        rows = view(records, config)
        assert len(rows) == len(records) * (2 if config.rows == "combine" else 1), name
    assert [one.prompt for one in view(records, EVERY["inpd"])] == [one.prompt for one in view(records, Config())]


def test_a_released_attempt_and_its_feedback_fill_the_repair_prompt():
    records, _ = released_records()
    rows = view(records, EVERY["persd-refine"])
    for record, row in zip(records, rows, strict=True):
        assert row.prompt.endswith(record.problem.prompt) and record.attempt[:100] in row.prompt
    told = [one.told for one in records]
    assert sum("Error" in one or "INPUT" in one for one in told) > 0.9 * len(told)


def test_released_repairs_are_nearer_to_their_attempts_than_direct_labels_are():
    records, _ = released_records()

    def near(label: str) -> float:
        pairs = [(one.attempt, getattr(one, label)) for one in records]
        return sum(difflib.SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in pairs) / len(pairs)

    assert near("refined") > near("direct") + 0.1
