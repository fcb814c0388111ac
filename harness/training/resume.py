"""What a fit keeps so that it can go on after it was killed: checkpoints, and what its marks have measured so far.

A checkpoint counts once its seal is written, which is done last; an unsealed one was cut short and is not read.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.store.artifacts import synced
from harness.store.rows import write_text
from harness.training.schedule import Mark

SEAL = "seal.json"


@dataclass
class Position:
    """How far a fit has come, beside weights and optimiser."""

    micro_batches: int = 1
    marks: list[Mark] = field(default_factory=list[Mark])
    own: dict[str, int] = field(default_factory=dict[str, int])  # texts of the student's own so far
    # of each term since the last mark
    sums: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])


class Checkpoints:
    """The checkpoints of one fit below `folder`, of which the newest sealed one is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def checkpoints(self) -> list[Path]:
        """Return all checkpoints, sealed or not, the newest first."""
        found = self.folder.glob("checkpoint-*")
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)

    def last(self) -> tuple[Path, Position] | None:
        """Return the newest sealed checkpoint; where there is none, clear away what could be mistaken for one later."""
        for path in self.checkpoints():
            if (path / SEAL).is_file():
                said: dict[str, Any] = json.loads((path / SEAL).read_text())
                marks = [replace(Mark(**mark), folder=Path(mark["folder"])) for mark in said["marks"]]
                if all(mark.folder.is_dir() for mark in marks):  # else a finished fit was killed while it was stored
                    return path, Position(said["micro_batches"], marks, said["own"], said["sums"])
        for path in self.checkpoints():
            shutil.rmtree(path)
        return None

    def seal(self, update: int, position: Position) -> None:
        """Declare the checkpoint of an update whole, and remove the others."""
        path = self.folder / f"checkpoint-{update}"
        for part in (path, *path.rglob("*")):  # sharded weights lie in folders
            synced(part)  # a seal that outlives a power cut must not vouch for files that did not
        marks = [{**vars(mark), "folder": str(mark.folder)} for mark in position.marks]
        content = {**vars(position), "marks": marks}
        write_text(path / SEAL, json.dumps(content))
        for other in self.checkpoints():
            if other != path:
                shutil.rmtree(other)

    def save_broken(self, rows: Sequence[dict[str, Any]]) -> Path:
        """Write down the examples of a batch that could not be trained on, and return where."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "broken-batch.jsonl"
        write_text(path, "".join(json.dumps(row) + "\n" for row in rows))
        return path
