"""The local executor beyond the contract: garbage among the events, stubborn and deaf jobs, what a cell keeps apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.executors import local
from tests.executors.jobs import Jobs, alive


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path, local.run)


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
    running.close()
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
    from harness.comparison import cell

    def run_cell(command, number, level, emit, *more):
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
    from harness.comparison import cell

    def run_cell(command, number, level, emit, *more):
        sys.exit(f"read {sys.stdin.read()!r} and {open(0, closefd=False).read()!r}")

    cell.run_cell, cell.resolve = run_cell, lambda words: None
    sys.exit(cell.main())
    """
    job = jobs.job("leaves", body, head="", words=[], cell=0, level="full", sharing=1)
    (_, error), (_, end) = jobs.run(job)
    assert error["event"] == "error" and "read '' and ''" in error["text"] and not error["usage"]
    assert end == {"event": "exit", "code": 1}
