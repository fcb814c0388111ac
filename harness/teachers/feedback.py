"""What running an attempt showed, as text, and the prompt that asks a student to repair it. It runs nothing.

One wording serves the teacher's repair, training on repairs and two-step inference: a student that is asked to repair
must find every slot filled as it was in training.
"""

from __future__ import annotations

from dataclasses import replace

from harness.types import Problem, Script, Verdict

WORDS = 50  # of each field of a feedback
LONGEST = 1500  # characters of an attempt that are shown again: a runaway one must not fill a student's context


def feedback(verdict: Verdict) -> str:
    """Say what went wrong at the first failing check; a hidden check gives away neither input nor value."""
    fail = verdict.first_fail
    if fail is None or not fail.visible:
        return verdict.reason.partition(":")[0] if verdict.status != "wrong" else "wrong value"
    if verdict.status != "wrong":
        return f"{verdict.reason}\nINPUT: {cut(fail.input)}"
    return f"wrong value\nINPUT: {cut(fail.input)}\nOUTPUT: {cut(fail.got)}\nEXPECTED: {cut(fail.expected)}"


def cut(text: str) -> str:
    return " ".join(text.split()[:WORDS])


def shown(problem: Problem) -> Problem:
    """Return the problem with those checks alone that its text shows; there may be none."""
    checks = problem.checks.visible if isinstance(problem.checks, Script) else problem.checks
    return replace(problem, checks=tuple(one for one in checks if one.visible) if isinstance(checks, tuple) else ())


def repair_prompt(problem: Problem, attempt: str, told: str) -> str:
    """Return the problem's prompt behind a failed attempt and its feedback; a completion continues the header."""
    code = attempt if len(attempt) <= LONGEST else f"{attempt[:LONGEST]}\n"
    end = "" if code.endswith("\n") else "\n"
    notes = "".join(f"# {line}\n" for line in told.splitlines())
    return f"# Wrong:\n{problem.prompt}{code}{end}{notes}# Repaired:\n{problem.prompt}"
