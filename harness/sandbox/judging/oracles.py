"""Rules that accept a returned value beyond `==`, as EvalPlus and GSM8k's evaluators have them. Pure; runs in the
judge.

After EvalPlus 0.3.1 (`evalplus/eval/__init__.py`, `_special_oracle.py`), written anew: what a single problem needs is
a rule and an expected value here, made where the benchmark is loaded, so that no problem is named. Three of its
habits are left out: a tolerance that one call sets stays for the later ones, arrays broadcast, and an exact integer
is refused where a rounded float is due. Both sides are builtin types."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

RELATIVE = 1e-7
FLOATS = 1e-6  # absolute, where a float is due and the problem names no tolerance
ANSWER = 1e-3  # absolute, of a word problem's number


def is_floats(value: Any) -> bool:
    """Tell whether a value is a float, or a list or tuple of floats and nothing else."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def all_close(got: Any, expected: Any, absolute: float) -> bool:
    """Numbers within the tolerance at every place of nested lists and tuples; NaN is NaN, infinities are themselves."""
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(all_close(g, e, absolute) for g, e in zip(got, expected, strict=True))
        )
    if not isinstance(got, (int, float, complex)) or not isinstance(expected, (int, float, complex)):
        return False
    if got == expected or (got != got and expected != expected):
        return True
    try:
        return math.isfinite(abs(expected)) and abs(got - expected) <= absolute + RELATIVE * abs(expected)
    except OverflowError:  # an int too large for a float
        return False


def close_as(absolute: float) -> Callable[[Any, Any], bool]:
    """Return the rule: equal, or numbers within `absolute` and 1e-7 of the expected, lists and tuples told apart."""

    def rule(got: Any, expected: Any) -> bool:
        if got == expected:
            return True
        tolerance = absolute or (FLOATS if is_floats(expected) else 0.0)
        if not tolerance or isinstance(got, list) != isinstance(expected, list):
            return False
        return all_close(got, expected, tolerance)

    return rule


def members(got: Any, expected: Any) -> bool:
    """The same items, in any order and number."""
    try:
        return set(got) == set(expected)
    except TypeError:
        return False


def one_of(got: Any, expected: Any) -> bool:
    """One of several right values."""
    return any(got == value for value in expected)


def given(got: Any, expected: Any) -> bool:
    """Something where `expected` says so, else nothing; a truth value must be the expected one."""
    return got == expected if isinstance(got, bool) else (got is not None) == expected


def anything(got: Any, expected: Any) -> bool:
    del got, expected
    return True


def root(got: Any, expected: Any) -> bool:
    """A number at which the polynomial with these coefficients, constant first, is within 1e-4 of 0."""
    if not isinstance(got, (int, float)):
        return False
    try:
        return abs(sum(factor * math.pow(got, power) for power, factor in enumerate(expected))) <= 1e-4
    except (OverflowError, ValueError):
        return False


def answer(got: Any, expected: Any) -> bool:
    """A number within 1e-3; text that reads as one is not a number."""
    if not isinstance(got, (int, float)) or isinstance(got, bool):
        return False
    try:
        return abs(got - expected) <= ANSWER
    except OverflowError:  # an int too large for a float
        return False


ORACLES: dict[str, Callable[[Any, Any], bool]] = {
    "evalplus": close_as(0.0),
    "evalplus-1e-6": close_as(1e-6),
    "evalplus-1e-4": close_as(1e-4),
    "members": members,
    "one-of": one_of,
    "given": given,
    "anything": anything,
    "root": root,
    "answer": answer,
}
