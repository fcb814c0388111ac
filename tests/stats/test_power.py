"""Detectable differences."""

from __future__ import annotations

import math

import pytest

from harness.stats import power


@pytest.mark.parametrize(
    ("n", "points"),
    [(164, (6.9, 9.8, 12.0)), (378, (4.6, 6.4, 7.9)), (500, (4.0, 5.6, 6.9)), (1319, (2.4, 3.4, 4.2))],
)
def test_detectable_matches_the_known_table(n: int, points: tuple[float, float, float]) -> None:
    found = [100 * power.detectable(n, share) for share in (0.1, 0.2, 0.3)]
    assert found == pytest.approx(points, abs=0.0501)


def test_one_seed_detects_nothing_about_a_recipe() -> None:
    assert power.detectable_recipe(400, 0.2, seeds=1, seed_sd=0.03) == math.inf


def test_many_calm_seeds_leave_the_problems_alone() -> None:
    assert power.detectable_recipe(400, 0.2, seeds=1000, seed_sd=0.0) == pytest.approx(
        power.detectable(400, 0.2), rel=0.01
    )


def test_spread_over_seeds_sets_a_floor_that_problems_cannot_lower() -> None:
    assert power.detectable_recipe(100_000, 0.2, seeds=3, seed_sd=0.03) > 0.09


def test_detectable_recipe_falls_with_seeds() -> None:
    found = [power.detectable_recipe(400, 0.2, seeds, 0.03) for seeds in (2, 3, 5, 10)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(("n", "share"), [(164, 0.2), (400, 0.3)])
def test_a_difference_of_that_size_is_found_in_four_cases_of_five(n: int, share: float) -> None:
    """Simulated: discordant problems split so that the true difference is the detectable one."""
    import numpy as np

    from harness.stats.discordant import mcnemar

    gain = power.detectable(n, share)
    rng = np.random.default_rng(0)
    draws = rng.multinomial(n, [(share + gain) / 2, (share - gain) / 2, 1 - share], size=1500)
    found = sum(mcnemar(int(gained), int(lost)) <= 0.05 for gained, lost, _ in draws) / len(draws)
    assert 0.75 < found < 0.87


def test_power_at_the_detectable_difference_is_the_one_asked_for() -> None:
    gain = power.detectable(400, 0.2)
    assert power.power_of(gain, math.sqrt(0.2 / 400)) == pytest.approx(0.8, abs=0.001)
    assert power.power_of(0.0, 0.01) == pytest.approx(0.025, abs=0.001)  # the one tail


def test_problems_for_a_difference_detect_it_and_fewer_do_not() -> None:
    n = power.problems_for(0.03, 0.2)
    assert power.detectable(n, 0.2) <= 0.03 < power.detectable(n - 1, 0.2)
