"""Stores as earlier versions wrote them: brought up whole or not at all, with everything that they held."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.errors import StoreError
from harness.store import schema
from harness.store.database import Store, server_at
from harness.store.keys import text_digest
from harness.store.schema import SCHEMA
from harness.store.sqlite import SQLite
from harness.store.steps import Step, run

STEP = Step("answers", 1, None)
PAYLOAD = '{"text":"as it was"}'
# What each released schema was made by, word for word, and a step in it; a new one is added here with its migration.
RELEASED = {
    1: (
        "CREATE TABLE meta (name VARCHAR NOT NULL, value VARCHAR NOT NULL, PRIMARY KEY (name))",
        "CREATE TABLE steps (key VARCHAR(64) NOT NULL, kind VARCHAR NOT NULL, payload TEXT NOT NULL, "
        "digest VARCHAR(64) NOT NULL, seconds FLOAT NOT NULL, created FLOAT NOT NULL, PRIMARY KEY (key))",
        "CREATE TABLE claims (key VARCHAR(64) NOT NULL, owner VARCHAR NOT NULL, PRIMARY KEY (key))",
        "INSERT INTO meta (name, value) VALUES ('schema', '1')",
        f"INSERT INTO steps VALUES ('{STEP.key('old')}', 'answers', '{PAYLOAD}', '{text_digest(PAYLOAD)}', 0.5, 1.0)",
    ),
}
RELEASED[2] = (
    *(one.replace("'schema', '1'", "'schema', '2'") for one in RELEASED[1]),
    "CREATE INDEX steps_kind ON steps (kind)",
)


@pytest.fixture(params=sorted(RELEASED))
def earlier(request: pytest.FixtureRequest, place: tuple[str, str]) -> Callable[[], Store]:
    """Write a store as an earlier version did; return what opens it."""
    database = server_at(place[0]) if "://" in place[0] else SQLite(Path(place[0]))
    with database.writer.begin() as db:
        for statement in RELEASED[request.param]:
            db.execute(sa.text(statement))
    database.close()
    return lambda: Store(*place)


def number_of(store: Store) -> str:
    with store.database.reader.connect() as db:
        return db.execute(sa.text("SELECT value FROM meta WHERE name = 'schema'")).scalar_one()


def described(store: Store) -> dict[str, object]:
    """Return the columns and indexes of a store's tables."""
    with store.database.reader.connect() as db:
        look = sa.inspect(db)
        return {
            table: (
                sorted((one["name"], str(one["type"])) for one in look.get_columns(table)),
                sorted(one["name"] or "" for one in look.get_indexes(table)),
            )
            for table in ("meta", "steps", "claims", "calls_in_flight", "teacher_spending")
        }


def test_every_earlier_schema_has_a_migration_and_a_test() -> None:
    assert sorted(schema.MIGRATIONS) == sorted(RELEASED) == list(range(1, SCHEMA))


def test_an_earlier_store_is_brought_up_with_all_that_it_held(earlier: Callable[[], Store], tmp_path) -> None:
    with earlier() as store, Store(tmp_path / "new") as new:
        assert number_of(store) == str(SCHEMA)
        assert {key: value[1] for key, value in described(store).items()} == {
            key: value[1] for key, value in described(new).items()
        }
        [record] = run(store, STEP, ["old"], lambda todo: pytest.fail("it was recorded"))
        assert record.payload == {"text": "as it was"} and store.verify() == []
        assert store.count() == {"answers": 1}


def test_a_migration_that_is_cut_short_leaves_the_store_as_it_was(
    earlier: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(db: sa.Connection) -> None:
        db.execute(sa.text("CREATE TABLE half (done INTEGER)"))
        db.execute(sa.text("UPDATE steps SET kind = 'lost'"))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", dict.fromkeys(schema.MIGRATIONS, half))
        with pytest.raises(KeyboardInterrupt):
            earlier()
    with earlier() as store, store.database.reader.connect() as db:
        assert not sa.inspect(db).has_table("half")
        assert store.count() == {"answers": 1}


def test_migrations_follow_each_other_once(opened: Callable[[], Store], monkeypatch: pytest.MonkeyPatch) -> None:
    opened().close()
    ran: list[int] = []
    later = {SCHEMA + step: lambda db, step=step: ran.append(step) for step in range(3)}
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS | later)
    monkeypatch.setattr(schema, "SCHEMA", SCHEMA + 3)
    for _ in range(2):
        with opened() as store:
            assert number_of(store) == str(SCHEMA + 3)
    assert ran == [0, 1, 2]


@pytest.mark.parametrize("number", ["99", "0", "word"])
def test_a_schema_that_is_not_known_is_refused_and_left_alone(tmp_path, number: str) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "steps.db") as db:
        db.execute("UPDATE meta SET value = ?", (number,))
    db.close()
    with pytest.raises(StoreError, match=f"schema {number}, this version of the harness reads up to {SCHEMA}"):
        Store(tmp_path)
