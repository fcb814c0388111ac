"""How a run stands, seen from another terminal: its log of events, who works on it, and how to end that in order.

The log is `logs/events.jsonl` of the run's folder: a line for each event of a job, with the time and, once it is
estimated, the time left. A `begin` line opens each start of the command.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from harness.comparison.runs import read_facts
from harness.errors import StoreError
from harness.terminal.display import Tally

PROGRESS_S = 1.0  # between two lines on one job's progress within a call
STOP_S = 10.0  # in which a run that was asked to end has ended
LOG = "logs/events.jsonl"


class EventLog:
    """Appends to a run's log. Use as a context manager."""

    def __init__(self, folder: Path, jobs: Sequence[str]) -> None:
        self.path = folder / LOG
        self.jobs = list(jobs)
        self.told = [0.0] * len(jobs)  # when a job's progress was last written
        self.stream: TextIO | None = None

    def __enter__(self) -> EventLog:
        with suppress(OSError):  # a full disk ends no run for the sake of its log
            self.stream = self.path.open("a", encoding="utf-8", buffering=1)
        self.write({"event": "begin", "jobs": self.jobs, "process": os.getpid(), "host": platform.node()})
        return self

    def __exit__(self, *exc: object) -> None:
        if self.stream is not None:
            with suppress(OSError):
                self.stream.close()

    def see(self, job: int, event: dict[str, Any], left: str) -> None:
        """Note an event of a job; of a call's progress only its end and a line a second."""
        now = time.monotonic()
        if event["event"] == "progress":
            if event["done"] < event["total"] and now - self.told[job] < PROGRESS_S:
                return
            self.told[job] = now
        self.write({"job": job, **event, **({"left": left} if left else {})})

    def write(self, line: dict[str, Any]) -> None:
        if self.stream is not None:
            with suppress(OSError):
                self.stream.write(json.dumps({"time": time.time(), **line}) + "\n")


@dataclass
class JobStatus:
    """One job of a run: the untrained student, or a cell."""

    name: str
    tally: Tally = field(default_factory=Tally)
    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    code: int | None = None  # its exit code, once it has ended
    host: str = ""  # that it runs on, where that is for a cluster to say
    error: str = ""


@dataclass
class Status:
    """A run as its folder tells it."""

    command: str
    holder: str  # who works on it; empty: nobody
    finished: bool
    starts: int  # of the command
    began: float | None  # of the last start, seconds since the epoch
    last: float | None  # of the last event
    left: str
    jobs: list[JobStatus]


def read_status(folder: Path) -> Status:
    """Return how a run stands. Raises StoreError if `folder` is no run's."""
    facts = read_facts(folder)
    status = Status(facts["command"], holder(folder), (folder / "rows.jsonl").is_file(), 0, None, None, "", [])
    for line in events(folder / LOG):
        status.last = line["time"]
        if line["event"] == "begin":
            status.starts += 1
            status.began, status.left = line["time"], ""
            status.jobs = [JobStatus(name) for name in line["jobs"]]
            continue
        status.left = line.get("left", status.left)
        job = status.jobs[line["job"]]
        job.tally.see(line)
        if line["event"] == "row":
            job.rows.append(line["row"])
        elif line["event"] == "placed":
            job.host = line["host"]
        elif line["event"] == "again":
            job.rows.clear()
        elif line["event"] == "exit":
            job.code = line["code"]
        elif line["event"] == "error":
            job.error = line["text"]
    return status


def events(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log; the last one may be half written, and a disk may have been full."""
    found: list[dict[str, Any]] = []
    with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with suppress(ValueError):
                found.append(json.loads(line))
    return found


def holder(folder: Path) -> str:
    """Return who works on a run, in the words of its lock; empty if nobody does."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(lock, 200, 0).decode(errors="replace") or "another process"
    finally:
        os.close(lock)
    return ""


def stop(folder: Path) -> str:
    """Ask the process that works on a run to end, wait until it has, and return who it was; empty if nobody.

    Raises StoreError if it is on another machine, not ours to end, or still there after ten seconds.
    """
    read_facts(folder)
    who = holder(folder)
    if not who:
        return ""
    words = who.split()
    if len(words) != 4 or words[3] != platform.node() or not words[1].isdigit():
        raise StoreError(f"run={folder}: {who} works on it, which is not this machine. Stop it there.")
    try:
        os.kill(int(words[1]), signal.SIGTERM)
    except ProcessLookupError:
        return who
    except PermissionError as err:
        raise StoreError(f"run={folder}: {who} is another user's. Ask them to stop it.") from err
    end = time.monotonic() + STOP_S
    while holder(folder) == who:
        if time.monotonic() > end:
            raise StoreError(
                f"run={folder}: {who} was asked to end {STOP_S:g} s ago and is still there. Look at {folder / 'logs'}, "
                f"or end it with kill -9 {words[1]}; finished steps are kept."
            )
        time.sleep(0.05)
    return who
