"""Two checkpoints judged once on each problem: tests and intervals from the problems that only one of them passes.

`gained` are those that only the candidate passes, `lost` those that only the reference does, of `n` problems. What
is graded, or seeds, is not for this module. `bench/stats.py` measures what each is worth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

from harness.stats.passk import CONFIDENCE, wilson

ROUNDS = 60  # of halving an interval of length 2: to the last bit of a double


def mcnemar(gained: int, lost: int, *, midp: bool = True) -> float:
    """Return McNemar's two-sided p.

    The exact p is 2·P(X ≤ min) for X binomial(gained + lost, ½); mid-p takes half of the observed outcome's
    probability off each tail, which brings false alarms from well below the level to the level. Never the normal
    approximation: at 6:1 it gives .0124 for an exact .125.
    """
    total, fewer = gained + lost, min(gained, lost)
    tail = 2 * sum(math.comb(total, j) for j in range(fewer + 1))
    if midp:
        tail -= math.comb(total, fewer)
    return min(1.0, tail / 2**total)


def agresti_min_se(gained: int, lost: int, n: int) -> float:
    """Return Agresti and Min's (2005) standard error of a paired difference: Wald's after ½ is added to each cell."""
    return math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)


def newcombe(both: int, gained: int, lost: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Newcombe's (1998) score interval of a paired difference, his method 10.

    It is built of Wilson's intervals of the two rates and their correlation, so it keeps its coverage where a rate
    is near 0 or 1. `both` are the problems that candidate and reference pass.
    """
    z, neither = NormalDist().inv_cdf(0.5 + confidence / 2), n - both - gained - lost
    assert min(both, gained, lost, neither) >= 0, f"{both}, {gained}, {lost}, {neither} problems"
    ours, theirs = (both + gained) / n, (both + lost) / n
    (low, high), (low_ref, high_ref) = wilson(ours, n, z), wilson(theirs, n, z)
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    excess = both * neither - gained * lost
    if excess > 0:
        excess = max(excess - n / 2, 0)  # Newcombe's correction for continuity, of the correlation alone
    phi = excess / math.sqrt(margins) if margins else 0.0
    below = spread(ours - low, high_ref - theirs, phi)
    above = spread(high - ours, theirs - low_ref, phi)
    return ours - theirs - below, ours - theirs + above


def spread(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(one * one - 2 * phi * one * other + other * other, 0.0))


def tango_z(gained: int, lost: int, n: int, delta: float) -> float:
    """Return Tango's (1998) score statistic of the hypothesis that the true difference is `delta`, in (−1, 1).

    Positive where the candidate does better than that. At 0 it is McNemar's (b − c)/√(b + c); elsewhere the
    variance is the one that the hypothesis implies, so a comparison without a single discordant problem is not
    called certain.
    """
    a, b = 2 * n, (2 * n - gained + lost) * delta - gained - lost
    lost_share = (math.sqrt(max(b * b + 4 * a * lost * delta * (1 - delta), 0.0)) - b) / (2 * a)
    variance = n * (2 * lost_share + delta * (1 - delta))
    distance = gained - lost - n * delta
    if variance <= 0:
        return 0.0 if abs(distance) < 1e-12 else math.copysign(math.inf, distance)
    return distance / math.sqrt(variance)


def tango(gained: int, lost: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Tango's interval: the differences that his score test does not reject."""
    z, value = NormalDist().inv_cdf(0.5 + confidence / 2), (gained - lost) / n
    low = boundary(lambda delta: tango_z(gained, lost, n, delta) > z, -1.0, value)
    high = boundary(lambda delta: tango_z(gained, lost, n, delta) < -z, 1.0, value)
    return low, high


def boundary(rejected: Callable[[float], bool], outside: float, inside: float) -> float:
    """Return where a test that rejects `outside` and not `inside` begins to reject."""
    for _ in range(ROUNDS):
        middle = (outside + inside) / 2
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return inside
