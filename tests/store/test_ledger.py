"""What was spent: across stores that are joined in any order, under earlier versions, at no known price."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness.store.database import Store
from harness.store.exchange import merge, pack, unpacked
from harness.store.ledger import FORMER, Bill, Entry, Ledger
from harness.terminal import asking, texts

WHO = ("run", "cell", "teacher")


def spend(store: Store, *keys: str, usd: float = 0.25, priced: bool = True) -> None:
    """Have calls reserved, answered and settled, as a purse does."""
    ledger = Ledger(store)
    granted, _ = ledger.reserve(WHO, [[(key, 1.0)] for key in keys], 0.0)
    assert granted == set(keys)
    ledger.answered([(key, usd) for key in keys])
    ledger.settle(WHO, [Entry(key, 2, 10, 4, 5, usd, priced=priced) for key in keys])


def bill(store: Store) -> Bill:
    [found] = Ledger(store).bills("run")
    return found


def test_joined_stores_know_what_either_spent_and_count_nothing_twice(tmp_path: Path) -> None:
    with Store(tmp_path / "one") as one, Store(tmp_path / "two") as two, Store(tmp_path / "all") as whole:
        spend(one, "a", "b")
        spend(two, "c")
        assert merge(one, two).bills == 1
        for source in (one, two, one, two):  # two brings what it took from one as well
            merge(source, whole)
        assert bill(whole) == Bill(*WHO, 3, 6, 0, 30, 12, 15, 0.75)
        spend(one, "d")
        merge(one, whole)
        merge(whole, one)
        assert bill(whole) == bill(one) == Bill(*WHO, 4, 8, 0, 40, 16, 20, 1.0)


def test_a_packed_store_brings_its_account_along_and_the_cap_counts_it(tmp_path: Path) -> None:
    with Store(tmp_path / "one") as one:
        spend(one, "a", "b")
        pack(one, tmp_path / "one.tar.gz")
    with Store(tmp_path / "new") as new, unpacked(tmp_path / "one.tar.gz") as source:
        assert "; 1 bill of teachers" in texts.moved(merge(source, new))
        assert bill(new).usd == 0.5
        granted, others = Ledger(new).reserve(WHO, [[("c", 0.6)]], 1.0)
        assert (granted, others) == (set(), False)


def test_stores_in_which_nothing_was_spent_are_joined_without_an_account(tmp_path: Path) -> None:
    with Store(tmp_path / "one") as one, Store(tmp_path / "two") as two:
        assert merge(one, two).bills == 0
        assert Ledger(two).bills() == []


def test_sums_that_an_earlier_version_kept_are_taken_over_once(place: tuple[str, ...]) -> None:
    with Store(*place) as store:
        with store.database.writer.begin() as db:
            columns = "run TEXT, cell TEXT, teacher TEXT, calls INTEGER, tries INTEGER, lost INTEGER, "
            columns += "tokens_in INTEGER, tokens_cached INTEGER, tokens_out INTEGER, usd FLOAT, lost_usd FLOAT"
            db.execute(sa.text(f"CREATE TABLE {FORMER} ({columns})"))
        kept = sa.text(f"INSERT INTO {FORMER} VALUES ('run', 'cell', 'teacher', 3, 4, 1, 50, 6, 7, 0.5, 0.1)")
        with store.database.writer.begin() as db:
            db.execute(kept)
        expected = Bill(*WHO, 3, 4, 1, 50, 6, 7, 0.5, 0.1)
        assert bill(store) == bill(store) == expected
        assert Ledger(store).total("run") == pytest.approx(0.6)
        with store.database.writer.begin() as db:
            db.execute(kept)  # by a process of the earlier version that was at work all the time
        assert bill(store) == Bill(*WHO, 6, 8, 2, 100, 12, 14, 1.0, 0.2)


def test_calls_that_go_together_are_allowed_together_or_not_at_all(place: tuple[str, ...]) -> None:
    with Store(*place) as store:
        ledger = Ledger(store)
        granted, others = ledger.reserve(WHO, [[("a", 0.4), ("b", 0.4)], [("c", 0.4), ("d", 0.4)], [("e", 0.2)]], 1.0)
        assert (granted, others) == ({"a", "b", "e"}, True)
        assert ledger.total("run") == pytest.approx(1.0)


def test_a_run_whose_folder_was_renamed_has_its_bill(tmp_path: Path) -> None:
    with Store(tmp_path / "store") as store:
        spend(store, "a")
    (tmp_path / "renamed").mkdir()
    facts = {"store": str(tmp_path / "store"), "artifacts": "", "name": WHO[0]}
    (tmp_path / "renamed" / "run.json").write_text(json.dumps(facts))
    [found] = asking.bills_of(tmp_path / "renamed")
    assert found.calls == 1


def test_an_unknown_price_is_told_and_is_no_zero(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        spend(store, "a", usd=0.0, priced=False)
        lines = list(asking.ledger(Ledger(store).bills("run")))
        assert lines[1].split()[-1] == lines[3].split()[-1] == "unpriced"
        assert "1 calls at no known price" in lines[-1]
        spend(store, "b")
        assert list(asking.ledger(Ledger(store).bills("run")))[1].endswith("≥0.2500")
