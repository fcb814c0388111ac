"""What only a server can do wrong: it asks for rights, goes away, or is not there."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.errors import ConfigError, StoreError
from harness.store.database import Store
from harness.store.ledger import Entry, Ledger
from harness.store.steps import Step, run
from harness.terminal.asking import bills_of

STEP = Step("verdicts", 1, None)


def one(todo):
    return ((index, {"value": index}) for index in todo)


def test_a_password_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(ConfigError, match="PGPASSWORD") as told:
        Store("postgresql://me:secret@host/db", "artifacts")
    assert "secret" not in str(told.value)


def test_artifacts_must_be_said_beside_a_url():
    with pytest.raises(ConfigError, match="artifacts=FOLDER"):
        Store("postgresql://me@host/db")


@pytest.mark.parametrize("artifacts", ["", "kept"])
def test_a_runs_accounts_are_read_from_a_server(artifacts, database, tmp_path):
    facts = {"store": database} | ({"artifacts": str(tmp_path / artifacts)} if artifacts else {})  # older runs: none
    (tmp_path / "run.json").write_text(json.dumps(facts))
    with Store(database, str(tmp_path / "kept")) as store:
        Ledger(store).settle((tmp_path.name, "cell", "teacher"), [Entry("", 1, 10, 0, 5, 0.25)])
    [account] = bills_of(tmp_path)
    assert (account.calls, account.usd) == (1, 0.25)


@pytest.mark.parametrize("place", ["mysql://me@host/db", "http://host/x"])
def test_a_url_of_another_kind_is_refused(place):
    with pytest.raises(ConfigError, match="expected a folder or postgresql://"):
        Store(place, "artifacts")


def test_a_server_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StoreError, match="Is the server up"):
        Store(f"postgresql://me@/db?host={tmp_path}", str(tmp_path / "artifacts"))


def test_a_database_that_is_not_there_is_told(postgres, tmp_path):
    with pytest.raises(StoreError, match="createdb"):
        Store(postgres.url("nowhere"), str(tmp_path / "artifacts"))


def test_a_user_without_rights_is_told_what_to_grant(postgres, database, tmp_path):
    with pytest.raises(StoreError, match="GRANT CREATE"):
        Store(database.replace("harness@", "guest@"), str(tmp_path / "artifacts"))


def test_a_server_that_restarts_is_told_and_gone_on_with(postgres, database, tmp_path):
    def stops(todo):
        yield todo[0], {"value": 0}
        postgres.control("-m", "fast", "stop")
        yield todo[1], {"value": 1}

    artifacts = str(tmp_path / "artifacts")
    with pytest.raises(StoreError, match="finished steps are kept"), Store(database, artifacts) as store:
        run(store, STEP, [0, 1], stops)
    postgres.start()
    with Store(database, artifacts) as store:
        assert [record.payload["value"] for record in run(store, STEP, [0, 1], one)] == [0, 1]


def test_many_processes_may_open_a_new_database_at_once(database, tmp_path):
    def opened(_: int) -> None:
        Store(database, str(tmp_path / "artifacts")).close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(opened, range(8)))
    with Store(database, str(tmp_path / "artifacts")) as store:
        assert store.count() == {} and store.owner.living() == {store.owner.name}
