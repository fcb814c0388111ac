"""The oracle's side-by-side ratings and its two further ways of posing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import TeacherError
from harness.teachers.oracle import Oracle, pipeline_of
from harness.teachers.requests import Judge, Pose, Rate, Solve, request_key, rubric_total
from harness.world.grammar import LONGEST
from harness.world.pool import draw, fingerprint, held_out

POOL = draw(40, seed=5, split="train")


def ask(*requests, seed=0):
    return [answer for _, answer in Oracle().answer(requests, seed)]


def test_a_rating_follows_the_rubric_and_favours_no_place():
    problem = POOL[0]
    one, other = ask(
        Rate(problem, problem.reference, "    return 0\n"), Rate(problem, "    return 0\n", problem.reference)
    )
    assert one.scores is not None and one.scores[::-1] == other.scores
    assert one.scores[0] == 10.0 and 1.0 <= one.scores[1] < 10.0
    [judged] = ask(Judge(problem, "    return 0\n"))
    assert one.scores[1] == pytest.approx(1 + 1.5 * (rubric_total(judged.scores) or 0.0))


def test_a_problem_of_another_world_has_no_rating():
    [answer] = ask(Rate(replace(POOL[0], id="mbpp/1"), "", ""))
    assert answer.scores == (None, None) and answer.reason


def test_a_harder_problem_has_one_step_more_and_is_of_the_training_split():
    for one, answer in zip(POOL, ask(*(Pose(one, "harder") for one in POOL)), strict=True):
        if answer.problem is None:
            continue
        before, after = pipeline_of(one), pipeline_of(answer.problem)
        assert before is not None and after is not None
        assert after.level == min(before.level + 1, LONGEST)
        mark = fingerprint(after)
        assert mark is not None and not held_out(mark)


def test_most_problems_have_a_harder_one():
    assert sum(answer.problem is not None for answer in ask(*(Pose(one, "harder") for one in POOL))) > 35


def test_a_problem_inspired_by_code_uses_one_of_its_operations():
    shared = 0
    for one in POOL:
        [answer] = ask(Pose(None, "inspired", snippet=one.reference))
        before, after = pipeline_of(one), pipeline_of(answer.problem) if answer.problem else None
        assert before is not None and after is not None
        shared += not {step.operation for step in before.steps}.isdisjoint(step.operation for step in after.steps)
    assert shared > 30  # a snippet's variables may be read as another kind's


def test_a_harder_problem_needs_one_to_start_from():
    with pytest.raises(TeacherError, match="needs a problem to start from"):
        ask(Pose(None, "harder"))


def test_requests_without_shots_or_snippet_have_the_key_they_had():
    assert "shots" not in request_key(Solve(POOL[0])) and "snippet" not in request_key(Pose(POOL[0], "similar"))
    assert request_key(Solve(POOL[0], shots="x")) != request_key(Solve(POOL[0]))
    assert request_key(Pose(None, "inspired", snippet="x")) != request_key(Pose(None, "inspired", snippet="y"))
