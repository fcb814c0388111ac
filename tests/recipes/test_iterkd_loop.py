"""IterKD's loop against a scripted engine: what it asks, what it runs, and what reaches its training rows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from harness.comparison.plan import Rehearsal
from harness.decontaminate import index_of
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings.config import Budget, Train
from harness.teachers.requests import Answer
from harness.types import Check, Example, Problem, Student, TrainingSet
from recipes.iterkd import GIVEAWAYS, Ablation, Config, train
from tests.contracts.recipe import Anything

SIZE = 8
RIGHT = "    total = 0\n    for one in range(x + 1):\n        total += one\n    return total + 1\n"
RIGHT_TOO = RIGHT.replace("total += one", "total = total + one")
WRONG = "    return x - 7\n"


def problem(name: str, text: str) -> Problem:
    return Problem(name, f'def f(x):\n    """{text}"""\n', "f", (Check((1,), 2),), RIGHT, 1, "scripted")


# Each text has its own words, so that none is near another.
SEEDS = tuple(problem(f"seed/{place}", " ".join(f"w{place}x{word}" for word in range(6))) for place in range(SIZE))


class Scripted(Rehearsal):
    """RIGHT and RIGHT_TOO pass their checks and everything runs; the student's attempts at `solved` problems are right.

    `faults` is what the teacher writes as a faulty answer, `posed` what it makes of a seed and an index.
    """

    def __init__(self, solved: frozenset[str] = frozenset(), faults: str | None = WRONG, posed: str = "fresh") -> None:
        super().__init__()
        self.solved = solved
        self.faults = faults
        self.posed = posed
        self.requests: list[Any] = []
        self.pools: list[list[Problem]] = []
        self.runs = 0
        self.trained: list[tuple[Example, ...]] = []

    def ask(self, teacher: Any, requests: Any, seed: int) -> Any:
        self.requests += requests
        if requests and all(one.kind == "solve" and one.temperature == 0 for one in requests):
            self.pools.append([one.problem for one in requests])
        return super().ask(teacher, requests, seed)

    def answer(self, request: Any, key: str) -> Answer:
        found = super().answer(request, key)
        if request.kind == "solve":
            return replace(found, code=request.problem.prompt + RIGHT)
        if request.kind == "corrupt":
            return replace(found, code=None if self.faults is None else request.problem.prompt + self.faults)
        if request.kind == "pose":
            return replace(found, problem=self.pose(request, found.problem))
        return found

    def pose(self, request: Any, fresh: Problem | None) -> Problem | None:
        match self.posed:
            case "fresh":
                return None if fresh is None else replace(fresh, checks=SEEDS[0].checks)
            case "echo":  # the seed itself
                return request.like
            case "twins":  # one and the same for all
                return problem("twin", "one two three four five six")
            case "renamed":  # the seed's text under a new id
                return replace(request.like, id=f"renamed/{request.index}")
            case _:
                return None

    def sample(self, student: Student, prompts: Any, *rest: Any) -> Any:
        samples, records = super().sample(student, prompts, *rest)
        return [
            [replace(one, completion=RIGHT if one.problem_id in self.solved else WRONG) for one in own]
            for own in samples
        ], records

    def judge(self, pairs: Any, cpu_s: float) -> Any:
        self.runs += sum(one.checks == () for one, _ in pairs)
        verdicts, records = super().judge(pairs, cpu_s)
        passed = [one.checks == () or text in (one.prompt + RIGHT, one.prompt + RIGHT_TOO) for one, text in pairs]
        return [
            replace(verdict, status="passed" if good else "wrong")
            for verdict, good in zip(verdicts, passed, strict=True)
        ], records

    def fit(self, student: Student, data: TrainingSet, *rest: Any) -> Any:
        self.trained.append(data.examples)
        return super().fit(student, data, *rest)

    def asked(self, kind: str) -> list[Any]:
        return [one for one in self.requests if one.kind == kind]

    @property
    def rows(self) -> list[Example]:
        return [row for examples in self.trained for row in examples]


def run(engine: Scripted, cfg: Config | None = None, cycles: int = 3, seed: int = 0) -> Lab:
    budget = Budget(examples=SIZE, updates=5, attempts=SIZE)
    terms = Terms(cycles, budget, Train(), threads=1, device="cpu", batch=8, max_new_tokens=32, stop=(), cpu_s=1.0)
    lab = Lab(engine, terms, Student("tiny", "base"), SEEDS, Anything(), index_of([]), seed)
    assert sum(1 for _ in train(lab, cfg or Config())) == cycles
    return lab


# --- the pool --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solved", [0, 3, SIZE])
@pytest.mark.parametrize("posed", ["fresh", "echo", "twins", "renamed", "nothing"])
@pytest.mark.parametrize(
    "cfg", [Config(), Config(fresh=1.0), Config(fresh=0.0, keep_hard=1.0), Config(fresh=0.9, keep_hard=0.9)]
)
def test_a_pool_has_at_most_n_problems_with_ids_and_prompts_of_their_own(solved, posed, cfg):
    engine = Scripted(solved=frozenset(one.id for one in SEEDS[:solved]), posed=posed)
    run(engine, cfg)
    assert len(engine.pools) == 3
    for pool in engine.pools:
        assert 0 < len(pool) <= SIZE
        assert len({one.id for one in pool}) == len({one.prompt for one in pool}) == len(pool)


def test_a_pool_is_renewed_by_its_share_and_filled_up_by_earlier_problems():
    engine = Scripted()
    run(engine)
    first, second, third = ({one.id for one in pool} for pool in engine.pools)
    assert first == {one.id for one in SEEDS}
    assert len(second) == len(third) == SIZE
    assert len(second - first) == len(third - first - second) == SIZE // 2


def test_without_renewal_every_cycle_trains_on_the_seed_pool_and_nothing_is_attempted():
    engine = Scripted()
    lab = run(engine, Config(ablation=Ablation(renew=False)))
    assert [[one.id for one in pool] for pool in engine.pools] == [[one.id for one in SEEDS]] * 3
    assert lab.spent.student_samples == 0 and not engine.asked("pose") and not engine.asked("judge")


def test_no_question_for_a_new_problem_is_sent_twice():
    engine = Scripted(posed="echo")  # never new, so that all tries are used up
    run(engine)
    sent = [(one.like.id, one.mode, one.index) for one in engine.asked("pose")]
    assert len(set(sent)) == len(sent) == 2 * Config().tries * SIZE // 2


# --- the two views ---------------------------------------------------------------------------------------------------


def test_both_views_score_and_run_every_attempt():
    engine = Scripted()
    run(engine)
    assert len(engine.asked("judge")) == engine.runs == 2 * SIZE


def test_random_views_ask_for_no_score_and_run_no_attempt():
    engine = Scripted()
    lab = run(engine, Config(ablation=Ablation(views="random")))
    assert engine.asked("judge") == [] and engine.runs == 0
    assert sum(lab.notes[f"cycle 1 {name}"] for name in ("hard", "medium", "easy")) == SIZE


@pytest.mark.parametrize(("views", "scored", "ran"), [("model", True, False), ("tool", False, True)])
def test_one_view_does_without_the_other(views, scored, ran):
    engine = Scripted()
    run(engine, Config(ablation=Ablation(views=views)))
    assert (bool(engine.asked("judge")), bool(engine.runs)) == (scored, ran)


def test_seeds_of_easy_problems_ask_for_rarer_ones_and_others_for_similar_ones():
    easy = frozenset(one.id for one in SEEDS[:4])

    class Full(Scripted):
        def answer(self, request: Any, key: str) -> Answer:
            found = super().answer(request, key)
            top = request.kind == "judge" and request.problem.id in easy
            return replace(found, scores=(2.0, 1.0, 1.0, 1.0, 1.0) if top else (0.0,) * 5)

    engine = Full()
    run(engine, cycles=2)
    modes = {(one.like.id in easy, one.mode) for one in engine.asked("pose")}
    assert modes == {(True, "rarer"), (False, "similar")}


# --- correct and faulty code -----------------------------------------------------------------------------------------


def test_a_fault_that_fails_its_checks_stands_beside_the_correct_code():
    engine = Scripted()
    run(engine)
    assert {(one.completion, one.rejected) for one in engine.rows} == {(RIGHT, WRONG)}


@pytest.mark.parametrize(
    "fault",
    [
        "    return x - 7  # intentional\n",
        "    # wrong on purpose\n    return x - 7\n",
        "    buggy = x - 7\n    return buggy\n",
        '    raise ValueError("this is a MISTAKE")\n',
    ],
)
def test_a_fault_that_gives_itself_away_never_reaches_a_row(fault):
    engine = Scripted(faults=fault)
    lab = run(engine)
    rejected = [one.rejected for one in engine.rows if one.rejected is not None]
    assert rejected and not any(re.search(GIVEAWAYS, text.lower()) for text in rejected)
    assert not any(name.startswith("faults by teacher") for name in lab.notes)


@pytest.mark.parametrize("retries", [0, 1, 2])
@pytest.mark.parametrize("fault", [None, RIGHT, RIGHT_TOO], ids=["none", "the same", "passes"])
def test_after_the_retries_the_mutator_writes_the_fault(retries, fault):
    engine = Scripted(faults=fault)
    lab = run(engine, Config(retries=retries), cycles=1)
    requests = Counter(one.problem.id for one in engine.asked("corrupt"))
    assert requests == dict.fromkeys((one.id for one in SEEDS), retries + 1)
    assert len({(one.problem.id, one.index) for one in engine.asked("corrupt")}) == (retries + 1) * SIZE
    rejected = [one.rejected for one in engine.rows]
    assert all(text is not None and text not in (RIGHT, RIGHT_TOO) for text in rejected)
    assert sum(count for name, count in lab.notes.items() if name.startswith("faults by mutator")) == SIZE
    assert not any(name.startswith("faults by teacher") for name in lab.notes)


def test_a_fault_of_the_teachers_spares_the_mutator_and_further_requests():
    engine = Scripted()
    lab = run(engine, cycles=1)
    assert len(engine.asked("corrupt")) == SIZE
    assert not any(name.startswith("faults by mutator") for name in lab.notes)


def test_an_example_without_a_valid_fault_keeps_its_correct_half(monkeypatch):
    monkeypatch.setattr("recipes.iterkd.mutate", lambda *rest: None)
    engine = Scripted(faults=None)
    run(engine, cycles=1)
    assert [(one.completion, one.rejected) for one in engine.rows] == [(RIGHT, None)] * SIZE


def test_no_contrast_and_no_renewal_is_training_on_the_seed_pools_verified_answers():
    engine = Scripted()
    run(engine, Config(weight=0.0, ablation=Ablation(renew=False)))
    assert {one.kind for one in engine.requests} == {"solve"}
    wanted = [(one.prompt, RIGHT, None) for one in SEEDS]
    assert [[(one.prompt, one.completion, one.rejected) for one in rows] for rows in engine.trained] == [wanted] * 3


def test_a_problem_whose_answers_fail_is_asked_once_more_and_then_left_out():
    class Stuck(Scripted):
        def answer(self, request: Any, key: str) -> Answer:
            found = super().answer(request, key)
            stuck = request.kind == "solve" and request.problem.id == "seed/0"
            return replace(found, code=request.problem.prompt + WRONG) if stuck else found

    engine = Stuck()
    lab = run(engine, cycles=1)
    assert [one.temperature for one in engine.asked("solve") if one.problem.id == "seed/0"] == [0.0, 0.8]
    assert {one.prompt for one in engine.rows} == {one.prompt for one in SEEDS[1:]}
    assert lab.notes["problems without a correct answer"] == 1
