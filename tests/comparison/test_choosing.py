"""How a student chooses between two programs, as a step and as a decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.benchmarks.registry import load
from harness.comparison.choosing import chosen
from harness.comparison.repairs import can_repair
from harness.settings.config import Judging
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.types import Problem, Student
from tests.fakes import tiny_student

STUDENT = Student("tiny", "tiny")
RIGHT, FAULT = "    return 1\n", "    return 2\n    # and more\n"


class Scored:
    """An engine whose scores are known: (log-probability, tokens) by text."""

    def __init__(self, scores: dict[str, tuple[float, int]]) -> None:
        self.scores = scores

    def score(self, student, pairs, batch):
        return [self.scores[text] for _, text in pairs], []


@pytest.mark.parametrize(
    ("right", "fault", "taken"),
    [
        ((-4.0, 8), (-3.0, 3), RIGHT),  # less in sum, more per token
        ((-2.0, 2), (-3.0, 6), FAULT),
        ((-2.0, 2), (-4.0, 4), FAULT),  # a tie prefers nothing
    ],
    ids=["likelier per token", "less likely per token", "tie"],
)
def test_a_student_takes_what_is_likelier_per_token(right, fault, taken):
    problem = Problem("p", "def f():\n", "f", (), RIGHT, fault=FAULT)
    benchmark = replace(load("preference:oracle", size=4), problems=(problem,))
    [[sample]], _ = chosen(Scored({RIGHT: right, FAULT: fault}), STUDENT, benchmark, [("p", problem.prompt)], 8)
    assert (sample.completion, sample.finish_reason) == (taken, "stop")


def test_what_was_scored_is_recorded_and_not_scored_again(tmp_path, monkeypatch):
    import harness.students.engine as students

    folder, calls = tiny_student(tmp_path / "student", lively=True), []
    real = students.score
    monkeypatch.setattr(students, "score", lambda *given: calls.append(1) or real(*given))
    pairs = [("def f(x):\n", "    return x\n"), ("def f(x):\n", "    return x + 1\n"), ("x = ", "1\n")]
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub") as engine:
        engine.folders[STUDENT.weights] = folder
        first, records = engine.score(STUDENT, pairs, 2)
        again, found = engine.score(STUDENT, pairs, 2)
    assert first == again and records == found and len(calls) == 2  # two batches, once each
    assert all(logp < 0 and tokens > 0 for logp, tokens in first)


def test_a_choice_is_never_repaired():
    assert not can_repair(load("preference:oracle", size=4))
