"""A log of steps as JSON lines, one file for each cell: what it ran, with key and seconds, and what each call came to.

For people and their tools; nothing reads it, no result depends on it, and a full disk only ends it. Calls are also told
to whoever follows the cell.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PREFIX = 12  # characters of a key that are written; the store's table has the whole of it


@dataclass(frozen=True)
class Call:
    """One call of a step that has ended. What it neither found nor made, another process made meanwhile."""

    kind: str
    items: int  # different ones
    cached: int  # recorded when it began
    made: int
    began: float  # seconds since the epoch
    seconds: float


class Journal:
    """Appends to one cell's log of steps; `tell` is told each call as the log has it."""

    def __init__(self, path: Path, cell: str, tell: Callable[[dict[str, Any]], None] = lambda call: None) -> None:
        self.path = path
        self.cell = cell
        self.tell = tell

    def ran(self, steps: Sequence[tuple[str, str, Any, float]]) -> None:
        """Write a line for each step (key, kind, payload, seconds) that the store has got from this cell."""
        self.write([{"kind": kind, "key": key[:PREFIX], "ran": True, "seconds": took} for key, kind, _, took in steps])

    def called(self, call: Call) -> None:
        """Write one line for a call that has ended, and tell of it."""
        line = asdict(call)
        self.write([{**line, "call": True}])
        self.tell(line)

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        head = {"time": time.time(), "cell": self.cell}
        with suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(json.dumps(head | line) + "\n" for line in lines))
