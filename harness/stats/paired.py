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
from numpy.typing import NDArray

from harness.stats import clusters
from harness.stats.discordant import agresti_min_se, mcnemar, newcombe, tango
from harness.stats.passk import CONFIDENCE, scores
from harness.stats.student_t import t_quantile, t_tail

EXTREME = 0.01  # nearer to 0 or 1 the interval is Newcombe's, never too narrow; else Tango's, nearer to its level
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


def compare(
    candidate: Sequence[int],
    reference: Sequence[int],
    samples: int,
    k: int = 1,
    seed: int = 0,
    families: Sequence[str] = (),
) -> Difference:
    """Compare two checkpoints from their passing samples per problem, problems in one order.

    One sample per problem: McNemar's mid-p test with Tango's interval, or Newcombe's where a rate is below
    1 or above 99 %. Several: the sign-flip test's p with Student's t interval over problems (a problem with all its
    samples), which covers better than the bootstrap's where scores are near 0 or 1. The same `seed`, the same digits.
    With `families`, a name for each problem, Student's t over families of problems, never narrower than either.
    """
    assert len(candidate) == len(reference), f"{len(candidate)} and {len(reference)} problems cannot be paired"
    pairs = zip(scores(candidate, samples, k), scores(reference, samples, k), strict=True)
    diffs = [a - b for a, b in pairs]
    n, gained, lost = len(diffs), sum(d > 0 for d in diffs), sum(d < 0 for d in diffs)
    mean = math.fsum(diffs) / n
    if samples == 1 or gained + lost == 0:
        # Without a single discordant problem a bootstrap would claim certainty; a score interval does not.
        passed = math.fsum(scores(reference, samples, k))
        low, high = score_interval(passed / n, gained, lost, n)
        se, df = agresti_min_se(gained, lost, n), math.inf
        p, test = mcnemar(gained, lost), "McNemar mid-p"
    else:
        low, high, se, df = t_interval(diffs)
        p, test = sign_flip(diffs, seed), "sign-flip permutation"
    if families:
        low, high, p, joined, df = over_families(diffs, families, (low, high, p))
        se, test = max(se, joined), "t over families of problems"
    return Difference(mean, low, high, p, test, n, gained + lost, se, df)


def t_interval(diffs: Sequence[float]) -> tuple[float, float, float, float]:
    """Return Student's t interval of a mean difference over problems, its standard error and degrees of freedom."""
    n, mean = len(diffs), math.fsum(diffs) / len(diffs)
    df = max(n - 1, 1)
    se = math.sqrt(math.fsum((d - mean) ** 2 for d in diffs) / (n * df))
    half = t_quantile(0.5 + CONFIDENCE / 2, df) * se
    return max(mean - half, -1.0), min(mean + half, 1.0), se, df


def over_families(
    diffs: Sequence[float], families: Sequence[str], alone: tuple[float, float, float]
) -> tuple[float, float, float, float, float]:
    """Return interval, p, standard error and degrees of freedom of a mean difference; families are the units.

    `alone` is interval and p with problems for units: what is returned is never narrower, nor p smaller. Those tests
    stay honest where few problems are discordant, which t does not.
    """
    mean = math.fsum(diffs) / len(diffs)
    variance, df = clusters.variance_of_mean(diffs, families)
    se, df = (math.sqrt(variance), float(df)) if variance > clusters.TINY else unspread(mean, df + 1)
    half, p = t_quantile(0.5 + CONFIDENCE / 2, df) * se, min(2 * t_tail(abs(mean) / se, df), 1.0)
    low, high = max(mean - half, -1.0), min(mean + half, 1.0)
    return min(low, alone[0]), max(high, alone[1]), max(p, alone[2]), se, df


def unspread(value: float, units: int) -> tuple[float, float]:
    """Return a standard error and its degrees of freedom where all contrasts are equal: none seen is not none there.

    The interval that it gives is as wide as Clopper and Pearson's of a share of which none was seen.
    """
    half = (1 + abs(value)) * (1 - (0.5 - CONFIDENCE / 2) ** (1 / units))
    df = float(max(units - 1, 1))
    return half / t_quantile(0.5 + CONFIDENCE / 2, df), df


def score_interval(reference: float, gained: int, lost: int, n: int) -> tuple[float, float]:
    """Return the interval of a difference of two rates from the problems that only one of the two passes."""
    rates = reference, reference + (gained - lost) / n
    if min(rates) >= EXTREME and max(rates) <= 1 - EXTREME:
        return tango(gained, lost, n)
    return newcombe(round(reference * n) - lost, gained, lost, n)


Method = Literal["percentile", "bca"]


def paired_bootstrap(
    diffs: Sequence[float],
    seed: int,
    draws: int = DRAWS,
    confidence: float = CONFIDENCE,
    method: Method = "percentile",
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean difference over problems drawn with replacement.

    Problems with the same difference are interchangeable, so a draw of n problems is a multinomial draw over the
    few distinct values: the same distribution as `scipy.stats.bootstrap`'s at a hundredth of the cost. `bca` shifts
    the quantiles by the draws' bias and the differences' skewness (Efron 1987).
    """
    observed = np.asarray(diffs, dtype=float)
    values, counts = np.unique(observed, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(diffs), counts / len(diffs), size=draws)  # (draws, values)
    means = drawn @ values / len(diffs)
    shares = [0.5 - confidence / 2, 0.5 + confidence / 2]
    if method == "bca":
        shares = accelerated(observed, means, shares)
    low, high = np.quantile(means, shares)
    return float(low), float(high)


def accelerated(observed: NDArray[np.float64], means: NDArray[np.float64], shares: Sequence[float]) -> list[float]:
    """Return the quantiles that BCa reads instead of `shares`: Φ(z₀ + (z₀ + z) / (1 − a(z₀ + z)))."""
    normal, mean = NormalDist(), float(observed.mean())
    # Draws equal to the mean count half, as scipy counts them; all on one side would be an infinite shift.
    below = float(np.mean((means < mean) + 0.5 * (means == mean)))
    bias = normal.inv_cdf(min(max(below, 1 / len(means)), 1 - 1 / len(means)))
    spread = float(((observed - mean) ** 2).sum())
    skew = float(((observed - mean) ** 3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    found: list[float] = []
    for share in shares:
        moved = bias + normal.inv_cdf(share)
        found.append(normal.cdf(bias + moved / (1 - skew * moved)))
    return found


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
