"""A log of steps as JSON lines, one file for each cell: what it ran, with key and seconds, and how much it found.

For people and their tools; nothing reads it, no result depends on it, and a full disk only ends it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

PREFIX = 12  # characters of a key that are written; the store's table has the whole of it


class Journal:
    """Appends to one cell's log of steps."""

    def __init__(self, path: Path, cell: str) -> None:
        self.path = path
        self.cell = cell

    def ran(self, steps: Sequence[tuple[str, str, Any, float]]) -> None:
        """Write a line for each step (key, kind, payload, seconds) that the store has got from this cell."""
        self.write([{"kind": kind, "key": key[:PREFIX], "ran": True, "seconds": took} for key, kind, _, took in steps])

    def found(self, kind: str, count: int) -> None:
        """Write one line for the steps of a call that were recorded already."""
        self.write([{"kind": kind, "ran": False, "count": count}])

    def write(self, lines: Sequence[dict[str, Any]]) -> None:
        head = {"time": time.time(), "cell": self.cell}
        with suppress(OSError), self.path.open("a", encoding="utf-8") as stream:
            stream.write("".join(json.dumps(head | line) + "\n" for line in lines))
