"""Intervals and tests from discordant problems."""

from __future__ import annotations

import math

import pytest

from harness.stats import discordant


def test_newcombe_matches_a_hand_computed_interval() -> None:
    # Wilson of 48/50: .8654 to .9890, of 38/50: .6259 to .8570; φ = −24/√(48·2·38·12) = −.1147;
    # .20 − √(.0946² + 2·.1147·.0946·.0970 + .0970²) = .0569, and so above
    assert discordant.newcombe(36, 12, 2, 50) == pytest.approx((0.0569, 0.3404), abs=2e-4)


def test_newcombe_without_a_discordant_problem_keeps_a_width() -> None:
    low, high = discordant.newcombe(0, 0, 0, 50)
    assert low < -0.05 and high > 0.05


def test_tango_statistic_at_no_difference_is_mcnemars() -> None:
    assert discordant.tango_z(15, 5, 100, 0.0) == pytest.approx(10 / math.sqrt(20))


def test_tango_matches_its_published_example() -> None:
    # Tango 1998: a crossover trial of 44, one lost and none gained, margin 0.1: z = 1.709, p = .044.
    assert discordant.tango_z(0, 1, 44, -0.1) == pytest.approx(1.709, abs=2e-3)


def test_tango_interval_is_where_its_test_turns() -> None:
    low, high = discordant.tango(15, 5, 100)
    assert discordant.tango_z(15, 5, 100, low) == pytest.approx(1.959964, abs=1e-6)
    assert discordant.tango_z(15, 5, 100, high) == pytest.approx(-1.959964, abs=1e-6)


def test_tango_of_equal_checkpoints_still_doubts() -> None:
    low, high = discordant.tango(0, 0, 164)
    assert -0.03 < low < -0.02 and high == pytest.approx(-low)


@pytest.mark.parametrize("n", [1, 7])
def test_intervals_of_a_total_loss_stay_within_one(n: int) -> None:
    for low, high in (discordant.tango(0, n, n), discordant.newcombe(0, 0, n, n)):
        assert -1 <= low <= -0.99999 + (1 - 1e-5) * 0.5 and high < 1
