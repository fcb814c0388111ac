"""Every fault has the effect of its type, and the same seed gives the same fault."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from harness.teachers.mutate import mutate, parsed
from harness.teachers.requests import FAULTS

LOOP = '''def f(n):
    """Add up (n) numbers: [0, n)."""
    total = 0
    i = 0
    while i < n:
        total += i
        i += 1
    return total + 3
'''
EXPRESSION = "def f(xs):\n    xs = [x + 1 for x in xs if x > 12]\n    return sum(xs) // 2 if xs else 0\n"
TEXT = "def f(s):\n    é = s.replace('a', '')\n    return é[:2]\n"
METHODS = "import math\n\n\ndef f(xs):\n    return [math.floor(x) for x in sorted(xs) if x >= 2]\n"
PLAIN = "def f(n):\n    return n\n"
PROGRAMS: tuple[tuple[str, Any], ...] = ((LOOP, 5), (EXPRESSION, [20, 30]), (TEXT, "banana"), (METHODS, [1, 2, 3]))


class Endless(Exception):
    """A program ran for too many lines."""


def tracer(most: int) -> Callable[[FrameType, str, object], Any]:
    seen = 0

    def count(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal seen
        seen += 1
        if seen > most:
            raise Endless
        return count

    return count


def outcome(program: str, value: Any) -> str:
    """Run one of this file's programs, or a mutant of it, for at most 2,000 lines."""
    space: dict[str, Any] = {}
    try:
        exec(program, space)
    except SyntaxError:
        return "syntax"
    sys.settrace(tracer(2000))
    try:
        return repr(space["f"](value))
    except (NameError, TypeError, Endless) as err:
        return type(err).__name__
    finally:
        sys.settrace(None)


@pytest.mark.parametrize(("program", "value"), PROGRAMS)
@pytest.mark.parametrize(
    ("fault", "shown"), [("syntax", "syntax"), ("type", "TypeError"), ("name", "NameError"), ("timeout", "Endless")]
)
def test_a_fault_gives_the_verdict_of_its_type(fault: str, shown: str, program: str, value: Any) -> None:
    for seed in range(12):
        faulty = mutate(program, fault, random.Random(seed))
        assert faulty is not None
        assert outcome(faulty, value) == shown, faulty


@pytest.mark.parametrize(("program", "value"), PROGRAMS)
def test_a_logic_fault_runs_and_returns(program: str, value: Any) -> None:
    outcomes = set[str]()
    for seed in range(12):
        faulty = mutate(program, "logic", random.Random(seed))
        assert faulty is not None and faulty != program
        outcomes.add(outcome(faulty, value))
    assert outcomes.isdisjoint({"syntax", "TypeError", "NameError", "Endless"})
    assert outcomes - {outcome(program, value)}


@pytest.mark.parametrize("fault", FAULTS)
def test_signature_docstring_and_kept_text_stay(fault: str) -> None:
    head = LOOP[: LOOP.index("    while")]
    for seed in range(12):
        faulty = mutate(LOOP, fault, random.Random(seed), keep=len(head))
        assert faulty is not None and faulty.startswith(head)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_seed_gives_the_same_fault(fault: str) -> None:
    found = [mutate(LOOP, fault, random.Random(seed)) for seed in (1, 1)]
    assert found[0] == found[1]
    if fault != "timeout":  # one place only
        assert len({mutate(METHODS, fault, random.Random(seed)) for seed in range(12)}) > 1


def test_the_timeout_of_a_loop_is_its_lost_update() -> None:
    faulty = mutate(LOOP, "timeout", random.Random(0))
    assert faulty is not None and "        pass\n" in faulty and "i += 1" not in faulty


def test_a_program_without_a_bracket_still_gets_a_syntax_fault() -> None:
    faulty = mutate(PLAIN, "syntax", random.Random(0))
    assert faulty is not None and parsed(faulty) is None


def test_where_there_is_no_place_there_is_no_fault() -> None:
    assert mutate(PLAIN, "logic", random.Random(0)) is None


@pytest.mark.parametrize("fault", FAULTS)
def test_what_does_not_parse_gets_no_fault(fault: str) -> None:
    assert mutate("def f(:\n", fault, random.Random(0)) is None
    assert mutate("\x00", fault, random.Random(0)) is None


def test_lines_that_end_in_other_ways_are_edited_in_place() -> None:
    program = TEXT.replace("\n", "\r\n")
    faulty = mutate(program, "name", random.Random(0))
    assert faulty is not None and faulty.replace("\r\n", "").count("\n") == 0
    assert outcome(faulty, "banana") == "NameError"
