"""Directed hypotheses over seeds and problems: `supported`, `contradicted` or `inconclusive`; it knows no recipe.

A claim says that a mean contrast is above 0, or, with a margin, that it lies within it. Its p is the larger of two: the
studentised paired bootstrap's, which draws seeds and problems with replacement and divides each draw by its own
standard error, and Student's t on the same standard error, that of `seeds.two_level`. At five seeds the bootstrap alone
is right at 5 %, but not at the quarter of a per cent that Holm asks of the first of twenty hypotheses, where seeds
spread more than problems; t alone trusts a normal shape. `bench/claims.py` simulates the rule. Holm's
adjustment is over all hypotheses of a report, once for support and once for contradiction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.stats.multiplicity import holm
from harness.stats.paired import unspread
from harness.stats.passk import CONFIDENCE
from harness.stats.power import detectable_at
from harness.stats.seeds import satterthwaite, variance_of_mean
from harness.stats.student_t import t_quantile, t_tail

Verdict = Literal["supported", "contradicted", "inconclusive"]
Contrasts = NDArray[np.float64]  # by seed and problem (S, P): what a claim says is above 0
ALPHA = 0.05  # of all false support in a report, and of all false contradiction
POWER = 0.8
DRAWS = 20_000  # the smallest p is a twentieth of what Holm asks of the first of fifty hypotheses
BLOCK = 500  # draws at a time, so that thousands of problems fit into memory


@dataclass(frozen=True)
class Measured:
    """One hypothesis alone, before it is adjusted for the others."""

    value: float  # mean contrast
    low: float  # two-sided interval over seeds and problems
    high: float
    p_for: float  # one-sided: small where the claim holds
    p_against: float  # small where its opposite holds; with a margin, where the contrast lies outside
    se: float
    df: float
    seeds: int
    problems: int
    margin: float | None = None


@dataclass(frozen=True)
class Decided:
    """One hypothesis among all of a report."""

    measured: Measured
    verdict: Verdict
    holm_for: float
    holm_against: float
    detectable: float  # true contrast that is found in 80 % of cases; with a margin, the smallest margin that is kept


def trend(by_cycle: Sequence[Contrasts]) -> Contrasts:
    """Return the slope of the scores over cycles, per cycle, of each seed and problem: least squares."""
    places = np.arange(len(by_cycle)) - (len(by_cycle) - 1) / 2
    weights = places / (places**2).sum()
    slope = np.zeros_like(by_cycle[0])
    for weight, scores in zip(weights, by_cycle, strict=True):
        slope += weight * scores
    return slope


def directed(contrasts: Contrasts, margin: float | None = None, seed: int = 0, draws: int = DRAWS) -> Measured:
    """Test a claim about the mean of contrasts; the same `seed`, the same digits."""
    n_seeds, n_problems = contrasts.shape
    assert n_seeds >= 2, f"{n_seeds} seed says nothing about a recipe"
    value = float(contrasts.mean())
    se, df = satterthwaite([variance_of_mean(contrasts.mean(axis=0)), variance_of_mean(contrasts.mean(axis=1))])
    same = se == 0
    if same:
        se, df = unspread(value, n_problems)
    drawn = studentised(contrasts, seed, draws)

    def above(bound: float, sign: int = 1) -> float:
        """Return the p of a mean that is no larger than `bound`; with sign −1, no smaller."""
        lead = sign * (value - bound)
        if same:  # as likely as it is to see none of the problems that would have to differ
            return float((1 - min(max(lead, 0.0) / (1 + abs(value)), 1.0)) ** n_problems)
        as_far = int(np.count_nonzero(sign * drawn >= lead / se))
        return max(t_tail(lead / se, df), (1 + as_far) / (draws + 1))

    def below(bound: float) -> float:
        return above(bound, -1)

    if margin is None:
        p_for, p_against = above(0.0), below(0.0)
    else:
        p_for, p_against = max(above(-margin), below(margin)), min(1.0, 2 * min(above(margin), below(-margin)))
    half = t_quantile(0.5 + CONFIDENCE / 2, df) * se
    low, high = value - half, value + half
    return Measured(value, low, high, p_for, p_against, se, df, n_seeds, n_problems, margin)


def studentised(contrasts: Contrasts, seed: int, draws: int) -> NDArray[np.float64]:
    """Return (mean − observed mean) / standard error of each draw of seeds and problems."""
    rng, (n_seeds, n_problems) = np.random.default_rng(seed), contrasts.shape
    observed, found = contrasts.mean(), np.empty(draws)
    for start in range(0, draws, BLOCK):
        size = min(BLOCK, draws - start)
        of_seeds = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=size) / n_seeds  # (D, S)
        of_problems = rng.multinomial(n_problems, np.full(n_problems, 1 / n_problems), size=size) / n_problems
        by_problem, by_seed = of_seeds @ contrasts, of_problems @ contrasts.T  # (D, P), (D, S)
        mean = (by_problem * of_problems).sum(axis=1)
        spread = ((by_problem - mean[:, None]) ** 2 * of_problems).sum(axis=1) / (n_problems - 1)
        spread += ((by_seed - mean[:, None]) ** 2 * of_seeds).sum(axis=1) / (n_seeds - 1)
        se = np.sqrt(spread)
        found[start : start + size] = np.divide(mean - observed, se, out=np.zeros(size), where=se > 0)
    return found


def decide(tests: Sequence[Measured], unmeasured: int = 0, alpha: float = ALPHA) -> list[Decided]:
    """Return the verdict of each hypothesis, adjusted by Holm over all of them and those not measured yet."""
    rest = [1.0] * unmeasured
    adjusted_for = holm([*(one.p_for for one in tests), *rest])
    adjusted_against = holm([*(one.p_against for one in tests), *rest])
    still_open = max(1, sum(p > alpha for p in adjusted_for))
    found: list[Decided] = []
    for one, p_for, p_against in zip(tests, adjusted_for, adjusted_against, strict=False):
        verdict: Verdict = "supported" if p_for <= alpha else "contradicted" if p_against <= alpha else "inconclusive"
        found.append(Decided(one, verdict, p_for, p_against, detectable(one, alpha / still_open)))
    return found


def detectable(one: Measured, alpha: float) -> float:
    """Return what a one-sided test at `alpha`, Holm's level where it stopped, would have found in 80 % of cases."""
    if math.isinf(one.se):
        return one.se
    # Two bounds must both be kept for equivalence, each with half of the risk.
    power = POWER if one.margin is None else (1 + POWER) / 2
    return detectable_at(one.se, one.df, power, 2 * alpha)
