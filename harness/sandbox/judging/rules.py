"""How a returned value is compared with the expected one, and how values are shown. Pure; runs in the judge.

Both sides are exact builtin types here (values.py sees to it), so no comparison can call a candidate's code.
"""

from __future__ import annotations

import math
import re
from typing import Any

from harness.sandbox.judging.oracles import ORACLES
from harness.sandbox.limits import TEXT_CHARS

CLOSE = 1e-6  # absolute; EvalPlus's tolerance
CLOSE_RELATIVE = 1e-9  # large floats: a few units in the last place are not a difference
ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # differs from run to run


class Incomparable(Exception):
    """A value that is not plain data was compared, tested or ordered."""


def accepts(rule: str, got: Any, expected: Any) -> bool:
    """Say whether `got` satisfies the rule: `strict`, `equal`, `close`, `digest` (equal texts) or one of ORACLES."""
    try:
        oracle = ORACLES.get(rule)
        if oracle is not None:
            return oracle(got, expected)
        if rule == "strict" and type(got) is not type(expected):
            return False
        if got == expected:
            return True
        return alike(got, expected, rule == "close")
    except (Incomparable, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return False  # what cannot even be compared is not what was expected


def alike(got: Any, expected: Any, close: bool) -> bool:
    """As ==, with NaN equal to NaN and, if `close`, floats within CLOSE, at any depth of lists, tuples and dicts."""
    if isinstance(got, (int, float)) and isinstance(expected, (int, float)):
        if got == expected:
            return True
        if not (isinstance(got, float) or isinstance(expected, float)):
            return False
        if got != got or expected != expected:
            return got != got and expected != expected
        try:
            return close and math.isclose(got, expected, rel_tol=CLOSE_RELATIVE, abs_tol=CLOSE)
        except OverflowError:  # an int too large for a float
            return False
    if isinstance(got, complex) and isinstance(expected, complex):
        return alike(got.real, expected.real, close) and alike(got.imag, expected.imag, close)
    if type(got) is not type(expected):
        return False
    if isinstance(got, (list, tuple)):
        return len(got) == len(expected) and all(alike(g, e, close) for g, e in zip(got, expected, strict=True))
    if isinstance(got, dict):
        return got.keys() == expected.keys() and all(alike(value, expected[key], close) for key, value in got.items())
    return bool(got == expected)


def cut(text: str, limit: int = TEXT_CHARS) -> str:
    """Return a text as a verdict may hold it: short, and nothing in it that a terminal, a log or a file trips over.

    Texts come from candidates (messages, names of types): line ends could forge a log's next line, escape codes
    rewrite a terminal, and lone surrogates stop whoever writes them to a file.
    """
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    if text.isprintable():
        return text
    told = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return told if len(told) <= limit else told[: limit - 1] + "…"


def show(value: Any) -> str:
    """Return `repr`, shortened, for a verdict's texts."""
    try:
        return cut(ADDRESS.sub("", repr(value)))
    except ValueError:  # an int beyond Python's limit of decimal digits
        return f"<{type(value).__name__} with a very long number>"
    except RecursionError:
        return f"<{type(value).__name__} nested very deeply>"


def show_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> str:
    shown = [show(value) for value in args] + [f"{key}={show(value)}" for key, value in (kwargs or {}).items()]
    return cut(f"{name}({', '.join(shown)})")
