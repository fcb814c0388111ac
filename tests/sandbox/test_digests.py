"""Digests of values: equal for equal values, different for all others."""

from __future__ import annotations

import pytest

from harness.sandbox.digests import digest_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (True, 1),
        (0.0, -0.0),
        ([1, 2, 3], [1.0, 2, True + 2]),
        ([0.5, 1], [0.5, 1.0]),
        ([2**60, 1], [float(2**60), 1]),
        ({1: [2], "a": None}, {"a": None, 1.0: [2.0]}),
        ({1, 2}, {2.0, 1}),
        (1 + 0j, 1),
        (10**4000, 10**4000),
        ([], []),
    ],
)
def test_equal_values_have_equal_digests(one: object, other: object) -> None:
    assert one == other and digest_of(one) == digest_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 2),
        (1, "1"),
        ([1, 2], (1, 2)),
        ([1, 2], [2, 1]),
        (["ab", "c"], ["a", "bc"]),
        ([["a"], ["b"]], [["a", "b"]]),
        ([[1], [2]], [[1, 2], []]),
        ("l1:", [""]),
        ([2**60], [2**60 + 1]),
        ([0.1], [0.1000000001]),
        ({1: 2}, {2: 1}),
        ({1}, frozenset({2})),
        ({}, set()),
        (None, False),
        (b"a", "a"),
        ([True], ["1"]),
        (1j, 1),
        ([float("inf")], [float("-inf")]),
    ],
)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert one != other and digest_of(one) != digest_of(other)


def test_an_object_has_no_digest() -> None:
    with pytest.raises(TypeError, match="object has no digest"):
        digest_of([object()])


def test_a_subclass_that_lies_about_itself_has_no_digest() -> None:
    class Liar(str):
        def encode(self, *args: object) -> bytes:
            return b"whatever"

    with pytest.raises(TypeError):
        digest_of(Liar("a"))
