"""Verdict stability: the same completions judged again, and the share whose verdict stayed. It judges nothing itself.

A score can be no firmer than its verdicts; this is told beside a score and never mixed into its interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.stats.passk import Estimate, estimate


@dataclass(frozen=True)
class Stability:
    """How often judging again gave the same verdict; `gained` and `lost` are by passing, `other` changed in kind."""

    same: Estimate  # share of completions, with Wilson's interval
    gained: tuple[int, ...]  # places of completions that pass only the second time
    lost: tuple[int, ...]  # and only the first time
    other: tuple[int, ...]  # failed both times, each time in another way


def stability(first: Sequence[str], second: Sequence[str]) -> Stability:
    """Compare two judgements of the same completions, given as statuses in one order."""
    assert len(first) == len(second), f"{len(first)} verdicts and {len(second)} of the second time"
    if not first:
        raise UsageError("no verdicts to compare; judge at least one completion twice")
    gained = tuple(at for at, (a, b) in enumerate(zip(first, second, strict=True)) if b == "passed" != a)
    lost = tuple(at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a == "passed" != b)
    other = tuple(at for at, (a, b) in enumerate(zip(first, second, strict=True)) if a != b and "passed" not in (a, b))
    return Stability(estimate([int(a == b) for a, b in zip(first, second, strict=True)], 1), gained, lost, other)
