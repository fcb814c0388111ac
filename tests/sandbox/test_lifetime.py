"""Healing, back-pressure, and that nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import SandboxError
from harness.sandbox import Limits, Program, Sandbox, probe
from harness.sandbox.worker import Worker, spread
from harness.types import Check
from tests.processes import alive, below, gone
from tests.sandbox.conftest import reached

GOOD = Program("def f(x): return x + 1", "f", (Check((1,), 2),))
SLOW = Program("def f(x):\n    while True: pass", "f", (Check((1,), 2),))

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


def tree(worker: Worker) -> list[int]:
    """Return pids of a worker's processes, outermost first: judge, launcher, zygote, child."""
    return [worker.process.pid, *below(worker.process.pid)]


@needs_proc
@pytest.mark.parametrize("which", [0, 1, 2], ids=["judge", "launcher", "zygote"])
def test_killed_part_heals_and_no_program_is_blamed(full: Sandbox, which: int) -> None:
    os.kill(tree(full.workers[0])[which], signal.SIGKILL)
    assert [verdict.status for _, verdict in full.judge([GOOD] * 3, fresh=True)] == ["passed"] * 3


@needs_proc
def test_zygote_killed_while_serving_runs_the_program_again(full: Sandbox) -> None:
    slow = Program("import time\ndef f(x):\n    time.sleep(0.5)\n    return x + 1", "f", GOOD.checks)
    pids = tree(full.workers[0])
    killer = subprocess.Popen([sys.executable, "-c", f"import os,time; time.sleep(0.2); os.kill({pids[2]}, 9)"])
    before = full.healed
    [(_, verdict)] = full.judge([slow], fresh=True)
    killer.wait()
    assert verdict.passed and verdict.wall_s > 0.6 and not alive(pids[2])
    assert full.healed == before + 1


@needs_proc
def test_program_whose_sandbox_dies_twice_is_infrastructure_never_wrong(
    full: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Worker.send

    def send_and_kill(self: Worker, data: bytes) -> None:
        send(self, data)
        self.ready = True  # or it would count as one that cannot start
        self.process.kill()

    monkeypatch.setattr(Worker, "send", send_and_kill)
    [(_, verdict)] = full.judge([SLOW], fresh=True)
    assert verdict.status == "infrastructure"
    monkeypatch.undo()
    assert [verdict.status for _, verdict in full.judge([GOOD], fresh=True)] == ["passed"]


@needs_proc
def test_close_leaves_no_process() -> None:
    with Sandbox(workers=2) as sandbox:
        list(sandbox.judge([GOOD] * 4))
        pids = [pid for worker in sandbox.workers for pid in tree(worker)]
        assert len(pids) >= 4
    assert gone(pids, 0.05)


HARNESS = """
from harness.sandbox import Check, Program, Sandbox
with Sandbox(workers=2, cache=False) as sandbox:
    good, endless = (Program(text, "f", (Check((1,), 2),)) for text in ("def f(x): return x + 1", "while True: pass"))
    for index, _ in sandbox.judge([good, good, endless, endless, endless, endless]):
        print(index, flush=True)
"""


@needs_proc
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_a_harness_that_is_killed_leaves_no_process(how: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    harness = subprocess.Popen([sys.executable, "-c", HARNESS], stdout=subprocess.PIPE, cwd=root)
    assert harness.stdout is not None
    assert sorted(harness.stdout.readline() for _ in range(2)) == [b"0\n", b"1\n"]
    time.sleep(0.2)  # both judges have an endless program now
    pids = below(harness.pid)
    assert len(pids) >= 4  # two judges and their children at least
    harness.send_signal(how)
    assert harness.wait() == -how
    harness.stdout.close()
    assert gone(pids, 1.0)


def test_verdicts_stream_and_few_programs_are_taken_ahead(sandbox: Sandbox) -> None:
    taken = 0

    def endless() -> Iterator[Program]:
        nonlocal taken
        while True:
            taken += 1
            yield GOOD

    stream = sandbox.judge(endless(), fresh=True)
    for _ in range(5):
        next(stream)
    assert taken <= 5 + 2 * len(sandbox.workers) + 1
    stream.close()
    assert [index for index, _ in sandbox.judge([GOOD])] == [0]


def test_every_program_gets_exactly_one_verdict_from_several_workers() -> None:
    programs = [Program(f"def f(x): return x + {n % 2}", "f", (Check((1,), 2),)) for n in range(60)]
    with Sandbox(workers=3) as sandbox:
        verdicts = list(sandbox.judge(programs))
    assert sorted(index for index, _ in verdicts) == list(range(60))
    assert all(verdict.passed is (index % 2 == 1) for index, verdict in verdicts)


def test_sleeper_is_run_again_alone_before_it_is_a_timeout() -> None:
    sleeper = Program("import time\ndef f(x): time.sleep(99)", "f", (Check((1,), 2),))
    began = time.monotonic()
    with Sandbox(limits=Limits(cpu_s=0.2, wall_s=0.5)) as sandbox:
        verdicts = dict(sandbox.judge([sleeper, GOOD]))
    assert verdicts[1].passed and verdicts[0].status == "timeout" and "wall limit" in verdicts[0].reason
    assert time.monotonic() - began >= 1.0


def test_level_below_the_minimum_is_refused_with_a_remedy() -> None:
    with pytest.raises(SandboxError, match=r"process-only.*full is required.*Remedy"):
        Sandbox(minimum="full", strongest="process-only").__enter__()


@pytest.mark.parametrize("level", ["no-namespaces", "process-only"])
def test_weaker_levels_say_so_and_still_judge(level: str) -> None:
    with Sandbox(strongest=level) as sandbox:  # type: ignore[arg-type]  parametrized
        [(_, verdict)] = reached(sandbox, level).judge([GOOD])
    assert verdict.passed and verdict.level == level


def test_probe_tells_the_level(sandbox: Sandbox) -> None:
    assert probe() == (sandbox.level, sandbox.missing)


def test_start_to_first_verdict_is_quick() -> None:
    def once() -> float:
        began = time.monotonic()
        with Sandbox() as sandbox:
            list(sandbox.judge([GOOD]))
            return time.monotonic() - began

    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert min(once() for _ in range(3)) < 0.3 * crowd  # 0.15 s on an idle core


def test_sandbox_imports_nothing_heavy() -> None:
    code = "import sys, harness.sandbox; print([n for n in ('torch', 'numpy', 'harness.store') if n in sys.modules])"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="needs a kernel that binds processes to cores")
def test_judges_that_take_all_cores_keep_to_one_each_and_fewer_to_none() -> None:
    cores = os.sched_getaffinity(0)
    with Sandbox(workers=len(cores)) as sandbox:
        while not all(worker.ready for worker in sandbox.workers):
            assert all(verdict.passed for _, verdict in sandbox.judge([GOOD] * 20, fresh=True))
        kept = [{frozenset(os.sched_getaffinity(pid)) for pid in tree(worker)} for worker in sandbox.workers]
        assert kept == [{frozenset({core})} for core in sorted(cores)]
    assert spread(len(cores) + 1) == (*sorted(cores), min(cores))
    assert set(spread(len(cores) - 1)) <= {None}
