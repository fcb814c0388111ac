import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.store.database import Store
from harness.store.journal import Journal
from harness.store.schema import meta_table, steps_table
from harness.store.steps import Step, run

STEP = Step("verdicts", 1, {"limits": 5})


def doubled(calls):
    def compute(todo):
        for index in todo:
            calls.append(index)
            yield index, {"value": index * 2}

    return compute


def values(records):
    return [record.payload["value"] for record in records]


def test_a_finished_item_is_not_computed_again(opened):
    calls: list[int] = []
    with opened() as store:
        first = run(store, STEP, [0, 1, 2], doubled(calls))
        again = run(store, STEP, [0, 1, 2], doubled(calls))
    assert values(first) == values(again) == [0, 2, 4]
    assert calls == [0, 1, 2]


def test_records_outlive_the_process_that_wrote_them(opened):
    with opened() as store:
        run(store, STEP, [7], doubled([]))
    calls: list[int] = []
    with opened() as store:
        run(store, STEP, [7], doubled(calls))
    assert calls == []


def test_equal_items_of_one_call_run_once(opened):
    calls: list[int] = []
    with opened() as store:
        records = run(store, STEP, ["a", "b", "a"], doubled(calls))
    assert sorted(calls) == [0, 1]
    assert records[0] == records[2]


@pytest.mark.parametrize(
    "other", [Step("samples", 1, {"limits": 5}), Step("verdicts", 2, {"limits": 5}), Step("verdicts", 1, {"limits": 6})]
)
def test_kind_version_and_shared_part_belong_to_the_key(other):
    assert other.key("item") != STEP.key("item")


def test_what_finished_before_an_error_is_kept(opened):
    def breaks(todo):
        yield todo[0], {"value": 1}
        raise ValueError("gone")

    calls: list[int] = []
    with opened() as store:
        with pytest.raises(ValueError):
            run(store, STEP, ["a", "b"], breaks)
        run(store, STEP, ["a", "b"], doubled(calls))
    assert calls == [1]


def slow_worker(place: tuple[str, str], log: str) -> None:
    def compute(todo):
        for index in todo:
            with open(log, "a") as stream:
                stream.write("x")
            time.sleep(0.3)
            yield index, {"value": index}

    with Store(*place) as store:
        assert values(run(store, STEP, [0], compute)) == [0]


def test_two_processes_that_need_one_item_run_it_once(place, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    log = tmp_path / "log"
    workers = [spawn.Process(target=slow_worker, args=(place, str(log))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert log.read_text() == "x"


def stuck_worker(place: tuple[str, str], ready: str) -> None:
    def compute(todo):
        Path(ready).touch()
        time.sleep(600)
        yield todo[0], {"value": 0}

    with Store(*place) as store:
        run(store, STEP, [0], compute)


def test_a_killed_process_does_not_keep_its_claim(place, tmp_path):
    spawn = multiprocessing.get_context("spawn")
    ready = tmp_path / "ready"
    worker = spawn.Process(target=stuck_worker, args=(place, str(ready)))
    worker.start()
    deadline = time.monotonic() + 60
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(60)
    calls: list[int] = []
    with Store(*place) as store:
        run(store, STEP, [0], doubled(calls))
    assert calls == [0]


def test_a_damaged_record_is_named_and_never_used(opened):
    with opened() as store:
        [record] = run(store, STEP, [3], doubled([]))
        assert store.verify() == []
        with store.database.writer.begin() as db:
            db.execute(steps_table.update().values(payload='{"value":999}'))
    with opened() as store:
        assert record.key in store.verify()[0]
        with pytest.raises(StoreError, match=record.key):
            run(store, STEP, [3], doubled([]))


def test_texts_of_any_kind_come_back_as_they_were(opened):
    texts = ["\0 and \ud800", "π", "\n\r\t", '{"a": "\\u0000"}', ""]
    with opened() as store:
        run(store, STEP, texts, lambda todo: ((index, {"text": texts[index]}) for index in todo))
    with opened() as store:
        assert [one.payload["text"] for one in run(store, STEP, texts, doubled([]))] == texts


def test_the_journal_tells_what_ran_and_what_was_found(opened, tmp_path):
    path = tmp_path / "steps.jsonl"
    for texts in (["a"], ["a", "b"]):
        with opened() as store:
            store.journal = Journal(path, "cell")
            run(store, STEP, texts, lambda todo, texts=texts: ((index, {"text": texts[index]}) for index in todo))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["key"] if "key" in line else (line["items"], line["cached"], line["made"]) for line in lines] == [
        STEP.key("a")[:12],
        (1, 0, 1),
        STEP.key("b")[:12],
        (2, 1, 1),
    ]
    assert {line["cell"] for line in lines} == {"cell"} and {line["kind"] for line in lines} == {STEP.kind}
    assert [line["ran"] if "key" in line else line["call"] for line in lines] == [True] * 4


def test_a_call_is_told_to_who_follows_the_cell(opened, tmp_path):
    told = []
    with opened() as store:
        store.journal = Journal(tmp_path / "no such folder" / "steps.jsonl", "cell", told.append)
        run(store, STEP, ["a", "a"], lambda todo: ((index, {}) for index in todo))
    [call] = told
    assert (call["kind"], call["items"], call["cached"], call["made"]) == (STEP.kind, 1, 0, 1)
    assert call["seconds"] > 0 and call["began"] > 1e9


def test_a_journal_that_cannot_be_written_stops_nothing(opened, tmp_path):
    with opened() as store:
        store.journal = Journal(tmp_path / "no such folder" / "steps.jsonl", "cell")
        assert len(run(store, STEP, ["a"], lambda todo: ((index, {}) for index in todo))) == 1


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    (tmp_path / "steps.db").write_bytes(b"not a database, but long enough to be looked at" * 50)
    before = (tmp_path / "steps.db").read_bytes()
    with pytest.raises(StoreError, match=r"steps\.db"):
        Store(tmp_path)
    assert (tmp_path / "steps.db").read_bytes() == before


def test_a_newer_store_is_refused(opened):
    with opened() as store, store.database.writer.begin() as db:
        db.execute(meta_table.update().values(value="99"))
    with pytest.raises(StoreError, match="schema 99"):
        opened()


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "store").write_text("")
    with pytest.raises(StoreError, match="store"):
        Store(tmp_path / "store")
