"""Holm's adjustment."""

from __future__ import annotations

import pytest

from harness.stats.multiplicity import benjamini_hochberg, holm


def test_holm_matches_a_hand_computed_family() -> None:
    # Sorted .005, .01, .03, .04 times 4, 3, 2, 1 = .02, .03, .06, .04; never below the one before: .02, .03, .06, .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_one_comparison_as_it_is() -> None:
    assert holm([0.03]) == [0.03]


def test_holm_never_exceeds_one() -> None:
    assert holm([0.6, 0.9, 0.7]) == [1.0, 1.0, 1.0]


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == []


def test_benjamini_hochberg_is_scipys() -> None:
    from scipy.stats import false_discovery_control

    ps = [0.001, 0.2, 0.03, 0.03, 0.9, 0.014, 0.5]
    assert benjamini_hochberg(ps) == pytest.approx(list(false_discovery_control(ps)))


def test_benjamini_hochberg_allows_more_than_holm() -> None:
    ps = [0.01, 0.02, 0.03, 0.04]
    assert all(bh <= strict for bh, strict in zip(benjamini_hochberg(ps), holm(ps), strict=True))
    assert max(benjamini_hochberg(ps)) == pytest.approx(0.04) and max(holm(ps)) > 0.05
