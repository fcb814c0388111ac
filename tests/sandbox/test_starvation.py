"""How long others kept a program from a core, told from its own crowd."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.sandbox.judging import starvation
from harness.sandbox.judging.starvation import Process, processes, starved_s, threads

LAUNCHER = 100
pytestmark = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="needs Linux's /proc")


def told(
    monkeypatch: pytest.MonkeyPatch,
    waited: dict[int, list[tuple[float, float]]],
    ran: dict[int, float],
    parents: dict[int, int] | None = None,
    late_s: float = 0.0,
) -> float:
    """Return what is said ten seconds after the program's start: of each process its threads and what it ran in all."""
    start = time.clock_gettime(time.CLOCK_BOOTTIME) - 10.0
    table = [Process(LAUNCHER, 1, 5.0, 0.0), Process(101, LAUNCHER, 5.0, 0.0), Process(7, 1, 9.0, start)]
    table += [Process(pid, (parents or {}).get(pid, 101), own, start + late_s) for pid, own in ran.items()]

    def given_processes(tick_s: float) -> list[Process]:
        return table

    def given_threads(pid: int) -> list[tuple[float, float]]:
        return waited.get(pid, [])

    monkeypatch.setattr(starvation, "processes", given_processes)
    monkeypatch.setattr(starvation, "threads", given_threads)
    return starved_s(LAUNCHER, time.monotonic() - 10.0)


def test_a_wait_that_nobody_of_its_own_explains_is_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, {200: [(0.5, 9.0)]}, {200: 0.5}) == pytest.approx(9.0, abs=0.05)


def test_a_program_that_slept_was_not_starved(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, {200: [(0.1, 0.0)]}, {200: 0.1}) == pytest.approx(0.0, abs=0.05)


def test_the_time_before_its_process_existed_is_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, {200: [(0.5, 2.0)]}, {200: 0.5}, late_s=3.0) == pytest.approx(5.0, abs=0.05)


@pytest.mark.parametrize(
    ("waited", "ran"),
    [
        ({200: [(2.5, 7.5)], **{201 + n: [(2.5, 7.5)] for n in range(3)}}, {200 + n: 2.5 for n in range(4)}),
        ({200: [(2.5, 7.5)] * 4}, {200: 10.0}),  # threads
        ({200: [(2.5, 7.5)]}, {200: 10.0}),  # children that it has waited for
    ],
    ids=["processes", "threads", "reaped"],
)
def test_its_own_crowd_is_not_others(
    monkeypatch: pytest.MonkeyPatch, waited: dict[int, list[tuple[float, float]]], ran: dict[int, float]
) -> None:
    assert told(monkeypatch, waited, ran) == pytest.approx(0.0, abs=0.05)


def test_a_child_of_a_child_counts_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = {200: [(2.0, 8.0)], 201: [(8.0, 2.0)]}
    assert told(monkeypatch, waited, {200: 2.0, 201: 8.0}, {201: 200}) == pytest.approx(0.0, abs=0.05)


def test_where_nothing_can_be_seen_nothing_is_said() -> None:
    assert starved_s(2**22 + 1, time.monotonic() - 1.0) == 0.0


def test_the_kernel_is_read_as_it_writes() -> None:
    code = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    try:
        child.stdout.readline()
        [own] = [one for one in processes(1 / os.sysconf("SC_CLK_TCK")) if one.pid == child.pid]
        [(run_s, wait_s)] = threads(child.pid)
    finally:
        child.kill()
        child.communicate()
    assert own.parent == os.getpid() and 0.28 <= own.ran_s < 1.0
    assert run_s == pytest.approx(own.ran_s, abs=0.1) and wait_s >= 0.0
    assert -0.1 < time.clock_gettime(time.CLOCK_BOOTTIME) - own.began_s < 300.0
