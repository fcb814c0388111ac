"""Recipes rather than checkpoints: seeds are a level of their own beside problems.

The interval is Student's t on SE² = Var(means over seeds)/S + Var(means over problems)/P with Satterthwaite's degrees
of freedom. A percentile bootstrap over seeds and problems is here for comparison only: three seeds drawn from three
understate their spread, so where seeds differ much it raises twice the false alarms (`bench/stats.py` measures both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.stats import clusters
from harness.stats.paired import DRAWS, Difference, unspread
from harness.stats.passk import CONFIDENCE, Estimate, scores, wilson
from harness.stats.student_t import t_quantile, t_tail

BySeed = Sequence[Sequence[int]]  # passing samples per problem, one sequence for each seed


def two_level(
    candidate: BySeed,
    reference: BySeed,
    samples: int,
    k: int = 1,
    *,
    paired: bool = True,
    families: Sequence[str] = (),
) -> Difference:
    """Compare two recipes over seeds and problems.

    `paired`: seed by seed, the i-th of one with the i-th of the other, for recipes run with the same seeds (a seed
    drives pool and order, so their scores move together). Otherwise seeds are independent draws (Welch). A reference
    with a single entry is one fixed checkpoint, such as the untrained student, and adds no spread of seeds.
    `families` names each problem's: then families, not problems, are what is drawn beside seeds,
    and the answer is never surer than without them (Satterthwaite's degrees of freedom may rise with a variance).
    """
    assert len(candidate) >= 2, f"{len(candidate)} seed: use paired.compare, which speaks of checkpoints"
    a, b = matrix(candidate, samples, k), matrix(reference, samples, k)  # (seeds, P)
    assert a.shape[1] == b.shape[1], f"{a.shape[1]} and {b.shape[1]} problems cannot be paired"
    by_problem = a.mean(axis=0) - b.mean(axis=0)  # (P,)
    parts = [over_problems(by_problem, families)]
    if len(b) == 1:
        parts.append(variance_of_mean(a.mean(axis=1)))
    elif paired:
        assert len(a) == len(b), f"{len(a)} and {len(b)} seeds cannot be paired"
        parts.append(variance_of_mean((a - b).mean(axis=1)))
    else:
        parts += [variance_of_mean(a.mean(axis=1)), variance_of_mean(b.mean(axis=1))]
    value, (se, df) = float(by_problem.mean()), satterthwaite(parts)
    if se == 0:
        se, df = unspread(value, parts[0][1] + 1)
    p = 2 * t_tail(abs(value) / se, df)
    half = t_quantile(0.5 + CONFIDENCE / 2, df) * se
    form = f"t over seeds and {'families of ' if families else ''}problems"
    form += "" if paired or len(b) == 1 else " (Welch)"
    discordant = int(np.count_nonzero(np.abs(by_problem) > 1e-12))
    low, high = max(value - half, -1.0), min(value + half, 1.0)
    found = Difference(value, low, high, min(p, 1.0), form, a.shape[1], discordant, se, df, "seeds and problems")
    if not families:
        return found
    alone = two_level(candidate, reference, samples, k, paired=paired)
    return replace(found, low=min(low, alone.low), high=max(high, alone.high), p=max(found.p, alone.p))


def estimate(
    by_seed: BySeed, samples: int, k: int = 1, confidence: float = CONFIDENCE, families: Sequence[str] = ()
) -> Estimate:
    """Return a recipe's mean pass@k over seeds and problems, its interval covering both.

    The interval is Wilson's with the effective number of problems, as in `passk.estimate`, and t instead of z.
    """
    values = matrix(by_seed, samples, k)
    assert len(values) >= 2, f"{len(values)} seed: use passk.estimate"
    n, mean = values.shape[1], min(max(float(values.mean()), 0.0), 1.0)
    parts = [over_problems(values.mean(axis=0), families), variance_of_mean(values.mean(axis=1))]
    se, df = satterthwaite(parts)
    if se == 0:  # every score is 0, or every score is 1
        effective, df = float(parts[0][1] + 1), float(parts[0][1])
    else:
        effective = mean * (1 - mean) / se**2
    low, high = wilson(mean, effective, t_quantile(0.5 + confidence / 2, df))
    if families:
        alone = estimate(by_seed, samples, k, confidence)
        low, high = min(low, alone.low), max(high, alone.high)
    return Estimate(mean, low, high, se, n)


def two_way_bootstrap(
    candidate: BySeed, reference: BySeed, samples: int, seed: int, draws: int = DRAWS, k: int = 1
) -> tuple[float, float]:
    """Return the percentile interval of the difference, seeds and problems both drawn with replacement.

    Too narrow below some ten seeds; `two_level` is what tables use.
    """
    a, b = matrix(candidate, samples, k), matrix(reference, samples, k)
    diffs = a - b  # (S, P); a reference of one seed is broadcast
    rng, (n_seeds, n_problems) = np.random.default_rng(seed), diffs.shape
    by_seed = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), size=draws) / n_seeds  # (draws, S)
    means = np.empty(draws)
    for start in range(0, draws, 500):  # a block at a time: 10,000 draws of 1,319 problems would take 100 MB
        block = by_seed[start : start + 500] @ diffs
        weights = rng.multinomial(n_problems, np.full(n_problems, 1 / n_problems), size=len(block)) / n_problems
        means[start : start + 500] = (block * weights).sum(axis=1)
    low, high = np.quantile(means, [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return float(low), float(high)


def matrix(by_seed: BySeed, samples: int, k: int) -> NDArray[np.float64]:
    """Return pass@k per problem as (seeds, P)."""
    return np.array([scores(correct, samples, k) for correct in by_seed], dtype=np.float64)


def over_problems(by_problem: NDArray[np.float64], families: Sequence[str]) -> tuple[float, int]:
    """Return the variance of the mean over problems, or over their families, and its degrees of freedom."""
    if not families:
        return variance_of_mean(by_problem)
    variance, df = clusters.variance_of_mean(by_problem.tolist(), families)
    return (variance if variance > clusters.TINY else 0.0), df


def variance_of_mean(values: NDArray[np.float64]) -> tuple[float, int]:
    """Return the estimated variance of the mean of `values`, and its degrees of freedom."""
    size = len(values)
    if size < 2:
        return 0.0, 1
    variance = float(values.var(ddof=1)) / size
    return (variance if variance > clusters.TINY else 0.0), size - 1


def satterthwaite(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Return the standard error of a sum of variances and its degrees of freedom, (Σv)² / Σ(v²/df)."""
    total = math.fsum(variance for variance, _ in parts)
    if total in (0, math.inf):  # no spread was seen, or nothing is known of it
        return total, 1.0
    return math.sqrt(total), total**2 / math.fsum(variance**2 / df for variance, df in parts)
