"""Holds the project's statistics against scipy's and statsmodels' where they have the same, and prints how far apart.

    python bench/references.py [--json]

What has a formula must agree to the last digits; what is drawn agrees to what the draws leave open. It says nothing
about whether a method is good: `bench/stats.py` does. Exit code 1: something is further apart than its limit. Needs
the `bench` extra.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tabulate import tabulate

from harness.stats import clusters, discordant, multiplicity, paired, passk, power

FORMULA = 1e-9  # both round
DRAWN = 0.02  # of a p, or of an interval in standard errors times ten: 10,000 draws on either side
TABLES = [(b, c) for b in range(40) for c in range(40) if b + c]  # problems gained and lost
N = 100  # problems


@dataclass(frozen=True)
class Agreement:
    """How far one number of ours lies from a reference's, at most."""

    ours: str
    reference: str
    apart: float
    limit: float


def most(pairs: Iterator[tuple[float, float]]) -> float:
    return max(abs(one - other) for one, other in pairs)


def of_scipy() -> Iterator[Agreement]:
    from scipy import stats

    rng = np.random.default_rng(5)
    found = most((discordant.mcnemar(b, c, midp=False), float(stats.binomtest(b, b + c).pvalue)) for b, c in TABLES)
    yield Agreement("exact McNemar", "scipy binomtest", found, FORMULA)
    ps = rng.uniform(0, 0.2, 50).tolist()
    theirs = stats.false_discovery_control(ps).tolist()
    found = most(zip(multiplicity.benjamini_hochberg(ps), theirs, strict=True))
    yield Agreement("Benjamini-Hochberg", "scipy false_discovery_control", found, FORMULA)
    diffs = (rng.binomial(10, 0.5, 300) - rng.binomial(10, 0.47, 300)) / 10
    flips = stats.permutation_test((diffs,), np.mean, permutation_type="samples", n_resamples=9999, rng=rng)
    found = abs(paired.sign_flip(diffs.tolist(), 0) - float(flips.pvalue))
    yield Agreement("sign flip", "scipy permutation_test", found, DRAWN)
    methods: tuple[tuple[paired.Method, str], ...] = (("percentile", "percentile"), ("bca", "BCa"))
    for method, name in methods:
        bounds = paired.paired_bootstrap(diffs.tolist(), 0, method=method)
        interval = stats.bootstrap((diffs,), np.mean, n_resamples=9999, method=name, rng=rng).confidence_interval
        errors = most(zip(bounds, interval, strict=True)) / diffs.std() * math.sqrt(len(diffs))
        yield Agreement(f"bootstrap {name}, in standard errors", "scipy bootstrap", errors, 10 * DRAWN)


def of_statsmodels() -> Iterator[Agreement]:
    from statsmodels.stats import contingency_tables, multitest, proportion  # pyright: ignore[reportMissingImports]

    def mcnemar(b: int, c: int, exact: bool) -> float:
        found: Any = contingency_tables.mcnemar([[9, b], [c, 9]], exact=exact, correction=False)
        return float(found.pvalue)

    found = most((discordant.mcnemar(b, c, midp=False), mcnemar(b, c, True)) for b, c in TABLES)
    yield Agreement("exact McNemar", "statsmodels mcnemar", found, FORMULA)
    found = most((two_sided(discordant.tango_z(b, c, N, 0.0)), mcnemar(b, c, False)) for b, c in TABLES)
    yield Agreement("Tango's score test of no difference", "statsmodels mcnemar, asymptotic", found, FORMULA)
    ps = np.random.default_rng(5).uniform(0, 0.2, 50).tolist()
    for name, ours in (("holm", multiplicity.holm), ("fdr_bh", multiplicity.benjamini_hochberg)):
        theirs: Any = multitest.multipletests(ps, method=name)[1]
        found = most(zip(ours(ps), theirs.tolist(), strict=True))
        yield Agreement(ours.__name__, f"statsmodels multipletests {name}", found, FORMULA)
    wilson = (
        (passk.estimate([1] * c + [0] * (N - c), 1), proportion.proportion_confint(c, N, method="wilson"))
        for c in range(N + 1)
    )
    found = most(pair for one, two in wilson for pair in ((one.low, two[0]), (one.high, two[1])))
    yield Agreement("Wilson's interval of a rate", "statsmodels proportion_confint", found, FORMULA)
    yield Agreement(
        "Newcombe's interval, unrelated answers", "statsmodels confint_proportions_2indep", newcombe(), FORMULA
    )
    yield Agreement("clustered standard error", "statsmodels OLS, cov_type=cluster", clustered(), FORMULA)
    yield Agreement("power of a paired difference", "statsmodels normal_power", powers(), FORMULA)


def two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def newcombe() -> float:
    """Compare where his correlation is 0: both·neither = gained·lost."""
    from statsmodels.stats.proportion import confint_proportions_2indep  # pyright: ignore[reportMissingImports]

    worst = 0.0
    for ours, theirs in ((20, 50), (40, 50), (50, 10), (80, 25), (60, 60)):  # of 100, independent of each other
        both, gained, lost = ours * theirs // N, ours - ours * theirs // N, theirs - ours * theirs // N
        mine = discordant.newcombe(both, gained, lost, N)
        other: Any = confint_proportions_2indep(ours, N, theirs, N, method="newcomb")
        worst = max(worst, abs(mine[0] - other[0]), abs(mine[1] - other[1]))
    return worst


def clustered() -> float:
    import statsmodels.api as sm  # pyright: ignore[reportMissingImports]

    rng = np.random.default_rng(7)
    families = rng.integers(0, 40, 200)
    values = (rng.normal(0, 1, 40)[families] + rng.normal(0, 1, 200) > 0).astype(float)
    fitted: Any = sm.OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": families})
    variance, _ = clusters.variance_of_mean(values.tolist(), families.tolist())
    return abs(math.sqrt(variance) - float(fitted.bse[0]))


def powers() -> float:
    """Compare where the other tail's power, which ours leaves out, is below rounding."""
    from statsmodels.stats.power import normal_power  # pyright: ignore[reportMissingImports]

    return most(
        (power.power_of(effect, 1 / math.sqrt(n)), float(normal_power(effect, n, 0.05)))
        for effect, n in ((0.2, 1000), (0.3, 600), (0.1, 5000))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the same: it takes seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    chosen = parser.parse_args()
    if importlib.util.find_spec("statsmodels") is None:
        parser.error("statsmodels is not installed. Install it: pip install 'distil-harness[bench]'.")
    found = [*of_scipy(), *of_statsmodels()]
    if chosen.json:
        print(json.dumps({"agreements": [asdict(one) for one in found]}))
    else:
        rows = [[one.ours, one.reference, f"{one.apart:.1e}", f"{one.limit:.0e}"] for one in found]
        print(tabulate(rows, headers=["ours", "reference", "apart by at most", "limit"], disable_numparse=True))
    raise SystemExit(any(one.apart > one.limit for one in found))


if __name__ == "__main__":
    main()
