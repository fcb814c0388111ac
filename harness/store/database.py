"""Finished steps and claims, through SQLAlchemy Core, in SQLite or PostgreSQL.

A store never changes a record: a step's key is the hash of all that determines its result. It does not know what
a step means; `steps.py` does the asking and waiting. What differs between the databases is in `sqlite` and `postgres`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from harness.errors import ConfigError, StoreError
from harness.store.artifacts import Artifacts, artifacts_at
from harness.store.journal import Journal
from harness.store.keys import Json, text_digest
from harness.store.schema import bring_up, claims_table, steps_table
from harness.store.sqlite import SQLite

SCHEMES = ("postgresql://", "postgres://")  # of the URLs that a store may have
ROWS = 200  # of a whole store read at a time; a payload may be large
CHUNK = 500  # variables in one statement; SQLite's lowest limit is 999


@dataclass(frozen=True)
class Record:
    """A finished step: what it found, and how many seconds that took on the machine that ran it."""

    key: str
    kind: str
    payload: dict[str, Any]
    seconds: float


class Alive(Protocol):
    """This process among those that use a store."""

    name: str

    def living(self) -> set[str]: ...


class Database(Protocol):
    """What differs between SQLite and PostgreSQL."""

    name: str  # as messages call it
    reader: sa.Engine
    writer: sa.Engine

    @property
    def owner(self) -> Alive: ...
    def add(self, db: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None: ...
    def alone(self, db: sa.Connection) -> None: ...
    def check(self, db: sa.Connection) -> list[str]: ...
    def told(self) -> AbstractContextManager[None]: ...
    def close(self) -> None: ...


def server_at(url: str) -> Database:
    from harness.store.postgres import Postgres  # its dialect takes a fifteenth of a second to load

    return Postgres(url)


def is_url(place: str | Path) -> bool:
    return "://" in str(place)


def existing(place: str, artifacts: str = "") -> Store:
    """Open a store that is there.

    Raises ConfigError if there is none, or if it cannot be written to: whoever opens a store says so in it.
    """
    if not is_url(place) and not (Path(place) / "steps.db").is_file():
        raise ConfigError(f"{place}: no store here. Expected a folder with steps.db; the default is runs/store.")
    if not is_url(place) and not os.access(place, os.W_OK):
        raise ConfigError(
            f"{place}: read-only for you, and who opens a store leaves a lock in it. Copy it: cp -r {place} FOLDER, "
            "and name the copy. Reports and gates need no store."
        )
    return Store(place, artifacts)


class Store:
    """Steps, claims and artifacts of a folder, or of a PostgreSQL database beside a place for artifacts.

    Open it once per process; close it, or use `with`. Raises ConfigError for a place that cannot be one, StoreError
    for one that cannot be used.
    """

    def __init__(self, place: str | Path, artifacts: str = "") -> None:
        """Open the store at a folder or `postgresql://` URL; `artifacts`: a folder or fsspec URL, PLACE/artifacts."""
        if is_url(place) and not str(place).startswith(SCHEMES):
            raise ConfigError(f"store={place}: expected a folder or postgresql://USER@HOST:PORT/DATABASE.")
        if is_url(place) and not artifacts:
            raise ConfigError(
                f"store={place}: say where checkpoints lie, artifacts=FOLDER or a URL that all machines reach."
            )
        self.journal: Journal | None = None  # told of the steps that this process runs and finds
        self.artifacts: Artifacts = artifacts_at(artifacts or str(Path(place) / "artifacts"))
        self.database: Database = server_at(str(place)) if is_url(place) else SQLite(Path(place))
        self.artifacts.owner = self.owner.name
        try:
            with self.database.told():
                self.open_schema()
                self.artifacts.sweep(self.owner.living)
                self.artifacts.sweep_work(self.get)
        except BaseException:
            self.database.close()
            raise

    @property
    def owner(self) -> Alive:
        return self.database.owner

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self.artifacts.discard(self.owner.name)
        self.database.close()

    def open_schema(self) -> None:
        with self.database.writer.begin() as db:
            self.database.alone(db)
            bring_up(db, self.database.name)

    def get(self, keys: Sequence[str]) -> dict[str, Record]:
        """Return the finished steps among `keys`.

        Raises StoreError if a record's content does not have the digest that was written with it.
        """
        found: dict[str, Record] = {}
        with self.database.told(), self.database.reader.connect() as db:
            for start in range(0, len(keys), CHUNK):
                query = sa.select(steps_table).where(steps_table.c.key.in_(keys[start : start + CHUNK]))
                for row in db.execute(query):
                    if text_digest(row.payload) != row.digest:
                        raise StoreError(
                            f"{self.database.name}: step {row.key} ({row.kind}) is damaged: its content does "
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
        with self.database.told(), self.database.writer.begin() as db:
            self.database.add(db, steps_table, rows)
            drop(db, [row["key"] for row in rows])

    def claim(self, keys: Sequence[str]) -> set[str]:
        """Claim those of `keys` that nobody alive holds, and return the ones that are now ours."""
        mine: set[str] = set()
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            living = self.owner.living()  # asked under the lock: nobody can have claimed since
            db.execute(claims_table.delete().where(claims_table.c.owner.not_in(sorted(living))))
            self.database.add(db, claims_table, [{"key": key, "owner": self.owner.name} for key in keys])
            for start in range(0, len(keys), CHUNK):
                query = sa.select(claims_table.c.key).where(
                    claims_table.c.key.in_(keys[start : start + CHUNK]), claims_table.c.owner == self.owner.name
                )
                mine.update(db.execute(query).scalars())
        return mine

    def release(self, keys: Iterable[str]) -> None:
        """Give up claims without a result."""
        with self.database.told(), self.database.writer.begin() as db:
            drop(db, list(keys))

    def verify(self) -> list[str]:
        """Return what is wrong with the store: the database's own check, every digest, every checkpoint's files."""
        with self.database.told(), self.database.reader.connect() as db:
            faults = self.database.check(db)
        for row in self.rows():
            if text_digest(row.payload) != row.digest:
                faults.append(f"step {row.key} ({row.kind}): content and digest differ")
                continue
            for name in artifacts_of(json.loads(row.payload)):
                if not self.artifacts.holds(name):
                    faults.append(f"step {row.key} ({row.kind}): checkpoint {name} is missing or damaged")
        return faults

    def rows(self) -> Iterator[sa.Row[Any]]:
        """Yield every step as it is stored, unverified, a few at a time."""
        query = sa.select(steps_table).order_by(steps_table.c.key)
        with self.database.told(), self.database.reader.connect() as db:
            yield from db.execution_options(yield_per=ROWS).execute(query)

    def take(self, rows: Sequence[dict[str, Any]]) -> int:
        """Add stored steps of another store as they are, and return how many were new."""
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            query = sa.select(steps_table.c.key).where(steps_table.c.key.in_([row["key"] for row in rows]))
            known = set(db.execute(query).scalars())
            self.database.add(db, steps_table, list(rows))
        return len(rows) - len(known)

    def count(self) -> dict[str, int]:
        """Return the number of finished steps by kind."""
        query = sa.select(steps_table.c.kind, sa.func.count()).group_by(steps_table.c.kind)
        with self.database.told(), self.database.reader.connect() as db:
            return {row.kind: row[1] for row in db.execute(query)}


def artifacts_of(payload: dict[str, Any]) -> list[str]:
    """Return the names of the checkpoints, or of the cached distributions, that a payload refers to."""
    cached = [payload["distributions"]] if "distributions" in payload else []
    return [mark["weights"] for mark in payload.get("marks", [])] + cached


def drop(db: sa.Connection, keys: Sequence[str]) -> None:
    for start in range(0, len(keys), CHUNK):
        db.execute(claims_table.delete().where(claims_table.c.key.in_(keys[start : start + CHUNK])))
