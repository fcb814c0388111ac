"""What an attack and a harmless program are, and the tests that they are judged by."""

from __future__ import annotations

from dataclasses import dataclass

from harness.types import Check, Script, Status

# the problem that nearly all of them claim to solve: f(x) == x + 1
CALLS = (Check((1,), 2), Check((41,), 42), Check((-1,), 0, rule="strict"))
CHECK = Script("def check(candidate):\n    for x in (1, 41, -1):\n        assert candidate(x) == x + 1\n", "check")
ASSERTS = Script("assert f(1) == 2\nassert f(41) == 42\nassert f(-1) == 0\n", "asserts")

Checks = tuple[Check, ...] | Script
EVERY_WAY: tuple[Checks, ...] = (CALLS, CHECK, ASSERTS)


@dataclass(frozen=True)
class Attack:
    """A program that must never be called right; it may name the statuses that tell exactly what it did."""

    name: str
    source: str
    tests: tuple[Checks, ...] = EVERY_WAY
    status: tuple[Status, ...] = ()  # any of these; empty: all but passed and infrastructure
    cpu_s: float = 0.2
    waits: bool = False  # ends at the wall limit only, so it is judged where that is short
    ends_judge: bool = False  # keeps a judge busy in C, which the kernel ends then


@dataclass(frozen=True)
class Harmless:
    """An honest program that looks odd; it must pass."""

    name: str
    source: str
    tests: tuple[Checks, ...] = EVERY_WAY


def check(*lines: str) -> tuple[Checks, ...]:
    """Return one HumanEval-style script with these statements."""
    body = "".join(f"    {line}\n" for line in "\n".join(lines).splitlines())
    return (Script(f"def check(candidate):\n{body}", "check"),)


def asserts(*lines: str) -> tuple[Checks, ...]:
    """Return one MBPP-style script of these lines."""
    return (Script("\n".join(lines), "asserts"),)


def calls(*checks: Check) -> tuple[Checks, ...]:
    """Return these calls as the only tests."""
    return (checks,)
