"""PERsD's three views against a scripted engine: whose problems and whose code reach the training rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines.persd import VARIANTS, Config, train
from harness.comparison.plan import Rehearsal
from harness.decontaminate import index_of
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings.config import Budget, Train
from harness.teachers.requests import Answer
from harness.types import Check, Example, Failure, Problem, Student, TrainingSet
from tests.contracts.recipe import Anything

CYCLES = 2
BASE = Student("tiny", "base")
DIRECT, REFINED, ATTEMPT, OTHER = (f"    return x + {number}\n" for number in (1, 2, 3, 4))
POOL = tuple(
    Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (Check((1,), 2),), DIRECT, 1, "scripted")
    for place in range(10)
)
EVEN = frozenset(one.id for one in POOL[::2])
ALL = frozenset(one.id for one in POOL)


class Scripted(Rehearsal):
    """DIRECT and REFINED pass; a student's attempt is ATTEMPT, which fails, or DIRECT at `solved` problems.

    The teacher repairs with `refined`, and with OTHER, which fails, at the problems in `fails`. `echo` gives back
    the attempt. Its direct answers at `misses` fail.
    """

    def __init__(
        self,
        solved: frozenset[str] = frozenset(),
        fails: frozenset[str] = frozenset(),
        misses: frozenset[str] = frozenset(),
        refined: str = REFINED,
        echo: bool = False,
    ) -> None:
        super().__init__()
        self.solved, self.fails, self.misses, self.refined, self.echo = solved, fails, misses, refined, echo
        self.requests: list[Any] = []
        self.rows: list[Example] = []
        self.judged: list[str] = []

    def ask(self, teacher: Any, requests: Any, seed: int) -> Any:
        self.requests += requests
        return super().ask(teacher, requests, seed)

    def answer(self, request: Any, key: str) -> Answer:
        if request.kind == "solve":
            code = OTHER if request.problem.id in self.misses else DIRECT
        elif self.echo:
            code = request.attempt
        else:
            code = OTHER if request.problem.id in self.fails else self.refined
        return replace(super().answer(request, key), code=request.problem.prompt + code)

    def sample(self, student: Student, prompts: Any, *rest: Any) -> Any:
        samples, records = super().sample(student, prompts, *rest)
        texts = [[DIRECT if one.problem_id in self.solved else ATTEMPT for one in own] for own in samples]
        return [
            [replace(one, completion=text) for one, text in zip(own, said, strict=True)]
            for own, said in zip(samples, texts, strict=True)
        ], records

    def judge(self, pairs: Any, cpu_s: float) -> Any:
        verdicts, records = super().judge(pairs, cpu_s)
        good = [text in (one.prompt + DIRECT, one.prompt + REFINED) for one, text in pairs]
        fail = Failure("f(1)", "secret", "2", visible=False)
        return [
            replace(one, status="passed" if passed else "wrong", first_fail=None if passed else fail)
            for one, passed in zip(verdicts, good, strict=True)
        ], records

    def fit(self, student: Student, data: TrainingSet, *rest: Any) -> Any:
        self.rows += data.examples
        return super().fit(student, data, *rest)

    def asked(self, kind: str) -> list[str]:
        return [one.problem.id for one in self.requests if one.kind == kind]

    @property
    def ids(self) -> list[str]:
        """The problems behind the rows; prompts name them."""
        names = {one.prompt: one.id for one in POOL}
        return [names[row.prompt] for row in self.rows]

    @property
    def labels(self) -> set[str]:
        return {row.completion for row in self.rows}


def run(engine: Scripted, view: Any = "persd") -> tuple[Lab, list[Student]]:
    budget = Budget(examples=len(POOL), updates=5, attempts=len(POOL))
    terms = Terms(CYCLES, budget, Train(), threads=1, device="cpu", batch=8, max_new_tokens=32, stop=(), cpu_s=1.0)
    lab = Lab(engine, terms, BASE, POOL, Anything(), index_of([]), 0)
    students = list(train(lab, VARIANTS.get(view, Config())))
    assert len(students) == CYCLES
    return lab, students


@pytest.mark.parametrize("view", ["persd", "inpd"])
def test_a_perfect_student_is_not_repaired_and_not_trained_and_a_note_says_so(view):
    engine = Scripted(solved=ALL)
    lab, students = run(engine, view)
    assert engine.asked("refine") == [] and engine.rows == []
    assert students == [BASE] * CYCLES and lab.spent.updates == 0
    assert lab.notes["cycles without examples"] == CYCLES
    assert lab.notes["failed attempts |F|"] == lab.notes["repaired |R|"] == 0


def test_a_student_that_always_fails_is_repaired_and_trained_everywhere():
    engine = Scripted()
    lab, students = run(engine)
    assert engine.asked("refine") == engine.ids == [one.id for one in POOL]
    assert engine.labels == {REFINED} and BASE not in students
    assert lab.notes["failed attempts |F|"] == lab.notes["repaired |R|"] == len(POOL)


def test_only_failed_attempts_are_repaired_and_trained_on():
    engine = Scripted(solved=EVEN)
    run(engine)
    assert set(engine.asked("refine")) == set(engine.ids) == ALL - EVEN


@pytest.mark.parametrize("view", ["persd", "inpd"])
def test_a_teacher_that_fails_on_half_leaves_the_other_half(view):
    engine = Scripted(fails=EVEN)
    lab, _ = run(engine, view)
    assert set(engine.ids) == ALL - EVEN and len(engine.ids) == len(POOL) // 2
    assert lab.notes["failed attempts |F|"] == len(POOL) and lab.notes["repaired |R|"] == len(POOL) // 2
    assert OTHER not in engine.labels


@pytest.mark.parametrize("view", ["persd", "inpd"])
def test_a_teacher_that_echoes_the_attempt_leaves_nothing(view):
    engine = Scripted(echo=True)
    lab, students = run(engine, view)
    assert len(engine.asked("refine")) == len(POOL) and engine.rows == []
    assert lab.notes["repaired |R|"] == 0 and students == [BASE] * CYCLES


@pytest.mark.parametrize("script", [{}, {"solved": EVEN}, {"fails": EVEN}, {"misses": EVEN}])
def test_persd_and_inpd_train_on_equal_problems_in_equal_order_with_labels_of_their_own(script):
    persd, inpd = Scripted(**script), Scripted(**script)
    run(persd, "persd")
    run(inpd, "inpd")
    assert persd.ids == inpd.ids and persd.ids
    assert (persd.labels, inpd.labels) == ({REFINED}, {DIRECT})


def test_a_problem_whose_direct_label_fails_leaves_both_views():
    for view in ("persd", "inpd"):
        engine = Scripted(misses=EVEN)
        run(engine, view)
        assert set(engine.ids) == ALL - EVEN


def test_a_teacher_that_repairs_with_its_direct_code_makes_persd_and_inpd_equal_row_by_row():
    persd, inpd = Scripted(refined=DIRECT), Scripted(refined=DIRECT)
    run(persd, "persd")
    run(inpd, "inpd")
    plain = [[(row.prompt, row.completion) for row in engine.rows] for engine in (persd, inpd)]
    assert plain[0] == plain[1] and plain[0]


def test_stand_trains_on_every_problem_whose_direct_answer_passes():
    engine = Scripted(misses=EVEN, solved=ALL)
    run(engine, "stand")
    assert set(engine.ids) == ALL - EVEN and engine.labels == {DIRECT}


def test_a_repair_sees_the_attempt_and_the_direct_code_but_nothing_of_a_hidden_check():
    engine = Scripted(solved=ALL - {"p3"})
    run(engine)
    [request] = [one for one in engine.requests if one.kind == "refine"]
    assert (request.problem.id, request.attempt) == ("p3", ATTEMPT)
    assert request.direct == request.problem.prompt + DIRECT
    assert request.feedback and "secret" not in request.feedback and "f(1)" not in request.feedback


def test_no_problem_is_attempted_more_than_once():
    lab, _ = run(Scripted())
    assert lab.spent.student_samples == len(POOL)
