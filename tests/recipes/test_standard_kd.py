"""The standard distillation family against a scripted engine: its rows, its filters and its objectives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines.standard_kd import VARIANTS, Ablation, Config, needs, train
from harness.settings.config import Budget
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
POOL = tuple(
    Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), RIGHT) for place in range(6)
)
EXEC = VARIANTS["seqkd-exec"]


def passes(problem: Problem, program: str) -> bool:
    return program.endswith(RIGHT)


def right(request: Any) -> str:
    return request.problem.prompt + RIGHT


def run(cfg: Config, teacher: Any = right, pool: Any = POOL, **budget: int) -> Any:
    engine = Scripted(teacher, passes=passes)
    lab = lab_of(engine, pool, 2, Budget(**{"examples": len(pool), "updates": 5, "attempts": len(pool), **budget}))
    list(train(lab, cfg))
    return engine, lab


def plain(engine: Scripted) -> list[tuple[str, str]]:
    return [(one.prompt, one.completion) for one in engine.trained[0]]


def test_sft_trains_on_the_given_solutions_and_asks_nobody():
    engine, lab = run(VARIANTS["sft"])
    assert plain(engine) == [(one.prompt, RIGHT) for one in POOL]
    assert engine.requests == [] and lab.spent.teacher_calls == 0


def test_sft_leaves_out_problems_without_a_solution_and_says_how_many():
    engine, lab = run(VARIANTS["sft"], pool=(*POOL[:4], *(replace(one, reference="") for one in POOL[4:])))
    assert len(plain(engine)) == 4 and lab.notes["problems without a solution of their own"] == 2


def test_a_teacher_that_returns_the_reference_makes_seqkd_and_sft_equal():
    assert plain(run(VARIANTS["sft"])[0]) == plain(run(VARIANTS["seqkd"])[0])


def test_one_greedy_draw_with_tests_that_always_pass_is_seqkd():
    assert plain(run(replace(EXEC, draws=1, temperature=0.0))[0]) == plain(run(VARIANTS["seqkd"])[0])


def different(request: Any) -> str:
    """A teacher whose even draws pass, each with a tree of its own; two draws differ in layout only."""
    text = f"    y = {request.index % 6}\n" + (RIGHT if request.index % 2 == 0 else WRONG)
    return request.problem.prompt + text.replace("y = 0", "y  =  0" if request.index else "y = 0")


def test_exec_keeps_passing_answers_that_differ_by_syntax_tree_up_to_the_cap():
    engine, _ = run(replace(EXEC, draws=8, cap=4), different, examples=100)
    own = [text for prompt, text in plain(engine) if prompt == POOL[0].prompt]
    assert own == [f"    y = {place}\n" + RIGHT for place in (0, 2, 4)]
    engine, _ = run(replace(EXEC, draws=8, cap=2), different, examples=100)
    assert len(plain(engine)) == 2 * len(POOL)


def test_without_the_filter_failing_answers_stay():
    engine, _ = run(replace(EXEC, filter="none", cap=8), different, examples=100)
    assert any(text.endswith(WRONG) for _, text in plain(engine))


def test_rows_beyond_the_budget_are_second_answers_before_any_first():
    engine, _ = run(EXEC, different, examples=4)  # 8 rows in two cycles, for 6 problems
    rows = plain(engine)
    assert len(rows) == 8 and {prompt for prompt, _ in rows} == {one.prompt for one in POOL}


@pytest.mark.parametrize(
    ("name", "divergence", "parameter"),
    [
        ("kd-fkl", "forward", None),
        ("kd-rkl", "reverse", None),
        ("kd-jsd", "jsd", 0.5),
        ("kd-skl", "skew_forward", 0.1),
        ("kd-srkl", "skew_reverse", 0.1),
        ("kd-tvd", "tvd", None),
    ],
)
def test_a_kd_variant_adds_its_divergence_to_the_rows_of_seqkd(name, divergence, parameter):
    engine, _ = run(VARIANTS[name])
    assert plain(engine) == plain(run(VARIANTS["seqkd"])[0])
    soft = engine.objectives[0].soft
    assert (soft.divergence, soft.alpha, soft.tau, soft.on_policy) == (divergence, 0.5, 1.0, 0.0)
    assert parameter is None or soft.parameter == parameter


def test_alpha_zero_takes_the_teachers_distributions_away():
    engine, _ = run(replace(VARIANTS["kd-fkl"], alpha=0.0))
    assert not engine.objectives[0].uses_teacher and "logits" not in needs(replace(VARIANTS["kd-fkl"], alpha=0.0))


def test_a_student_that_is_its_own_teacher_changes_whose_distributions_are_learned_and_needs_no_logits():
    own = replace(VARIANTS["kd-fkl"], ablation=Ablation(self_teacher=True))
    engine, teachers = run(own)[0], run(VARIANTS["kd-fkl"])[0]
    assert (engine.trained, engine.requests) == (teachers.trained, teachers.requests)
    [mine], [theirs] = engine.objectives, teachers.objectives
    assert mine.soft.teacher == "base" and replace(mine.soft, teacher="teacher") == theirs.soft
    assert set(needs(VARIANTS["kd-fkl"])) - set(needs(own)) == {"logits"}


def test_a_student_that_is_its_own_teacher_needs_no_teacher_with_logits():
    engine = Scripted(right, passes=passes)
    lab = lab_of(engine, POOL, 1)
    lab._fits._logits = None
    list(train(lab, replace(VARIANTS["kd-jsd"], ablation=Ablation(self_teacher=True))))
    assert engine.objectives[0].soft.teacher == "base"


def test_a_filter_that_only_runs_answers_looks_at_no_test():
    engine, _ = run(replace(EXEC, filter="runs"))
    assert engine.judged and {one.checks for one, _ in engine.judged} == {()}
    assert "checks" not in needs(replace(EXEC, filter="runs"))


def test_gkd_is_jsd_alone_on_the_students_own_text_in_its_share_of_the_updates():
    engine, _ = run(VARIANTS["gkd"], attempts=1000)
    [objective] = engine.objectives
    assert objective.likelihood == 0 and objective.soft.divergence == "jsd"
    assert objective.soft.on_policy == 0.5 and objective.soft.temperature == 0.9


def test_gkd_without_own_text_is_kd_jsd_without_likelihood():
    off, kd = run(replace(VARIANTS["gkd"], lmbda=0.0))[0], run(replace(VARIANTS["kd-jsd"], alpha=1.0))[0]
    assert (off.trained, off.objectives) == (kd.trained, kd.objectives)


@pytest.mark.parametrize(
    "settings",
    [
        {"draws": 2},
        {"cap": 0},
        {"alpha": 1.5},
        {"tau": 0.0},
        {"beta": 1.0},
        {"skew": 0.0},
        {"lmbda": 0.5},
        {"ablation": Ablation(self_teacher=True)},
    ],
)
def test_a_configuration_that_cannot_be_is_refused(settings):
    with pytest.raises(ValueError, match=r"expected|asks|choose"):
        Config(**settings)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sft", {"references"}),
        ("seqkd", {"solve"}),
        ("seqkd-exec", {"solve", "checks"}),
        ("kd-rkl", {"solve", "logits"}),
        ("gkd", {"solve", "logits"}),
    ],
)
def test_what_a_variant_needs(name, expected):
    assert set(needs(VARIANTS[name])) == expected
