"""Jobs for executors: small modules that report, die, print garbage or outstay their welcome."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
from harness.executors.local import Events, Job

ROOT = str(Path(str(harness.__file__)).parents[1])
EMIT = """
import json, os, signal, sys, time
from pathlib import Path
message = json.loads(sys.stdin.readline())
def emit(**event):
    os.write(1, json.dumps(event).encode() + b"\\n")
"""


class Jobs:
    """Writes modules into a folder and runs them by an executor."""

    def __init__(self, folder: Path, executor: Callable[..., Events]) -> None:
        self.folder = folder
        self.executor = executor

    def job(self, name: str, body: str, head: str = EMIT, **message: Any) -> Job:
        (self.folder / f"{name}.py").write_text(head + textwrap.dedent(body))
        (self.folder / "logs").mkdir(exist_ok=True)
        return Job(name, message, self.folder / "logs" / f"{name}.log", self.folder)

    def run(self, *jobs: Job, workers: int = 1, **environment: str | None) -> Events:
        paths = os.pathsep.join((str(self.folder), ROOT))
        return self.executor(jobs, workers, {"PYTHONPATH": paths, **environment})

    def own(self, *jobs: Job, workers: int = 1, **environment: str | None) -> list[tuple[int, dict[str, Any]]]:
        """Return the events that jobs reported themselves, and their exits."""
        found = list(self.run(*jobs, workers=workers, **environment))
        return [(index, event) for index, event in found if event["event"] != "placed"]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
