"""What the lab does for every loop: answers that pass, problems that are new, who scores attempts."""

from __future__ import annotations

from typing import Any

from harness.lab import Pose, Rubric, fragments, new_problems
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
FULL = (2.0, 1.0, 1.0, 1.0, 1.0)


def problem(name: str) -> Problem:
    return Problem(
        name, f'def f(x):\n    """{" ".join(f"{name}{word}" for word in range(6))}"""\n', "f", (Check((1,), 2),), ""
    )


POOL = tuple(problem(f"p{place}") for place in range(4))


def passes(problem: Problem, program: str) -> bool:
    return program.endswith(RIGHT)


def lab(teacher: Any) -> Any:
    engine = Scripted(teacher, passes=passes)
    return engine, lab_of(engine, POOL)


def test_pairs_are_parted_by_their_verdicts_in_their_order():
    _, own = lab(lambda request: None)
    pairs = [(one, RIGHT if place % 2 else WRONG) for place, one in enumerate(POOL)]
    assert own.passing(pairs) == pairs[1::2] and own.failing(pairs) == pairs[::2]


def test_only_what_fails_is_asked_again_at_the_next_temperature():
    def second_try(request: Any) -> str:
        good = request.temperature > 0 or request.problem.id == "p0"
        return request.problem.prompt + (RIGHT if good else WRONG)

    engine, own = lab(second_try)
    assert [one.id for one, _ in own.solved(POOL, (0.0, 0.8))] == ["p0", "p1", "p2", "p3"]
    assert [(one.problem.id, one.temperature) for one in engine.requests[4:]] == [("p1", 0.8), ("p2", 0.8), ("p3", 0.8)]


def posed(teacher: Any, count: int = 3, tries: int = 4, cycle: int = 0) -> tuple[Any, Any, list[Problem]]:
    engine, own = lab(teacher)

    def requests(turn: int, indices: range) -> list[Pose]:
        return [Pose(POOL[turn % 4], "similar", index) for index in indices]

    return engine, own, new_problems(own, POOL, count, requests, cycle=cycle, tries=tries)


def test_problems_are_asked_for_until_enough_are_new_and_no_index_comes_twice():
    engine, own, found = posed(lambda request: POOL[0] if request.index < 2 else problem(f"n{request.index}"))
    assert [one.id for one in found] == ["n2", "n3", "n4"]
    assert [one.index for one in engine.requests] == [0, 1, 2, 3, 4] and own.notes["new problems asked for"] == 5
    later = posed(lambda request: problem(f"n{request.index}"), cycle=1)[0]
    assert [one.index for one in later.requests] == [12, 13, 14]  # after all tries of the cycle before


def test_a_teacher_that_repeats_itself_is_asked_as_often_as_allowed_and_no_more():
    engine, own, found = posed(lambda request: problem("again"), tries=3)
    assert [one.id for one in found] == ["again"]
    assert len(engine.requests) == own.notes["new problems asked for"] == 3 + 2 + 2


def test_a_scoring_model_takes_the_teachers_place_once_there_are_scores():
    engine, own = lab(lambda request: FULL if request.problem.id != "p1" else None)
    rubric, pairs = Rubric(own, "scorer"), [(one, RIGHT) for one in POOL]
    assert rubric.totals(pairs) == [6.0, None, 6.0, 6.0]
    assert len(engine.trained) == 1 and len(engine.trained[0]) == 3
    rubric.totals(pairs)
    assert len(engine.asked("judge")) == 4 and len(engine.sampled) == 4


def test_the_heuristic_asks_nobody():
    engine, own = lab(lambda request: FULL)
    totals = Rubric(own, "heuristic").totals([(POOL[0], RIGHT)])
    assert engine.requests == [] and totals[0] is not None


def test_a_program_that_does_not_parse_still_has_a_text_that_continues_its_prompt():
    broken = "    return x +\n"
    codes = [POOL[0].prompt + broken, POOL[1].prompt + RIGHT, "no code at all: (", None]
    assert fragments(POOL, codes) == [(POOL[0], broken), (POOL[1], RIGHT)]
