"""Families of problems."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats import clusters, paired, passk


def test_hand_computed_variance() -> None:
    # mean ½; family sums of deviations 1, −1: SE² = (1 + 1)/16 · 2/1 = ¼.
    assert clusters.variance_of_mean([1, 1, 0, 0], ["a", "a", "b", "b"]) == (0.25, 1)


def test_families_of_one_problem_are_no_families() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.5]
    variance, df = clusters.variance_of_mean(values, range(6))
    assert (variance, df) == (pytest.approx(np.var(values, ddof=1) / 6), 5)


def test_copies_of_a_problem_tell_no_more_than_one() -> None:
    once = [1, 0, 0, 1, 1, 0, 1, 1] * 5
    copied = [value for value in once for _ in range(4)]
    families = [at for at in range(40) for _ in range(4)]
    alone = clusters.variance_of_mean(once, range(40))
    assert clusters.variance_of_mean(copied, families) == (pytest.approx(alone[0]), alone[1])


def test_copies_of_problems_raise_no_false_alarms_where_the_plain_test_does() -> None:
    rng = np.random.default_rng(0)
    families = [str(at) for at in range(40) for _ in range(5)]
    alarms = {"families": 0, "problems": 0}
    for _ in range(300):
        diffs = np.repeat(rng.choice([-1, 0, 1], 40, p=[0.15, 0.7, 0.15]), 5).tolist()
        alone = paired.mcnemar(diffs.count(1), diffs.count(-1))
        alarms["families"] += paired.over_families(diffs, families, (0.0, 0.0, alone))[2] <= 0.05
        alarms["problems"] += alone <= 0.05
    assert alarms["families"] < 0.08 * 300 < 0.25 * 300 < alarms["problems"]


# 23 problems in 11 families, each but the last with as many passed as failed: their sums hardly vary.
BALANCED = [1.0, 0.0] * 11 + [1.0]
PAIRS = [str(min(at // 2, 10)) for at in range(23)]


def test_scores_that_balance_within_families_tell_no_more_than_independent_ones() -> None:
    found, apart = clusters.rate(BALANCED, PAIRS), passk.interval(BALANCED)
    assert found.low <= apart.low and apart.high <= found.high
    assert found.se == pytest.approx(apart.se)


def test_a_perfect_balance_is_hardly_another_answer_than_a_near_one() -> None:
    perfect, near = clusters.rate(BALANCED[:22], PAIRS[:22]), clusters.rate(BALANCED, PAIRS)
    assert perfect.high - perfect.low == pytest.approx(near.high - near.low, rel=0.05)


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
