"""What a recipe is handed: what is counted, where it stops, what is kept out of training, and its randomness."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.decontaminate import index_of
from harness.errors import BudgetError, TeacherError, TrainingError
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings.config import Budget, Train
from harness.store.database import Record
from harness.teachers.requests import Judge, Pose, Refine, Solve
from harness.training.objective import Objective, Soft
from harness.types import Check, Example, Problem, Sample, Spent, Student, TrainingSet
from tests.contracts.recipe import Anything, Witness

BASE = Student("tiny", "base")
WIDE = Budget(examples=100, updates=5, attempts=100)


def terms(cycles: int, budget: Budget, *, packing: bool = False, logits_top_k: int = 0) -> Terms:
    train = Train(batch=4, packing=packing, logits_top_k=logits_top_k)
    return Terms(cycles, budget, train, threads=1, device="cpu", batch=8, max_new_tokens=32, stop=(), cpu_s=1.0)


def problem(place: int, source: str = "test") -> Problem:
    prompt = f'def f(x):\n    """Return x and {place}."""\n'
    return Problem(f"p{place}", prompt, "f", (Check((1,), place),), "    return x\n", 1, source)


def example(place: int) -> Example:
    return Example(problem(place).prompt, f"    return {place}\n")


PROBLEMS = [problem(place) for place in range(6)]


class Priced(Witness):
    """A rehearsal in which everything has a price: an answer 7 tokens in, 5 out and 0.25 USD, an attempt 4 tokens,
    an update 100 tokens, each step one second. It keeps what it trained on."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[TrainingSet] = []
        self.schedules: list[Any] = []
        self.posed: Problem | None = None

    def record(self, kind: str, content: Any, units: int = 1) -> Record:
        return replace(super().record(kind, content, units), seconds=1.0)

    def answer(self, request: Any, key: str) -> Any:
        found = replace(super().answer(request, key), tokens_in=7, tokens_out=5, usd=0.25)
        return replace(found, problem=self.posed) if request.kind == "pose" else found

    def sample(self, *args: Any) -> Any:
        samples, records = super().sample(*args)
        return [[replace(one, tokens=4) for one in own] for own in samples], records

    def fit(self, student: Student, data: Any, objective: Any, schedule: Any, seed: int) -> Any:
        self.trained.append(data)
        self.schedules.append(schedule)
        students, marks, record = super().fit(student, data, objective, schedule, seed)
        return students, [{**mark, "tokens": 100 * mark["update"]} for mark in marks], record


def lab_of(
    budget: Budget = WIDE,
    cycles: int = 1,
    *,
    seed: int = 0,
    held: tuple[Problem, ...] = (),
    keep: bool = False,
    packing: bool = False,
    logits_top_k: int = 0,
    engine: Priced | None = None,
    teacher: Anything | None = None,
    **more: Any,
) -> tuple[Lab, Priced]:
    """Return a lab and the engine behind it; a benchmark holds the problems `held`."""
    index = index_of([Held("held", held)] if held else [], keep=keep)
    engine = engine or Priced()
    shared = terms(cycles, budget, packing=packing, logits_top_k=logits_top_k)
    return Lab(engine, shared, BASE, PROBLEMS, teacher or Anything(), index, seed, **more), engine


@dataclass(frozen=True)
class Held:
    """A benchmark, as far as it is indexed."""

    name: str
    problems: tuple[Problem, ...]


# --- budget ----------------------------------------------------------------------------------------------------------

CALLS = {
    "examples": lambda lab: lab.fit(BASE, [example(place) for place in range(3)]),
    "updates": lambda lab: lab.fit(lab.fit(BASE, [example(0)]), [example(1)]),
    "attempts": lambda lab: lab.attempt(BASE, PROBLEMS[:3]),
    "teacher_calls": lambda lab: lab.ask([Solve(one) for one in PROBLEMS[:3]]),
}
ROOM = Budget(examples=2, updates=5, attempts=2, teacher_calls=2)


@pytest.mark.parametrize("key", CALLS)
def test_what_exceeds_the_budget_stops_before_the_engine_is_called(key):
    lab, engine = lab_of(ROOM)
    allowed = ["fit"] if key == "updates" else []  # of two fits, the first is within the budget
    with pytest.raises(BudgetError, match=rf"budget\.{key}: .*Raise budget\.{key}"):
        CALLS[key](lab)
    assert len(engine.log) == len(allowed) == lab.spent.updates // 5
    assert lab.spent == Spent(
        updates=lab.spent.updates, examples=4 * lab.spent.updates, training_tokens=100 * lab.spent.updates
    )


@pytest.mark.parametrize("key", CALLS)
def test_the_budget_holds_for_all_cycles_together(key):
    lab, engine = lab_of(ROOM, cycles=2)
    CALLS[key](lab)
    assert engine.log


@pytest.mark.parametrize("key", ["examples", "attempts", "teacher_calls"])
def test_a_budget_of_zero_is_no_limit(key):
    lab, engine = lab_of(replace(ROOM, **{key: 0}))
    CALLS[key](lab)
    assert engine.log


def test_a_request_asked_again_takes_nothing_from_the_budget():
    lab, _ = lab_of(ROOM)
    for _ in range(3):
        lab.ask([Solve(PROBLEMS[0]), Solve(PROBLEMS[1])])
    with pytest.raises(BudgetError):
        lab.ask([Solve(PROBLEMS[2])])


# --- counters --------------------------------------------------------------------------------------------------------


def test_ask_counts_each_different_request_once_per_cell():
    lab, _ = lab_of()
    lab.ask([Solve(PROBLEMS[0]), Solve(PROBLEMS[1]), Solve(PROBLEMS[0])])
    lab.ask([Solve(PROBLEMS[1]), Solve(PROBLEMS[2])])
    assert lab.spent == Spent(teacher_calls=3, teacher_tokens_in=21, teacher_tokens_out=15, teacher_usd=0.75)
    assert lab.seconds == 3.0


def test_attempt_counts_every_attempt_and_its_tokens():
    lab, _ = lab_of()
    attempts = lab.attempt(BASE, PROBLEMS[:3])
    lab.attempt(BASE, PROBLEMS[:2])
    assert [one.problem_id for one in attempts] == ["p0", "p1", "p2"]
    assert lab.spent == Spent(student_samples=5, student_tokens=20)


def test_judge_counts_each_different_program_once_and_a_mere_run_apart():
    lab, _ = lab_of()
    pairs = [(PROBLEMS[0], "    return 1\n"), (PROBLEMS[1], "    return 1\n"), (PROBLEMS[0], "    return 1\n")]
    assert len(lab.judge(pairs)) == 3
    assert lab.spent == Spent(programs=2)
    lab.run(pairs[:1])
    assert lab.spent == Spent(programs=3)


def test_fit_counts_updates_rows_visited_and_tokens():
    lab, _ = lab_of()
    lab.fit(BASE, [example(0), example(1)])
    assert lab.spent == Spent(updates=5, examples=20, training_tokens=500)


def test_notes_add_up():
    lab, _ = lab_of()
    for count in (2, 3):
        lab.note("drops", count)
    assert lab.notes == {"drops": 5}


# --- the teacher -----------------------------------------------------------------------------------------------------


def test_what_is_drawn_is_asked_with_the_seed_and_the_rest_with_none():
    seeds: list[tuple[int, list[str]]] = []

    class Seeds(Priced):
        def ask(self, teacher: Any, requests: Any, seed: int) -> Any:
            seeds.append((seed, [f"{one.kind} {one.index}" for one in requests]))
            return super().ask(teacher, requests, seed)

    lab, _ = lab_of(seed=9, engine=Seeds())
    one = PROBLEMS[0]
    answers = lab.ask(
        [Pose(None, "uniform"), Solve(one), Solve(one, 1, temperature=0.8), Refine(one, "", ""), Judge(one, "")]
    )
    assert sorted(seeds) == [(0, ["solve 0", "refine 0", "judge 0"]), (9, ["pose 0", "solve 1"])]
    assert [answer.kind for answer in answers] == ["pose", "solve", "solve", "refine", "judge"]


def test_a_teacher_that_lacks_a_capability_is_not_asked():
    class Solver(Anything):
        capabilities = frozenset({"solve"})

    lab, engine = lab_of(teacher=Solver())
    with pytest.raises(TeacherError, match="cannot judge"):
        lab.ask([Solve(PROBLEMS[0]), Judge(PROBLEMS[0], "")])
    assert engine.log == []


def test_a_recipe_sees_no_reference_but_the_teacher_does():
    seen: list[str] = []

    class Looks(Priced):
        def ask(self, teacher: Any, requests: Any, seed: int) -> Any:
            seen.extend(one.problem.reference for one in requests)
            return super().ask(teacher, requests, seed)

    lab, _ = lab_of(engine=Looks())
    assert [one.reference for one in lab.problems] == [""] * len(PROBLEMS)
    lab.ask([Solve(lab.problems[0])])
    assert seen == [PROBLEMS[0].reference]


# --- benchmarks stay out ---------------------------------------------------------------------------------------------

LARGE = """    best, total = None, 0
    for place, value in enumerate(sorted(x)):
        if value > 0 and place % 2 == 0:
            total += value * place
            best = value if best is None else max(best, value)
    return total, best
"""


def test_a_posed_problem_that_stands_in_a_benchmark_comes_back_without_its_problem():
    lab, engine = lab_of(held=(problem(77),))
    engine.posed = replace(problem(77), id="posed")
    [answer] = lab.ask([Pose(None, "uniform")])
    assert answer.problem is None and "same prompt as in held" in answer.reason
    assert lab.notes == {"posed problems that stand in a benchmark": 1} and lab.spent.teacher_calls == 1


def test_a_posed_problem_that_stands_in_none_comes_back_with_it():
    lab, engine = lab_of(held=(problem(77),))
    engine.posed = problem(78)
    [answer] = lab.ask([Pose(None, "uniform")])
    assert answer.problem is not None and answer.problem.prompt == problem(78).prompt and not lab.notes


def test_what_stands_in_a_benchmark_is_counted_and_kept_where_the_run_says_so():
    lab, engine = lab_of(held=(replace(problem(77), reference=LARGE),), keep=True)
    engine.posed = replace(problem(77), id="posed")
    [answer] = lab.ask([Pose(None, "uniform")])
    lab.fit(BASE, [Example("def renamed(x):\n", LARGE)])
    assert answer.problem is not None and len(engine.trained[0].examples) == 1
    assert lab.notes["posed problems that stand in a benchmark"] == lab.notes["examples: same function as in held"] == 1


def test_examples_whose_code_stands_in_a_benchmark_are_left_out_and_noted():
    lab, engine = lab_of(held=(replace(problem(77), reference=LARGE),))
    leak = Example("def renamed(x):\n", LARGE.replace("total", "amount"))  # a copy with other names
    lab.fit(BASE, [example(0), leak, example(1)])
    assert [data.examples for data in engine.trained] == [(example(0), example(1))]
    assert lab.notes == {"examples checked against the benchmarks": 3, "examples: same function as in held": 1}


def test_the_same_examples_are_trained_on_where_no_benchmark_has_them():
    lab, engine = lab_of(held=(problem(77),))
    lab.fit(BASE, [example(0), Example("def renamed(x):\n", LARGE)])
    assert len(engine.trained[0].examples) == 2
    assert lab.notes == {"examples checked against the benchmarks": 2}


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("examples", [[], [Example("def renamed(x):\n", LARGE)]])
def test_fit_with_nothing_left_to_train_on_returns_the_same_student(examples):
    lab, engine = lab_of(held=(replace(problem(77), reference=LARGE),))
    assert lab.fit(BASE, examples) == BASE
    assert engine.trained == [] and lab.spent == Spent() and lab.notes["cycles without examples"] == 1


def test_fit_through_without_examples_yields_the_same_student_every_cycle():
    lab, engine = lab_of(cycles=3)
    assert list(lab.fit_through(BASE, [])) == [BASE] * 3
    assert engine.trained == [] and lab.notes["cycles without examples"] == 3


def test_fit_through_trains_once_and_yields_one_student_per_cycle_whose_shares_sum_to_the_whole():
    lab, engine = lab_of(cycles=3)
    found: list[tuple[Student, Spent, float]] = []
    for student in lab.fit_through(BASE, [example(0), example(1)]):
        found.append((student, lab.spent, lab.seconds))
    [schedule] = engine.schedules
    assert schedule.updates == 15 and schedule.marks == (5, 10, 15)
    assert len({student.weights for student, _, _ in found}) == 3
    share = Spent(updates=5, examples=20, training_tokens=500)
    assert [spent for _, spent, _ in found] == [share, share + share, share + share + share]
    assert [seconds for _, _, seconds in found] == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_cycle_of_fit_is_trained_under_the_comparisons_settings():
    lab, engine = lab_of(seed=4)
    lab.fit(BASE, [example(0)], order="as_given")
    [schedule], [data] = engine.schedules, engine.trained
    settings = dataclasses.asdict(Train(batch=4))
    assert all(getattr(schedule, name) == settings[name] for name in ("batch", "learning_rate", "warmup", "max_tokens"))
    assert schedule.updates == 5 and schedule.marks == (5,) and data.order == "as_given"


def test_examples_that_a_fit_leaves_out_are_noted_once_a_fit():
    class Leaves(Priced):
        def fit(self, *args: Any) -> Any:
            students, marks, record = super().fit(*args)
            return students, [{**mark, "left_out": {"too long": 2}} for mark in marks], record

    lab, _ = lab_of(cycles=2, engine=Leaves())
    list(lab.fit_through(BASE, [example(0), example(1)]))
    assert lab.notes["too long"] == 2


def test_a_lead_and_packing_do_not_go_together_and_nothing_is_trained():
    lab, engine = lab_of(packing=True)
    with pytest.raises(TrainingError, match=r"train\.packing=false"):
        lab.fit(BASE, [example(0)], Objective(soft=Soft(teacher="t", lead="def g(x):\n")))
    assert engine.trained == []
    lab.fit(BASE, [example(0)], Objective(soft=Soft(teacher="t")))


def test_answers_become_completions_and_those_that_do_not_fit_are_counted():
    lab, _ = lab_of()
    answers = lab.ask([Solve(one) for one in PROBLEMS[:3]])
    answers[1] = replace(answers[1], code=None)
    answers[2] = replace(answers[2], code="def other():\n    pass\n")
    assert [one.id for one, _ in lab.completions(PROBLEMS[:3], answers)] == ["p0"]
    assert lab.notes == {"answers without fitting code": 2}


def test_an_attempt_is_judged_behind_its_problems_prompt():
    seen: list[str] = []

    class Looks(Priced):
        def judge(self, pairs: Any, cpu_s: float) -> Any:
            seen.extend(text for _, text in pairs)
            return super().judge(pairs, cpu_s)

    lab, _ = lab_of(engine=Looks())
    attempt = Sample("p0", 0, "    return 3\n", "stop", 4)
    lab.judge([(PROBLEMS[0], attempt.completion)])
    assert seen == [PROBLEMS[0].prompt + "    return 3\n"]


# --- randomness ------------------------------------------------------------------------------------------------------


def test_a_purpose_gives_the_same_numbers_every_time():
    assert lab_of()[0].rng("seeds", 1, "a").random() == lab_of()[0].rng("seeds", 1, "a").random()


def test_another_purpose_number_or_seed_gives_others():
    lab, _ = lab_of()
    drawn = [
        lab.rng("seeds", 1),
        lab.rng("level", 1),
        lab.rng("seeds", 2),
        lab.rng("seeds", "1"),
        lab_of(seed=1)[0].rng("seeds", 1),
    ]
    assert len({one.random() for one in drawn}) == len(drawn)


def test_drawing_for_one_purpose_moves_no_other():
    lab, _ = lab_of()
    before = lab.rng("seeds", 1).random()
    lab.rng("level", 1).random()
    assert lab.rng("seeds", 1).random() == before


def test_how_each_cycles_training_went_is_told_at_its_end():
    class Measured(Priced):
        def fit(self, *args: Any) -> Any:
            students, marks, record = super().fit(*args)
            measured = [{**mark, "losses": {"nll": 1.0 / mark["update"]}, "shares": {"nll": 0.4}} for mark in marks]
            return students, measured, record

    lab, _ = lab_of(cycles=2, engine=Measured())
    told = [lab.training["terms"] for _ in lab.fit_through(BASE, [example(0), example(1)])]
    assert told == [{"nll": {"mean": 0.2, "share": 0.4}}, {"nll": {"mean": 0.1, "share": 0.4}}]
