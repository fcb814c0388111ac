"""Preference recipes against a scripted engine: which pairs they make, and what they minimise."""

from __future__ import annotations

from typing import Any

import pytest

from baselines.pref import VARIANTS, Config, needs, train
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
POOL = tuple(Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), "") for place in range(6))


def run(cfg: Config, fault: str = WRONG, attempt: str = WRONG) -> Any:
    def teacher(request: Any) -> str:
        missed = request.kind == "solve" and request.problem.id == "p0"
        return request.problem.prompt + (WRONG if missed else RIGHT if request.kind == "solve" else fault)

    engine = Scripted(teacher, lambda key, prompt, index: attempt, lambda problem, text: text.endswith(RIGHT))
    lab = lab_of(engine, POOL)
    list(train(lab, cfg))
    return engine, lab


def pairs(engine: Scripted) -> list[tuple[str, str | None]]:
    return [(one.completion, one.rejected) for one in engine.trained[0]]


def test_a_pair_is_a_passing_answer_and_a_failing_fault_of_the_same_problem():
    engine, lab = run(Config())
    assert pairs(engine) == [(RIGHT, WRONG)] * 5 and lab.notes["verified pairs"] == 5
    assert {one.problem.id for one in engine.asked("corrupt")} == {one.id for one in POOL[1:]}


def test_a_fault_that_passes_is_no_pair_and_leaves_the_likelihood():
    engine, lab = run(Config(), fault=RIGHT)
    assert pairs(engine) == [(RIGHT, None)] * 5 and lab.notes["verified pairs"] == 0


def test_a_fault_is_asked_for_once_and_taken_with_its_comments_and_giveaways():
    told = "    return x - 1  # an intentional bug\n"
    engine, _ = run(Config(), fault=told)
    assert pairs(engine) == [(RIGHT, told)] * 5
    passing, _ = run(Config(), fault=RIGHT)
    assert len(engine.asked("corrupt")) == len(passing.asked("corrupt")) == 5


@pytest.mark.parametrize(("attempt", "rejected"), [(WRONG, WRONG), (RIGHT, None)])
def test_the_students_failing_attempts_can_be_the_rejected_half(attempt, rejected):
    engine, lab = run(Config(rejected="attempt"), attempt=attempt)
    assert pairs(engine) == [(RIGHT, rejected)] * 5
    assert not engine.asked("corrupt") and lab.spent.student_samples == 5
    assert "corrupt" not in needs(Config(rejected="attempt"))


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("pref-dpo", {"beta": 0.1, "weight": 1.0}),
        ("pref-orpo", {"weight": 0.1}),
        ("pref-simpo", {"beta": 2.0, "gamma": 1.0, "weight": 1.0}),
    ],
)
def test_a_variant_differs_from_the_others_in_its_loss_alone(name, numbers):
    engine, _ = run(VARIANTS[name])
    [objective] = engine.objectives
    assert objective.contrast.name == name.removeprefix("pref-") and objective.likelihood == 1.0
    assert {key: getattr(objective.contrast, key) for key in numbers} == numbers
    assert engine.trained == run(VARIANTS["pref-dpo"])[0].trained
