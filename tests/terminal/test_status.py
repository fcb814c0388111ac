"""A run seen and ended from another terminal."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path

import pytest

from harness.cli import main
from harness.comparison.compare import BASE
from harness.errors import StoreError
from harness.terminal import texts
from harness.terminal.display import Display
from harness.terminal.status import LOG, EventLog, Status, read_status, stop
from tests.command import TINY, only_run, run, start


def at_work(folder: Path) -> Path:
    """Wait until the run below `folder` has jobs at work; return its folder."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for path in (folder / "runs").glob(f"*/{LOG}"):
            if '"progress"' in path.read_text():
                return path.parents[1]
        time.sleep(0.05)
    raise AssertionError("the run did not start")


@pytest.mark.slow
@pytest.mark.compare
def test_a_run_is_watched_stopped_and_gone_on_with(tmp_path, capsys):
    process = start("compare", "recipe=standard_kd", *TINY, folder=tmp_path)
    found = at_work(tmp_path)
    status = read_status(found)
    assert status.holder.startswith(f"process {process.pid} on ") and not status.finished
    assert [job.name for job in status.jobs] == ["untrained", "standard_kd seed=0"]
    assert main(["status", str(found)]) == 0
    assert f"running, process {process.pid}" in capsys.readouterr().out
    assert stop(found) == status.holder
    assert process.wait(10) == 130
    process.communicate()
    assert main(["status", str(found)]) == 0
    assert "stopped before its end" in capsys.readouterr().out
    run("compare", "recipe=standard_kd", *TINY, folder=tmp_path)
    status = read_status(only_run(tmp_path))
    assert status.finished and not status.holder and status.starts == 2
    assert [len(job.rows) for job in status.jobs] == [1, 2] and {job.code for job in status.jobs} == {0}
    assert main(["stop", str(found)]) == 0
    assert "nobody is working" in capsys.readouterr().out


def folder_of_a_run(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "config.json").write_text(json.dumps({"run": {}}))
    (tmp_path / "run.json").write_text(json.dumps({"command": "harness compare recipe=x", "store": "s"}))
    return tmp_path


def test_a_log_that_was_cut_in_the_middle_of_a_line_is_read(tmp_path):
    folder = folder_of_a_run(tmp_path)
    with EventLog(folder, ["untrained"]) as log:
        log.see(0, {"event": "stage", "stage": "evaluating"}, "0:10")
    with (folder / LOG).open("a") as stream:
        stream.write('{"time": 1, "event": "st')
    status = read_status(folder)
    assert status.jobs[0].tally.stage == "evaluating" and status.left == "0:10"


def test_cells_that_a_stopped_run_had_not_begun_are_told_apart(tmp_path, capsys):
    folder = folder_of_a_run(tmp_path)
    with EventLog(folder, ["untrained", "persd seed=0"]) as log:
        log.see(0, {"event": "stage", "stage": "evaluating"}, "")
    assert main(["status", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "untrained: not ended; was at evaluating" in told and "persd seed=0: not begun" in told


def test_a_run_at_work_tells_how_long_it_has_been_silent(tmp_path):
    found = Status("harness compare", "process 1 on here", False, 1, time.time() - 600, time.time() - 61, "", [])
    assert any("last event 1:01 ago" in line for line in texts.status(found))


def test_the_base_student_is_the_untrained_jobs_whichever_cell_makes_it(tmp_path):
    with Display(["untrained", "persd seed=0"], 1, list, io.StringIO()) as display:
        display.see(1, {"event": "stage", "stage": BASE})
        display.see(1, {"event": "progress", "kind": "checkpoint", "done": 1, "total": 1})
    assert display.tallies[0].doing() == "base student: training 1/1"


def test_progress_is_written_at_most_once_a_second_and_at_its_end(tmp_path):
    folder = folder_of_a_run(tmp_path)
    with EventLog(folder, ["untrained"]) as log:
        for done in range(1, 101):
            log.see(0, {"event": "progress", "kind": "samples", "done": done, "total": 100}, "")
    written = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    done = [line["done"] for line in written if line["event"] == "progress"]
    assert done[0] == 1 and done[-1] == 100 and len(done) < 10


def test_a_run_on_another_machine_is_not_killed_here(tmp_path, monkeypatch):
    folder = folder_of_a_run(tmp_path)
    monkeypatch.setattr("harness.terminal.status.holder", lambda folder: "process 1 on elsewhere")
    with pytest.raises(StoreError, match="process 1 on elsewhere works on it, which is not this machine"):
        stop(folder)


@pytest.mark.parametrize("command", ["status", "stop"])
def test_a_folder_that_is_no_runs_is_refused(tmp_path, command, capsys):
    assert main([command, str(tmp_path)]) == 2
    assert "not the folder of a run" in capsys.readouterr().err
