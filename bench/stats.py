"""Simulates comparisons whose truth is known and prints false alarms, power and coverage of the project's tests.

    python bench/stats.py [--quick] [--json]

Two parts: two checkpoints on n problems (problems are drawn, difficulty is U-shaped), and two recipes with several
seeds each. It judges the statistics, not any recipe; nothing is trained.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from harness.stats import paired, passk, power, seeds
from harness.stats.paired import Difference

Counts = NDArray[np.int64]  # passing samples by seed and problem (S, P)
SHARP = 3.0  # spread of problems' difficulty in logits: most are nearly always or nearly never solved
OWN = 0.8  # spread in logits of what one student finds easier than another, problem by problem
NOMINAL = 0.05


@dataclass(frozen=True)
class Figure:
    """What one test did over all simulated comparisons; shares in [0, 1]."""

    setting: str
    test: str
    false_alarms: float  # share of p ≤ .05, or of intervals without 0, where there is no difference
    power: float  # the same where there is one
    coverage: float  # share of 95 % intervals that hold the true difference, over both
    half_width: float  # mean, of the interval


Test = Callable[[Counts, Counts], tuple[float, float, bool]]  # low, high, rejected


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))


@dataclass(frozen=True)
class World:
    """What is simulated; `gain` is the candidate's greater skill in logits where there is a difference."""

    name: str
    n: int  # problems
    gain: float
    samples: int = 1  # per problem
    seeds: int = 1
    seed_sd: float = 0.0  # in logits
    fixed: bool = False  # the reference is one checkpoint by design, such as the untrained student

    def draw(self, rng: np.random.Generator, gain: float) -> tuple[Counts, Counts]:
        """Return (S, P) counts of the candidate and the reference."""
        ease = rng.normal(-0.5, SHARP, self.n)  # (P,)
        own = rng.normal(0, OWN, (2, 1, self.n))
        luck = rng.normal(0, self.seed_sd, (2, self.seeds, 1))
        luck[1] *= not self.fixed
        skill = np.array([gain, 0.0])[:, None, None]
        candidate, reference = rng.binomial(self.samples, sigmoid(ease + own + luck + skill))
        return candidate, reference[:1] if self.fixed else reference

    def true_difference(self, rng: np.random.Generator, gain: float) -> float:
        """Return the difference of the mean scores over all problems and seeds, by a million draws."""
        ease = rng.normal(-0.5, math.hypot(SHARP, OWN), 1_000_000)
        luck = rng.normal(0, self.seed_sd, 1_000_000)
        return float((sigmoid(ease + luck + gain) - sigmoid(ease + luck * (not self.fixed))).mean())


def z_interval(value: float, se: float) -> tuple[float, float, bool]:
    half = NormalDist().inv_cdf(1 - NOMINAL / 2) * se
    return value - half, value + half, abs(value) > half


def checkpoint_tests(samples: int) -> dict[str, Test]:
    """Return the tests of two checkpoints: what the project uses, and what it replaces."""

    def unpaired(a: Counts, b: Counts) -> tuple[float, float, bool]:
        one, other = (passk.estimate(counts[0].tolist(), samples) for counts in (a, b))
        return z_interval(one.value - other.value, math.hypot(one.se, other.se))

    def paired_z(a: Counts, b: Counts) -> tuple[float, float, bool]:
        diffs = (a[0] - b[0]) / samples
        return z_interval(float(diffs.mean()), float(diffs.std(ddof=1)) / math.sqrt(len(diffs)))

    def used(a: Counts, b: Counts) -> tuple[float, float, bool]:
        return told(paired.compare(a[0].tolist(), b[0].tolist(), samples))

    def bootstrap(a: Counts, b: Counts) -> tuple[float, float, bool]:
        low, high = paired.paired_bootstrap(((a[0] - b[0]) / samples).tolist(), seed=0, draws=1000)
        return low, high, not low <= 0 <= high

    def exact(a: Counts, b: Counts) -> tuple[float, float, bool]:
        gained, lost = int((a > b).sum()), int((a < b).sum())
        low, high = paired.agresti_min(gained, lost, a.shape[1])
        return low, high, paired.mcnemar(gained, lost, midp=False) <= NOMINAL

    if samples > 1:
        return {"unpaired z": unpaired, "paired z": paired_z, "used: sign flip, bootstrap": used}
    return {
        "unpaired z": unpaired,
        "paired z": paired_z,
        "McNemar exact, Agresti-Min": exact,
        "paired bootstrap": bootstrap,
        "used: mid-p, Agresti-Min": used,
    }


def told(found: Difference) -> tuple[float, float, bool]:
    return found.low, found.high, found.p <= NOMINAL


def recipe_tests(fixed: bool = False) -> dict[str, Test]:
    """Return the tests of two recipes, or of a recipe against one fixed checkpoint."""

    def crossed(a: Counts, b: Counts) -> tuple[float, float, bool]:
        return told(seeds.two_level(a.tolist(), b.tolist(), 1))

    def welch(a: Counts, b: Counts) -> tuple[float, float, bool]:
        return told(seeds.two_level(a.tolist(), b.tolist(), 1, paired=False))

    def bootstrap(a: Counts, b: Counts) -> tuple[float, float, bool]:
        low, high = seeds.two_way_bootstrap(a.tolist(), b.tolist(), 1, seed=0, draws=400)
        return low, high, not low <= 0 <= high

    def one_seed(a: Counts, b: Counts) -> tuple[float, float, bool]:
        return told(paired.compare(a[0].tolist(), b[0].tolist(), 1))

    tests: dict[str, Test] = {"one seed of them, mid-p": one_seed, "two-way bootstrap": bootstrap, "used: t": crossed}
    return tests if fixed else tests | {"used for unlike seeds: Welch t": welch}


def simulate(world: World, tests: dict[str, Test], runs: int) -> Iterator[Figure]:
    """Run every test on the same simulated comparisons, half of them without a difference in skill."""
    rng = np.random.default_rng(20_231_118)
    gains = (0.0, world.gain)
    truths = [world.true_difference(rng, gain) for gain in gains]
    seen: dict[str, list[tuple[float, float, bool, float]]] = {name: [] for name in tests}
    for run in range(2 * runs):
        candidate, reference = world.draw(rng, gains[run % 2])
        for name, test in tests.items():
            seen[name].append((*test(candidate, reference), truths[run % 2]))
    for name, found in seen.items():
        rejected = [hit for _, _, hit, _ in found]
        yield Figure(
            setting=f"{world.name}, true {100 * truths[1]:+.1f}",
            test=name,
            false_alarms=sum(rejected[0::2]) / runs,
            power=sum(rejected[1::2]) / runs,
            coverage=sum(low <= true <= high for low, high, _, true in found) / (2 * runs),
            half_width=sum(high - low for low, high, _, _ in found) / (4 * runs),
        )


def measure(runs: int) -> Iterator[Figure]:
    yield from simulate(World("checkpoints, n=164, K=1", 164, 0.85), checkpoint_tests(1), runs)
    yield from simulate(World("checkpoints, n=400, K=1", 400, 0.5), checkpoint_tests(1), runs)
    yield from simulate(World("checkpoints, n=164, K=10", 164, 0.5, samples=10), checkpoint_tests(10), runs)
    for n, spread in ((2, 0.25), (3, 0.25), (5, 0.25), (3, 0.5)):
        name = f"recipes, n=400, {n} seeds" + (", wide spread" if spread > 0.25 else "")
        world = World(name, 400, 0.6, seeds=n, seed_sd=spread)
        yield from simulate(world, recipe_tests(), max(runs // 2, 1))
    world = World("recipe and untrained, n=400, 3 seeds", 400, 0.6, seeds=3, seed_sd=0.25, fixed=True)
    yield from simulate(world, recipe_tests(fixed=True), max(runs // 2, 1))


def detectable() -> list[list[str]]:
    """Return the detectable differences to be told before a run, in points."""
    rows: list[list[str]] = []
    for name, n in (("HumanEval", 164), ("MBPP+", 378), ("Pipelines", 400), ("MBPP test", 500)):
        one = [f"{100 * power.detectable(n, share):.1f}" for share in (0.1, 0.2, 0.3)]
        more = [f"{100 * power.detectable_recipe(n, 0.2, s, 0.03):.1f}" for s in (2, 3, 5, 10)]
        rows.append([name, str(n), *one, *more])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="300 instead of 2000 comparisons of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    chosen = parser.parse_args()
    runs, start = (300 if chosen.quick else 2000), time.perf_counter()
    figures = list(measure(runs))
    error = math.sqrt(NOMINAL * (1 - NOMINAL) / runs)
    if chosen.json:
        print(json.dumps({"runs": runs, "figures": [asdict(figure) for figure in figures], "seconds": elapsed(start)}))
        return
    rows = [
        [f.setting, f.test, *(f"{100 * x:.1f}" for x in (f.false_alarms, f.power, f.coverage, f.half_width))]
        for f in figures
    ]
    header = ["points", "test", "false alarms %", "power %", "coverage %", "half width"]
    print(tabulate(rows, headers=header, disable_numparse=True))
    print(f"\n{runs} comparisons without and {runs} with a difference (recipes: half as many); nominal 5 and 95 %;")
    print(f"a share near 5 or 95 % is known to ± {196 * error:.1f} points. {elapsed(start)} s.\n")
    header = ["benchmark", "n", "D=.10", ".20", ".30", "2 seeds", "3", "5", "10"]
    print(tabulate(detectable(), headers=header, disable_numparse=True))
    print(
        "\nDetectable difference in points at 80 % power: two checkpoints that disagree on a share D of the problems;"
    )
    print("two recipes at D=.20 with 3 points of standard deviation over seeds.")


def elapsed(start: float) -> float:
    return round(time.perf_counter() - start, 1)


if __name__ == "__main__":
    main()
