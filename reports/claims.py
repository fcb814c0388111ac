"""Claims of papers and what was found of them, as data and as blocks of text; it computes no statistic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.stats.claims import ALPHA, Decided


@dataclass(frozen=True)
class Claim:
    """A directed hypothesis: `line` is above `over` on a benchmark, or rises over its cycles, or differs little."""

    says: str
    source: str  # who claims it, and where
    line: str  # of a table: recipe and settings
    benchmark: str
    parts: tuple[str, ...]  # in which it is measured
    over: str = ""  # the line that it is held against; empty: its own earlier cycles
    margin: float | None = None  # in shares of the problems: a smaller difference, of either sign, is none


@dataclass(frozen=True)
class Finding:
    """What a part of a run says of a claim; None where the part is not finished."""

    claim: Claim
    under: str  # the part's condition, as "equal updates"
    decided: Decided | None


HEADER = ["", "difference", "Holm p", "verdict", "detects"]
MISSING = "-"


def cells_of(one: Finding) -> list[str]:
    """Return the cells under `HEADER`."""
    if one.decided is None:
        return [one.claim.says, "not finished", MISSING, MISSING, MISSING]
    found, measured = one.decided, one.decided.measured
    difference = f"{100 * measured.value:+.1f} [{100 * measured.low:+5.1f}, {100 * measured.high:+5.1f}]"
    against = found.verdict == "contradicted" or (measured.margin is None and measured.value < 0)
    p = found.holm_against if against else found.holm_for
    shown = "<0.001" if p < 0.001 else f"{p:.3f}"
    detects = f"{100 * found.detectable:.1f}" if measured.se > 0 else MISSING  # equal everywhere: nothing is known
    return [one.claim.says, difference, shown, found.verdict, detects]


def title(under: str) -> str:
    return f"claims of the papers as hypotheses, at {under}"


def note(findings: Sequence[Finding]) -> str:
    """Return how the claims were measured."""
    known = [one.decided.measured for one in findings if one.decided is not None]
    seeds = sorted({one.seeds for one in known})
    told = f"{'-'.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds" if seeds else "no part is finished"
    return (
        f"difference in points [95 % interval] over seeds and problems, paired by both; {told}. Holm p: of the "
        "direction found, one-sided, the larger of the studentised paired bootstrap's over seeds and problems and "
        "Student's t, over all "
        f"{len(findings)} hypotheses; supported or contradicted at {100 * ALPHA:.0f} %. detects: true difference that "
        'would be found in 80 % of cases; of "within" the margin that would be kept'
    )
