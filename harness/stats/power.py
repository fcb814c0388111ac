"""The smallest true difference that a paired comparison is likely to find; to be told before anything is spent."""

from __future__ import annotations

import math
from statistics import NormalDist

from harness.stats.seeds import satterthwaite
from harness.stats.student_t import t_quantile, t_tail


def detectable(n: int, discordant_share: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the detectable difference of two checkpoints on `n` problems of which they disagree on the given share.

    (z_{1−α/2} + z_power)·√(D/n), 2.80·√(D/n) at the defaults.
    """
    return detectable_at(math.sqrt(discordant_share / n), power=power, alpha=alpha)


def detectable_recipe(
    n: int, discordant_share: float, seeds: int, seed_sd: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the detectable difference of two recipes, each run with the same `seeds` seeds, on `n` problems.

    `seed_sd` is the standard deviation of a recipe's score over seeds, taken as independent between the recipes:
    SE² = 2·seed_sd²/seeds + D/n, with t quantiles as in `seeds.two_level`. Infinite for one seed: it decides nothing.
    """
    if seeds < 2:
        return math.inf
    se, df = satterthwaite([(2 * seed_sd**2 / seeds, seeds - 1), (discordant_share / n, n - 1)])
    return detectable_at(se, df, power, alpha)


def detectable_at(se: float, df: float = math.inf, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the difference found with the given power by a two-sided test whose standard error is `se`."""
    if math.isinf(df):
        return (NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)) * se
    return (t_quantile(1 - alpha / 2, df) + t_quantile(power, df)) * se


def power_of(difference: float, se: float, df: float = math.inf, alpha: float = 0.05) -> float:
    """Return the chance that a two-sided test with standard error `se` finds a true `difference`."""
    if se <= 0:
        return float(difference != 0)
    if math.isinf(df):
        normal = NormalDist()
        return normal.cdf(abs(difference) / se - normal.inv_cdf(1 - alpha / 2))
    return 1 - t_tail(abs(difference) / se - t_quantile(1 - alpha / 2, df), df)


def problems_for(difference: float, discordant_share: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many problems two checkpoints need for a true `difference` to be found with the given power."""
    assert difference != 0, "no number of problems finds a difference of 0"
    return math.ceil(discordant_share * (detectable_at(1.0, power=power, alpha=alpha) / difference) ** 2)
