"""Two checkpoints on the same problems."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats import discordant, paired


@pytest.mark.parametrize(
    ("gained", "lost", "exact"), [(6, 1, 0.125), (12, 4, 0.0768), (1, 0, 1.0), (5, 0, 0.0625), (0, 0, 1.0), (3, 3, 1.0)]
)
def test_exact_mcnemar_matches_hand_computed_values(gained: int, lost: int, exact: float) -> None:
    assert discordant.mcnemar(gained, lost, midp=False) == pytest.approx(exact, abs=5e-5)
    assert discordant.mcnemar(lost, gained, midp=False) == pytest.approx(exact, abs=5e-5)


@pytest.mark.parametrize(("gained", "lost"), [(7, 2), (30, 18), (260, 215)])
def test_exact_mcnemar_is_the_binomial_test(gained: int, lost: int) -> None:
    from scipy.stats import binomtest

    assert discordant.mcnemar(gained, lost, midp=False) == pytest.approx(binomtest(gained, gained + lost).pvalue)


def test_midp_takes_the_observed_outcome_off_once() -> None:
    assert discordant.mcnemar(6, 1) == pytest.approx(0.125 - 7 / 2**7)
    assert discordant.mcnemar(5, 0) == pytest.approx(0.03125)
    assert discordant.mcnemar(4, 4) == 1


def test_difference_counts_the_candidates_gains_as_positive() -> None:
    found = paired.compare([1, 1, 1, 0], [0, 0, 1, 1], samples=1)
    assert (found.value, found.discordant, found.n) == (0.25, 3, 4)
    assert found.low < found.value < found.high
    assert found.covers == "problems"


def test_exchange_of_sides_mirrors_the_difference() -> None:
    a, b = [1] * 30 + [0] * 70, [0] * 12 + [1] * 25 + [0] * 63
    one, other = paired.compare(a, b, 1), paired.compare(b, a, 1)
    assert (one.value, one.low, one.high) == pytest.approx((-other.value, -other.high, -other.low))
    assert one.p == other.p


def test_agresti_and_mins_standard_error_is_the_hand_computed_one() -> None:
    assert discordant.agresti_min_se(15, 5, 100) == pytest.approx(0.0438660, abs=1e-6)  # √(21 − 100/102)/102


@pytest.mark.parametrize("samples", [1, 10])
def test_two_equal_checkpoints_are_not_certain_to_be_equal_elsewhere(samples: int) -> None:
    found = paired.compare([samples, 0, 0] * 40, [samples, 0, 0] * 40, samples)
    assert (found.value, found.p) == (0, 1)
    assert found.low < -0.01 and found.high > 0.01


def graded(seed: int, shift: float) -> tuple[list[int], list[int]]:
    rng = np.random.default_rng(seed)
    ease = rng.normal(0, 2, 150)
    ours, theirs = (rng.binomial(10, 1 / (1 + np.exp(-ease - own))) for own in (shift, 0.0))
    return ours.tolist(), theirs.tolist()


def test_bootstrap_by_counts_agrees_with_scipys_bootstrap_of_problems() -> None:
    from scipy.stats import bootstrap

    ours, theirs = graded(0, 0.3)
    diffs = (np.array(ours) - np.array(theirs)) / 10
    reference = bootstrap((diffs,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(1))
    found = paired.paired_bootstrap(diffs.tolist(), seed=0)
    # Monte Carlo error of a 2.5 % quantile of 10,000 draws is about a fortieth of the standard error.
    assert found == pytest.approx(tuple(reference.confidence_interval), abs=0.15 * diffs.std() / 150**0.5)


def test_bca_agrees_with_scipys_on_skewed_differences() -> None:
    from scipy.stats import bootstrap

    diffs = np.random.default_rng(4).exponential(0.1, 60) - 0.05
    reference = bootstrap((diffs,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1))
    found = paired.paired_bootstrap(diffs.tolist(), seed=0, draws=20_000, method="bca")
    plain = paired.paired_bootstrap(diffs.tolist(), seed=0, draws=20_000)
    assert found == pytest.approx(tuple(reference.confidence_interval), abs=0.1 * diffs.std() / 60**0.5)
    assert found[1] > plain[1]  # it leans towards the long tail


def test_interval_near_the_edge_is_newcombes_and_elsewhere_tangos() -> None:
    assert paired.score_interval(0.005, 3, 1, 200) == discordant.newcombe(0, 3, 1, 200)
    assert paired.score_interval(0.02, 3, 1, 100) == discordant.tango(3, 1, 100)


def test_sign_flip_agrees_with_scipys_permutation_test() -> None:
    from scipy.stats import permutation_test

    ours, theirs = graded(1, 0.15)
    diffs = (np.array(ours) - np.array(theirs)) / 10
    reference = permutation_test(
        (diffs,), np.mean, permutation_type="samples", n_resamples=10_000, rng=np.random.default_rng(2)
    )
    assert paired.sign_flip(diffs.tolist(), seed=0) == pytest.approx(reference.pvalue, abs=0.02)


def test_sign_flip_of_one_sample_is_exact_mcnemar() -> None:
    diffs = [1.0] * 12 + [-1.0] * 4 + [0.0] * 50
    assert paired.sign_flip(diffs, seed=0, draws=100_000) == pytest.approx(0.0768, abs=0.003)


def test_same_seed_gives_the_same_digits_and_another_seed_others() -> None:
    ours, theirs = graded(2, 0.2)
    assert paired.compare(ours, theirs, 10, seed=3) == paired.compare(ours, theirs, 10, seed=3)
    assert paired.compare(ours, theirs, 10, seed=3) != paired.compare(ours, theirs, 10, seed=4)


def test_pairing_beats_the_separate_intervals() -> None:
    """Two students that differ on few problems: the paired interval excludes 0 while the two scores' overlap."""
    from harness.stats import passk

    theirs = [1] * 80 + [0] * 84
    ours = [1] * 92 + [0] * 72
    found = paired.compare(ours, theirs, 1)
    assert found.low > 0
    assert passk.estimate(ours, 1).low < passk.estimate(theirs, 1).high


def test_comparison_at_k_uses_pass_at_k() -> None:
    found = paired.compare([2, 2, 2, 0], [1, 2, 2, 0], samples=2, k=2)
    assert found.value == 0  # one of two samples is enough for pass@2


COPIES = [at for at in range(20) for _ in range(4)]  # every problem four times
FAMILIES = [f"f{at}" for at in COPIES]
OURS, THEIRS = [at % 3 != 0 for at in COPIES], [at % 2 == 0 for at in COPIES]


def test_copies_of_problems_widen_the_interval_that_families_are_known_for() -> None:
    apart = paired.compare(OURS, THEIRS, 1)
    joined = paired.compare(OURS, THEIRS, 1, families=FAMILIES)
    assert joined.value == apart.value and joined.test == "t over families of problems"
    assert joined.high - joined.low > 1.8 * (apart.high - apart.low)
    assert joined.p > apart.p


def test_families_that_balance_are_no_surer_than_their_problems() -> None:
    ours, theirs = [1, 0, 1] * 10, [0, 1, 1] * 10  # every family gains one and loses one
    for samples in (1, 2):
        apart = paired.compare(ours, theirs, samples)
        joined = paired.compare(ours, theirs, samples, families=[str(at // 3) for at in range(30)])
        assert joined.low <= apart.low and apart.high <= joined.high and joined.p >= apart.p
        assert joined.high - joined.low < 1.5 * (apart.high - apart.low)


def test_a_single_discordant_problem_is_no_surer_for_families_elsewhere() -> None:
    apart = paired.compare([0] + [1] * 99, [1] * 100, 1)
    joined = paired.compare([0] + [1] * 99, [1] * 100, 1, families=["a", "a"] + [""] * 98)
    assert joined.low <= apart.low and apart.high <= joined.high and joined.p >= apart.p


def test_a_single_family_leaves_every_difference_possible() -> None:
    found = paired.compare(OURS, THEIRS, 1, families=["a"] * len(OURS))
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_families_without_a_difference_leave_an_interval() -> None:
    found = paired.compare(OURS, OURS, 1, families=FAMILIES)
    alone = paired.compare(OURS[::4], OURS[::4], 1, families=FAMILIES[::4])
    assert (found.low, found.high, found.p) == (alone.low, alone.high, 1.0) and found.low < -0.1
