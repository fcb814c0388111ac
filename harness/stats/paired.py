"""Two checkpoints on the same problems, always paired; what it finds is about these checkpoints, not their recipes.

d_i is the candidate's score on problem i less the reference's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from harness.stats.passk import CONFIDENCE, scores

DRAWS = 10_000  # of a bootstrap or permutation test: p is good to ± 0.004 at .05


@dataclass(frozen=True)
class Difference:
    """Candidate less reference, in [−1, 1]; `covers` says over what its interval and p generalise."""

    value: float
    low: float
    high: float
    p: float  # two-sided, of no difference
    test: str
    n: int  # problems
    discordant: int  # problems on which the two differ
    se: float
    df: float = math.inf  # of `se`, for power
    covers: Literal["problems", "seeds and problems"] = "problems"


def compare(candidate: Sequence[int], reference: Sequence[int], samples: int, k: int = 1, seed: int = 0) -> Difference:
    """Compare two checkpoints from their passing samples per problem, problems in one order.

    One sample per problem: McNemar's mid-p test with Agresti and Min's interval. Several: the paired bootstrap's
    interval over problems (a problem with all its samples) with the sign-flip test's p. The same `seed` gives the
    same digits.
    """
    assert len(candidate) == len(reference), f"{len(candidate)} and {len(reference)} problems cannot be paired"
    pairs = zip(scores(candidate, samples, k), scores(reference, samples, k), strict=True)
    diffs = [a - b for a, b in pairs]
    n, gained, lost = len(diffs), sum(d > 0 for d in diffs), sum(d < 0 for d in diffs)
    mean = math.fsum(diffs) / n
    if samples == 1 or gained + lost == 0:
        # Without a single discordant problem a bootstrap would claim certainty; Agresti and Min's interval does not.
        low, high = agresti_min(gained, lost, n)
        se = agresti_min_se(gained, lost, n)
        p, test = mcnemar(gained, lost), "McNemar mid-p"
    else:
        low, high = paired_bootstrap(diffs, seed)
        se = math.sqrt(math.fsum((d - mean) ** 2 for d in diffs) / (n * max(n - 1, 1)))
        p, test = sign_flip(diffs, seed), "sign-flip permutation"
    return Difference(mean, low, high, p, test, n, gained + lost, se)


def mcnemar(gained: int, lost: int, *, midp: bool = True) -> float:
    """Return McNemar's two-sided p from the discordant problems: those that only one of the two passes.

    The exact p is 2·P(X ≤ min) for X binomial(gained + lost, ½); mid-p takes half of the observed outcome's
    probability off each tail, which brings false alarms from well below the level to the level. Never the normal
    approximation: at 6:1 it gives .0124 for an exact .125.
    """
    total, fewer = gained + lost, min(gained, lost)
    tail = 2 * sum(math.comb(total, j) for j in range(fewer + 1))
    if midp:
        tail -= math.comb(total, fewer)
    return min(1.0, tail / 2**total)


def agresti_min(gained: int, lost: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Agresti and Min's (2005) interval of a paired difference: Wald's after ½ is added to each cell."""
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre, half = (gained - lost) / (n + 2), z * agresti_min_se(gained, lost, n)
    return max(centre - half, -1.0), min(centre + half, 1.0)


def agresti_min_se(gained: int, lost: int, n: int) -> float:
    return math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)


def paired_bootstrap(
    diffs: Sequence[float], seed: int, draws: int = DRAWS, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Return the percentile interval of the mean difference over problems drawn with replacement.

    Problems with the same difference are interchangeable, so a draw of n problems is a multinomial draw over the
    few distinct values: the same distribution at a hundredth of the cost.
    """
    values, counts = np.unique(np.asarray(diffs, dtype=float), return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(diffs), counts / len(diffs), size=draws)  # (draws, values)
    low, high = np.quantile(drawn @ values / len(diffs), [0.5 - confidence / 2, 0.5 + confidence / 2])
    return float(low), float(high)


def sign_flip(diffs: Sequence[float], seed: int, draws: int = DRAWS) -> float:
    """Return p = (1 + #{|Δ*| ≥ |Δ|}) / (draws + 1) under random exchange of candidate and reference on each problem.

    Of m problems with the same |d| the number that keep their sign is binomial(m, ½): drawn directly.
    """
    observed = np.asarray(diffs, dtype=float)
    sizes, counts = np.unique(np.abs(observed), return_counts=True)
    kept = np.random.default_rng(seed).binomial(counts, 0.5, size=(draws, len(counts)))  # (draws, sizes)
    flipped = np.abs((2 * kept - counts) @ sizes)
    # The tolerance keeps ties ties: sums of the same numbers in another order differ in their last bits.
    hits = int(np.count_nonzero(flipped >= abs(float(observed.sum())) - 1e-9))
    return (1 + hits) / (draws + 1)
