"""A database that machines share: PostgreSQL, by URL. The password comes from PGPASSWORD or ~/.pgpass, never the URL.

Who is alive is what the server knows: each process holds an advisory lock on a connection of its own, which the server
drops when that connection ends, however it ends.
"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import ArgumentError, DBAPIError

from harness.errors import ConfigError
from harness.store.faults import told

FAMILY = 0x64697374  # of our advisory locks, among those of a server's other users
WRITING = 0x77726974  # the lock of who claims
CONNECT_S = 10


class Postgres:
    """One database on a server, reached by URL."""

    def __init__(self, place: str) -> None:
        url = parsed(place)
        self.name = url.render_as_string()
        options: dict[str, Any] = {"connect_args": {"connect_timeout": CONNECT_S}, "pool_pre_ping": True}
        self.reader = self.writer = sa.create_engine(url, **options)
        with self.told():
            self.owner = Session(self.writer)

    def add(self, db: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows; those whose key is there already change nothing."""
        db.execute(insert(table).on_conflict_do_nothing(), rows)

    def alone(self, db: sa.Connection) -> None:
        """Keep all others from claiming until this transaction ends."""
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(FAMILY, WRITING)))

    def check(self, db: sa.Connection) -> list[str]:
        return []  # pages are the server's own matter (initdb --data-checksums); every record is checked by its digest

    @contextmanager
    def told(self) -> Generator[None]:
        with told(Path(), lambda said: (self.name, remedy(said))):
            yield

    def close(self) -> None:
        self.owner.close()
        self.writer.dispose()


class Session:
    """This process's mark of life: an advisory lock held by a connection that does nothing else."""

    def __init__(self, engine: sa.Engine) -> None:
        self.connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        number = draw = random.SystemRandom().getrandbits(31)
        while not self.connection.execute(sa.select(sa.func.pg_try_advisory_lock(FAMILY, number))).scalar_one():
            number = (number + draw) % (1 << 31)  # another process drew the same
        self.name = f"{number:08x}"

    def living(self) -> set[str]:
        """Return the names of all processes that are alive."""
        query = sa.text(
            "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = :family AND granted "
            "AND objid::bigint <> :writing "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        found = self.connection.execute(query, {"family": FAMILY, "writing": WRITING}).scalars()
        return {self.name, *(f"{number:08x}" for number in found)}

    def close(self) -> None:
        try:
            self.connection.close()
        except DBAPIError:  # the server has gone, and with it the lock
            self.connection.invalidate()


def parsed(place: str) -> sa.URL:
    """Return the URL with the driver named.

    Raises ConfigError for one that cannot be read or holds a password, and if the driver is not installed.
    """
    try:
        url = sa.make_url(place)
    except (ArgumentError, ValueError) as err:
        raise ConfigError(f"store={place}: not a URL. Expected postgresql://USER@HOST:PORT/DATABASE.") from err
    if url.password is not None:
        raise ConfigError(
            f"store={url.render_as_string()}: a password in the URL would be written down with every run. Leave it "
            "out, and set PGPASSWORD or use ~/.pgpass."
        )
    if importlib.util.find_spec("psycopg") is None:
        raise ConfigError(f"store={place}: needs the extra `postgres`: pip install 'distil-harness[postgres]'.")
    return url.set(drivername="postgresql+psycopg")


def remedy(said: str) -> str:
    low = said.lower()
    if "password" in low or "authentication" in low:
        return "Set PGPASSWORD or use ~/.pgpass, and check the user's name."
    if "permission denied" in low or "must be owner" in low:
        return "The user needs the right to create and to write tables: GRANT CREATE, USAGE ON SCHEMA public TO USER."
    if "does not exist" in low and "database" in low:
        return "Create it first: createdb NAME."
    if "no space" in low or "disk full" in low:
        return "The server's disk is full: free some space and run the same command again; finished steps are kept."
    if "connection" in low or "server" in low:
        return "Is the server up, and the URL right? Then run the same command again; finished steps are kept."
    return "Mend this and run the same command again; finished steps are kept."
