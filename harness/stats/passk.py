"""pass@k and its interval over problems; it knows nothing of seeds and does not compare.

Problems are the units: the samples of one problem are never counted as more problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

from harness.errors import UsageError
from harness.stats.student_t import t_quantile

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over problems in [0, 1], its interval and its standard error; `n` counts problems."""

    value: float
    low: float
    high: float
    se: float
    n: int


@cache
def pass_at_k(n: int, c: int, k: int) -> float:
    """Return the unbiased estimate of pass@k, 1 − C(n−c, k) / C(n, k), from `c` passing samples of `n`.

    Raises UsageError where k is larger than n: there is no unbiased estimate then.
    """
    if not 1 <= k <= n:
        raise UsageError(
            f"k={k}: pass@{k} needs at least {max(k, 1)} samples per problem, these rows hold {n}; "
            f"set decode.samples={max(k, 1)} or a k from 1 to {n}"
        )
    assert 0 <= c <= n, f"{c} of {n} samples cannot pass"
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def scores(correct: Sequence[int], samples: int, k: int = 1) -> list[float]:
    """Return pass@k of each problem, from the number of its `samples` that passed."""
    return [pass_at_k(samples, c, k) for c in correct]


def estimate(correct: Sequence[int], samples: int, k: int = 1, confidence: float = CONFIDENCE) -> Estimate:
    """Return mean pass@k over problems with an interval that covers the draw of problems, not of seeds.

    For one sample per problem this is Wilson's interval. For several it is Wilson's with the effective number of
    problems n_eff = s̄(1−s̄) / SE² (Korn and Graubard's device), where SE² = Σ(s_i−s̄)² / n² as for 0/1 data, and t for z:
    it uses the by-problem standard error, and unlike the normal interval it never leaves [0, 1] nor collapses there.
    """
    return interval(scores(correct, samples, k), confidence)


def interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Return the mean of per-problem scores in [0, 1] with the interval that `estimate` describes."""
    n = len(values)
    if n == 0:
        raise UsageError("no problems to average over; a score needs at least one")
    mean = min(max(math.fsum(values) / n, 0.0), 1.0)
    squares = math.fsum((value - mean) ** 2 for value in values)
    effective = n * n * mean * (1.0 - mean) / squares if squares > 1e-12 else float(n)
    graded = n > 1 and any(0 < value < 1 for value in values)
    z = t_quantile(0.5 + confidence / 2, n - 1) if graded else NormalDist().inv_cdf(0.5 + confidence / 2)
    low, high = wilson(mean, max(effective, float(n)), z)
    se = math.sqrt(squares / (n * (n - 1))) if n > 1 else 0.0
    return Estimate(mean, low, high, se, n)


def wilson(p: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's interval of a share `p` of `n` trials; `n` may be an effective size. No trials tell nothing."""
    if n == 0:
        return 0.0, 1.0
    scale = 1.0 + z * z / n
    centre = (p + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The interval holds p by algebra; the clamps only remove what rounding adds at p = 0 and p = 1.
    return min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p)
