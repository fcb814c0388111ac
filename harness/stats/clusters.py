"""Problems that come in families (paraphrases, translations, one template): the family is the unit, not the problem.

Miller, "Adding error bars to evals" (arXiv 2411.00640): SE² = (1/n²) Σ_c (Σ_{i∈c}(s_i − s̄))² · C/(C−1). A family is any
name; a problem with the empty one is a family of its own.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.stats.passk import CONFIDENCE, Estimate, wilson
from harness.stats.student_t import t_quantile, t_tail

TINY = 1e-18  # a variance below is rounding, not spread


@dataclass(frozen=True)
class Clustered:
    """A mean over problems of several families; `effective` independent problems would tell as much."""

    value: float
    low: float
    high: float
    p: float  # two-sided, of a mean of 0: for differences
    se: float
    n: int  # problems
    clusters: int
    effective: float


def clustered(values: Sequence[float], families: Sequence[Hashable], confidence: float = CONFIDENCE) -> Clustered:
    """Return the mean of scores, or of paired differences, with Student's t on as many units as there are families.

    Raises UsageError below two families: nothing is then known of the spread between them.
    """
    variance, df = variance_of_mean(values, families)
    n, mean, count = len(values), math.fsum(values) / len(values), df + 1
    alone = math.fsum((value - mean) ** 2 for value in values) / (n * (n - 1))
    se = math.sqrt(variance)
    half = t_quantile(0.5 + confidence / 2, count - 1) * se
    p = 2 * t_tail(abs(mean) / se, count - 1) if se > 0 else float(mean == 0)
    effective = n * alone / variance if variance > 0 else float(n)
    return Clustered(mean, mean - half, mean + half, min(p, 1.0), se, n, count, effective)


def variance_of_mean(values: Sequence[float], families: Sequence[Hashable]) -> tuple[float, int]:
    """Return the variance of the mean, and its degrees of freedom: one less than there are families."""
    sums: dict[Hashable, float] = {}
    n, mean = len(values), math.fsum(values) / max(len(values), 1)
    for value, family in zip(values, units(families), strict=True):
        sums[family] = sums.get(family, 0.0) + value - mean
    count = len(sums)
    if count < 2:
        raise UsageError(f"{count} families of problems: an interval needs at least two. Leave the families out.")
    return math.fsum(one * one for one in sums.values()) * count / (count - 1) / n**2, count - 1


def units(families: Sequence[Hashable]) -> list[Hashable]:
    """Return a name for each problem that is its family's, or its own."""
    return [(at,) if family == "" else family for at, family in enumerate(families)]


def rate(values: Sequence[float], families: Sequence[Hashable], confidence: float = CONFIDENCE) -> Estimate:
    """Return a mean score in [0, 1] with Wilson's interval on the effective number of problems, and t for z.

    The problems of one family alone tell nothing of others: its interval is all of [0, 1].
    """
    mean = min(max(math.fsum(values) / len(values), 0.0), 1.0)
    if len(set(units(families))) == 1:
        return Estimate(mean, 0.0, 1.0, math.inf, len(values))
    variance, df = variance_of_mean(values, families)
    effective = mean * (1 - mean) / variance if variance > TINY else float(df + 1)
    low, high = wilson(mean, effective, t_quantile(0.5 + confidence / 2, df))
    return Estimate(mean, low, high, math.sqrt(variance), len(values))
