"""Self-distillation against a scripted engine: no teacher, and only what passed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines.self_sft import VARIANTS, Config, needs, train
from harness.settings.config import Budget
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
POOL = tuple(Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), "") for place in range(6))
REPAIR = VARIANTS["self-repair"]


def run(cfg: Config, student: Any, cycles: int = 2, **budget: int) -> Any:
    engine = Scripted(lambda request: None, student, lambda problem, text: text.endswith(RIGHT))
    lab = lab_of(engine, POOL, cycles, Budget(**{"examples": 100, "updates": 5, "attempts": 0, **budget}))
    students = list(train(lab, cfg))
    assert engine.requests == [], "a recipe without a teacher asked one"
    return engine, lab, students


def half(key: str, prompt: str, index: int) -> str:
    return RIGHT if key in ("p0", "p1", "p2") else WRONG


def test_own_samples_that_pass_are_the_rows():
    engine, _, _ = run(Config(k=3), half)
    assert {(one.prompt, one.completion) for one in engine.trained[0]} == {(one.prompt, RIGHT) for one in POOL[:3]}


def test_without_a_filter_every_sample_is_a_row_and_nothing_is_run():
    engine, lab, _ = run(Config(k=1, filter="none"), half)
    assert len(engine.trained[0]) == len(POOL) and engine.judged == [] and lab.spent.programs == 0
    assert needs(Config(filter="none")) == () and needs(Config()) == ("checks",)


def test_attempts_stay_within_the_budget_and_every_problem_comes_before_any_second_sample():
    engine, lab, _ = run(Config(k=8), half, attempts=4)
    assert lab.spent.student_samples == 8
    assert [key for _, key, _ in engine.sampled] == [one.id for one in POOL] + ["p0", "p1"]


def test_equal_samples_are_one_row():
    engine, _, _ = run(Config(k=8, cap=4), lambda key, prompt, index: RIGHT)
    assert len(engine.trained[0]) == len(POOL)


def repairs(key: str, prompt: str, index: int) -> str:
    """A student that errs, and that repairs what it is shown at even problems."""
    return RIGHT if "# Wrong:" in prompt and key in ("p0", "p2", "p4") else WRONG


def test_passing_repairs_become_rows_that_ask_for_the_code_at_once():
    engine, lab, _ = run(replace(REPAIR, k=1), repairs, cycles=1)
    assert {(one.prompt, one.completion) for one in engine.trained[0]} == {(one.prompt, RIGHT) for one in POOL[::2]}
    assert lab.notes["failed samples"] == 6 and lab.notes["repaired samples"] == 3


def test_a_repair_is_shown_the_attempt_and_costs_an_attempt():
    engine, lab, _ = run(replace(REPAIR, k=1), repairs, cycles=1)
    shown = [prompt for _, _, prompt in engine.sampled if "# Wrong:" in prompt]
    assert len(shown) == 6 and all(WRONG in prompt for prompt in shown)
    assert lab.spent.student_samples == 12


@pytest.mark.parametrize("attempts", [1, 3, 4])
def test_repairs_keep_within_the_budget_too(attempts):
    _, lab, _ = run(replace(REPAIR, k=8), repairs, attempts=attempts)
    assert lab.spent.student_samples <= 2 * attempts


def test_each_cycle_samples_a_part_of_its_own_by_the_current_student():
    engine, _, students = run(replace(REPAIR, k=1), repairs)
    asked = {weights: {key for own, key, _ in engine.sampled if own == weights} for weights, _, _ in engine.sampled}
    assert asked == {"base": {"p0", "p2", "p4"}, students[0].weights: {"p1", "p3", "p5"}}


def test_nothing_passing_is_told_and_not_trained():
    engine, lab, students = run(REPAIR, lambda key, prompt, index: WRONG)
    assert engine.trained == [] and {one.weights for one in students} == {"base"}
    assert lab.notes["cycles without examples"] == 2


def test_repair_without_tests_is_refused():
    with pytest.raises(ValueError, match="filter=tests"):
        Config(repair=True, filter="none")
