"""Recipes over seeds and problems."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats import paired, passk, seeds


def simulated(n_seeds: int, seed_sd: float, gain: float, seed: int = 0, n: int = 300) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    ease = np.random.default_rng(99).normal(0, 2, n)  # the same problems for every recipe
    luck = rng.normal(0, seed_sd, (n_seeds, 1))
    return rng.binomial(1, 1 / (1 + np.exp(-ease - luck - gain))).tolist()


def test_value_is_the_difference_of_the_means() -> None:
    ours, theirs = simulated(3, 0.2, 0.5, seed=1), simulated(3, 0.2, 0.0, seed=2)
    assert seeds.two_level(ours, theirs, 1).value == pytest.approx(np.mean(ours) - np.mean(theirs))


def test_hand_computed_two_seeds_two_problems() -> None:
    # d = [[1, 0], [1, 1]]: by problem 1, ½ (variance of mean 1/16); by seed ½, 1 (1/16); SE² = 1/8; df = 2.
    found = seeds.two_level([[1, 0], [1, 1]], [[0, 0], [0, 0]], 1)
    assert (found.value, found.se, found.df) == pytest.approx((0.75, 0.125**0.5, 2.0))
    assert found.p == pytest.approx(0.167950, abs=1e-6)  # t = 2.12132, df 2: 1 − t/√(2 + t²)


def test_spread_of_seeds_widens_the_interval() -> None:
    calm, wild = (seeds.two_level(simulated(4, sd, 0.5, 1), simulated(4, sd, 0, 2), 1) for sd in (0.0, 0.8))
    assert wild.high - wild.low > 1.5 * (calm.high - calm.low)


def test_one_lucky_seed_convinces_the_test_of_checkpoints_but_not_that_of_recipes() -> None:
    lucky, other, theirs = [1] * 200 + [0] * 100, [1] * 100 + [0] * 200, [1] * 120 + [0] * 180
    assert paired.compare(lucky, theirs, 1).p < 0.001
    assert seeds.two_level([lucky, other, theirs], [theirs] * 3, 1).p > 0.3


def test_more_seeds_narrow_the_interval() -> None:
    few, many = (seeds.two_level(simulated(s, 0.5, 0.5, 1), simulated(s, 0.5, 0, 2), 1) for s in (3, 12))
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_seeds_that_move_together_gain_from_pairing() -> None:
    rng = np.random.default_rng(5)
    ease, shared = rng.normal(0, 2, 300), rng.normal(0, 0.8, (5, 1))
    ours, theirs = (rng.binomial(1, 1 / (1 + np.exp(-ease - shared - gain))).tolist() for gain in (0.3, 0.0))
    with_pairs, without = seeds.two_level(ours, theirs, 1), seeds.two_level(ours, theirs, 1, paired=False)
    assert with_pairs.value == without.value
    assert with_pairs.se < 0.7 * without.se


def test_welch_part_over_seeds_is_scipys() -> None:
    """With problems that all behave alike only the seeds' means are left, and the test is Welch's."""
    from scipy.stats import ttest_ind

    ours, theirs = [[3] * 50, [5] * 50, [6] * 50], [[2] * 50, [3] * 50, [3] * 50, [1] * 50]
    found = seeds.two_level(ours, theirs, 10, paired=False)
    reference = ttest_ind([0.3, 0.5, 0.6], [0.2, 0.3, 0.3, 0.1], equal_var=False)
    assert found.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert "Welch" in found.test


def test_untrained_student_is_one_checkpoint_and_adds_no_spread_of_seeds() -> None:
    ours, base = simulated(3, 0.2, 0.5, seed=1), simulated(1, 0.0, 0.0, seed=2)
    alone, repeated = seeds.two_level(ours, base, 1), seeds.two_level(ours, base * 3, 1)
    assert (alone.value, alone.se, alone.df) == pytest.approx((repeated.value, repeated.se, repeated.df))


def test_recipes_that_agree_everywhere_do_not_differ() -> None:
    found = seeds.two_level([[1, 0, 1]] * 3, [[1, 0, 1]] * 3, 1)
    assert (found.value, found.p, found.discordant) == (0, 1, 0)


def test_recipes_that_agree_everywhere_are_not_certain_to_agree_elsewhere() -> None:
    found = seeds.two_level([[1, 0, 1, 0] * 50] * 3, [[1, 0, 1, 0] * 50] * 3, 1)
    assert found.high == -found.low == pytest.approx(1 - 0.025 ** (1 / 200))  # Clopper and Pearson's at 0 of 200


def test_score_over_seeds_is_wider_than_over_problems_alone() -> None:
    by_seed = simulated(3, 0.6, 0.0)
    over_seeds, single = seeds.estimate(by_seed, 1), passk.estimate(by_seed[0], 1)
    assert over_seeds.value == pytest.approx(np.mean(by_seed))
    assert over_seeds.high - over_seeds.low > single.high - single.low
    assert 0 <= over_seeds.low <= over_seeds.value <= over_seeds.high <= 1


def test_score_of_identical_seeds_has_the_width_of_the_problems() -> None:
    one = [1] * 30 + [0] * 70
    found, single = seeds.estimate([one] * 4, 1), passk.estimate(one, 1)
    assert (found.low, found.high) == pytest.approx((single.low, single.high), abs=0.003)  # t with 99 df for z


def test_score_of_all_zeros_keeps_an_upper_bound() -> None:
    found = seeds.estimate([[0] * 60, [0] * 60], 1)
    assert found.value == found.low == 0
    assert 0.04 < found.high < 0.08


def test_two_way_bootstrap_is_seeded_and_brackets_the_value() -> None:
    ours, theirs = simulated(3, 0.2, 0.5, seed=1), simulated(3, 0.2, 0.0, seed=2)
    low, high = seeds.two_way_bootstrap(ours, theirs, 1, seed=0, draws=1000)
    assert low < seeds.two_level(ours, theirs, 1).value < high
    assert (low, high) == seeds.two_way_bootstrap(ours, theirs, 1, seed=0, draws=1000)


def test_copies_of_problems_count_once_where_their_families_are_known() -> None:
    families = [str(at // 3) for at in range(30)]
    ours = [[int((at // 3 + seed) % 3 == 0) for at in range(30)] for seed in range(3)]
    theirs = [[int((at // 3 + seed) % 5 == 0) for at in range(30)] for seed in range(3)]
    once = [[own[::3] for own in side] for side in (ours, theirs)]
    found, expected = seeds.two_level(ours, theirs, 1, families=families), seeds.two_level(*once, 1)
    assert (found.low, found.high, found.p) == pytest.approx((expected.low, expected.high, expected.p))
    assert found.test == "t over seeds and families of problems"
    score = seeds.estimate(ours, 1, families=families)
    assert (score.low, score.high) == pytest.approx((seeds.estimate(once[0], 1).low, seeds.estimate(once[0], 1).high))


def test_a_single_family_leaves_every_score_and_difference_possible() -> None:
    ours, theirs = [[1, 0, 1], [1, 1, 0]], [[0, 0, 1], [0, 1, 0]]
    score = seeds.estimate(ours, 1, families=["a"] * 3)
    found = seeds.two_level(ours, theirs, 1, families=["a"] * 3)
    assert (score.low, score.high) == (0.0, 1.0)
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_families_are_no_surer_where_seeds_differ_more_than_problems() -> None:
    # A larger variance over problems, beside that of three seeds, raises the degrees of freedom.
    ours = [[1] * 40, [1] * 40, [0] * 36 + [1] * 4]
    theirs, families = [[0] * 40] * 3, [str(at // 4) for at in range(40)]
    apart, joined = seeds.two_level(ours, theirs, 1), seeds.two_level(ours, theirs, 1, families=families)
    assert joined.df > apart.df and joined.low <= apart.low and joined.high >= apart.high and joined.p >= apart.p
    score, plain = seeds.estimate(ours, 1, families=families), seeds.estimate(ours, 1)
    assert score.low <= plain.low and score.high >= plain.high
