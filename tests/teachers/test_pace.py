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
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1.5s"}, 1.5),
        ({"retry-after": "1970-01-01T00:01:00Z"}, 50.0),
        ({"retry-after": "1970-01-01T00:01:00+00:01"}, 0.0),
        ({"date": "Thu, 01 Jan 1970 00:00:55 GMT", "retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 5.0),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 10.0) == seconds


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("12ms", 0.012),
        ("7.66s", 7.66),
        ("1h2m3.5s", 3723.5),
        ("120µs", 0.00012),
        ("1d1h", 90_000.0),
        ("30", 30.0),
        ("1800000020", 20.0),
        ("1800000020500", 20.5),
        ("2027-01-15T08:00:20Z", 20.0),
        ("Fri, 15 Jan 2027 08:00:20 GMT", 20.0),
        ("in a while", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("of", ["-requests", "-tokens", ""])
def test_the_renewal_of_a_limit_that_is_used_up_is_read_in_all_its_forms(
    said: str, seconds: float | None, of: str
) -> None:
    headers = {f"x-ratelimit-remaining{of}": "0", f"x-ratelimit-reset{of}": said}
    assert retry_after(headers, 1.8e9) == (None if seconds is None else pytest.approx(seconds))


def test_of_several_limits_those_that_are_used_up_say_how_long_to_wait() -> None:
    left = {"x-ratelimit-remaining-requests": "12", "x-ratelimit-reset-requests": "6h"}
    used = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "4s"}
    assert retry_after(left, 0.0) is None
    assert retry_after(left | used, 0.0) == 4.0
    assert retry_after(left | used | {"retry-after": "2"}, 0.0) == 2.0
