"""Two models' samples on the same problems: the paired difference, its p, and the problems that flipped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import DataError
from harness.scoring.evaluate import Evaluation
from harness.stats import paired
from harness.stats.discordant import mcnemar
from harness.stats.passk import pass_at_k


@dataclass(frozen=True)
class Flips:
    """The second model less the first, over the problems that both answer."""

    first: str
    second: str
    k: int
    difference: float  # of mean pass@k
    low: float
    high: float
    p: float
    test: str
    problems: int
    only_first: tuple[str, ...]  # problems on which the first scores more
    only_second: tuple[str, ...]
    left_out: int  # problems that only one of the two answers


def flips(a: Evaluation, b: Evaluation, k: int = 1) -> Flips:
    """Compare two evaluations under the same conditions; DataError where they share no problem or differ in them."""
    if (a.digest, a.protocol) != (b.digest, b.protocol):
        raise DataError(f"{a.name} and {b.name} were not scored under the same conditions. Score both in one command.")
    shared = [name for name in a.correct if name in b.correct]
    if not shared:
        raise DataError(f"{a.name} and {b.name} answer no problem in common, so there is nothing to compare.")
    mine, other = scores(a.correct, shared, k, a.name), scores(b.correct, shared, k, b.name)
    diffs = [y - x for x, y in zip(mine, other, strict=True)]
    up = [name for name, d in zip(shared, diffs, strict=True) if d > 0]
    down = [name for name, d in zip(shared, diffs, strict=True) if d < 0]
    if all(d in (-1.0, 0.0, 1.0) for d in diffs):
        low, high = paired.score_interval(math.fsum(mine) / len(mine), len(up), len(down), len(diffs))
        p, test = mcnemar(len(up), len(down), midp=False), "exact McNemar"
    else:
        low, high, *_ = paired.t_interval(diffs)
        p, test = paired.sign_flip(diffs, seed=0), "sign-flip permutation over problems"
    if a.families:
        low, high, p, *_ = paired.over_families(diffs, [a.families[name] for name in shared], (low, high, p))
        test = "t over families of problems"
    mean = math.fsum(diffs) / len(diffs)
    alone = len(a.correct) + len(b.correct) - 2 * len(shared)
    return Flips(a.name, b.name, k, mean, low, high, p, test, len(shared), tuple(down), tuple(up), alone)


def scores(correct: Mapping[str, tuple[int, int]], names: list[str], k: int, who: str) -> list[float]:
    """Return pass@k of each problem; DataError where one has fewer samples."""
    few = [name for name in names if correct[name][1] < k]
    if few:
        raise DataError(
            f"{who}: {few[0]} has {correct[few[0]][1]} samples, pass@{k} needs {k}. Compare at a smaller k."
        )
    return [pass_at_k(correct[name][1], correct[name][0], k) for name in names]
