"""The difficulty metric against programs counted by hand, and against radon."""

import pytest

from harness.errors import ConfigError
from harness.source.complexity import cyclomatic, measure
from harness.source.syntax import tree_of
from harness.world.tinypy import LEVELS, draw

BRANCH = "a = 2\nif a > 1 :\n    print(a)\nelse :\n    print(a + 1)\n"
LOOP = "s = 0\nfor i in range(0, 4) :\n    s = s + i\nprint(s)\n"
BY_HAND = {  # n1, n2, N2, HD, CC, OM: the method spec's golden rows
    "a = 3\nb = 5\nprint(a)\n": (2, 4, 5, 1.25, 1, 1.125),
    BRANCH: (7, 3, 7, 8.1667, 2, 5.0833),
    LOOP: (8, 4, 9, 9.0, 2, 5.5),
    "def add(a, b):\n    return a + b\n": (6, 3, 5, 5.0, 1, 3.0),
}


@pytest.mark.parametrize("code", BY_HAND)
def test_programs_counted_by_hand(code):
    found = measure(code)
    assert found is not None
    counts = (found.operators, found.operands, found.all_operands, found.halstead, found.cyclomatic, found.overall)
    assert counts == pytest.approx(BY_HAND[code], abs=1e-4)


@pytest.mark.parametrize(
    "other",
    [
        BRANCH.replace("    ", "\t"),
        "# a comment\n\n" + BRANCH.replace("\nelse", "\n\n\nelse") + "# output\n# 2\n",
        BRANCH.replace("a", "z").replace("zl", "al"),  # no keyword has an `a` here
    ],
)
def test_layout_comments_and_names_change_nothing(other):
    assert measure(other) == measure(BRANCH)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("if a and b or c:\n    pass\n", 4),
        ("x = 1 if a else 2\n", 2),
        ("x = [i for i in xs if i if j]\n", 4),
        ("while a:\n    assert a\n", 3),
        ("try:\n    f()\nexcept A:\n    pass\nexcept B:\n    pass\n", 3),
        ("match a:\n    case 1:\n        pass\n    case 2:\n        pass\n", 3),
    ],
)
def test_every_decision_counts(code, expected):
    assert cyclomatic(tree_of(code)) == expected


def test_one_more_branch_is_one_more_decision():
    found, more = measure(BRANCH), measure(BRANCH.replace("else", "elif a < 0 :\n    print(a)\nelse"))
    assert found and more and more.cyclomatic == found.cyclomatic + 1


def test_text_that_is_no_program_has_no_difficulty():
    assert measure("if a :\n") is None and measure("a = (\n") is None and measure("\0") is None


def test_code_without_operands_is_as_easy_as_can_be():
    found = measure("")
    assert found and (found.halstead, found.overall) == (0.0, 0.5)


def test_radons_counts_on_request():
    radon = pytest.importorskip("radon.metrics")
    for snippet in draw(60, seed=3, split="train"):
        found, theirs = measure(snippet.program, "radon"), radon.h_visit(snippet.program).total
        assert found and found.halstead == pytest.approx(theirs.difficulty)


def test_decisions_are_radons():
    visitors = pytest.importorskip("radon.visitors")
    for snippet in draw(60, seed=4, split="train"):
        found = measure(snippet.program)
        assert found and found.cyclomatic == visitors.ComplexityVisitor.from_code(snippet.program).complexity


def test_radon_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "radon.metrics", None)
    with pytest.raises(ConfigError, match="counter=token"):
        measure("a = 1\n", "radon")


def test_difficulty_by_level_is_near_that_of_the_public_sample():
    """The mean OM of 1,500 public programs of each level (docs/benchmarks.md); the grammar here is our own."""
    means = []
    for level in LEVELS:
        found = [measure(one.program) for one in draw(150, seed=1, split="train", levels=[level])]
        means.append(sum(one.overall for one in found if one) / len(found))
    assert means == pytest.approx([1.71, 2.09, 5.15, 8.31, 3.72, 4.68], rel=0.12)
