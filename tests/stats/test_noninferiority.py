"""The three answers of a gate."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.noninferiority import Needed, decide, measure, needed


def answer(candidate: list[int], baseline: list[int], samples: int = 1, margin: float = 0.02) -> str:
    loss = measure(candidate, baseline, (samples, samples), margin)
    return decide(loss, margin, loss.p_worse)


def pair(gained: int, lost: int, n: int) -> tuple[list[int], list[int]]:
    rest = n - gained - lost
    return [1] * gained + [0] * lost + [1] * rest, [0] * gained + [1] * lost + [1] * rest


def test_an_equal_answer_to_every_problem_passes_given_enough_problems() -> None:
    assert answer(*pair(0, 0, 164)) == "passed"
    assert answer(*pair(0, 0, 100)) == "inconclusive"


def test_a_clear_loss_is_regressed() -> None:
    assert answer(*pair(5, 30, 164)) == "regressed"


def test_a_sure_loss_smaller_than_the_margin_passes() -> None:
    # 10 of 2,000 lost and none gained: surely worse, and surely by less than 2 points
    assert answer(*pair(0, 10, 2000)) == "passed"


def test_a_loss_of_the_margin_that_may_be_chance_is_inconclusive() -> None:
    assert answer(*pair(8, 12, 164)) == "inconclusive"


def test_bounds_agree_with_the_answers() -> None:
    for gained, lost in ((0, 0), (8, 12), (5, 30), (30, 5), (0, 3)):
        loss = measure(*pair(gained, lost, 164), (1, 1), 0.02)
        assert (loss.p_safe <= 0.05) == (loss.low >= -0.02)
        assert (loss.p_worse <= 0.05) == (loss.high <= 0)


def test_unlike_numbers_of_samples_are_compared_by_rate() -> None:
    loss = measure([10, 0, 5] * 60, [1, 0, 0] * 60, (10, 1), 0.02)
    assert loss.value == pytest.approx(0.5 / 3)


def test_adjusted_p_can_take_a_regression_back() -> None:
    loss = measure(*pair(4, 12, 164), (1, 1), 0.02)
    assert decide(loss, 0.02, loss.p_worse) == "regressed"
    assert decide(loss, 0.02, 4 * loss.p_worse) == "inconclusive"


def test_the_problems_told_would_decide() -> None:
    """Simulated with the truth as observed: four gates in five on that many problems pass."""
    candidate, baseline = pair(12, 10, 200)
    loss = measure(candidate, baseline, (1, 1), 0.02)
    told = needed(candidate, baseline, (1, 1), loss, 0.02)
    assert told.units is not None and told.samples is None
    draws = np.random.default_rng(0).multinomial(told.units, [0.06, 0.05, 0.89], size=400)
    passed = sum(answer(*pair(int(g), int(x), told.units)) == "passed" for g, x, _ in draws)
    assert 0.72 < passed / 400 < 0.9


def test_samples_decide_where_the_spread_is_the_samples_own() -> None:
    rng = np.random.default_rng(3)
    rates = rng.uniform(0.2, 0.8, 300)
    ours, theirs = (rng.binomial(4, rates).tolist() for _ in range(2))
    loss = measure(ours, theirs, (4, 4), 0.02)
    told = needed(ours, theirs, (4, 4), loss, 0.02)
    assert told.samples is not None and told.samples > 4


def test_no_number_of_samples_decides_where_problems_themselves_differ() -> None:
    ours, theirs = [10, 0] * 82, [0, 10] * 82
    loss = measure(ours, theirs, (10, 10), 0.02)
    assert needed(ours, theirs, (10, 10), loss, 0.02).samples is None


@pytest.mark.parametrize("samples", [1, 5])
def test_errors_stay_at_their_level(samples: int) -> None:
    rng = np.random.default_rng(samples)
    wrong = {"unchanged regressed": 0, "loss of the margin passed": 0}
    for _ in range(400):
        ease = rng.normal(0, 3, 200)
        base, same = (rng.binomial(samples, 1 / (1 + np.exp(-ease))).tolist() for _ in range(2))
        wrong["unchanged regressed"] += answer(same, base, samples) == "regressed"
        worse = rng.binomial(samples, 1 / (1 + np.exp(-(ease - 0.5)))).tolist()  # about 5 points
        wrong["loss of the margin passed"] += answer(worse, base, samples) == "passed"
    assert max(wrong.values()) <= 0.075 * 400


def test_copies_of_problems_do_not_make_a_pass_surer() -> None:
    once = [1, 0, 1, 1, 0, 1, 1, 1] * 5
    copied = [value for value in once for _ in range(8)]
    families = [str(at // 8) for at in range(len(copied))]
    margin = 0.05
    assert measure(copied, copied, (1, 1), margin).p_safe < 0.05
    assert measure(copied, copied, (1, 1), margin, families=families).p_safe > 0.05


def test_families_that_balance_pass_no_surer_than_their_problems() -> None:
    ours, theirs = [1, 0, 1] * 30, [0, 1, 1] * 30  # every family gains one and loses one
    for samples in (1, 1), (2, 2):
        apart = measure(ours, theirs, samples, 0.05)
        joined = measure(ours, theirs, samples, 0.05, families=[str(at // 3) for at in range(90)])
        assert joined.low <= apart.low and apart.high <= joined.high
        assert joined.p_safe >= apart.p_safe > 0.05 and joined.p_worse >= apart.p_worse


def test_one_lost_problem_of_many_passes_no_sooner_for_families_elsewhere() -> None:
    ours, theirs = [0] + [1] * 163, [1] * 164
    joined = measure(ours, theirs, (1, 1), 0.02, families=["a", "a"] + [""] * 162)
    assert joined.p_safe >= measure(ours, theirs, (1, 1), 0.02).p_safe > 0.05


def test_families_are_what_more_is_needed_of() -> None:
    ours, theirs = pair(6, 5, 100)
    families = [str(at // 4) for at in range(100)]
    loss = measure(ours, theirs, (1, 1), 0.02, families=families)
    told = needed(ours, theirs, (1, 1), loss, 0.02).units
    apart = needed(ours, theirs, (1, 1), measure(ours, theirs, (1, 1), 0.02), 0.02).units
    assert loss.families == 25 and told is not None and apart is not None and 25 < told < apart


def test_one_family_decides_nothing_and_no_sample_helps() -> None:
    ours, theirs = pair(0, 50, 100)
    loss = measure(ours, theirs, (1, 1), 0.02, families=["a"] * 100)
    assert (loss.low, loss.high) == (-1.0, 1.0) and decide(loss, 0.02, loss.p_worse) == "inconclusive"
    assert needed(ours, theirs, (1, 1), loss, 0.02) == Needed(None, None)
