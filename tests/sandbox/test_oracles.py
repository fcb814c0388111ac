"""The rules beyond `==`: what they accept, and what they do not."""

from __future__ import annotations

import math

import pytest

from harness.sandbox.judging.oracles import ORACLES
from harness.sandbox.judging.rules import accepts

NAN = math.nan


@pytest.mark.parametrize(
    ("rule", "got", "expected"),
    [
        ("evalplus", 2.0, 2),
        ("evalplus", True, 1),
        ("evalplus", 0.30000004, 0.3),
        ("evalplus", [0.30000004, 1.0], [0.3, 1.0]),
        ("evalplus", 1333335333334000000, 1.333335333334e18),  # exact where a rounded float is due
        ("evalplus", math.inf, math.inf),
        ("evalplus", [NAN], [NAN]),
        ("evalplus-1e-4", 3.14159, 3.1416),
        ("evalplus-1e-4", (1, [2.00005]), (1, [2.0])),
        ("evalplus-1e-4", 1 + 1.00005j, 1 + 1j),
        ("members", [3, 1, 1], (1, 3)),
        ("members", {1: "a"}, [1]),
        ("one-of", 0, [5, 0]),
        ("given", object(), True),
        ("given", None, False),
        ("given", False, False),
        ("anything", "whatever", 1),
        ("root", 1.00001, [-1, 1]),
        ("root", 2, [-4, 0, 1]),
        ("answer", 18.0004, 18),
        ("answer", -3, -3),
        ("digest", "aa", "aa"),
    ],
)
def test_a_rule_accepts_what_its_source_accepts(rule: str, got: object, expected: object) -> None:
    assert accepts(rule, got, expected)


@pytest.mark.parametrize(
    ("rule", "got", "expected"),
    [
        ("evalplus", 0.30001, 0.3),
        ("evalplus", 1000001, 1000000),
        ("evalplus", [1, 2.0000001], [1, 2.0]),  # not floats alone: exact
        ("evalplus", (1.0000001,), [1.0]),
        ("evalplus", [[0.30000004]], [[0.3]]),  # floats below the first level: exact, unless the problem says otherwise
        ("evalplus", "1.0", 1.0),
        ("evalplus", None, 1.0),
        ("evalplus", [2], []),  # arrays would broadcast
        ("evalplus", 1e308, math.inf),
        ("evalplus", 10**400, 1.0),
        ("evalplus-1e-4", 3.141, 3.1416),
        ("evalplus-1e-4", [1.0, 2.0], [1.0]),
        ("evalplus-1e-4", {"a": 1.00001}, {"a": 1.0}),
        ("members", 7, [7]),
        ("members", [[1]], [1]),
        ("one-of", 1, [5, 0]),
        ("given", None, True),
        ("given", 3, False),
        ("given", True, False),
        ("root", 1.1, [-1, 1]),
        ("root", NAN, [-1, 1]),
        ("root", "1", [-1, 1]),
        ("root", 1e300, [0, 0, 1]),
        ("root", 10**400, [0, 1]),
        ("answer", 18.01, 18),
        ("answer", "18", 18),
        ("answer", True, 1),
        ("answer", NAN, 1),
        ("answer", 10**400, 1.5),
        ("answer", None, 0),
        ("digest", "aa", "ab"),
    ],
)
def test_a_rule_refuses_what_is_wrong(rule: str, got: object, expected: object) -> None:
    assert not accepts(rule, got, expected)


@pytest.mark.parametrize("rule", sorted(set(ORACLES) - {"anything"}))
def test_no_rule_accepts_an_object_that_says_it_is_equal(rule: str) -> None:
    """The judge hands over builtin types only, an object as something equal to nothing; so must a rule take it."""

    class Opaque:
        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = object.__hash__

    assert accepts(rule, Opaque(), False if rule == "given" else 1.0) is False
