"""Which numbers a paper-style table sets in bold, underlines and daggers; how that looks is the renderers' choice."""

from __future__ import annotations

from dataclasses import dataclass

from reports.cells import ALPHA
from reports.facts import ADJUSTED
from reports.table import Line, Table

LEGEND = "Bold: highest mean of the last column, underlined: second; neither is a test."
DAGGER = "Dagger: differs from {reference} at {alpha:.0f} % (paired, {adjusted} over {n} comparisons)."


@dataclass(frozen=True)
class Mark:
    """How a line's final score on a benchmark stands out."""

    best: bool = False
    second: bool = False
    tested: bool = False  # the adjusted paired test against the reference says that it differs


def marks(table: Table) -> dict[tuple[str, str], Mark]:
    """Return marks by line and benchmark, of the first k; scores that print alike rank alike."""
    found: dict[tuple[str, str], Mark] = {}
    for benchmark in table.benchmarks:
        own = {line.label: shown for line in table.lines if (shown := final(table, line, benchmark.name)) is not None}
        ranks = sorted(set(own.values()), reverse=True)
        for line in table.lines:
            if line.label not in own:
                continue
            tested = any(c.benchmark == benchmark.name and c.adjusted_p <= ALPHA for c in line.comparisons)
            rank = ranks.index(own[line.label]) if len(ranks) > 1 else -1
            found[line.label, benchmark.name] = Mark(rank == 0, rank == 1, tested)
    return found


def final(table: Table, line: Line, benchmark: str) -> float | None:
    """Return a line's final score as it is printed, in percent."""
    for score in line.scores:
        if (score.benchmark, score.k, score.cycle) == (benchmark, table.ks[0], line.final_cycle):
            return round(100 * score.estimate.value, 1)
    return None


def legend(table: Table) -> str:
    """Return what the marks mean; empty where there is nothing to mark."""
    if len(table.lines) < 2:
        return ""
    return f"{LEGEND} {dagger(table) if table.comparisons else ''}".strip()


def dagger(table: Table) -> str:
    """Return what the dagger means."""
    adjusted = ADJUSTED[table.adjust]
    return DAGGER.format(reference=table.reference, alpha=100 * ALPHA, adjusted=adjusted, n=table.comparisons)
