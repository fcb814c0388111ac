"""Scores without a teacher: what a scoring model is asked and learns to write, and the heuristic."""

import pytest

from harness.source.syntax import tree_of
from harness.teachers.parsing import judged
from harness.teachers.requests import RUBRIC, rubric_total
from harness.teachers.scoring import heuristic, question, reply, unbound
from harness.types import Problem

PROBLEM = Problem("p", 'def f(x):\n    """Return x plus 3 where x is above 0, else 0."""\n', "f", (), "")
GOOD = "    if x > 0:\n        return x + 3\n    return 0\n"


@pytest.mark.parametrize("scores", [(2.0, 1.0, 0.5, 0.0, 1.0), (0.0,) * 5, (1.5, None, 0.5, 1.0, 0.0)])
def test_a_reply_reads_back_as_the_scores_it_was_made_of(scores):
    assert judged(reply(scores)).scores == scores


def test_a_question_holds_problem_and_attempt_and_ends_where_the_scores_begin():
    assert question(PROBLEM, GOOD) == PROBLEM.prompt + GOOD + "# Scores:\n"
    assert question(PROBLEM, "    return x") == PROBLEM.prompt + "    return x\n# Scores:\n"


def test_a_sound_attempt_gets_every_point_of_the_heuristic():
    assert heuristic(PROBLEM, GOOD) == RUBRIC and rubric_total(heuristic(PROBLEM, GOOD)) == 6.0


@pytest.mark.parametrize("attempt", ["    return (\n", "", "\n"])
def test_what_is_no_program_gets_none(attempt):
    assert heuristic(PROBLEM, attempt) == (0.0,) * 5


@pytest.mark.parametrize(
    ("attempt", "rule"),
    [
        ("    if x > 0:\n        x += 3 + 0\n", 0),  # returns nothing
        ("    return 3 if 0 else 0\n", 0),  # does not use its parameter
        ("    return x + 3 * 0\n", 1),  # decides nothing
        ("    if x > 0:\n        return x\n    return 0\n", 2),  # misses a number
        ("    if x > 0:\n        return x + 3\n    y = 0\n    y = 0\n    return y\n", 3),  # repeats a line
        ("    if x > 0:\n        return x + 3\n    return 0 * z\n", 4),  # reads a name that nothing binds
    ],
)
def test_a_rule_of_the_heuristic_takes_its_own_points_and_no_others(attempt, rule):
    scores = heuristic(PROBLEM, attempt)
    assert scores[rule] is not None and scores[rule] < RUBRIC[rule]
    assert [one for place, one in enumerate(scores) if place != rule] == [
        one for place, one in enumerate(RUBRIC) if place != rule
    ]


def test_imports_comprehensions_and_arguments_bind_names():
    code = "import os.path as p\ndef f(x, *rest, k=1):\n    return [y for y in rest] + [p, os, k, x, len]\n"
    assert unbound(tree_of(code)) == {"os"}
