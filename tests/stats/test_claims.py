"""Directed hypotheses: what is supported, contradicted or left open, and how often chance alone decides."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.claims import Contrasts, decide, detectable, directed, studentised, trend

DRAWS = 500


def contrasts(gain: float, seed: int = 0, seeds: int = 5, problems: int = 200, seed_sd: float = 0.02) -> Contrasts:
    """Return candidate less reference of simulated students: 0 or 1 on each problem, luck of each seed's own."""
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 0.3, problems)
    luck = rng.normal(0, seed_sd, (2, seeds, 1))
    rates = np.clip(0.4 + ease + luck + np.array([gain, 0.0])[:, None, None], 0.02, 0.98)
    a, b = rng.binomial(1, rates)
    return (a - b).astype(np.float64)


def test_a_clear_difference_in_the_claimed_direction_is_supported() -> None:
    [found] = decide([directed(contrasts(0.2), draws=DRAWS)])
    assert found.verdict == "supported"
    assert 0 < found.measured.low < found.measured.value < found.measured.high


def test_a_clear_difference_against_the_claim_contradicts_it() -> None:
    [found] = decide([directed(-contrasts(0.2), draws=DRAWS)])
    assert found.verdict == "contradicted"


def test_what_is_small_beside_the_spread_is_inconclusive_with_a_detectable_difference() -> None:
    [found] = decide([directed(contrasts(0.0, seed=3), draws=DRAWS)])
    assert found.verdict == "inconclusive"
    assert 0.01 < found.detectable < 0.2


def test_equivalence_is_supported_inside_a_wide_margin_and_not_inside_a_narrow_one() -> None:
    wide, narrow = (directed(contrasts(0.0, seed=3), margin, draws=DRAWS) for margin in (0.2, 0.001))
    assert decide([wide])[0].verdict == "supported"
    assert decide([narrow])[0].verdict == "inconclusive"


def test_a_difference_beyond_the_margin_contradicts_equivalence_whichever_its_sign() -> None:
    for sign in (1, -1):
        assert decide([directed(sign * contrasts(0.3), 0.02, draws=DRAWS)])[0].verdict == "contradicted"


def test_holm_over_more_hypotheses_asks_for_more() -> None:
    one = directed(contrasts(0.09), draws=20_000)
    assert decide([one])[0].verdict == "supported"
    nothing = [directed(contrasts(0.0, seed=seed), draws=DRAWS) for seed in range(1, 4)]
    alone, among = decide([one])[0], decide([one, *nothing])[0]
    assert among.holm_for == pytest.approx(4 * alone.holm_for)


def test_the_slope_over_cycles_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    cycles = [rng.random((2, 3)) for _ in range(4)]
    expected = np.polyfit(range(4), [cycle[1, 2] for cycle in cycles], 1)[0]
    assert trend(cycles)[1, 2] == pytest.approx(expected)


def test_equal_students_are_neither_better_nor_worse_but_within_a_margin_that_their_problems_can_tell() -> None:
    same = np.zeros((5, 50))
    assert decide([directed(same, draws=DRAWS)])[0].verdict == "inconclusive"
    assert decide([directed(same, 0.01, draws=DRAWS)])[0].verdict == "inconclusive"  # 0.99^50 is 0.61
    [found] = decide([directed(same, 0.1, draws=DRAWS)])
    assert found.verdict == "supported" and found.measured.p_for == pytest.approx(0.9**50)


def test_the_draws_are_centred_and_the_same_for_the_same_seed() -> None:
    found = contrasts(0.1)
    assert abs(studentised(found, 0, 2000).mean()) < 0.2
    assert (studentised(found, 5, 100) == studentised(found, 5, 100)).all()


def test_twice_the_seeds_and_problems_detect_less() -> None:
    few, many = contrasts(0.0, seeds=5), contrasts(0.0, seeds=10, problems=400)
    assert detectable(directed(many, draws=DRAWS), 0.05) < detectable(directed(few, draws=DRAWS), 0.05)


@pytest.mark.slow
def test_of_a_report_without_any_true_claim_at_most_one_in_twenty_supports_something() -> None:
    """Twelve claims at 5 seeds and 200 problems, no difference in any: the bound is 5 % and three standard errors."""
    reports, wrong = 60, 0
    for report in range(reports):
        tests = [directed(contrasts(0.0, seed=1000 * report + at), seed=at, draws=DRAWS) for at in range(12)]
        wrong += any(one.verdict == "supported" for one in decide(tests))
    assert wrong / reports <= 0.05 + 3 * (0.05 * 0.95 / reports) ** 0.5
