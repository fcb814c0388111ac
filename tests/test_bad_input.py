"""What a mistake gets: the thing's name and the remedy, exit code 2, and nothing written."""

import json
import sqlite3

import pytest

from tests.command import TINY, only_run, run

pytestmark = pytest.mark.compare


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["recipe=iterdk"], "did you mean iterkd?"),
        (["recipe=iterkd", "cylces=2"], "did you mean cycles?"),
        (["recipe=iterkd", "preset=smok"], "did you mean smoke?"),
        (["recipe=iterkd", "benchmark=humanevl"], "humaneval"),
        (["recipe=iterkd", "problems=nowhere.jsonl"], "nowhere.jsonl"),
        (["recipe=iterkd", "student=no-such-folder"], "no-such-folder"),
        (["recipe=iterkd", "teacher=oracel"], "oracle"),
        (["recipe=no_such.recipe"], "no_such.recipe"),
        (["recipe=kd-fkl", "logits=no-such-folder"], "logits=no-such-folder"),
        (["recipe=iterkd", "train.micro_batches=3"], "train.batch=16: expected a multiple of train.micro_batches=3"),
        (["recipe=iterkd", "train.accelerate=nowhere.yaml"], "nowhere.yaml"),
        (["recipe=iterkd", "report_to=trackio"], "pip install trackio"),
        (["recipe=iterkd", "report_to=trakio"], "did you mean trackio?"),
        (["recipe=iterkd", "generation.backend=vlm"], "did you mean vllm?"),
        (["recipe=iterkd", "artifacts=ftp://me:pw@host/x"], "artifacts=ftp://***@host/x: a password or key"),
    ],
)
def test_a_wrong_word_is_told_and_writes_nothing(words, said, tmp_path):
    out = run("compare", *words, folder=tmp_path, code=2)
    assert said in out
    assert "Traceback" not in out
    assert list(tmp_path.iterdir()) == []


def test_a_student_folder_without_weights_is_told_and_writes_nothing(tmp_path):
    (tmp_path / "student").mkdir()
    (tmp_path / "student/config.json").write_text("{}")
    assert "no weights" in run("compare", "recipe=iterkd", "student=student", folder=tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_all_mistakes_are_told_at_once(tmp_path):
    out = run("compare", "recipe=iterdk", "cylces=2", "budget.updates=none", folder=tmp_path, code=2)
    assert out.count("error: ") == 3


def test_a_run_folder_of_another_configuration_is_refused_and_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.json").write_text(json.dumps({"run": {"cycles": 7}, "cells": []}))
    out = run("compare", "recipe=iterkd", *TINY, "run=mine", folder=tmp_path, code=2)
    assert "another configuration" in out and "cycles" in out
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["config.json"]


def test_a_folder_of_other_files_is_not_taken_for_a_run(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    assert "holds files but no run" in run("compare", "recipe=iterkd", *TINY, "run=mine", folder=tmp_path, code=2)


def test_a_damaged_store_is_named(tmp_path):
    (tmp_path / "runs/store").mkdir(parents=True)
    (tmp_path / "runs/store/steps.db").write_bytes(b"half of something else" * 400)
    out = run("compare", "recipe=iterkd", *TINY, folder=tmp_path, code=2)
    assert "steps.db" in out and "store=" in out


def test_a_damaged_record_stops_the_run_and_the_doctor_finds_it(tmp_path):
    words = ("compare", "recipe=standard_kd", *TINY, "cycles=1")
    run(*words, folder=tmp_path)
    with sqlite3.connect(tmp_path / "runs/store/steps.db") as db:
        db.execute("UPDATE steps SET payload = '{}' WHERE kind = 'samples'")
    assert "is damaged" in run(*words, folder=tmp_path, code=2)
    assert "content and digest differ" in run("doctor", "runs/store", folder=tmp_path, code=1)


@pytest.mark.parametrize("key", ["run", "store"])
def test_a_folder_without_write_permission_is_named(key, tmp_path):
    # /sys refuses new folders to everybody, to root as well
    out = run("compare", "recipe=iterkd", *TINY, f"{key}=/sys/harness-{key}", folder=tmp_path, code=2)
    assert "no permission to write" in out and f"/sys/harness-{key}" in out


def test_an_isolation_level_that_cannot_be_had_is_refused(tmp_path):
    out = run("compare", "recipe=iterkd", "sandbox.level=fulll", folder=tmp_path, code=2)
    assert "did you mean full?" in out


def test_exporting_what_the_run_does_not_hold_lists_what_it_holds(tmp_path):
    run("compare", "recipe=standard_kd", *TINY, "cycles=1", folder=tmp_path)
    found = str(only_run(tmp_path))
    out = run("export", found, "recipe=standard_kd", "cycle=9", "--to", "there", folder=tmp_path, code=2)
    assert "seed=0 cycle=1" in out
    assert not (tmp_path / "there").exists()
