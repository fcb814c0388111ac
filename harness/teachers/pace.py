"""How fast an endpoint may be asked: requests and tokens per minute, given, read from its headers, or found out.

Nothing here sleeps or sends; times are seconds of one monotonic clock that the caller passes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

MARGIN = 0.98  # of a stated limit that is used: clocks and networks are never exact
BURST_S = 0.25  # a pause of the sender is caught up with as far as this
# Where no limit is known: share of the pace after a refusal, growth per second without one, and the least share of the
# best second so far.
CUT, RISE, LEAST = 0.8, 0.25, 0.5
SHORTEST_S = 0.25  # in which answers can be counted


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
            if limit and not self.known[name]:
                meter.rate = limit * MARGIN / 60 / self.sharing
                meter.free_at = max(meter.free_at, now)
                self.known[name] = True
        meter = self.meters["requests"]
        if not self.known["requests"] and meter.rate > 0 and now > self.risen:
            meter.rate *= 1 + RISE * min(now - self.risen, 1.0)
            self.risen = now


def stated(text: str | None) -> float | None:
    """Return a limit that a header states, None for what is no number."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds that a refusal asks to wait, stated in seconds, milliseconds or as a date; None: not stated.

    `now` is in seconds of the epoch.
    """
    milliseconds = stated(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(0.0, milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = stated(text)
    if seconds is not None:
        return max(0.0, seconds)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now) if text else None
    except (ValueError, TypeError):
        return None
