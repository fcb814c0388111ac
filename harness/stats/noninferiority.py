"""Is a candidate at most a margin worse than a baseline? Paired by problem, one-sided, with three answers.

`passed`: a loss of the margin or more is excluded. `regressed`: the candidate lost at least the margin, and no loss
at all is excluded. Else `inconclusive`, with what would decide. One sample on each side: Tango's score test, which
stays honest where few problems or none are discordant. Several: Student's t on the differences by problem. Where
problems have families it is Student's t over these, and never surer than either.
`bench/gate.py` measures how often each answer is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.stats import clusters
from harness.stats.discordant import agresti_min_se, tango, tango_z
from harness.stats.paired import unspread
from harness.stats.passk import scores
from harness.stats.student_t import t_quantile, t_tail

Verdict = Literal["passed", "regressed", "inconclusive"]
ALPHA = 0.05  # one-sided, of each answer
POWER = 0.8  # with which the number of problems or samples that is told would decide


@dataclass(frozen=True)
class Loss:
    """Candidate less baseline; `low` and `high` are one-sided bounds, each at 1 − alpha."""

    value: float
    low: float
    high: float
    p_safe: float  # of a loss of the margin or more: small lets the candidate pass
    p_worse: float  # of no loss: small calls it regressed
    se: float
    n: int  # problems
    gained: int  # problems on which the candidate does better
    lost: int
    test: str
    families: int = 0  # of problems, which are then the units; 0: problems stand alone


@dataclass(frozen=True)
class Needed:
    """What would decide with 80 % power if the truth is as observed; None where that alone cannot."""

    units: int | None  # problems, or families of problems, in all, with as many samples as now
    samples: int | None  # of each problem, of candidate and baseline alike


def measure(
    candidate: Sequence[int],
    baseline: Sequence[int],
    samples: tuple[int, int],
    margin: float,
    alpha: float = ALPHA,
    families: Sequence[str] = (),
) -> Loss:
    """Compare passing samples per problem, problems in one order; `samples` are the candidate's and the baseline's.

    With `families`, a name for each problem, these are the units.
    """
    assert len(candidate) == len(baseline) > 0, f"{len(candidate)} and {len(baseline)} problems cannot be paired"
    diffs = differences(candidate, baseline, samples)
    alone = over_problems(diffs, samples, margin, alpha)
    return over_families(diffs, families, alone, margin, alpha) if families else alone


def over_problems(diffs: NDArray[np.float64], samples: tuple[int, int], margin: float, alpha: float) -> Loss:
    """Return the comparison with problems as the units."""
    n, gained, lost = len(diffs), int((diffs > 0).sum()), int((diffs < 0).sum())
    value = float(diffs.mean())
    if samples == (1, 1) or gained + lost == 0:
        normal, form = NormalDist(), "Tango's score test"
        p_safe = 1 - normal.cdf(tango_z(gained, lost, n, -margin))
        p_worse = normal.cdf(tango_z(gained, lost, n, 0.0))
        low, high = tango(gained, lost, n, 1 - 2 * alpha)
        return Loss(value, low, high, p_safe, p_worse, agresti_min_se(gained, lost, n), n, gained, lost, form)
    se, df = float(diffs.std(ddof=1)) / math.sqrt(n), float(n - 1)
    return Loss(value, *by_t(value, se, df, margin, alpha), se, n, gained, lost, "t over problems")


def over_families(
    diffs: NDArray[np.float64], families: Sequence[str], alone: Loss, margin: float, alpha: float
) -> Loss:
    """Return the comparison with families as the units, never surer than `alone`, that with problems."""
    variance, df = clusters.variance_of_mean(diffs.tolist(), families)
    se, df = (math.sqrt(variance), float(df)) if variance > clusters.TINY else unspread(alone.value, df + 1)
    low, high, p_safe, p_worse = by_t(alone.value, se, df, margin, alpha)
    return replace(
        alone,
        low=min(low, alone.low),
        high=max(high, alone.high),
        p_safe=max(p_safe, alone.p_safe),
        p_worse=max(p_worse, alone.p_worse),
        se=max(se, alone.se),
        test="t over families of problems",
        families=len(set(clusters.units(families))),
    )


def by_t(value: float, se: float, df: float, margin: float, alpha: float) -> tuple[float, float, float, float]:
    """Return both bounds, and p of a loss of the margin or more and of none."""
    half = t_quantile(1 - alpha, df) * se
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    return low, high, tail(value + margin, se, df), tail(-value, se, df)


def differences(candidate: Sequence[int], baseline: Sequence[int], samples: tuple[int, int]) -> NDArray[np.float64]:
    """Return the difference in pass@1 of each problem."""
    ours, theirs = (np.array(scores(counts, size)) for counts, size in zip((candidate, baseline), samples, strict=True))
    return ours - theirs


def tail(distance: float, se: float, df: float) -> float:
    """Return the chance of so large a t; every problem alike leaves no doubt, one way or the other."""
    if se <= 0:
        return 0.0 if distance > 0 else 1.0
    return t_tail(distance / se, df)


def decide(loss: Loss, margin: float, p_worse: float, alpha: float = ALPHA) -> Verdict:
    """Return the answer; `p_worse` is the loss's own, or adjusted where several benchmarks are gated.

    A pass needs no adjustment: the whole passes only if every benchmark does.
    """
    if p_worse <= alpha and loss.value <= -margin:
        return "regressed"
    return "passed" if loss.p_safe <= alpha else "inconclusive"


def needed(
    candidate: Sequence[int],
    baseline: Sequence[int],
    samples: tuple[int, int],
    loss: Loss,
    margin: float,
    alpha: float = ALPHA,
) -> Needed:
    """Return what would decide an inconclusive comparison.

    It heads for `passed` where the observed loss is smaller than the margin, else for `regressed`. More samples
    shrink only the part of the variance that comes from sampling; greedy answers have none that one sample shows.
    """
    goal = loss.value + margin if loss.value > -margin else -loss.value
    if goal <= 0 or math.isinf(loss.se):  # of one family, nothing is known of others
        return Needed(None, None)
    normal = NormalDist()
    target = goal / (normal.inv_cdf(1 - alpha) + normal.inv_cdf(POWER))  # the standard error that would decide
    now = loss.families or loss.n
    units = max(math.ceil(now * (loss.se / target) ** 2), now + 1)
    if min(samples) < 2:
        return Needed(units, None)
    within = sum(sampling(counts, size) for counts, size in zip((candidate, baseline), samples, strict=True))
    drawn = sum(sampling(counts, size) / size for counts, size in zip((candidate, baseline), samples, strict=True))
    between = max(loss.n * loss.se**2 - drawn, 0.0)
    left = loss.n * target**2 - between
    return Needed(units, max(math.ceil(within / left), max(samples) + 1) if left > 0 else None)


def sampling(counts: Sequence[int], size: int) -> float:
    """Return the variance of a single sample around its problem's own rate, mean over problems, unbiased."""
    rates = np.array(counts) / size
    return float((rates * (1 - rates)).mean() * size / (size - 1))
