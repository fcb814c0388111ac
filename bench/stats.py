"""Simulates comparisons whose truth is known and prints false alarms, power and coverage of the project's tests.

    python bench/stats.py [--quick] [--json]

Three parts: two checkpoints on n problems (problems are drawn, difficulty is U-shaped), two recipes with several seeds
each, and the coverage of intervals at rates from 5 to 95 %. It judges the statistics, not any recipe; nothing is
trained; `bench/references.py` holds them against scipy's and statsmodels'. Exit code 1: a target is missed; --quick
shows that it runs, and is too few comparisons to judge by.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from harness.stats import discordant, paired, passk, power, seeds
from harness.stats.paired import Difference
from harness.stats.student_t import t_quantile

Counts = NDArray[np.int64]  # passing samples by seed and problem (S, P)
SHARP = 3.0  # spread of problems' difficulty in logits: most are nearly always or nearly never solved
OWN = 0.8  # spread in logits of what one student finds easier than another, problem by problem
NOMINAL = 0.05
DRAWS = 1000  # of a simulated bootstrap or permutation test; the project's own take 10,000
CHECKPOINTS = "checkpoints,"
EXACT, USED = "McNemar exact, Newcombe", "used"  # of one sample: mid-p, Tango; of several: sign flip, t
MORE = 4  # draws of an interval's coverage for each of a test: its limits are two points apart
RATES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


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

    def bootstrap(method: paired.Method) -> Test:
        def test(a: Counts, b: Counts) -> tuple[float, float, bool]:
            diffs = ((a[0] - b[0]) / samples).tolist()
            low, high = paired.paired_bootstrap(diffs, seed=0, draws=DRAWS, method=method)
            return low, high, not low <= 0 <= high

        return test

    def flips(a: Counts, b: Counts) -> tuple[float, float, bool]:
        diffs = ((a[0] - b[0]) / samples).tolist()
        low, high = t_interval(a[0], b[0], samples)
        return low, high, paired.sign_flip(diffs, seed=0, draws=DRAWS) <= NOMINAL

    def exact(a: Counts, b: Counts) -> tuple[float, float, bool]:
        both, gained, lost = int((a & b).sum()), int((a > b).sum()), int((a < b).sum())
        low, high = discordant.newcombe(both, gained, lost, a.shape[1])
        return low, high, discordant.mcnemar(gained, lost, midp=False) <= NOMINAL

    several: dict[str, Test] = {
        "unpaired z": unpaired,
        "paired z": paired_z,
        "bootstrap, percentile": bootstrap("percentile"),
        "bootstrap, BCa": bootstrap("bca"),
    }
    if samples > 1:
        return several | {USED: flips}  # as `paired.compare` does, with fewer draws
    return several | {"sign flip, t": flips, EXACT: exact, USED: used}


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


def checkpoints(runs: int) -> Iterator[Figure]:
    for n, gain in ((164, 0.85), (1000, 0.35)):
        yield from simulate(World(f"{CHECKPOINTS} n={n}, K=1", n, gain), checkpoint_tests(1), runs)
    for n, gain in ((164, 0.5), (1000, 0.2)):
        world = World(f"{CHECKPOINTS} n={n}, K=10", n, gain, samples=10)
        yield from simulate(world, checkpoint_tests(10), runs)


def recipes(runs: int) -> Iterator[Figure]:
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


@dataclass(frozen=True)
class Coverage:
    """How often a 95 % interval held the truth, where the mean rate is `rate`."""

    n: int
    samples: int
    rate: float
    score: float  # of one score
    difference: float  # of a paired difference


def coverages(runs: int) -> Iterator[Coverage]:
    """Draw pairs of students whose rates are known: problems of U-shaped difficulty, skill set to meet the rate."""
    rng = np.random.default_rng(19_981_119)
    for n in (164, 1000):
        for samples in (1, 10):
            for rate in RATES:
                skill = skill_for(rate)
                truth = rate_of(skill + GAP) - rate
                held = [0, 0]
                for _ in range(runs):
                    ease = rng.normal(0, SHARP, n)
                    own = rng.normal(0, OWN, (2, n))
                    a, b = rng.binomial(samples, sigmoid(ease + own + np.array([[skill + GAP], [skill]])))
                    one = passk.estimate(b.tolist(), samples)
                    low, high = difference_interval(a, b, samples)
                    held[0] += one.low <= rate <= one.high
                    held[1] += low <= truth <= high
                yield Coverage(n, samples, rate, held[0] / runs, held[1] / runs)


def difference_interval(a: NDArray[np.int64], b: NDArray[np.int64], samples: int) -> tuple[float, float]:
    """Return the interval that `paired.compare` gives, without its test."""
    if samples == 1:
        return paired.score_interval(float(b.mean()), int((a > b).sum()), int((a < b).sum()), len(a))
    return t_interval(a, b, samples)


def t_interval(a: NDArray[np.int64], b: NDArray[np.int64], samples: int) -> tuple[float, float]:
    diffs, df = (a - b) / samples, len(a) - 1
    half = t_quantile(1 - NOMINAL / 2, df) * float(diffs.std(ddof=1)) / math.sqrt(len(a))
    return float(diffs.mean()) - half, float(diffs.mean()) + half


GAP = 0.2  # logits between the two students of `coverages`
EASE = np.random.default_rng(0).normal(0, math.hypot(SHARP, OWN), 100_000)


def rate_of(skill: float) -> float:
    return float(sigmoid(EASE + skill).mean())


@cache
def skill_for(rate: float) -> float:
    """Return the skill in logits whose mean rate over problems is `rate`, by halving."""
    low, high = -30.0, 30.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rate_of(middle) < rate else (low, middle)
    return low


def missed(figures: list[Figure], covered: list[Coverage], slack: float) -> list[str]:
    """Return the targets that were missed by more than `slack`, which is what chance alone may do."""
    found: list[str] = []
    for setting in dict.fromkeys(f.setting for f in figures if f.setting.startswith(CHECKPOINTS)):
        own = {f.test: f for f in figures if f.setting == setting}
        valid = [
            f.power for f in own.values() if f.false_alarms <= NOMINAL + slack
        ]  # what a level test may show by chance
        if abs(own[USED].false_alarms - NOMINAL) > 0.01 + slack:
            found.append(f"{setting}: false alarms {own[USED].false_alarms:.3f}")
        if own[USED].power < max(valid) - 0.03:
            found.append(f"{setting}: power {own[USED].power:.3f}, the best valid test has {max(valid):.3f}")
        if EXACT in own and own[EXACT].false_alarms > NOMINAL + slack:
            found.append(f"{setting}: exact McNemar raises {own[EXACT].false_alarms:.3f}")
    for one in covered:
        for name, share in (("score", one.score), ("difference", one.difference)):
            if not 0.94 - slack / math.sqrt(MORE) <= share <= 0.96 + slack / math.sqrt(MORE):
                found.append(f"coverage of a {name}, n={one.n}, K={one.samples}, rate {one.rate}: {share:.3f}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 instead of 4000 comparisons of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("--part", choices=("checkpoints", "recipes", "coverage"), help="one part alone")
    chosen = parser.parse_args()
    runs, start = (60 if chosen.quick else 4000), time.perf_counter()
    parts = [chosen.part] if chosen.part else ["checkpoints", "recipes", "coverage"]
    figures = list(checkpoints(runs)) if "checkpoints" in parts else []
    figures += list(recipes(runs)) if "recipes" in parts else []
    covered = list(coverages(MORE * runs)) if "coverage" in parts else []
    error = 1.96 * math.sqrt(NOMINAL * (1 - NOMINAL) / runs)
    failed = [] if chosen.quick else missed(figures, covered, error)
    if chosen.json:
        found = {"figures": [asdict(f) for f in figures], "coverage": [asdict(one) for one in covered]}
        print(json.dumps({"runs": runs, **found, "missed": failed, "seconds": elapsed(start)}))
    else:
        show(figures, covered, runs, error)
        judged = (
            "Too few to judge by." if chosen.quick else f"Missed by more than chance: {'; '.join(failed) or 'nothing'}"
        )
        print(f"{elapsed(start)} s. {judged}")
    raise SystemExit(1 if failed else 0)


def show(figures: list[Figure], covered: list[Coverage], runs: int, error: float) -> None:
    rows = [
        [f.setting, f.test, *(f"{100 * x:.1f}" for x in (f.false_alarms, f.power, f.coverage, f.half_width))]
        for f in figures
    ]
    header = ["points", "test", "false alarms %", "power %", "coverage %", "half width"]
    print(tabulate(rows, headers=header, disable_numparse=True))
    print(f"\n{runs} comparisons without and {runs} with a difference (recipes: half as many); nominal 5 and 95 %;")
    print(f"a share near 5 or 95 % is known to ± {100 * error:.1f} points. used: mid-p with Tango's interval for one")
    print("sample, sign flip with Student's t interval for several.\n")
    rows = [
        [str(c.n), str(c.samples), f"{100 * c.rate:g}", f"{100 * c.score:.1f}", f"{100 * c.difference:.1f}"]
        for c in covered
    ]
    print(
        tabulate(rows, headers=["n", "K", "rate %", "score covered %", "difference covered %"], disable_numparse=True)
    )
    print()
    header = ["benchmark", "n", "D=.10", ".20", ".30", "2 seeds", "3", "5", "10"]
    print(tabulate(detectable(), headers=header, disable_numparse=True))
    print(
        "\nDetectable difference in points at 80 % power: two checkpoints that disagree on a share D of the problems;"
    )
    print("two recipes at D=.20 with 3 points of standard deviation over seeds.\n")


def elapsed(start: float) -> float:
    return round(time.perf_counter() - start, 1)


if __name__ == "__main__":
    main()
