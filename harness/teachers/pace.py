"""How fast an endpoint may be asked: requests and tokens per minute, given, read from its headers, or found out.

Nothing here sleeps or sends; times are seconds of one monotonic clock that the caller passes in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MARGIN = 0.98  # of a stated limit that is used: clocks and networks are never exact
BURST_S = 0.25  # a pause of the sender is caught up with as far as this
# Where no limit is known: share of the pace after a refusal, growth per second without one, and the least share of the
# best second so far.
CUT, RISE, LEAST = 0.8, 0.25, 0.5
SHORTEST_S = 0.25  # in which answers can be counted
EPOCH = 1e9  # a larger number of seconds is no pause but a time of the epoch; a thousand times that, in milliseconds
UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|[dhms])")  # of a duration as Go writes it, and most endpoints do


class Meter:
    """Lets a rate of units per second through, evenly; a rate of 0 lets everything through."""

    def __init__(self, per_minute: float = 0.0) -> None:
        self.rate = per_minute * MARGIN / 60
        self.free_at = 0.0

    def take(self, units: float, now: float) -> float:
        """Count units and return when they may go."""
        if self.rate <= 0:
            return now
        start = max(self.free_at, now - BURST_S)
        self.free_at = start + units / self.rate
        return max(start, now)


class Pace:
    """The pace of one endpoint, for one of several processes that share its limits."""

    def __init__(self, rpm: float = 0.0, tpm: float = 0.0, sharing: int = 1) -> None:
        self.known = {"requests": rpm > 0, "tokens": tpm > 0}
        self.sharing = max(1, sharing)
        self.meters = {"requests": Meter(rpm / self.sharing), "tokens": Meter(tpm / self.sharing)}
        self.paused_until = 0.0
        self.second, self.count, self.best = 0.0, 0, 0.0  # answers in this second, and most in any
        self.risen = 0.0

    def slot(self, tokens: int, now: float) -> float:
        """Return when a call of about so many tokens may go."""
        turns = [self.meters["requests"].take(1, now), self.meters["tokens"].take(tokens, now)]
        return max(*turns, self.paused_until)

    def refused(self, seconds: float, now: float, *, alone: bool = False) -> None:
        """Let nothing go for a while; where no limit is known, go on slower than what the endpoint has borne.

        A refusal within a known limit that comes `alone` pauses nobody else; it used nothing of the allowance, so its
        turn is given back.
        """
        if alone and self.known["requests"]:
            meter = self.meters["requests"]
            meter.free_at -= 1 / meter.rate
            return
        first = now >= self.paused_until  # of the refusals that came together
        self.paused_until = max(self.paused_until, now + seconds)
        if first and not self.known["requests"]:
            meter = self.meters["requests"]
            best = self.best or self.count / max(now - self.second, SHORTEST_S)
            if best:
                meter.rate = max(CUT * (meter.rate or best), LEAST * best)
                meter.free_at = max(meter.free_at, now + seconds)
            self.risen = now + seconds

    def answered(self, headers: Mapping[str, str], now: float) -> None:
        """Take over the limits that an answer's headers state; where none is known, dare a little more."""
        if now - self.second >= 1:
            self.best = max(self.best, self.count / max(1.0, now - self.second))
            self.second, self.count = now, 0
        self.count += 1
        for name, meter in self.meters.items():
            limit = stated(headers.get(f"x-ratelimit-limit-{name}"))
            if limit and limit > 0 and not self.known[name]:
                meter.rate = limit * MARGIN / 60 / self.sharing
                meter.free_at = max(meter.free_at, now)
                self.known[name] = True
        meter = self.meters["requests"]
        if not self.known["requests"] and meter.rate > 0 and now > self.risen:
            meter.rate *= 1 + RISE * min(now - self.risen, 1.0)
            self.risen = now


def stated(text: str | None) -> float | None:
    """Return a number that a header states, None for what is no finite number."""
    try:
        number = float(text) if text else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a refusal asks to wait, None where it does not say.

    What `Retry-After` says comes first; then when the limits that are used up are renewed (`x-ratelimit-reset…`, of
    which there is one for each `x-ratelimit-remaining…`). `now` is in seconds of the epoch; the endpoint's own clock is
    taken where it tells it, as dates are compared with it.
    """
    theirs = moment(headers.get("date", ""))
    now = now if theirs is None else theirs
    milliseconds = stated(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    seconds = wait_of(headers.get("retry-after", ""), now)
    if seconds is not None:
        return seconds
    used_up = [of for of in ("-requests", "-tokens", "") if stated(headers.get(f"x-ratelimit-remaining{of}")) == 0]
    waits = [wait_of(headers.get(f"x-ratelimit-reset{of}", ""), now) for of in used_up]
    return max((wait for wait in waits if wait is not None), default=None)


def wait_of(text: str, now: float) -> float | None:
    """Return the seconds from now that a text states: a number, `6m0s`, `12ms`, a time of the epoch or a date."""
    number = stated(text)
    if number is None and text and not PART.sub("", text):
        number = sum(float(count) * UNITS[unit] for count, unit in PART.findall(text))
    elif number is not None and number > EPOCH:
        number = (number / 1000 if number > EPOCH * 1000 else number) - now
    if number is None and (then := moment(text)) is not None:
        number = then - now
    return None if number is None else max(0.0, number)


def moment(text: str) -> float | None:
    """Return the seconds of the epoch of a date, in HTTP's form or ISO 8601's; None for what is none."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            date = read(text)
        except (ValueError, TypeError):
            continue
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return None
