"""How fast an endpoint is asked; no server and no clock."""

from __future__ import annotations

import pytest

from harness.teachers.pace import MARGIN, Meter, Pace, retry_after


def test_a_meter_spreads_units_evenly() -> None:
    meter = Meter(600)  # 10 a second
    turns = [meter.take(1, 100.0) for _ in range(31)]
    assert turns[-1] - 100.0 == pytest.approx(30 / (10 * MARGIN) - 0.25)
    assert turns == sorted(turns)


def test_a_limit_is_shared_by_the_cells_at_work() -> None:
    alone, shared = Pace(rpm=600), Pace(rpm=600, sharing=3)
    assert shared.meters["requests"].rate == pytest.approx(alone.meters["requests"].rate / 3)


def test_a_given_limit_is_not_replaced_by_a_stated_one() -> None:
    headers = {"x-ratelimit-limit-requests": "60000", "x-ratelimit-limit-tokens": "nonsense"}
    given, free = Pace(rpm=60), Pace()
    for pace in (given, free):
        pace.answered(headers, 1.0)
    assert given.meters["requests"].rate == pytest.approx(MARGIN)
    assert free.meters["requests"].rate == pytest.approx(1000 * MARGIN)
    assert free.meters["tokens"].rate == 0


def test_tokens_hold_back_what_requests_would_allow() -> None:
    pace = Pace(rpm=6000, tpm=6000)
    pace.slot(1000, 10.0)
    assert pace.slot(1000, 10.0) > 19


def test_nothing_goes_during_a_pause() -> None:
    pace = Pace()
    assert pace.slot(1, 5.0) == 5.0
    pace.refused(3.0, 5.0)
    assert pace.slot(1, 6.0) == 8.0


def test_refusals_without_a_known_limit_slow_down_and_answers_speed_up_again() -> None:
    pace = Pace()
    for place in range(200):
        pace.answered({}, place / 100)
    pace.refused(0.1, 2.0)
    rate = pace.meters["requests"].rate
    assert 40 < rate < 100
    for second in range(3, 10):
        pace.answered({}, float(second))
    assert pace.meters["requests"].rate > 1.5 * rate


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 50.0),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:01 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 10.0) == seconds
