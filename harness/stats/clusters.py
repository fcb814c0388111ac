"""Problems that come in families (paraphrases, translations, one template): the family is the unit, not the problem.

Miller, "Adding error bars to evals" (arXiv 2411.00640): SE² = (1/n²) Σ_c (Σ_{i∈c}(s_i − s̄))² · C/(C−1).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.stats.passk import CONFIDENCE, Estimate, wilson
from harness.stats.student_t import t_quantile, t_tail


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
    assert len(values) == len(families), f"{len(values)} values, {len(families)} families"
    sums: dict[Hashable, float] = {}
    n, mean = len(values), math.fsum(values) / max(len(values), 1)
    for value, family in zip(values, families, strict=True):
        sums[family] = sums.get(family, 0.0) + value - mean
    count = len(sums)
    if count < 2:
        raise UsageError(f"{count} families of problems: an interval needs at least two. Leave the families out.")
    variance = math.fsum(one * one for one in sums.values()) * count / (count - 1) / n**2
    alone = math.fsum((value - mean) ** 2 for value in values) / (n * (n - 1))
    se = math.sqrt(variance)
    half = t_quantile(0.5 + confidence / 2, count - 1) * se
    p = 2 * t_tail(abs(mean) / se, count - 1) if se > 0 else float(mean == 0)
    effective = n * alone / variance if variance > 0 else float(n)
    return Clustered(mean, mean - half, mean + half, min(p, 1.0), se, n, count, effective)


def rate(values: Sequence[float], families: Sequence[Hashable], confidence: float = CONFIDENCE) -> Estimate:
    """Return a mean score in [0, 1] with Wilson's interval on the effective number of problems, and t for z."""
    found = clustered(values, families, confidence)
    mean = min(max(found.value, 0.0), 1.0)
    effective = mean * (1 - mean) / found.se**2 if found.se > 0 else float(found.clusters)
    low, high = wilson(mean, effective, t_quantile(0.5 + confidence / 2, found.clusters - 1))
    return Estimate(mean, low, high, found.se, found.n)
