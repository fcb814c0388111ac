"""How single numbers are written in a table: percent, points, p-values, amounts; ASCII, for any terminal."""

from __future__ import annotations

import math

from harness.stats.paired import Difference
from harness.stats.passk import Estimate
from reports.table import UNTRAINED, Comparison, Line

MISSING = "-"
ALPHA = 0.05


def score(estimate: Estimate, decimals: int = 1) -> str:
    """Write `31.3 [26.9, 36.0]`, in percent; `decimals` are the interval's. Bounds are padded so that columns align."""
    width = 4 if decimals else 2
    low, high = (f"{100 * bound:{width}.{decimals}f}" for bound in (estimate.low, estimate.high))
    return f"{100 * estimate.value:.1f} [{low}, {high}]"


def points(difference: Difference) -> str:
    """Write `+11.5 [ +7.6, +15.4]`, in percentage points."""
    return f"{100 * difference.value:+.1f} [{100 * difference.low:+5.1f}, {100 * difference.high:+5.1f}]"


def p_value(p: float) -> str:
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def result(comparison: Comparison) -> str:
    """Say in a word what the adjusted p at 5 % allows to be said: better, worse, or open."""
    if comparison.adjusted_p > ALPHA:
        return "open"
    return "better" if comparison.difference.value > 0 else "worse"


def comparison(found: Comparison) -> list[str]:
    """Return the cells under difference, p, adjusted p, result, detects."""
    ps = [p_value(found.difference.p), p_value(found.adjusted_p)]
    return [points(found.difference), *ps, result(found), detectable(found.detectable)]


def detectable(share: float) -> str:
    return f"{100 * share:.1f}" if math.isfinite(share) and share < 1 else ">100"


def amount(value: float | None) -> str:
    """Write a count in at most six characters: 812, 9999, 12.3k, 1.52M."""
    if value is None:
        return MISSING
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size and (size > 1e3 or value >= 9999.5):
            scaled = value / size
            return f"{scaled:.0f}{letter}" if scaled >= 99.95 else f"{scaled:.3g}{letter}"
    return f"{value:.0f}"


def usd(value: float) -> str:
    return f"{value:.2f}" if value < 9999.5 else amount(value)


def seconds(value: float | None) -> str:
    return f"{value:.1f}" if value is not None and value < 9.95 else amount(value)


def line_name(line: Line) -> str:
    """Return the line's label; the untrained student's says that its score is of no cycle of training."""
    return f"{line.label} (cycle 0)" if line.recipe == UNTRAINED else line.label


def seeds(line: Line) -> str:
    known = [str(seed) for seed in line.seeds if seed is not None]
    return ",".join(known) or MISSING


def per_point(spent: float | None, gain: Difference) -> str:
    """Write what one point gained cost; nothing can be said of a gain whose interval holds 0."""
    if spent is None or gain.low <= 0:
        return MISSING
    each = spent / (100 * gain.value)
    return amount(each) if each >= 9.95 or each == 0 else f"{each:.2g}"
