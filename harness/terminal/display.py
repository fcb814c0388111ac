"""Shows how far a comparison has come: a live panel on a terminal, plain lines elsewhere. It decides nothing."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from harness.comparison.compare import BASE
from harness.comparison.plan import UNIT_S, Forecast

LINE_EVERY_S = 10.0  # between plain lines of one job
WAITING = "waiting"  # the stage of a job that has not begun
KINDS = {
    "checkpoint": "training",
    "samples": "sampling",
    "scores": "scoring",
    "verdicts": "judging",
    "answers": "asking the teacher",
    "distributions": "reading the teacher",
}


class Tally:
    """How much of one job's forecast is done, in seconds of the forecast."""

    def __init__(self) -> None:
        self.planned = 0.0  # until the forecast is there
        self.units: Counter[str] = Counter()
        self.call = ("", 0, 0)  # kind, done, total of the call that is running
        self.stage = WAITING
        self.ended = False

    def see(self, event: dict[str, Any]) -> None:
        if event["event"] == "stage":
            self.stage = event["stage"]
            self.units[self.call[0]] += self.call[1]
            self.call = ("", 0, 0)
        elif event["event"] == "exit":
            self.ended = True
        elif event["event"] == "again":
            self.units.clear()
            self.call, self.stage = ("", 0, 0), WAITING
        elif event["event"] == "progress":
            kind, done, total = event["kind"], event["done"], event["total"]
            last_kind, last_done, last_total = self.call
            if kind != last_kind or done < last_done or total != last_total:
                self.units[last_kind] += last_done
            self.call = (kind, done, total)

    def seconds(self) -> float:
        """Return the forecast's seconds that are behind us, never more than were forecast."""
        if self.ended:
            return self.planned
        units = self.units + Counter({self.call[0]: self.call[1]})
        return min(0.99 * self.planned, sum(UNIT_S.get(kind, 0.0) * count for kind, count in units.items()))

    def doing(self) -> str:
        kind, done, total = self.call
        if self.ended:
            return "done"
        return f"{self.stage}: {KINDS[kind]} {done}/{total}" if kind in KINDS else self.stage


class Display:
    """Progress of all jobs of a command, with the time left. Use as a context manager.

    The forecast is made when a job first has work to do, in a thread of its own: a rehearsal takes seconds, which a
    command whose steps are all recorded would otherwise wait for.
    """

    def __init__(
        self, names: Sequence[str], workers: int, forecast: Callable[[], Sequence[Forecast]], stream: Any = None
    ) -> None:
        self.stream = stream or sys.stderr
        self.names = list(names)
        self.tallies = [Tally() for _ in names]
        self.total = 0.0
        self.forecast = forecast
        self.forecasting: threading.Thread | None = None
        self.workers = max(1, min(workers, len(names)))
        self.live: Any = None
        self.began = time.monotonic()
        self.last_line = [0.0] * len(names)
        self.last_stage = [""] * len(names)

    def __enter__(self) -> Display:
        self.began = time.monotonic()
        if self.stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self.live = Live(
                console=Console(file=self.stream), refresh_per_second=4, transient=True, get_renderable=self.panel
            )
            self.live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        if self.live is not None:
            self.live.__exit__(*exc)

    def estimate(self) -> None:
        found = self.forecast()
        for tally, one in zip(self.tallies, found, strict=True):
            tally.planned = one.seconds
        self.total = sum(one.seconds for one in found)

    def see(self, job: int, event: dict[str, Any]) -> None:
        if self.forecasting is None and event["event"] == "progress" and event["done"] < event["total"]:
            self.forecasting = threading.Thread(target=self.estimate, daemon=True)
            self.forecasting.start()
        base = event["event"] == "progress" and self.tallies[job].stage == BASE
        if not base:
            self.tallies[job].see(event)
        elif event["done"] >= self.tallies[0].call[1]:  # one job makes the base student, the others only wait for it
            if self.tallies[0].stage == WAITING:
                self.tallies[0].stage = BASE
            self.tallies[0].see(event)
        if event["event"] == "note":
            self.say(event["text"])
        elif event["event"] == "again":
            self.say(f"{self.names[job]}: {event['text']}")
        elif self.live is None:
            self.line(job, event)

    def say(self, text: str) -> None:
        if self.live is None:
            self.stream.write(f"{text}\n")
            self.stream.flush()
        else:
            self.live.console.print(text, markup=False, highlight=False)

    def line(self, job: int, event: dict[str, Any]) -> None:
        """Write a plain line when a job changes its stage, gains a row or has been silent for a while."""
        tally, now = self.tallies[job], time.monotonic()
        changed = tally.stage != self.last_stage[job] or event["event"] in ("row", "exit")
        if not changed and now - self.last_line[job] < LINE_EVERY_S:
            return
        self.last_line[job], self.last_stage[job] = now, tally.stage
        text = tally.doing()
        if event["event"] == "row":
            row = event["row"]
            rate = sum(row["correct"]) / (row["n"] * row["samples"])
            text = f"cycle {row['cycle']}: {row['benchmark']} pass@1 {100 * rate:.1f}"
        known = f"[{100 * self.share():3.0f}%, {self.left()} left] " if self.total else ""
        self.stream.write(f"{known}{self.names[job]}: {text}\n")
        self.stream.flush()

    def share(self) -> float:
        return sum(tally.seconds() for tally in self.tallies) / max(self.total, 1e-9)

    def left(self) -> str:
        """Return the time left: the forecast of what is left, at the pace so far (the forecast's own at first)."""
        rest = [tally.planned - tally.seconds() for tally in self.tallies]
        left = max(sum(rest) / self.workers, *rest)  # the longest job is not split
        share, elapsed = self.share(), time.monotonic() - self.began
        pace = elapsed * self.workers / max(1e-9, share * self.total)
        return clock(left * ((1 - share) + share * max(1.0, pace)))

    def panel(self) -> Any:
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        left = f"{self.left()} left" if self.total else "estimating the time"
        table.add_row(bar(self.share()), f"{100 * self.share():3.0f}%", left, style="bold")
        for name, tally in zip(self.names, self.tallies, strict=True):
            table.add_row(bar(tally.seconds() / max(tally.planned, 1e-9)), name, tally.doing())
        return table


def bar(share: float) -> str:
    full = round(12 * min(1.0, share))
    return "█" * full + "░" * (12 - full)


def clock(seconds: float) -> str:
    whole = round(seconds)
    return (
        f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        if whole >= 3600
        else f"{whole // 60}:{whole % 60:02d}"
    )


@contextmanager
def counting(stream: TextIO) -> Generator[Callable[[int, int], None] | None]:
    """Yield what shows `done of all` on one line of a terminal, a few times a second; elsewhere nothing is shown."""
    if not stream.isatty():
        yield None
        return
    began = shown = time.monotonic()

    def see(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < 0.3 and done < total:
            return
        shown = now
        left = clock((now - began) * (total - done) / max(done, 1))
        stream.write(f"\r{done:,} of {total:,} samples judged, {left} left ")
        stream.flush()

    try:
        yield see
    finally:
        stream.write("\r\x1b[K")
        stream.flush()
