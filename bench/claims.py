"""Simulates reports of claims whose truth is known: how often is one wrongly supported or contradicted?

    python bench/claims.py [--quick] [--json]

A report holds twelve claims, each of two recipes at 5 seeds on 200 problems whose difficulty is U-shaped. In the first
reports no claim is true; in the second one of them is. Spread over seeds runs from that of problems alone to more than
the embedded world has. The last columns tell why p is the larger of two: how often each of them alone calls a
difference where there is none at 0.25 %, about where Holm reads the first of twenty hypotheses. It judges the rule of
`harness/stats/claims.py`, not any recipe; nothing is trained. Exit code 1: reports without a true claim that support
or contradict one exceed 5 % by more than chance; --quick shows that it runs, and is too few reports to judge by.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass

import numpy as np
from tabulate import tabulate

from harness.stats.claims import ALPHA, Contrasts, decide, directed, studentised
from harness.stats.seeds import satterthwaite, variance_of_mean
from harness.stats.student_t import t_tail

CLAIMS, SEEDS, PROBLEMS = 12, 5, 200
SHARP, OWN, EASE = 3.0, 0.8, -0.5  # logits: spread of problems, of one recipe's likes among them, and their mean
SPREADS = (0.1, 0.25, 0.4, 0.8)  # of seeds, in logits
GAIN = 1.2  # in logits, of the one true claim
DEEP = 0.0025
APART = 6  # claims of a report that each half of the rule is tried on alone
DRAWS = 400  # of each bootstrap; the product takes 20,000, and the rule's other half decides beyond a two-hundredth


@dataclass(frozen=True)
class Rates:
    """Shares of simulated reports."""

    spread: float  # over seeds, in logits
    points: float  # standard deviation over seeds of a difference, in points
    supported: float  # reports without a true claim that support one or more
    contradicted: float
    found: float  # reports with one true claim that support it
    gain: float  # the true difference then, in points
    bootstrap: float  # single hypotheses without a difference that the bootstrap alone calls one, at `DEEP`
    t: float  # the same of Student's t


def contrasts(rng: np.random.Generator, spread: float, gain: float) -> Contrasts:
    """Draw the paired differences of two recipes, by seed and problem."""
    ease = rng.normal(EASE, SHARP, PROBLEMS)
    own, luck = rng.normal(0, OWN, (2, 1, PROBLEMS)), rng.normal(0, spread, (2, SEEDS, 1))
    chance = 1 / (1 + np.exp(-(ease + own + luck + np.array([gain, 0.0])[:, None, None])))
    better, worse = rng.binomial(1, chance)
    return (better - worse).astype(np.float64)


def alone(one: Contrasts, seed: int) -> tuple[bool, bool]:
    """Tell whether the bootstrap, and whether Student's t, would call a difference at `DEEP`."""
    se, df = satterthwaite([variance_of_mean(one.mean(axis=0)), variance_of_mean(one.mean(axis=1))])
    lead = float(one.mean()) / se
    return float((studentised(one, seed, DRAWS) >= lead).mean()) <= DEEP, t_tail(lead, df) <= DEEP


def simulate(spread: float, reports: int) -> Rates:
    rng = np.random.default_rng(20_240_803)
    supported = contradicted = found = 0
    luck, gains, called = list[float](), list[float](), list[tuple[bool, bool]]()
    for number in range(reports):
        null = [contrasts(rng, spread, 0.0) for _ in range(CLAIMS)]
        tests = [directed(one, seed=number, draws=DRAWS) for one in null]
        verdicts = [one.verdict for one in decide(tests)]
        supported += "supported" in verdicts
        contradicted += "contradicted" in verdicts
        luck += [float(one.mean(axis=1).std(ddof=1)) for one in null]
        called += [alone(one, number) for one in null[:APART]]
        true = contrasts(rng, spread, GAIN)
        gains.append(float(true.mean()))
        first, *_ = decide([directed(true, seed=number, draws=DRAWS), *tests[1:]])
        found += first.verdict == "supported"
    mean_luck, mean_gain = (100 * math.fsum(one) / len(one) for one in (luck, gains))
    wrong = supported / reports, contradicted / reports
    bootstrap, t = (sum(one) / len(called) for one in zip(*called, strict=True))
    return Rates(spread, mean_luck, *wrong, found / reports, mean_gain, bootstrap, t)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10 instead of 300 reports of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    chosen = parser.parse_args()
    reports, start = (10 if chosen.quick else 300), time.perf_counter()
    found = [simulate(spread, reports) for spread in SPREADS]
    slack = 1.96 * math.sqrt(ALPHA * (1 - ALPHA) / reports)
    wrong = [one for one in found if max(one.supported, one.contradicted) > ALPHA + slack]
    seconds = round(time.perf_counter() - start, 1)
    if chosen.json:
        print(json.dumps({"reports": reports, "rates": [asdict(one) for one in found], "seconds": seconds}))
    else:
        rows = [
            [f"{one.spread:g}", f"{one.points:.1f}", *(f"{100 * x:.1f}" for x in (one.supported, one.contradicted)),
             f"{one.gain:.1f}", f"{100 * one.found:.1f}", f"{100 * one.bootstrap:.2f}", f"{100 * one.t:.2f}"]
            for one in found
        ]  # fmt: skip
        header = ["seeds\nlogits", "seeds\npoints", "wrongly\nsupported %", "wrongly\ncontradicted %", "true\npoints",
                  "found %", "bootstrap\nalone %", "t\nalone %"]  # fmt: skip
        print(tabulate(rows, headers=header, disable_numparse=True))
        print(f"\n{reports} reports of {CLAIMS} claims, {SEEDS} seeds, {PROBLEMS} problems; at most 5 % may be wrong,")
        print(f"known to ± {100 * slack:.1f} points. {seconds} s.{' Too few to judge by.' if chosen.quick else ''}")
    raise SystemExit(1 if wrong and not chosen.quick else 0)


if __name__ == "__main__":
    main()
