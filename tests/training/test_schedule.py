"""The schedule's learning rate and its refusals."""

from __future__ import annotations

from itertools import pairwise

import pytest

from harness.errors import TrainingError
from harness.training.objective import Margin, Objective
from harness.training.schedule import Schedule


def test_rate_rises_to_the_peak_then_falls_to_the_final_ratio() -> None:
    schedule = Schedule(updates=20, warmup=4, final_ratio=0.1)
    rates = [schedule.rate(done) for done in range(20)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert all(later < earlier for earlier, later in pairwise(rates[4:]))
    assert schedule.rate(20) == pytest.approx(0.1)


def test_rate_without_warmup_starts_at_the_peak() -> None:
    assert Schedule(updates=5, warmup=0).rate(0) == 1.0


def test_rate_stays_sound_when_warmup_outlasts_the_updates() -> None:
    assert [Schedule(updates=2, warmup=9).rate(done) for done in range(2)] == pytest.approx([0.1, 0.2])


def test_marks_default_to_the_last_update() -> None:
    assert Schedule(updates=7).all_marks == (7,)
    assert Schedule(updates=7, marks=(2, 5)).all_marks == (2, 5)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"updates": 0}, "updates"),
        ({"batch": 0}, "batch"),
        ({"batch": 6, "micro_batches": 4}, "micro_batches"),
        ({"marks": (3, 2)}, "marks=3,2: expected rising"),
        ({"marks": (9,)}, "marks=9: .*from 1 to 4 "),
        ({"device": "tpu"}, "device"),
        ({"learning_rate": 0.0}, "learning_rate"),
    ],
)
def test_a_wrong_value_is_refused_by_name(settings: dict[str, object], named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        Schedule(**({"updates": 4} | settings))  # type: ignore[arg-type]  # wrong on purpose


def test_pairs_are_used_only_by_a_contrast_that_weighs() -> None:
    used = [Objective().uses_pairs, Objective(Margin(0.2, 0.0)).uses_pairs, Objective(Margin(0.2, 0.5)).uses_pairs]
    assert used == [False, False, True]


@pytest.mark.parametrize("broken", [{"margin": -1.0}, {"weight": float("nan")}, {"tokens": "words"}])
def test_a_wrong_contrast_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises(TrainingError, match=next(iter(broken))):
        Margin(**broken)  # type: ignore[arg-type]  # wrong on purpose


def test_a_share_ends_where_its_tokens_are_spent_and_leaves_the_rest_to_the_next() -> None:
    schedule = Schedule(updates=8, marks=(4, 8), restarts=(2, 6), tokens=25)
    found = schedule.within([10] * 8)
    assert found.marks == (2, 5) and found.updates == 5 and found.restarts == (2,)
    assert found.rate(4) == pytest.approx(Schedule(updates=5, restarts=(2,)).rate(4))  # the rate still falls to its end


def test_tokens_never_allow_more_updates_than_the_marks_and_always_one_a_share() -> None:
    assert Schedule(updates=4, marks=(2, 4), tokens=1000).within([10] * 4).marks == (2, 4)
    assert Schedule(updates=4, marks=(2, 4), tokens=1).within([10] * 4).marks == (1, 2)


def test_tokens_are_in_the_key_only_where_they_are_limited() -> None:
    assert "tokens" not in Schedule(updates=4).key()
    assert Schedule(updates=4, tokens=9).key()["tokens"] == 9
