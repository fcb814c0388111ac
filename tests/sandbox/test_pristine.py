"""Arguments that meet a candidate's result in one expression are handed over as copies; others come back changed."""

from __future__ import annotations

import ast

import pytest

from harness.sandbox.judging.pristine import COPY, keep_pristine, meet, pristine


def kept(text: str) -> str:
    return ast.unparse(keep_pristine(ast.parse(text), {"candidate"}))


@pytest.mark.parametrize(
    "text",
    [
        "assert candidate(x) == sorted(x)",
        "assert sorted(x) == candidate(x)",
        "result = candidate(x)\nassert result == sorted(x)",
        "result = candidate(x)\nexpected = sorted(x)\nassert result == expected",
        "x = [1]\nresult = candidate(x)\ny = x\nassert result == sum(y)",
        "for x in xs:\n    assert candidate(x) == sum(x)",
        "assert all(candidate(x) == sum(x) for x in xs)",
        "assert abs(poly(xs, candidate(xs))) < 1e-4",
        "def holds(f, data): return f(data) == sorted(data)\nassert holds(candidate, [2, 1])",
        "assert candidate(x=data) == sorted(data)",
        "assert list(map(candidate, xs)) == [sorted(x) for x in xs]",
        "case.assertEqual(candidate(x), sorted(x))",
        "assert candidate(*args) == max(args[0])",
        "f = candidate\nassert f(x) == sorted(x)",
        "def want():\n    return sorted(x)\nassert candidate(x) == want()",
        "def holds(got):\n    assert got == sorted(x)\nholds(candidate(x))",
        "def got():\n    return candidate(x)\nassert got() == sorted(x)",
        "out = []\nout.append(candidate(x))\nassert out == [sorted(x)]",
        "y = (x,)\nassert candidate(y[0]) == sorted(x)",
        "for i, x in enumerate(xs):\n    assert candidate(x) == sorted(xs[i])",
        "for g, x in [(candidate, xs)]:\n    assert g(x) == sorted(x)",
        "match candidate(x):\n    case got:\n        assert got == sorted(x)",
    ],
)
def test_argument_that_the_expectation_rests_on_is_copied(text: str) -> None:
    assert COPY in kept(text)


@pytest.mark.parametrize(
    "text",
    [
        "candidate(x)\nassert x == [1, 2, 3]",
        "before = list(x)\ncandidate(x)\nassert x == sorted(before)",
        "assert candidate(x) == [1] and x == [1]",
        "for x, want in cases:\n    assert candidate(x) == want",
        "before = sorted(x)\nresult = candidate(x)\nassert result == before and x == [1]",
        "inner = [1]\nouter = [inner]\ncandidate(outer)\nassert inner == [1, 9] and outer[0] is inner",
        "assert candidate([3, 1]) == sorted([3, 1])",
        "def run(f, x):\n    f(x)\n    return x\nassert run(candidate, [3, 1]) == [1, 3]",
        "out = []\nfor x in xs:\n    candidate(x)\n    out.append(x)\nassert out == [[1, 2]]",
        "case.assertIsNone(candidate(x))\ncase.assertEqual(x, [1, 2])",
    ],
)
def test_change_in_place_that_a_test_looks_at_comes_back(text: str) -> None:
    assert COPY not in kept(text)


def test_copy_shares_nothing_mutable() -> None:
    value = {"a": [1, (2, [3])], "b": {4}, "c": bytearray(b"d")}
    copied = pristine(value)
    assert copied == value
    copied["a"][1][1].append(0)
    copied["b"].add(5)
    copied["c"].append(1)
    assert value == {"a": [1, (2, [3])], "b": {4}, "c": bytearray(b"d")}


@pytest.mark.parametrize(
    ("text", "meets"),
    [
        ("assert f(1) == 2 and g(1) == 3", False),
        ("assert f(1) == g(1)", True),
        ("assert abs(g(xs, f(xs))) < 1e-4", True),
        ("y = f(1)\nz = g(2)\nassert y == z", True),
        ("y = g(1)\nassert f(y) == 3", True),
    ],
)
def test_results_of_two_names_of_the_program_meet_or_do_not(text: str, meets: bool) -> None:
    assert meet(ast.parse(text), {"f"}, {"g"}) is meets
