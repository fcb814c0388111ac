"""Jobs of the local executor: small modules that report, die, print garbage or outstay their welcome."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.executors import local
from harness.executors.local import Job

EMIT = """
import json, os, signal, sys, time
from pathlib import Path
message = json.loads(sys.stdin.readline())
def emit(**event):
    os.write(1, json.dumps(event).encode() + b"\\n")
"""


class Jobs:
    """Writes modules into a folder and runs them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def job(self, name: str, body: str, head: str = EMIT, **message: Any) -> Job:
        (self.folder / f"{name}.py").write_text(head + textwrap.dedent(body))
        return Job(name, message, self.folder / "logs" / f"{name}.log")

    def run(self, *jobs: Job, workers: int = 1) -> Iterator[tuple[int, dict[str, Any]]]:
        paths = (str(self.folder), str(Path(str(harness.__file__)).parents[1]))
        return local.run(jobs, workers, {"PYTHONPATH": os.pathsep.join(paths)})


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_events_come_in_order_and_the_exit_is_last(jobs: Jobs) -> None:
    job = jobs.job("counts", 'for n in range(message["n"]): emit(event="n", n=n)', n=50)
    events = list(jobs.run(job))
    assert events == [(0, {"event": "n", "n": n}) for n in range(50)] + [(0, {"event": "exit", "code": 0})]


def test_each_event_carries_its_jobs_number(jobs: Jobs) -> None:
    both = [jobs.job("names", 'emit(event="name", own=message["own"])', own=own) for own in ("a", "b")]
    found = list(jobs.run(*both, workers=2))
    assert sorted(index for index, event in found if event["event"] == "exit") == [0, 1]
    assert {index: event["own"] for index, event in found if event["event"] == "name"} == {0: "a", 1: "b"}


@pytest.mark.parametrize(
    "garbage", [b"Loading weights: 100%\n", b"\xff\xfe\x00\n", b"[1, 2]\n", b"17\n", b'{"no": "event"}\n', b"{" * 9000]
)
def test_garbage_among_the_events_loses_neither_them_nor_the_exit(jobs: Jobs, garbage: bytes) -> None:
    job = jobs.job("noisy", f"emit(event='a')\nos.write(1, {garbage!r} + b'\\n')\nemit(event='b')")
    assert [event["event"] for _, event in jobs.run(job)] == ["a", "b", "exit"]


def test_garbage_is_kept_beside_the_jobs_own_errors(jobs: Jobs) -> None:
    body = """
    os.write(2, b"first\\n")
    os.write(1, b"second\\n")
    emit(event="here")
    while b"second" not in Path(message["log"]).read_bytes():
        time.sleep(0.01)
    os.write(2, b"third\\n")
    """
    job = jobs.job("noisy", body, log=str(jobs.folder / "logs" / "noisy.log"))
    list(jobs.run(job))
    assert job.errors.read_text() == "first\nsecond\nthird\n"


def test_a_job_cannot_report_its_own_exit(jobs: Jobs) -> None:
    job = jobs.job("liar", 'emit(event="exit", code=0)\nemit(event="after")\nsys.exit(4)')
    assert [event for _, event in jobs.run(job)] == [{"event": "after"}, {"event": "exit", "code": 4}]


def test_a_job_that_dies_by_a_signal_gives_its_number(jobs: Jobs) -> None:
    job = jobs.job("dies", 'emit(event="a")\nos.kill(os.getpid(), signal.SIGKILL)')
    assert list(jobs.run(job)) == [(0, {"event": "a"}), (0, {"event": "exit", "code": -signal.SIGKILL})]


def test_a_job_that_never_reads_its_message_still_exits(jobs: Jobs) -> None:
    job = jobs.job("deaf", "import sys; sys.exit(3)", head="", words="x" * 1_000_000)
    assert list(jobs.run(job)) == [(0, {"event": "exit", "code": 3})]


def test_leaving_early_leaves_no_process_not_even_a_stubborn_one(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "GRACE_S", 0.3)
    sleep = 'emit(event="pid", pid=os.getpid())\ntime.sleep(60)'
    polite, stubborn = jobs.job("polite", sleep), jobs.job("stubborn", f"signal.signal(15, signal.SIG_IGN)\n{sleep}")
    running = jobs.run(polite, stubborn, workers=2)
    processes = [next(running)[1]["pid"] for _ in range(2)]
    assert all(alive(one) for one in processes)
    running.close()  # type: ignore[attr-defined] - a generator, which its annotation does not say
    assert not any(alive(one) for one in processes)


def test_jobs_run_side_by_side_but_never_more_than_the_workers(jobs: Jobs) -> None:
    body = """
    emit(event="began")
    Path(message["folder"], str(message["own"])).touch()
    partner, deadline = Path(message["folder"], str(message["own"] ^ 1)), time.monotonic() + 60
    while not partner.exists():  # a pair ends only if both run at a time
        if time.monotonic() > deadline:
            sys.exit(1)
        time.sleep(0.01)
    """
    four = [jobs.job("pairs", body, own=own, folder=str(jobs.folder)) for own in range(4)]
    running, most, codes = 0, 0, list[int]()
    for _, event in jobs.run(*four, workers=2):
        running += {"began": 1, "exit": -1}[event["event"]]
        most = max(most, running)
        codes += [event["code"]] if event["event"] == "exit" else []
    assert most == 2 and codes == [0, 0, 0, 0]


def test_what_a_cells_libraries_and_children_print_stays_out_of_its_events(jobs: Jobs) -> None:
    body = """
    import os, subprocess, sys
    from harness import cell

    def run_cell(command, number, level, emit, sharing):
        emit({"event": "a"})
        os.write(1, b"C code, and no end of line ")
        print("print", flush=True)
        subprocess.run([sys.executable, "-c", "print('a child', flush=True)"], check=True)
        emit({"event": "b"})

    cell.run_cell, cell.resolve = run_cell, lambda words: None
    sys.exit(cell.main())
    """
    job = jobs.job("prints", body, head="", words=[], cell=0, level="full", sharing=1)
    assert [event["event"] for _, event in jobs.run(job)] == ["a", "b", "exit"]
    assert job.errors.read_text().split("\n") == ["C code, and no end of line print", "a child", ""]


def test_a_cell_finds_no_input_and_reports_a_recipe_that_exits(jobs: Jobs) -> None:
    body = """
    import sys
    from harness import cell

    def run_cell(command, number, level, emit, sharing):
        sys.exit(f"read {sys.stdin.read()!r} and {open(0, closefd=False).read()!r}")

    cell.run_cell, cell.resolve = run_cell, lambda words: None
    sys.exit(cell.main())
    """
    job = jobs.job("leaves", body, head="", words=[], cell=0, level="full", sharing=1)
    (_, error), (_, end) = jobs.run(job)
    assert error["event"] == "error" and "read '' and ''" in error["text"] and not error["usage"]
    assert end == {"event": "exit", "code": 1}


def test_a_variable_that_is_none_is_taken_from_the_environment(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYS", "here")
    monkeypatch.setenv("GOES", "here")
    job = jobs.job("looks", 'emit(event="seen", names=sorted({"STAYS", "GOES"} & set(os.environ)))')
    (_, event), _ = local.run([job], 1, {"PYTHONPATH": str(jobs.folder), "GOES": None})
    assert event["names"] == ["STAYS"]
