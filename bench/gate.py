"""Simulates gates whose truth is known and prints how often each of the three answers is given.

    python bench/gate.py [--quick] [--json]

An unchanged model (drawn again) and models that lost 2, 5 and 10 points, against a baseline, at 164, 500 and 1,500
problems with 1 and 10 samples each, margin 2 points; and two benchmarks gated together. Exit code 1: a target is
missed, of --quick never (an unchanged model regressed, or a loss of 5 points passed, in more than 5 % of gates).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from tabulate import tabulate

from harness.stats import noninferiority
from harness.stats.multiplicity import holm

MARGIN = 0.02
SHARP, SKILL = 3.0, 0.5  # spread of problems' difficulty and the baseline's skill, in logits
LOSSES = (0.0, 0.02, 0.05, 0.10)
LIMIT = 0.05


@dataclass(frozen=True)
class Answers:
    """Shares of the three answers over all simulated gates."""

    problems: int
    samples: int
    benchmarks: int
    loss: float
    passed: float
    regressed: float
    inconclusive: float


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


EASE = np.random.default_rng(0).normal(0, SHARP, 400_000)


def skill_below(loss: float) -> float:
    """Return the skill whose mean rate lies `loss` below the baseline's, by halving."""
    rate, low, high = float(sigmoid(EASE + SKILL).mean()) - loss, -30.0, SKILL
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if float(sigmoid(EASE + middle).mean()) < rate else (low, middle)
    return high


def gates(problems: int, samples: int, benchmarks: int, loss: float, runs: int) -> Answers:
    """Gate `runs` candidates; with several benchmarks the loss is on the first alone."""
    rng = np.random.default_rng([problems, samples, benchmarks, round(1000 * loss)])
    skill, seen = skill_below(loss), Counter[str]()
    for _ in range(runs):
        losses: list[noninferiority.Loss] = []
        for place in range(benchmarks):
            ease = rng.normal(0, SHARP, problems)
            theirs = rng.binomial(samples, sigmoid(ease + SKILL))
            ours = rng.binomial(samples, sigmoid(ease + (skill if place == 0 else SKILL)))
            losses.append(noninferiority.measure(ours.tolist(), theirs.tolist(), (samples, samples), MARGIN))
        adjusted = holm([one.p_worse for one in losses])
        answers = {noninferiority.decide(one, MARGIN, p) for one, p in zip(losses, adjusted, strict=True)}
        seen["regressed" if "regressed" in answers else "passed" if answers == {"passed"} else "inconclusive"] += 1
    shares = {name: seen[name] / runs for name in ("passed", "regressed", "inconclusive")}
    return Answers(problems, samples, benchmarks, loss, **shares)


def measure(runs: int) -> Iterator[Answers]:
    for problems in (164, 500, 1500):
        for samples in (1, 10):
            for loss in LOSSES:
                yield gates(problems, samples, 1, loss, runs)
    for loss in (0.0, 0.05):
        yield gates(500, 1, 2, loss, runs)


def missed(found: list[Answers], slack: float) -> list[str]:
    """Return the targets that were missed by more than `slack`, which is what chance alone may do."""
    told: list[str] = []
    for one in found:
        place = f"{one.benchmarks} x {one.problems} problems, {one.samples} samples"
        if one.loss == 0 and one.regressed > LIMIT + slack:
            told.append(f"{place}: unchanged called regressed in {one.regressed:.3f}")
        if one.loss >= 0.05 and one.passed > LIMIT + slack:
            told.append(f"{place}: a loss of {one.loss} passed in {one.passed:.3f}")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 instead of 4000 gates of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    chosen = parser.parse_args()
    runs, start = (200 if chosen.quick else 4000), time.perf_counter()
    found = list(measure(runs))
    failed = [] if chosen.quick else missed(found, 1.96 * math.sqrt(LIMIT * (1 - LIMIT) / runs))
    seconds = round(time.perf_counter() - start, 1)
    if chosen.json:
        print(
            json.dumps({"runs": runs, "answers": [asdict(one) for one in found], "missed": failed, "seconds": seconds})
        )
    else:
        rows = [
            [str(x.benchmarks), str(x.problems), str(x.samples), f"{100 * x.loss:g}"]
            + [f"{100 * share:.1f}" for share in (x.passed, x.regressed, x.inconclusive)]
            for x in found
        ]
        header = ["benchmarks", "problems", "samples", "true loss", "passed %", "regressed %", "inconclusive %"]
        print(tabulate(rows, headers=header, disable_numparse=True))
        print(f"\n{runs} gates of each kind, margin 2 points, one-sided 5 %; both students drawn anew on each problem.")
        judged = (
            "Too few to judge by." if chosen.quick else f"Missed by more than chance: {'; '.join(failed) or 'nothing'}"
        )
        print(f"{seconds} s. {judged}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
