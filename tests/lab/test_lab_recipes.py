"""What the lab offers recipes beyond one attempt and one fit: more samples, given solutions, a scoring model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.errors import BudgetError
from harness.lab import Example, Objective, Soft, Solve
from harness.settings.config import Budget
from harness.types import Check, Problem, Spent, Student
from tests.fakes import Scripted, lab_of

POOL = tuple(Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (), "    return x\n") for place in range(4))
BASE = Student("tiny", "base")
REPLY = "R1: 2\nR2: 1\nR3: 0.5\nR4: n/a\nR5: 1\n"


def lab(student: Any = None, **budget: int) -> Any:
    engine = Scripted(lambda request: None, student or (lambda key, prompt, index: f"    return {index}\n"))
    return lab_of(engine, POOL, 2, Budget(**{"examples": 4, "updates": 5, "attempts": 100, **budget})), engine


def test_several_attempts_at_a_problem_come_in_order_and_are_counted():
    own, _ = lab()
    found = own.attempts(BASE, POOL, 3, temperature=0.8)
    assert [[one.index for one in samples] for samples in found] == [[0, 1, 2]] * 4
    assert own.spent.student_samples == 12 and own.spent.student_tokens == 36


def test_one_attempt_is_the_first_of_several():
    own, engine = lab()
    own.attempt(BASE, POOL, 0.8, 0.9)
    own.attempts(BASE, POOL, 1, 0.8, 0.9)
    assert engine.units["samples"] == 1  # the same step


def test_another_draw_is_another_step():
    own, engine = lab()
    for draw in (0, 1, 2, 1):
        own.attempts(BASE, POOL, 1, 0.8, draw=draw)
    assert engine.units["samples"] == 3


def test_samples_beyond_the_budget_are_refused_before_any_is_drawn():
    own, engine = lab(attempts=5)
    with pytest.raises(BudgetError, match=r"budget\.attempts"):
        own.attempts(BASE, POOL, 3, 0.8)
    assert engine.sampled == []


def test_given_solutions_are_handed_out_and_those_without_are_counted():
    own, _ = lab()
    other = Problem("new", 'def g(x):\n    """n"""\n', "g", (), "")
    assert own.references([*own.problems, other]) == [(one, "    return x\n") for one in own.problems]
    assert own.notes["problems without a solution of their own"] == 1


def test_rows_that_are_trained_on_again_take_nothing_from_the_budget_of_examples():
    own, _ = lab(examples=2)
    rows = [Example(one.prompt, "    return x\n") for one in POOL]
    own.fit(own.fit(BASE, rows), rows)
    with pytest.raises(BudgetError, match=r"budget\.examples"):
        own.fit(BASE, [Example("def h(x):\n", "    return x\n")])


def test_a_budget_of_training_tokens_ends_each_cycles_fit_where_they_are_spent():
    own, _ = lab(training_tokens=500, updates=5)
    rows = [Example(one.prompt, "    return x\n") for one in POOL]  # some 14 tokens each, 16 to an update
    last = [own.spent.updates for _ in own.fit_through(BASE, rows)]
    assert last == [2, 4]


def test_texts_of_the_students_own_cannot_be_counted_before_and_are_refused_with_such_a_budget():
    own, engine = lab(training_tokens=500)
    soft = Objective(soft=Soft("reverse", on_policy=0.5))
    with pytest.raises(BudgetError, match=r"budget\.training_tokens=500"):
        own.fit(BASE, [Example("def f(x):\n", "    return x\n")], soft)
    assert engine.trained == []


def test_a_scoring_model_is_trained_beside_the_student_and_its_replies_are_read():
    own, engine = lab(lambda key, prompt, index: REPLY if key != "p3" else "no scores")
    scorer = own.train_scorer([(one, "    return x\n", (2.0, 1.0, 0.5, None, 1.0)) for one in POOL])
    assert {row.completion for row in engine.trained[0]} == {REPLY}
    assert engine.starts == ["base"] and own.spent.updates == 0
    found = own.score(scorer, [(one, "    return x\n") for one in POOL])
    assert found[:3] == [(2.0, 1.0, 0.5, None, 1.0)] * 3 and found[3] is None
    assert own.spent == Spent(student_tokens=12, training_tokens=own.spent.training_tokens)


def test_shots_reach_the_teacher_with_the_problems_reference():
    own, engine = lab()
    own.ask([Solve(own.problems[0], shots="example")])
    [request] = engine.requests
    assert request.shots == "example" and request.problem.reference == "    return x\n"


# --- tests for posed problems ----------------------------------------------------------------------------------------

CALLS = (Check((1,), 1), Check((2,), 9), Check((3,), 3))


class Examples(Scripted):
    """A teacher whose answer returns its argument and whose second call states a wrong value."""

    def __init__(self, calls: tuple[Check, ...] = CALLS, code: str | None = "    return x\n") -> None:
        super().__init__(lambda request: code and request.problem.prompt + code, passes=self.holds)
        self.calls_given = calls

    @staticmethod
    def holds(problem: Problem, program: str) -> bool:
        return all(isinstance(one, Check) and one.args[0] == one.expected for one in problem.checks)  # type: ignore[union-attr]

    def answer(self, request: Any, key: str) -> Any:
        found = super().answer(request, key)
        return replace(found, code=None, checks=self.calls_given) if request.kind == "tests" else found


def test_a_problem_without_checks_gets_the_calls_that_the_teachers_own_answer_satisfies():
    own = lab_of(Examples(), POOL)
    [found] = own.tested([POOL[0]])
    assert found.checks == (CALLS[0], CALLS[2]) and not own.notes


@pytest.mark.parametrize("answers", [{"calls": ()}, {"calls": CALLS[1:2]}, {"code": None}])
def test_a_problem_that_is_left_without_checks_is_dropped_and_told(answers):
    own = lab_of(Examples(**answers), POOL)
    assert own.tested(POOL) == [] and own.notes["new problems without tests, dropped"] == len(POOL)


def test_a_problem_with_checks_stays_as_it_is_and_nothing_is_asked():
    engine = Examples()
    whole = [replace(one, checks=CALLS) for one in POOL]
    assert lab_of(engine, POOL).tested(whole) == whole and engine.requests == []
