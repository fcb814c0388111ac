"""Comparisons from end to end, as a user runs them: every recipe, again, killed, resumed, extended, exported."""

import json
import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from harness.settings import catalog
from harness.store.rows import read_rows
from tests.command import TINY, only_run, run, start

pytestmark = pytest.mark.compare

EVERY = [name for group in catalog.names().values() for name in group]
PART = 8  # recipes in one table


def steps(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "runs/store/steps.db") as db:
        return dict(db.execute("SELECT kind, count(*) FROM steps GROUP BY kind"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished comparison of two recipes, and what it printed. Tests that change a run make one of their own."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, run("compare", "recipe=iterkd,persd", *TINY, folder=folder)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, len(EVERY), PART), ids=lambda first: EVERY[first])
def test_every_recipe_runs_two_cycles_in_one_table(finished, tmp_path, first):
    names = EVERY[first : first + PART]
    store = shutil.copytree(finished[0] / "runs/store", tmp_path / "store")  # with the base student
    out = run("compare", f"recipe={','.join(names)}", f"store={store}", *TINY, folder=tmp_path)
    rows = read_rows(only_run(tmp_path) / "rows.jsonl")
    assert [(row.recipe, row.cycle) for row in rows] == [
        ("untrained", 0),
        *((name, c) for name in names for c in (1, 2)),
    ]
    for row in rows:
        idle = row.notes.get("cycles without examples", 0)
        assert row.spent.updates == 3 * max(0, row.cycle - idle), (row.recipe, row.cycle)
    assert all(name in out for name in names)


def test_a_run_leaves_rows_table_configuration_versions_samples_and_students(finished):
    folder, out = finished
    found = only_run(folder)
    assert str(found.relative_to(folder)) in out
    for name in ("rows.jsonl", "timings.jsonl", "table.md", "config.json", "versions.json", "run.json"):
        assert (found / name).stat().st_size > 0, name
    lines = [
        json.loads(line) for line in (found / "samples/iterkd-seed0-cycle2-pipelines.jsonl").read_text().splitlines()
    ]
    assert len(lines) == 16 and {"task_id", "completion", "passed", "status"} <= lines[0].keys()
    assert sorted(path.name for path in (found / "students").iterdir()) == ["iterkd-seed0-cycle2", "persd-seed0-cycle2"]
    examples = (found / "examples" / "iterkd-seed0.jsonl").read_text().splitlines()
    assert examples and all(json.loads(one)["completion"] for one in examples)


def test_the_opening_tells_student_teacher_problems_budget_and_sandbox(finished):
    _, out = finished
    for word in (
        "student     tiny-0.3M",
        "teacher     oracle",
        "problems    pipelines",
        "budget      16 examples",
        "sandbox     ",
    ):
        assert word in out


def test_no_line_of_the_table_is_wider_than_the_terminal(finished):
    assert max(len(line) for line in finished[1].splitlines()) <= 80


def test_the_same_command_again_runs_no_step_and_prints_the_same_table(finished):
    folder, out = finished
    found = only_run(folder)
    before, counted = (found / "rows.jsonl").read_bytes(), steps(folder)
    again = run("compare", "recipe=iterkd,persd", *TINY, folder=folder)
    assert steps(folder) == counted
    assert (found / "rows.jsonl").read_bytes() == before
    assert table_in(again) == table_in(out)


def table_in(out: str) -> list[str]:
    """Return the lines of the table: from its headline to the command that reproduces it."""
    lines = out.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith("one seed"))
    last = next(place for place, line in enumerate(lines) if line.startswith("To reproduce"))
    return lines[first : last + 3]


def test_adding_a_recipe_runs_only_that_recipe(finished, tmp_path):
    folder, _ = finished
    shutil.copytree(folder / "runs", tmp_path / "runs")
    before, known = steps(tmp_path), read_rows(only_run(tmp_path) / "rows.jsonl")
    run("compare", "recipe=iterkd,persd,uniform", *TINY, folder=tmp_path)
    added = {kind: count - before[kind] for kind, count in steps(tmp_path).items()}
    assert added["checkpoint"] == 2  # its own two cycles
    assert added["answers"] < 3 * 16  # new problems and their answers; the seed pool's answers were known
    [extended] = [path.parent for path in (tmp_path / "runs").glob("*uniform*/config.json")]
    rows = read_rows(extended / "rows.jsonl")
    assert rows[: len(known)] == known
    assert {row.recipe for row in rows[len(known) :]} == {"uniform"}


def test_both_recipes_count_the_answers_that_they_share(finished):
    rows = {(row.recipe, row.cycle): row for row in read_rows(only_run(finished[0]) / "rows.jsonl")}
    assert rows["persd", 2].spent.teacher_calls >= 32
    assert rows["iterkd", 2].spent.teacher_calls >= 32


@pytest.mark.slow
@pytest.mark.parametrize("delay", [4.0, 8.0, 11.0])
def test_a_run_killed_at_any_moment_ends_in_the_same_rows(finished, tmp_path, delay):
    expected = (only_run(finished[0]) / "rows.jsonl").read_bytes()
    process = start("compare", "recipe=iterkd,persd", *TINY, folder=tmp_path)
    time.sleep(delay)  # not for luck: wherever the kill falls, the outcome must be the same
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    run("compare", "recipe=iterkd,persd", *TINY, folder=tmp_path)
    assert (only_run(tmp_path) / "rows.jsonl").read_bytes() == expected


def test_sigterm_ends_a_run_soon_and_in_order(tmp_path):
    process = start("compare", "recipe=iterkd", *TINY, folder=tmp_path)
    assert process.stderr is not None
    process.stderr.readline()  # the first line of progress: its cells are at work
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "the same command goes on" in err


def test_an_exported_student_is_a_model_folder_with_its_row(finished, tmp_path):
    folder, _ = finished
    found = only_run(folder)
    run("export", str(found), "recipe=iterkd", "--to", str(tmp_path / "student"), folder=folder)
    card = (tmp_path / "student/README.md").read_text()
    assert "harness compare recipe=iterkd,persd" in card and "iterkd" in card
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tmp_path / "student")
    assert model.num_parameters() > 100_000
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "student")
        .decode(AutoTokenizer.from_pretrained(tmp_path / "student")("def f(x):")["input_ids"])
        .endswith("def f(x):")
    )


def test_two_seeds_for_one_export_are_refused(finished, tmp_path):
    folder, _ = finished
    words = ("export", str(only_run(folder)), "recipe=iterkd", "seed=0,1", "--to", str(tmp_path / "student"))
    assert "Export takes one student" in run(*words, folder=folder, code=2)
    assert not (tmp_path / "student").exists()


def test_a_mistyped_run_is_reported_with_the_nearest_one(finished):
    folder, _ = finished
    name = only_run(folder).name
    assert f"did you mean {name}?" in run("report", f"runs/{name}x", folder=folder, code=2)


def test_an_earlier_cycle_is_exported_from_the_store(finished, tmp_path):
    folder, _ = finished
    found = only_run(folder)
    run("export", str(found), "recipe=persd", "cycle=1", "--to", str(tmp_path / "student"), folder=folder)
    assert (tmp_path / "student/model.safetensors").is_file()


def test_a_student_is_exported_from_where_the_run_kept_its_checkpoints(tmp_path):
    run("compare", "recipe=standard_kd", *TINY, "artifacts=elsewhere", folder=tmp_path)
    assert not (tmp_path / "runs/store/artifacts").exists()
    words = ("recipe=standard_kd", "cycle=1", "--to", "student")
    run("export", str(only_run(tmp_path)), *words, folder=tmp_path)
    assert (tmp_path / "student/model.safetensors").is_file()


def test_a_finished_run_is_reported_from_its_folder(finished):
    folder, out = finished
    again = run("report", str(only_run(folder)), folder=folder)
    assert table_in(again) == table_in(out)


def test_a_swept_key_makes_a_row_for_each_value(tmp_path):
    run("compare", "recipe=iterkd", "iterkd.weight=0,0.5", *TINY, "cycles=1", folder=tmp_path)
    rows = read_rows(only_run(tmp_path) / "rows.jsonl")
    assert [row.settings for row in rows] == [{}, {"weight": "0"}, {"weight": "0.5"}]
    plain, contrasted = rows[1], rows[2]
    assert contrasted.spent.training_tokens > plain.spent.training_tokens
    assert contrasted.weights != plain.weights


def test_humaneval_stands_in_the_same_table(tmp_path):
    words = ("benchmark=pipelines,humaneval", "cycles=1", "decode.max_new_tokens=24")
    out = run("compare", "recipe=standard_kd", *TINY, *words, folder=tmp_path)
    rows = read_rows(only_run(tmp_path) / "rows.jsonl")
    assert [row.n for row in rows if row.benchmark == "humaneval"] == [164, 164]
    assert "humaneval" in out
