"""Families of problems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.errors import UsageError
from harness.stats import clusters, passk


def test_hand_computed_standard_error() -> None:
    # mean ½; family sums of deviations 1, −1: SE² = (1 + 1)/16 · 2/1 = ¼.
    found = clusters.clustered([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert (found.value, found.se, found.clusters) == (0.5, 0.5, 2)
    assert found.effective == pytest.approx(4 * (1 / 12) / 0.25)


def test_families_of_one_problem_are_no_families() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.5]
    found = clusters.clustered(values, range(6))
    assert found.se == pytest.approx(np.std(values, ddof=1) / math.sqrt(6))
    assert found.effective == pytest.approx(6)


def test_copies_of_a_problem_tell_no_more_than_one() -> None:
    once = [1, 0, 0, 1, 1, 0, 1, 1] * 5
    copied = [value for value in once for _ in range(4)]
    families = [at for at in range(40) for _ in range(4)]
    assert clusters.clustered(copied, families).se == pytest.approx(clusters.clustered(once, range(40)).se)
    assert clusters.clustered(copied, families).effective == pytest.approx(40, rel=0.03)


def test_copies_of_problems_raise_no_false_alarms_where_the_plain_test_does() -> None:
    rng = np.random.default_rng(0)
    families = [at for at in range(40) for _ in range(5)]
    alarms = {"families": 0, "problems": 0}
    for _ in range(300):
        diffs = np.repeat(rng.choice([-1, 0, 1], 40, p=[0.15, 0.7, 0.15]), 5)
        alarms["families"] += clusters.clustered(diffs.tolist(), families).p <= 0.05
        alarms["problems"] += clusters.clustered(diffs.tolist(), range(200)).p <= 0.05
    assert alarms["families"] < 0.08 * 300 < 0.25 * 300 < alarms["problems"]


def test_rate_stays_within_zero_and_one() -> None:
    found = clusters.rate([1] * 19 + [0], [at // 4 for at in range(20)])
    assert 0 <= found.low < found.value < found.high <= 1
    assert found.high - found.low > passk.interval([1] * 19 + [0]).high - passk.interval([1] * 19 + [0]).low


def test_a_problem_without_a_family_is_one_of_its_own() -> None:
    named = clusters.variance_of_mean([1, 0, 0, 1], ["a", "a", "b", "c"])
    assert clusters.variance_of_mean([1, 0, 0, 1], ["a", "a", "", ""]) == named


def test_a_single_family_tells_nothing_of_others() -> None:
    found = clusters.rate([1, 0, 1, 1], ["a"] * 4)
    assert (found.value, found.low, found.high) == (0.75, 0.0, 1.0)


def test_one_family_is_refused() -> None:
    with pytest.raises(UsageError, match="1 families"):
        clusters.clustered([1, 0], ["a", "a"])
