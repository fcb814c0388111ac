"""The default database of a store: one SQLite file (WAL) in its folder, for processes that share the file system."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects.sqlite import insert

from harness.store.faults import told
from harness.store.owners import Owner

FULL_BYTES = 1 << 20  # less free than this is a full disk, whatever the database calls it


class SQLite:
    """`FOLDER/steps.db`, and the files that say who is alive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = str(folder / "steps.db")
        with self.told():
            folder.mkdir(parents=True, exist_ok=True)
            self.owner = Owner(folder / "owners")
        self.reader = sa.create_engine(f"sqlite:///{self.name}")
        event.listen(self.reader, "connect", prepare)
        # What writes takes the write lock when it begins, so that what it then reads stays true to its end.
        self.writer = sa.create_engine(f"sqlite:///{self.name}")
        event.listen(self.writer, "connect", prepare)
        event.listen(self.writer, "begin", lock)

    def add(self, db: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows; those whose key is there already change nothing."""
        db.execute(insert(table).on_conflict_do_nothing(), rows)

    def alone(self, db: sa.Connection) -> None:
        """Keep all others from writing until this transaction ends: its beginning has seen to that."""

    def check(self, db: sa.Connection) -> list[str]:
        return [text for text in db.execute(sa.text("PRAGMA integrity_check")).scalars() if text != "ok"]

    @contextmanager
    def told(self) -> Generator[None]:
        with told(self.folder, lambda said: (self.name, self.remedy(said))):
            yield

    def remedy(self, said: str) -> str:
        if "full" in said or ("disk I/O" in said and shutil.disk_usage(self.folder).free < FULL_BYTES):
            return "The disk is full: free some space and run the same command again; finished steps are kept."
        if "locked" in said or "busy" in said:
            return "Another process has been writing for a minute: run the same command again when it has ended."
        if "readonly" in said or "unable to open" in said:
            return "Give yourself write permission there, or choose another folder (store=NEW_FOLDER)."
        return "The file is damaged: restore it from a copy, or start a new store (store=NEW_FOLDER)."

    def close(self) -> None:
        self.reader.dispose()
        self.writer.dispose()
        self.owner.close()


def lock(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def prepare(connection: sqlite3.Connection, _: object) -> None:
    """Set up one SQLite connection: readers beside one writer, and a commit that survives a power cut."""
    connection.isolation_level = None  # transactions are begun by SQLAlchemy and `lock`, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=60000")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()
