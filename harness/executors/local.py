"""Runs jobs as processes of this machine and passes on what they report, as lines of JSON on their output.

It knows nothing of recipes or steps. A job learns that its parent is gone by the end of its input. What the other
executors share with it: jobs, their events, and the contract of `run` (tests/executors/test_contract.py).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

GRACE_S = 3.0  # between asking a job to end and ending it


@dataclass(frozen=True)
class Job:
    """One process: a module to run, one line of JSON for its input, a file for its error output."""

    module: str
    message: dict[str, Any]
    errors: Path
    folder: Path = Path()  # in which it runs, where that is not this machine
    cpus: int = 1  # it needs, where a cluster hands them out
    gpus: int = 0


Events = Generator[tuple[int, dict[str, Any]]]  # a job's number, and what it reports


def run(jobs: Sequence[Job], workers: int, environment: Mapping[str, str | None]) -> Events:
    """Yield (job's index, event) as events come; the last event of each job is {"event": "exit", "code": …}.

    However the caller leaves this generator, no job outlives it. `environment` sets variables; None takes one out, and
    `NAME*` stands for all that begin so.
    """
    events: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
    waiting = list(range(len(jobs)))
    running: dict[int, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index = waiting.pop(0)
                running[index] = start(jobs[index], environment)
                threading.Thread(target=listen, args=(index, jobs[index], running[index], events), daemon=True).start()
            index, event = events.get()
            if event["event"] == "exit":
                running.pop(index)
            yield index, event
    finally:
        stop(list(running.values()))


def start(job: Job, environment: Mapping[str, str | None]) -> subprocess.Popen[str]:
    job.errors.parent.mkdir(parents=True, exist_ok=True)
    job.errors.write_bytes(b"")
    with job.errors.open("ab") as errors:  # to append, as `listen` writes there too
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", job.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            env=changed(os.environ, environment),
            start_new_session=True,  # Ctrl-C reaches the driver alone, which ends its jobs in order
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # a job that died at once reports itself by its exit code
        process.stdin.write(json.dumps(job.message) + "\n")
        process.stdin.flush()
    return process


def changed(old: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """Return an environment with variables set, and those whose value is None, or whose beginning's is, taken out."""
    out = tuple(name.removesuffix("*") for name, value in changes.items() if value is None and name.endswith("*"))
    kept: dict[str, str | None] = {name: value for name, value in old.items() if not name.startswith(out)}
    return {name: value for name, value in (kept | dict(changes)).items() if value is not None}


def listen(
    index: int, job: Job, process: subprocess.Popen[str], events: queue.SimpleQueue[tuple[int, dict[str, Any]]]
) -> None:
    """Pass a job's events on until its output ends, then its exit, whatever came before."""
    assert process.stdin is not None and process.stdout is not None
    try:
        for line in process.stdout:
            event = event_of(line)
            if event is not None:
                events.put((index, event))
                continue
            # Not ours: kept beside the job's errors. A full disk must not end the listening.
            with suppress(OSError), job.errors.open("ab") as errors:
                errors.write(line.encode("utf-8"))
    finally:
        process.stdout.close()  # first, so that a job that still writes cannot block on us
        code = process.wait()
        end_group(process)
        with suppress(BrokenPipeError):  # a message that the job never read
            process.stdin.close()
        events.put((index, {"event": "exit", "code": code}))


def event_of(line: str) -> dict[str, Any] | None:
    """Return the event that a line states; None for what a library may have printed, and for an exit, which we tell."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    named = isinstance(found, dict) and isinstance(cast("dict[str, Any]", found).get("event"), str)
    return cast("dict[str, Any]", found) if named and found["event"] != "exit" else None


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    """Ask jobs to end, and end those that have not done so in time, each with what it started in its group."""
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_S  # one for all
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_group(process)


def end_group(process: subprocess.Popen[str]) -> None:
    """End what a job that has ended left running. Its number is not given to another so soon: numbers go round."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies alone may not be signalled
        os.killpg(process.pid, signal.SIGKILL)
