"""Who spent what at which teacher: calls in flight and the sums of finished ones, shared by all cells of a run.

A call is written down before it is sent and moves into the sums once its reply has reached the store. What a dead
process left in flight is counted as lost, at the most that it can have cost. Records never hold a text or a key.

Sums are kept by the store in which they were spent (its *origin*), so that stores can be joined again and again, in any
order, and nothing is counted twice. A folder that was copied by hand keeps its origin: of two such copies that went on
apart, a join knows the larger sums only.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from harness.store.database import CHUNK, Store
from harness.store.schema import SUMS, WHO, bill_table, meta_table, open_table

FORMER = "teacher_accounts"  # the table of earlier versions: no origin, no `unpriced`
ORIGIN = "ledger"  # of the table `meta`: what this store's own sums are marked with


@dataclass(frozen=True)
class Bill:
    """What one cell of one run has spent at one teacher, wherever it was spent."""

    run: str
    cell: str
    teacher: str
    calls: int = 0  # answered, replies in the store
    tries: int = 0  # requests sent for them, failed ones included
    lost: int = 0  # in flight when their process was killed
    tokens_in: int = 0
    tokens_cached: int = 0  # of tokens_in
    tokens_out: int = 0
    usd: float = 0.0
    lost_usd: float = 0.0  # the most that lost calls can have cost
    unpriced: int = 0  # of calls: their price is not known, so `usd` lacks it


@dataclass(frozen=True)
class Entry:
    """What one answered call adds to its bill."""

    key: str
    tries: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    usd: float
    priced: bool = True


class Ledger:
    """The ledger of an open store; the store's mark of life says whose calls in flight are lost."""

    def __init__(self, store: Store) -> None:
        self.database = store.database
        self.owner = store.owner.name
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            self.database.add(db, meta_table, [{"name": ORIGIN, "value": uuid.uuid4().hex}])
            self.origin = str(db.execute(sa.select(meta_table.c.value).where(meta_table.c.name == ORIGIN)).scalar_one())
            self.adopt(db)

    def adopt(self, db: sa.Connection) -> None:
        """Take over the sums that an earlier version kept; its table stays, as processes of it may be at work."""
        if not sa.inspect(db).has_table(FORMER):
            return
        former = sa.table(FORMER, *(sa.column(name) for name in (*WHO, *SUMS[:-1])))
        for row in db.execute(sa.select(former)).mappings().all():
            self.add(db, (row["run"], row["cell"], row["teacher"]), {name: row[name] for name in SUMS[:-1]})
        db.execute(former.delete())

    def reserve(
        self, who: tuple[str, str, str], wanted: Sequence[Sequence[tuple[str, float]]], cap: float
    ) -> tuple[set[str], bool]:
        """Write down calls (key, most it can cost) that are about to be sent, as far as the run's cap allows.

        Calls that go together are allowed together or not at all. Returns the keys that may be sent, and whether
        waiting for calls in flight may make room for the others.
        """
        granted: set[str] = set()
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            self.bury(db)
            spent = self.spent(db, who[0]) if cap else 0.0
            mine: dict[str, object] = {"owner": self.owner, **dict(zip(WHO, who, strict=True)), "answered": False}
            rows: list[dict[str, object]] = []
            for together in wanted:
                most = sum(usd for _, usd in together)
                if not cap or spent + most <= cap:
                    spent += most
                    granted.update(key for key, _ in together)
                    rows += [{"key": key, "usd": usd, **mine} for key, usd in together]
            if rows:
                self.drop(db, sorted(granted))  # of a command of this process that was interrupted
                db.execute(open_table.insert(), rows)
            waiting = sa.select(sa.func.count()).where(open_table.c.run == who[0], open_table.c.answered.is_(False))
            others = len(granted) < sum(map(len, wanted)) and db.execute(waiting).scalar_one() > 0
        return granted, others

    def answered(self, costs: Sequence[tuple[str, float]]) -> None:
        """Replace what calls could cost by what they did cost; they stay in flight until the store has them."""
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            update = (
                open_table.update()
                .where(open_table.c.key == sa.bindparam("k"), open_table.c.owner == self.owner)
                .values(usd=sa.bindparam("u"), answered=True)
            )
            db.execute(update, [{"k": key, "u": usd} for key, usd in costs])

    def settle(self, who: tuple[str, str, str], entries: Sequence[Entry]) -> None:
        """Move answered calls, whose replies the store now has, into the bill."""
        if not entries:
            return
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            self.drop(db, [one.key for one in entries])
            self.add(
                db,
                who,
                {
                    "calls": len(entries),
                    "tries": sum(one.tries for one in entries),
                    "tokens_in": sum(one.tokens_in for one in entries),
                    "tokens_cached": sum(one.tokens_cached for one in entries),
                    "tokens_out": sum(one.tokens_out for one in entries),
                    "usd": sum(one.usd for one in entries),
                    "unpriced": sum(not one.priced for one in entries),
                },
            )

    def give_up(self, who: tuple[str, str, str], keys: Sequence[str], tries: int) -> None:
        """Take calls out of flight that never got an answer, as when a run stops in an outage."""
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            self.drop(db, keys)
            self.add(db, who, {"tries": tries})

    def bills(self, run: str = "") -> list[Bill]:
        """Return the bills of a run, or of all runs; what the dead left in flight is counted as lost first."""
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            self.bury(db)
            names = [bill_table.c[name] for name in WHO]
            sums = [sa.func.sum(bill_table.c[name]).label(name) for name in SUMS]
            query = sa.select(*names, *sums).group_by(*names).order_by(*names)
            if run:
                query = query.where(bill_table.c.run == run)
            return [Bill(**row) for row in db.execute(query).mappings()]

    def take(self, other: Ledger) -> int:
        """Add the sums of another store's ledger, those that it took itself as well, and return how many bills.

        Of one origin's sums the later ones count: sums only grow.
        """
        with other.database.told(), other.database.writer.begin() as db:
            other.database.alone(db)
            other.bury(db)
            rows = [dict(row) for row in db.execute(sa.select(bill_table)).mappings()]
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            for row in rows:
                if row["origin"] == self.origin:
                    continue  # it took them from here
                self.database.add(db, bill_table, [row])
                where = [bill_table.c[name] == row[name] for name in ("origin", *WHO)]
                later = bill_table.c.tries + bill_table.c.lost <= row["tries"] + row["lost"]
                db.execute(bill_table.update().where(*where, later).values({name: row[name] for name in SUMS}))
        return len({tuple(row[name] for name in WHO) for row in rows})

    def total(self, run: str) -> float:
        """Return what a run may have cost so far: spent, lost, and in flight at the most that it can cost."""
        with self.database.told(), self.database.writer.begin() as db:
            self.database.alone(db)
            return self.spent(db, run)

    def spent(self, db: sa.Connection, run: str) -> float:
        sums = sa.select(sa.func.coalesce(sa.func.sum(bill_table.c.usd + bill_table.c.lost_usd), 0.0))
        flying = sa.select(sa.func.coalesce(sa.func.sum(open_table.c.usd), 0.0))
        settled = float(db.execute(sums.where(bill_table.c.run == run)).scalar_one())
        return settled + float(db.execute(flying.where(open_table.c.run == run)).scalar_one())

    def bury(self, db: sa.Connection) -> None:
        """Count the calls of dead processes as lost."""
        owners = set(db.execute(sa.select(open_table.c.owner).distinct()).scalars()) - {self.owner}
        dead = owners - self.database.owner.living() if owners else set[str]()
        for owner in sorted(dead):
            query = (
                sa.select(*(open_table.c[name] for name in WHO), sa.func.count(), sa.func.sum(open_table.c.usd))
                .where(open_table.c.owner == owner)
                .group_by(*(open_table.c[name] for name in WHO))
            )
            for row in db.execute(query).all():
                run, cell, teacher, count, usd = tuple(row)
                self.add(db, (run, cell, teacher), {"lost": count, "lost_usd": usd})
            db.execute(open_table.delete().where(open_table.c.owner == owner))

    def add(self, db: sa.Connection, who: tuple[str, str, str], sums: dict[str, float]) -> None:
        names = {"origin": self.origin, **dict(zip(WHO, who, strict=True))}
        self.database.add(db, bill_table, [{**names, **dict.fromkeys(SUMS, 0)}])
        where = [bill_table.c[name] == value for name, value in names.items()]
        db.execute(bill_table.update().where(*where).values({k: bill_table.c[k] + v for k, v in sums.items()}))

    def drop(self, db: sa.Connection, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), CHUNK):
            db.execute(
                open_table.delete().where(
                    open_table.c.owner == self.owner, open_table.c.key.in_(keys[start : start + CHUNK])
                )
            )


def join(source: Store, target: Store) -> int:
    """Add what was spent by the runs of one store to another's ledger, and return how many bills that are."""
    return Ledger(target).take(Ledger(source))
