"""Problems that come in families (paraphrases, translations, one template): the family is the unit, not the problem.

Miller, "Adding error bars to evals" (arXiv 2411.00640): SE² = (1/n²) Σ_c (Σ_{i∈c}(s_i − s̄))² · C/(C−1). A family is any
name; a problem with the empty one is a family of its own. Nothing here is narrower than if problems were independent:
that scores happen to balance within families is no evidence.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from harness.stats.passk import CONFIDENCE, Estimate, wilson
from harness.stats.student_t import t_quantile

TINY = 1e-18  # a variance below is rounding, not spread: all values are equal


def variance_of_mean(values: Sequence[float], families: Sequence[Hashable]) -> tuple[float, int]:
    """Return the variance of the mean, at least that of independent problems, and its degrees of freedom.

    These are one less than there are families. The problems of one family alone tell nothing of others: infinite.
    """
    sums: dict[Hashable, float] = {}
    n, mean = len(values), math.fsum(values) / max(len(values), 1)
    for value, family in zip(values, units(families), strict=True):
        sums[family] = sums.get(family, 0.0) + value - mean
    count = len(sums)
    if count < 2:
        return math.inf, 1
    joined = math.fsum(one * one for one in sums.values()) * count / (count - 1) / n**2
    alone = math.fsum((value - mean) ** 2 for value in values) / (n * (n - 1))
    return max(joined, alone), count - 1


def units(families: Sequence[Hashable]) -> list[Hashable]:
    """Return a name for each problem that is its family's, or its own."""
    return [(at,) if family == "" else family for at, family in enumerate(families)]


def rate(values: Sequence[float], families: Sequence[Hashable], confidence: float = CONFIDENCE) -> Estimate:
    """Return a mean score in [0, 1] with Wilson's interval on the effective number of problems, and t for z."""
    mean = min(max(math.fsum(values) / len(values), 0.0), 1.0)
    variance, df = variance_of_mean(values, families)
    effective = mean * (1 - mean) / variance if variance > TINY else float(df + 1)
    low, high = wilson(mean, effective, t_quantile(0.5 + confidence / 2, df))
    return Estimate(mean, low, high, math.sqrt(variance), len(values))
