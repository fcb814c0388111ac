"""The table of finished steps and the table of claims, in SQLite (WAL) through SQLAlchemy Core.

A store never changes a record: a step's key is the hash of all that determines its result. It does not know what
a step means; `steps.py` does the asking and waiting.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from safetensors import SafetensorError
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from harness.errors import StoreError
from harness.store.artifacts import Artifacts
from harness.store.keys import Json, text_digest
from harness.store.owners import Owner

SCHEMA = 1  # raise it with a migration beside it; an unknown number is refused

metadata = sa.MetaData()
meta_table = sa.Table(
    "meta", metadata, sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.String, nullable=False)
)
steps_table = sa.Table(
    "steps",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
claims_table = sa.Table(
    "claims",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
)

FULL_BYTES = 1 << 20  # less free than this is a full disk, whatever the database calls it
CHUNK = 500  # variables in one statement; SQLite's lowest limit is 999


@dataclass(frozen=True)
class Record:
    """A finished step: what it found, and how many seconds that took on the machine that ran it."""

    key: str
    kind: str
    payload: dict[str, Any]
    seconds: float


class Store:
    """Steps, claims and artifacts below one folder. Open it once per process; close it, or use `with`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.owner = Owner(folder / "owners")
            self.artifacts = Artifacts(folder / "artifacts")
            self.engine = sa.create_engine(f"sqlite:///{folder / 'steps.db'}")
            event.listen(self.engine, "connect", prepare)
            # What writes takes the write lock when it begins, so that what it then reads stays true to its end.
            self.writer = sa.create_engine(f"sqlite:///{folder / 'steps.db'}")
            event.listen(self.writer, "connect", prepare)
            event.listen(self.writer, "begin", lock)
            self.open_schema()
            self.artifacts.sweep(self.owner.living)

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()
        self.writer.dispose()
        self.artifacts.discard(self.owner.name)
        self.owner.close()

    def open_schema(self) -> None:
        with self.writer.begin() as db:
            metadata.create_all(db)
            db.execute(sa.text("INSERT OR IGNORE INTO meta (name, value) VALUES ('schema', :v)"), {"v": str(SCHEMA)})
            found = db.execute(sa.select(meta_table.c.value).where(meta_table.c.name == "schema")).scalar_one()
        if found != str(SCHEMA):
            raise StoreError(
                f"{self.folder}: the store has schema {found}, this version of the harness reads {SCHEMA}. "
                "Use the version that wrote it, or start a new store (store=NEW_FOLDER)."
            )

    def get(self, keys: Sequence[str]) -> dict[str, Record]:
        """Return the finished steps among `keys`.

        Raises StoreError if a record's content does not have the digest that was written with it.
        """
        found: dict[str, Record] = {}
        with told(self.folder), self.engine.connect() as db:
            for start in range(0, len(keys), CHUNK):
                query = sa.select(steps_table).where(steps_table.c.key.in_(keys[start : start + CHUNK]))
                for row in db.execute(query):
                    if text_digest(row.payload) != row.digest:
                        raise StoreError(
                            f"{self.folder / 'steps.db'}: step {row.key} ({row.kind}) is damaged: its content does "
                            "not have the digest written with it. Restore the store from a copy, or start a new "
                            "one (store=NEW_FOLDER)."
                        )
                    found[row.key] = Record(row.key, row.kind, json.loads(row.payload), row.seconds)
        return found

    def put(self, records: Sequence[tuple[str, str, dict[str, Json], float]]) -> None:
        """Commit (key, kind, payload, seconds) records and give up their claims, in one transaction."""
        rows: list[dict[str, Any]] = []
        for key, kind, payload, seconds in records:
            text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
            rows.append(
                {
                    "key": key,
                    "kind": kind,
                    "payload": text,
                    "digest": text_digest(text),
                    "seconds": seconds,
                    "created": time.time(),
                }
            )
        with told(self.folder), self.writer.begin() as db:
            db.execute(steps_table.insert().prefix_with("OR IGNORE"), rows)
            drop(db, [row["key"] for row in rows])

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Claim those of `keys` that nobody alive holds, and return the ones that are now ours."""
        mine: set[str] = set()
        with told(self.folder), self.writer.begin() as db:
            living = self.owner.living()  # asked under the write lock: nobody can have claimed since
            db.execute(claims_table.delete().where(claims_table.c.owner.not_in(sorted(living))))
            rows = [{"key": key, "owner": self.owner.name} for key in keys]
            db.execute(claims_table.insert().prefix_with("OR IGNORE"), rows)
            for start in range(0, len(keys), CHUNK):
                query = sa.select(claims_table.c.key).where(
                    claims_table.c.key.in_(keys[start : start + CHUNK]), claims_table.c.owner == self.owner.name
                )
                mine.update(db.execute(query).scalars())
        return mine

    def release(self, keys: Iterable[str]) -> None:
        """Give up claims without a result."""
        with told(self.folder), self.writer.begin() as db:
            drop(db, list(keys))

    def verify(self) -> list[str]:
        """Return what is wrong with the store: SQLite's own check, every digest, every checkpoint's files."""
        with told(self.folder), self.engine.connect() as db:
            faults = [text for text in db.execute(sa.text("PRAGMA integrity_check")).scalars() if text != "ok"]
            for row in db.execute(sa.select(steps_table)):
                if text_digest(row.payload) != row.digest:
                    faults.append(f"step {row.key} ({row.kind}): content and digest differ")
                    continue
                for name in artifacts_of(json.loads(row.payload)):
                    if not self.artifacts.holds(name):
                        faults.append(f"step {row.key} ({row.kind}): checkpoint {name} is missing")
        return faults

    def count(self) -> dict[str, int]:
        """Return the number of finished steps by kind."""
        query = sa.select(steps_table.c.kind, sa.func.count()).group_by(steps_table.c.kind)
        with told(self.folder), self.engine.connect() as db:
            return {row.kind: row[1] for row in db.execute(query)}


def artifacts_of(payload: dict[str, Any]) -> list[str]:
    """Return the names of the checkpoints that a payload refers to."""
    return [mark["weights"] for mark in payload.get("marks", [])]


def drop(db: sa.Connection, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), CHUNK):
        db.execute(claims_table.delete().where(claims_table.c.key.in_(keys[start : start + CHUNK])))


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


@contextmanager
def told(folder: Path) -> Generator[None]:
    """Turn what a file system or a database says into a StoreError that names the folder and the remedy."""
    try:
        yield
    except DBAPIError as err:
        said = str(err.orig)
        if "full" in said or ("disk I/O" in said and shutil.disk_usage(folder).free < FULL_BYTES):
            remedy = "The disk is full: free some space and run the same command again; finished steps are kept."
        elif "locked" in said or "busy" in said:
            remedy = "Another process has been writing for a minute: run the same command again when it has ended."
        elif "readonly" in said or "unable to open" in said:
            remedy = "Give yourself write permission there, or choose another folder (store=NEW_FOLDER)."
        else:
            remedy = "The file is damaged: restore it from a copy, or start a new store (store=NEW_FOLDER)."
        raise StoreError(f"{folder / 'steps.db'}: {said}. {remedy}") from err
    except SafetensorError as err:
        raise StoreError(
            f"{folder}: {err}. Free some space and run the same command again; finished steps are kept."
        ) from err
    except shutil.Error as err:
        raise StoreError(f"{folder}: {err.args[0][0][-1]}. Mend this and run the same command again.") from err
    except PermissionError as err:
        raise StoreError(
            f"{err.filename or folder}: no permission to write. Give yourself write permission there, or choose "
            "another folder (store=NEW_FOLDER)."
        ) from err
    except (FileExistsError, NotADirectoryError) as err:
        raise StoreError(
            f"{err.filename or folder}: a file stands where a folder should be. Choose another folder with store= "
            "or run=."
        ) from err
    except OSError as err:
        raise StoreError(
            f"{err.filename or folder}: {err.strerror}. Mend this and run the same command again; finished steps "
            "are kept."
        ) from err
