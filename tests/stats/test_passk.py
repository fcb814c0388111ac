"""pass@k and its interval."""

from __future__ import annotations

import itertools
import statistics

import pytest

from harness.errors import UsageError
from harness.stats import passk


def test_pass_at_k_matches_hand_computed_values() -> None:
    assert passk.pass_at_k(20, 5, 1) == 0.25
    assert passk.pass_at_k(20, 5, 10) == pytest.approx(0.983746, abs=5e-7)
    assert passk.pass_at_k(10, 0, 5) == 0
    assert passk.pass_at_k(10, 6, 5) == 1  # fewer than five fail, so any five hold a pass


@pytest.mark.parametrize(("n", "c", "k"), [(5, 2, 2), (6, 1, 3), (7, 4, 5)])
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_pass(n: int, c: int, k: int) -> None:
    subsets = list(itertools.combinations([True] * c + [False] * (n - c), k))
    assert passk.pass_at_k(n, c, k) == pytest.approx(sum(any(s) for s in subsets) / len(subsets))


def test_k_above_the_samples_is_refused_and_the_message_says_what_to_set() -> None:
    with pytest.raises(UsageError, match=r"k=10: .* at least 10 samples .* hold 1; set decode\.samples=10"):
        passk.pass_at_k(1, 1, 10)


def test_one_sample_interval_is_wilsons() -> None:
    from scipy.stats import binomtest

    found = passk.estimate([1] * 125 + [0] * 275, samples=1)
    wilson = binomtest(125, 400).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((0.3125, wilson.low, wilson.high), abs=1e-12)


def test_several_samples_are_not_more_problems() -> None:
    """Ten equal samples of a problem tell no more of other problems than one does."""
    once, tenfold = passk.estimate([1, 0, 0, 1, 0] * 20, 1), passk.estimate([10, 0, 0, 10, 0] * 20, 10)
    assert tenfold == once


def test_standard_error_is_that_of_the_mean_over_problems() -> None:
    correct = [0, 3, 10, 7, 5, 1, 0, 2]
    values = [c / 10 for c in correct]
    assert passk.estimate(correct, 10).se == pytest.approx(statistics.stdev(values) / len(values) ** 0.5)


def test_interval_narrows_where_samples_agree_within_no_problem() -> None:
    split, sure = passk.estimate([5] * 10 + [4] * 10, 10), passk.estimate([10] * 9 + [0] * 11, 10)
    assert split.value == sure.value == pytest.approx(0.45)
    assert split.high - split.low < 0.5 * (sure.high - sure.low)


@pytest.mark.parametrize(("correct", "samples"), [([0] * 50, 1), ([10] * 50, 10)])
def test_interval_keeps_its_width_where_all_problems_agree(correct: list[int], samples: int) -> None:
    found = passk.estimate(correct, samples)
    assert found.low <= found.value <= found.high
    assert found.high - found.low == pytest.approx(0.0713, abs=1e-3)  # z²/(n + z²)


def test_no_problems_are_refused() -> None:
    with pytest.raises(UsageError, match="no problems"):
        passk.estimate([], 1)
