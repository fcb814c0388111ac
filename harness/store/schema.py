"""The tables of a store, the number of their schema, and how a store of an earlier one is brought up to it.

Raise SCHEMA with a migration from the number before, and add the earlier one to tests/store/test_schema.py. A migration
runs in the transaction that opens the store, whole or not at all; processes of the version before may be at work, so it
only adds. An earlier version of the harness refuses the store from then on: `harness store export` it first to go back.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from harness.errors import StoreError

SCHEMA = 3

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
kinds = sa.Index("steps_kind", steps_table.c.kind)  # to count steps without reading what they hold
claims_table = sa.Table(
    "claims",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String, nullable=False),
)


WHO = ("run", "cell", "teacher")  # of what is in the ledger
SUMS = ("calls", "tries", "lost", "tokens_in", "tokens_cached", "tokens_out", "usd", "lost_usd", "unpriced")
open_table = sa.Table(
    "calls_in_flight",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String, primary_key=True),
    *(sa.Column(name, sa.String, nullable=False) for name in WHO),
    sa.Column("usd", sa.Float, nullable=False),  # the most it can cost; once it is answered, what it cost
    sa.Column("answered", sa.Boolean, nullable=False),
)
bill_table = sa.Table(
    "teacher_spending",
    metadata,
    *(sa.Column(name, sa.String, primary_key=True) for name in ("origin", *WHO)),
    *(sa.Column(name, sa.Float if name.endswith("usd") else sa.Integer, nullable=False) for name in SUMS),
)


def index_kinds(db: sa.Connection) -> None:
    kinds.create(db)


def add_ledger(db: sa.Connection) -> None:
    """Make the tables of the ledger, which a store of schema 2 had only once a language model had been asked."""
    metadata.create_all(db, tables=[open_table, bill_table])


MIGRATIONS: dict[int, Callable[[sa.Connection], None]] = {1: index_kinds, 2: add_ledger}  # from each number to the next


def bring_up(db: sa.Connection, name: str) -> None:
    """Make the tables of a new store, or bring an earlier one up to SCHEMA, in the caller's transaction.

    Raises StoreError for a store of a later schema, or of none that was ever released.
    """
    if not sa.inspect(db).has_table(meta_table.name):
        metadata.create_all(db)
        db.execute(meta_table.insert().values(name="schema", value=str(SCHEMA)))
        return
    own = meta_table.c.name == "schema"
    found = db.execute(sa.select(meta_table.c.value).where(own)).scalar_one()
    if found == str(SCHEMA):
        return
    number = int(found) if found.isdigit() else 0
    if number not in MIGRATIONS:
        raise StoreError(
            f"{name}: the store has schema {found}, this version of the harness reads up to {SCHEMA}. Use the version "
            "that wrote it, or start a new store (store=NEW_FOLDER)."
        )
    for step in range(number, SCHEMA):
        MIGRATIONS[step](db)
    db.execute(meta_table.update().where(own).values(value=str(SCHEMA)))
