"""Runs jobs as processes of this machine and passes on what they report, as lines of JSON on their output.

It knows nothing of recipes or steps. A job learns that its parent is gone by the end of its input.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRACE_S = 5.0  # between asking a job to end and ending it


@dataclass(frozen=True)
class Job:
    """One process: a module to run, one line of JSON for its input, a file for its error output."""

    module: str
    message: dict[str, Any]
    errors: Path


def run(jobs: Sequence[Job], workers: int, environment: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (job's index, event) as events come; the last event of each job is {"event": "exit", "code": …}.

    However the caller leaves this generator, no job outlives it.
    """
    events: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
    waiting = list(range(len(jobs)))
    running: dict[int, subprocess.Popen[str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index = waiting.pop(0)
                running[index] = start(jobs[index], environment)
                threading.Thread(target=listen, args=(index, running[index], events), daemon=True).start()
            index, event = events.get()
            if event["event"] == "exit":
                running.pop(index)
            yield index, event
    finally:
        stop(list(running.values()))


def start(job: Job, environment: Mapping[str, str]) -> subprocess.Popen[str]:
    job.errors.parent.mkdir(parents=True, exist_ok=True)
    with job.errors.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", job.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C reaches the driver alone, which ends its jobs in order
        )
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # a job that died at once reports itself by its exit code
        process.stdin.write(json.dumps(job.message) + "\n")
        process.stdin.flush()
    return process


def listen(index: int, process: subprocess.Popen[str], events: queue.SimpleQueue[tuple[int, dict[str, Any]]]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        events.put((index, json.loads(line)))
    events.put((index, {"event": "exit", "code": process.wait()}))


def stop(processes: Sequence[subprocess.Popen[str]]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
