"""Stores joined, packed, unpacked and cleaned; nothing that a step needs is ever removed."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store.database import ROWS, Store, artifacts_of
from harness.store.keys import text_digest
from harness.store.ledger import join

FIELDS = ("key", "kind", "payload", "digest", "seconds", "created")


@dataclass(frozen=True)
class Moved:
    """What a merge brought."""

    steps: int  # in the other store
    new: int  # of them, not here before
    artifacts: int  # that they refer to
    bills: int = 0  # of the ledger: cells of runs, each at one teacher


@dataclass(frozen=True)
class Cleaned:
    """What a cleaning removed, or would."""

    artifacts: int
    work: int  # folders of fits that were never finished
    bytes: int


def merge(source: Store, target: Store) -> Moved:
    """Add the steps of one store to another, each after the checkpoints that it refers to; equal keys stay as they are.

    What was spent on them comes last. Raises StoreError for a damaged step or checkpoint; what was added before is
    whole and stays.
    """
    steps = new = 0
    artifacts: set[str] = set()
    for rows in batches(source):
        for row in rows:
            if text_digest(row["payload"]) != row["digest"]:
                raise StoreError(
                    f"{source.database.name}: step {row['key']} ({row['kind']}) is damaged: its content does not have "
                    "the digest written with it. Restore that store from a copy; nothing of it is taken from here on."
                )
            for name in artifacts_of(json.loads(row["payload"])):
                if name not in artifacts:
                    target.artifacts.take(source.artifacts.path(name), name)
                    artifacts.add(name)
        steps, new = steps + len(rows), new + target.take(rows)
    return Moved(steps, new, len(artifacts), join(source, target))


def batches(store: Store) -> Iterator[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for row in store.rows():
        rows.append({field: getattr(row, field) for field in FIELDS})
        if len(rows) == ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def pack(store: Store, archive: Path) -> Moved:
    """Write a store as one file (.tar.gz), whole or not at all.

    Raises StoreError if the file exists.
    """
    if archive.exists():
        raise StoreError(f"{archive}: it exists already. Choose another name, or remove it.")
    if not archive.parent.is_dir():
        raise StoreError(f"{archive.parent}: no such folder. Make it first.")
    draft = archive.with_name(f"{archive.name}.new")
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".pack-") as folder:
        with Store(Path(folder) / "store") as copy:
            moved = merge(store, copy)
        try:
            with tarfile.open(draft, "w:gz", compresslevel=1) as tar:  # weights do not shrink
                for path in sorted((Path(folder) / "store").rglob("*")):
                    if path.is_file():
                        tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
            draft.rename(archive)
        finally:
            draft.unlink(missing_ok=True)
    return moved


@contextmanager
def unpacked(archive: Path) -> Generator[Store]:
    """Open what `pack` wrote, in a temporary folder.

    Raises StoreError for a file that is no such archive, is cut short, or reaches outside of itself.
    """
    with tempfile.TemporaryDirectory(prefix="harness-unpack-") as folder:
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except (OSError, EOFError, tarfile.TarError) as err:
            raise StoreError(f"{archive}: not a whole archive of `harness store export` ({err}).") from err
        if not (Path(folder) / "store" / "steps.db").is_file():
            raise StoreError(f"{archive}: holds no store. Expected a file that `harness store export` wrote.")
        with Store(Path(folder) / "store") as source:
            yield source


def clean(store: Store, dry: bool = False) -> Cleaned:
    """Remove artifacts that no step refers to, and what fits that never finished had left to go on from.

    Raises StoreError while another process uses the store: what it has made may not be recorded yet.
    """
    others = store.owner.living() - {store.owner.name}
    if others:
        raise StoreError(
            f"{store.database.name}: {len(others)} other processes use this store. Clean it when they have ended."
        )
    needed = {name for row in store.rows() for name in artifacts_of(json.loads(row.payload))}
    unused = [name for name in store.artifacts.names() if name not in needed]
    work = [path for path in (store.artifacts.root / "work").glob("*") if path.is_dir()]
    folders = [*(store.artifacts.root / name[:2] / name for name in unused), *work]
    size = sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())
    if not dry:
        for name in unused:
            store.artifacts.remove(name)
        for folder in work:
            shutil.rmtree(folder)
    return Cleaned(len(unused), len(work), size)
