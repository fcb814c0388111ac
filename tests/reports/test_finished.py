"""Finished runs, alone and joined."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.errors import StoreError, UsageError
from harness.results.finished import load, table_of
from harness.settings.config import Budget
from reports.facts import caption
from tests.reports.folders import write_run
from tests.reports.rows import row

BASE = row("untrained", [1, 0, 0, 0, 0, 1, 0, 0])
OURS = row("iterkd", [1, 1, 1, 0, 0, 1, 1, 0], seed=0, cycle=1)
OTHER = row("persd", [1, 1, 0, 0, 0, 1, 1, 0], seed=0, cycle=1)


def test_two_runs_make_one_table_with_what_both_hold_once(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "a", [BASE, OURS]), write_run(tmp_path / "b", [BASE, OTHER])
    table = table_of(load([one, two]))
    assert [line.label for line in table.lines] == ["untrained", "iterkd", "persd"]
    assert table.comparisons == 2


def test_seeds_of_two_runs_are_joined(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / str(seed), [BASE, replace(OURS, seed=seed)]) for seed in (0, 1)]
    assert table_of(load(runs)).lines[1].seeds == (0, 1)


def test_what_differs_between_runs_becomes_part_of_the_name(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [BASE, OURS])
    two = write_run(tmp_path / "b", [BASE, OURS], budget=asdict(Budget(examples=400)))
    table = table_of(load([one, two]))
    assert [line.label for line in table.lines] == [
        "untrained",
        "iterkd budget.examples=800",
        "iterkd budget.examples=400",
    ]
    assert table.lines[1].seconds == table.lines[2].seconds == 10
    assert "; or " in table.budget


def test_another_student_is_another_untrained_line(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [BASE, OURS])
    two = write_run(tmp_path / "b", [replace(BASE, weights="other"), OURS], student="./big")
    labels = [line.label for line in table_of(load([one, two]), "untrained student=./big").lines]
    assert labels[:2] == ["untrained", "untrained student=./big"]
    with pytest.raises(UsageError, match=r"2 lines bear|no such line"):
        table_of(load([one, two]), "persd")


def test_two_results_of_one_cell_are_refused_and_both_runs_named(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [BASE, OURS])
    two = write_run(tmp_path / "b", [BASE, replace(OURS, correct=BASE.correct)])
    with pytest.raises(UsageError, match=r"iterkd, seed 0, cycle 1, pipelines: .*b and .*a differ in correct"):
        load([one, two])


def test_changed_defaults_of_a_recipe_are_refused(tmp_path: Path) -> None:
    one, two = write_run(tmp_path / "a", [BASE, OURS]), write_run(tmp_path / "b", [BASE, replace(OURS, seed=1)])
    text = (two / "config.json").read_text().replace('"fresh": 0.5', '"fresh": 0.9')
    (two / "config.json").write_text(text)
    with pytest.raises(UsageError, match=r"iterkd: .*0\.9.* its defaults changed"):
        load([one, two])


def test_runs_measured_unlike_are_refused(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", [BASE, OURS])
    two = write_run(tmp_path / "b", [replace(OTHER, benchmark_hash="f" * 64)])
    with pytest.raises(UsageError, match="benchmark_hash is ffff"):
        table_of(load([one, two]))


def test_unfinished_run_is_told_with_its_command(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [BASE, OURS])
    (folder / "rows.jsonl").unlink()
    with pytest.raises(StoreError, match=r"not finished, .*harness compare recipe=iterkd"):
        load([folder])


def test_times_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [BASE, OURS])
    text = (folder / "timings.jsonl").read_text().replace("10.0", "NaN")
    (folder / "timings.jsonl").write_text(text)
    with pytest.raises(StoreError, match="seconds is nan for iterkd"):
        load([folder])


def test_samples_that_the_row_was_not_counted_from_are_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "a", [BASE, OURS])
    [path] = (folder / "samples").glob("iterkd*")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["passed"] = False
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = load([folder])
    with pytest.raises(StoreError, match="4 samples pass, the row counts 5"):
        found.samples(found.rows[1])


def test_k_that_one_run_lacks_is_left_out(tmp_path: Path) -> None:
    one, two = (
        write_run(tmp_path / name, [replace(o, samples=2, statuses={"wrong": 16}) for o in (BASE, other)], k=k)
        for name, other, k in (("a", OURS, [1, 2]), ("b", OTHER, [1]))
    )
    assert table_of(load([one, two])).ks == (1,)


def test_what_the_results_are_of_is_told_of_old_and_new_runs(tmp_path: Path) -> None:
    old = write_run(tmp_path / "a", [BASE, OURS], teacher="oracle")
    new = write_run(tmp_path / "b", [BASE, OURS], teacher={"name": "openai", "model": "m", "top_p": 1.0})
    assert table_of(load([old])).about == {"student": "tiny-0.3M", "teacher": "oracle", "problems": "pipelines"}
    assert table_of(load([new])).about["teacher"] == "openai:m"


def test_a_teacher_of_distributions_is_named_and_is_no_part_of_a_lines_name(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a", [BASE, OURS]), write_run(tmp_path / "b", [BASE, OTHER])]
    facts = json.loads((runs[1] / "run.json").read_text()) | {"logits_teacher": "./teacher", "name": "b"}
    (runs[1] / "run.json").write_text(json.dumps(facts))
    made = table_of(load(runs))
    assert made.about["logits"] == "./teacher" and [line.label for line in made.lines][1:] == ["iterkd", "persd"]
    assert "logits ./teacher" in caption(made)
