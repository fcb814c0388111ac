import itertools

import pytest

from harness.lab.quotas import quotas
from harness.teachers.requests import rubric_total as total
from harness.types import Problem
from recipes.iterkd import LEVELS, contrast, gives_away, level


def problem(name):
    return Problem(name, "def f(x):\n", "f", (), "    return x\n", level=1)


@pytest.mark.parametrize(
    ("tool", "score", "expected"),
    [
        ("pass", 5, "easy"),
        ("pass", 4.5, "medium"),
        ("fail", 6, "hard"),
        ("pass", 2, "hard"),
        (None, 6, "medium"),
        ("pass", None, "medium"),
        ("fail", None, "hard"),
        (None, None, "medium"),
    ],
)
def test_level_joins_the_tool_view_and_the_model_view(tool, score, expected):
    assert level(tool, score) == expected


@pytest.mark.parametrize("rule", ["rule", "mean"])
@pytest.mark.parametrize(
    ("views", "tool", "score", "expected"),
    [
        ("model", None, 2, "hard"),
        ("model", None, 3, "medium"),
        ("model", None, 5, "easy"),
        ("model", None, None, "medium"),
        ("tool", "fail", None, "hard"),
        ("tool", "pass", None, "easy"),
    ],
)
def test_one_view_alone_can_call_a_problem_easy(views, tool, score, expected, rule):
    assert level(tool, score, rule, views) == expected


def test_rubric_clamps_each_rule_to_its_range():
    assert total((3.0, 1.5, -1.0, 0.5, 1.0)) == 2.0 + 1.0 + 0.0 + 0.5 + 1.0


@pytest.mark.parametrize("scores", [None, (1.0, 1.0, None, 1.0, 1.0), (1.0, 1.0)])
def test_a_missing_rule_leaves_no_score(scores):
    assert total(scores) is None


@pytest.mark.parametrize("filled", [one for one in itertools.product([0, 9], repeat=3) if any(one)])
def test_quotas_sum_to_what_is_wanted_for_every_pattern_of_empty_levels(filled):
    given = quotas((0.5, 0.3, 0.2), 101, dict(zip(LEVELS, filled, strict=True)))
    assert sum(given.values()) == 101
    assert all(given[name] == 0 for name, size in zip(LEVELS, filled, strict=True) if size == 0)


def test_an_empty_levels_quota_goes_to_the_nearest_harder_one():
    assert quotas((0.5, 0.3, 0.2), 100, {"hard": 5, "medium": 0, "easy": 5}) == {"hard": 80, "medium": 0, "easy": 20}


def test_without_a_harder_level_the_quota_goes_to_the_nearest_easier_one():
    assert quotas((0.5, 0.3, 0.2), 100, {"hard": 0, "medium": 5, "easy": 5}) == {"hard": 0, "medium": 80, "easy": 20}


def test_a_faulty_answer_that_announces_itself_is_noticed():
    assert gives_away("    return x + 1  # intentional off-by-one\n", "    return x\n")
    assert not gives_away("    raise ValueError(x)\n", "    raise ValueError\n")


def test_a_problem_without_a_fault_keeps_its_correct_half():
    pairs = contrast(
        {"a": (problem("a"), "    return 1\n"), "b": (problem("b"), "    return 2\n")}, {"a": "    return 0\n"}
    )
    assert [(one.completion, one.rejected) for one in pairs] == [
        ("    return 1\n", "    return 0\n"),
        ("    return 2\n", None),
    ]
