"""EKT, its KD baselines and expert iteration against a scripted engine: whose programs become rows, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines import standard_kd
from baselines.ekt import SHOTS, VARIANTS, Config, needs, train
from harness.benchmarks import base, gsm8k
from harness.settings.config import Budget
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
POOL = tuple(Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), "") for place in range(6))
WORDS = tuple(replace(one, prompt=one.prompt.replace("f(x)", "solution()"), entry_point="solution") for one in POOL)
EXPERT = VARIANTS["expert-iter"]


def passes(problem: Problem, program: str) -> bool:
    return not program.endswith(WRONG)


def run(cfg: Config, teacher: Any = None, student: Any = None, pool: Any = POOL, cycles: int = 2, **budget: int) -> Any:
    def right(request: Any) -> str:
        return request.problem.prompt + RIGHT

    def always_wrong(key: str, prompt: str, index: int) -> str:
        return WRONG

    engine = Scripted(teacher or right, student or always_wrong, passes)
    lab = lab_of(engine, pool, cycles, Budget(**{"examples": len(pool), "updates": 5, "attempts": 0, **budget}))
    return engine, lab, list(train(lab, cfg))


def late(first: dict[str, int]) -> Any:
    """Return a teacher that is right from a problem's n-th draw on, with a program of each draw's own."""

    def teacher(request: Any) -> str:
        good = request.index >= first.get(request.problem.id, 0)
        return request.problem.prompt + (f"    y = {request.index}\n" + RIGHT if good else WRONG)

    return teacher


def test_each_solved_problem_has_one_row_its_first_passing_program():
    engine, _, _ = run(Config(k=4), late({"p1": 2}), cycles=1)
    assert [one.completion for one in engine.trained[0]] == [f"    y = {2 * (p == 1)}\n" + RIGHT for p in range(6)]


def test_a_solved_problem_is_not_asked_again():
    engine, _, _ = run(Config(k=4), late({"p1": 2}), cycles=1)
    asked = [(one.problem.id, one.index) for one in engine.asked("solve")]
    assert asked == [(one.id, 0) for one in POOL] + [("p1", 1), ("p1", 2)]


def test_later_cycles_ask_again_for_what_is_unsolved_only_and_keep_every_program():
    engine, lab, _ = run(Config(k=2), late({"p1": 3, "p2": 99}))
    assert [len(rows) for rows in engine.trained] == [4, 5]
    assert {one.problem.id for one in engine.asked("solve") if one.index >= 2} == {"p1", "p2"}
    assert set(engine.trained[0]) < set(engine.trained[1])
    assert lab.notes["cycle 1 solved problems"] == 4 and lab.notes["cycle 2 solved problems"] == 5


def test_more_draws_never_lose_a_solved_problem():
    solved = [
        {row.prompt for row in run(Config(k=k), late({"p1": 2, "p3": 5}), cycles=1)[0].trained[0]} for k in (1, 3, 8)
    ]
    assert solved[0] < solved[1] < solved[2]


def test_keeping_all_keeps_every_different_passing_program():
    def teacher(request: Any) -> str:
        return request.problem.prompt + f"    y = {request.index % 2}\n" + RIGHT

    engine, _, _ = run(Config(k=4, keep="all"), teacher, cycles=1, examples=100)
    assert len(engine.trained[0]) == 2 * len(POOL)


def of_lengths(request: Any) -> str:
    """A teacher whose draws are right programs of 3, 2, 1, 1, … lines more than they need."""
    extra = max(1, 3 - request.index)
    return request.problem.prompt + "".join(f"    y = {request.index + line}\n" for line in range(extra)) + RIGHT


def test_the_shortest_right_program_of_all_draws_is_the_row_the_earlier_of_equally_long_ones():
    engine, _, _ = run(Config(k=4, keep="shortest"), of_lengths, cycles=1)
    assert [one.completion for one in engine.trained[0]] == ["    y = 2\n" + RIGHT] * len(POOL)
    assert len(engine.asked("solve")) == 4 * len(POOL)


def test_a_random_right_program_is_drawn_by_the_seed_and_stays_the_problems_label():
    rows = [run(Config(k=4, keep="random"), of_lengths)[0].trained for _ in range(2)]
    assert rows[0] == rows[1] and rows[0][0] == rows[0][1]
    assert len({one.completion for one in rows[0][0]}) > 1  # not the same draw for every problem


@pytest.mark.parametrize("keep", ["shortest", "random"])
def test_choosing_another_right_program_asks_what_keeping_all_asks_and_changes_labels_alone(keep):
    chosen, everything = (run(Config(k=4, keep=one), of_lengths, examples=100)[0] for one in (keep, "all"))
    assert chosen.requests == everything.requests and chosen.judged == everything.judged
    assert set(chosen.trained[0]) < set(everything.trained[0]) and len(chosen.trained[0]) == len(POOL)


def test_a_filter_that_only_runs_programs_looks_at_no_test():
    engine, _, _ = run(Config(k=1, temperature=0.0, filter="runs"), cycles=1)
    assert engine.judged and {one.checks for one, _ in engine.judged} == {()}
    assert "checks" not in needs(Config(filter="runs"))


def test_one_unfiltered_greedy_program_is_sequence_level_distillation_row_by_row():
    def teacher(request: Any) -> str:
        return request.problem.prompt + (WRONG if request.problem.id == "p2" else RIGHT)

    engine, _, _ = run(Config(k=1, temperature=0.0, filter="none"), teacher, cycles=1)
    plain = Scripted(teacher, passes=passes)
    list(standard_kd.train(lab_of(plain, POOL, 1), standard_kd.Config()))
    rows = [[(one.prompt, one.completion) for one in other.trained[0]] for other in (engine, plain)]
    assert rows[0] == rows[1] and len(rows[0]) == len(POOL)


def test_only_word_problems_are_asked_with_shots_and_no_row_holds_one():
    assert {one.shots for one in run(Config())[0].asked("solve")} == {""}
    engine, _, _ = run(Config(), pool=WORDS)
    assert {one.shots for one in engine.asked("solve")} == {SHOTS}
    assert {row.prompt for row in engine.trained[0]} == {one.prompt for one in WORDS}


def test_the_shots_are_programs_that_give_the_right_answers():
    values: list[float] = []
    for text in SHOTS.split("\n\n\n")[:3]:
        space: dict[str, Any] = {}
        exec(text, space)
        values.append(space["solution"]())
    assert values == [47, 48.0, 74.0]


@pytest.mark.parametrize("reset", [True, False])
def test_expert_iteration_resets_to_the_base_or_goes_on(reset):
    engine, _, students = run(replace(EXPERT, reset=reset), student=lambda key, prompt, index: RIGHT)
    assert engine.starts == ["base", "base" if reset else students[0].weights]
    assert engine.requests == []


@pytest.mark.parametrize("cfg", [Config(), VARIANTS["ekt-kd"], VARIANTS["ekt-kd-fair"]])
def test_ekt_and_its_kd_go_on_from_cycle_to_cycle_so_their_last_student_has_all_updates(cfg):
    engine, lab, students = run(cfg, cycles=3)
    assert engine.starts == ["base", students[0].weights, students[1].weights]
    assert len({one.weights for one in students}) == 3 and lab.spent.updates == 3 * 5


def test_expert_iteration_alone_begins_every_cycle_from_the_base():
    engine, _, _ = run(EXPERT, student=lambda key, prompt, index: RIGHT, cycles=3)
    assert engine.starts == ["base"] * 3
    assert [name for name, one in VARIANTS.items() if one.reset] == ["expert-iter"]


def test_a_row_is_asked_as_the_benchmark_asks_in_style_completion_not_by_default():
    row = {"question": "Two and two?", "answer": "2+2=<<2+2=4>>4\n#### 4"}
    word_problem = gsm8k.problem_from(row, "train", 0)
    [example] = run(Config(), pool=(word_problem,), cycles=1)[0].trained[0]

    def asked(style: base.Style) -> str:
        made = base.build("gsm8k", 1, (word_problem,), style=style, rule="", max_new_tokens=1, shots=gsm8k.EXAMPLES)
        return made.prompt(word_problem)

    assert example.prompt == asked("completion") != asked(gsm8k.STYLE)


def test_the_first_round_of_expert_iteration_is_the_untrained_student_after_shots_a_later_one_without():
    engine, _, students = run(replace(EXPERT, k=1), student=lambda key, prompt, index: WRONG, pool=WORDS)
    assert {prompt for _, _, prompt in engine.sampled if prompt.startswith(SHOTS)} == {
        SHOTS + one.prompt for one in WORDS
    }
    assert {prompt for _, _, prompt in engine.sampled[len(WORDS) :]} == {one.prompt for one in WORDS}
    assert {weights for weights, _, _ in engine.sampled} == {"base"} == {one.weights for one in students}


def test_expert_iteration_keeps_a_problems_program_and_attempts_only_what_is_unsolved():
    def student(key: str, prompt: str, index: int) -> str:
        return RIGHT if key in ("p0", "p1") else WRONG

    engine, _, _ = run(replace(EXPERT, k=3), student=student)
    assert [len(rows) for rows in engine.trained] == [2, 2] and engine.trained[0] == engine.trained[1]
    assert sum(key == "p0" for _, key, _ in engine.sampled) == 1
    assert sum(key == "p5" for _, key, _ in engine.sampled) == 2 * 3


def test_expert_iteration_attempts_no_more_than_the_budget_and_every_problem_before_any_twice():
    engine, lab, _ = run(EXPERT, attempts=8)
    assert lab.spent.student_samples == 2 * 8
    assert [key for _, key, _ in engine.sampled[:8]] == [one.id for one in POOL] + ["p0", "p1"]
    assert [key for _, key, _ in engine.sampled[8:]] == ["p2", "p3", "p4", "p5", "p0", "p1", "p2", "p3"]


def test_a_round_without_a_passing_program_is_told_and_not_trained():
    engine, lab, students = run(replace(EXPERT, k=2))
    assert engine.trained == [] and {one.weights for one in students} == {"base"}
    assert lab.notes["cycles without examples"] == 2 and lab.notes["cycle 2 solved problems"] == 0


def test_another_draw_of_an_unchanged_student_is_another_request():
    engine, _, _ = run(replace(EXPERT, k=2))
    assert engine.units["samples"] == 4  # two draws in each of two cycles, none of them the same step


def test_the_kd_baseline_trains_on_the_same_rows_with_likelihood_and_divergence_one_to_one():
    plain, kd = run(Config())[0], run(VARIANTS["ekt-kd"])[0]
    assert plain.trained == kd.trained
    [first, *_] = kd.objectives
    assert first.likelihood == first.soft.alpha == 0.5 and first.soft.divergence == "forward"
    assert not plain.objectives[0].uses_teacher


@pytest.mark.parametrize(("pool", "lead"), [(POOL, ""), (WORDS, SHOTS)])
def test_the_fair_baselines_teacher_reads_the_shots_and_differs_in_nothing_else(pool, lead):
    kd, fair = run(VARIANTS["ekt-kd"], pool=pool)[0], run(VARIANTS["ekt-kd-fair"], pool=pool)[0]
    assert kd.trained == fair.trained and fair.objectives[0].soft.lead == lead
    assert [replace(one.soft, lead="") for one in fair.objectives] == [one.soft for one in kd.objectives]


def test_without_weight_the_kd_baseline_is_ekt():
    plain, kd = run(Config())[0], run(replace(VARIANTS["ekt-kd"], kl_weight=0.0))[0]
    assert (plain.trained, plain.objectives) == (kd.trained, kd.objectives)


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (Config(), {"solve", "checks"}),
        (Config(filter="none"), {"solve"}),
        (EXPERT, {"checks"}),
        (VARIANTS["ekt-kd"], {"solve", "checks", "logits"}),
    ],
)
def test_what_a_configuration_needs(cfg, expected):
    assert set(needs(cfg)) == expected
