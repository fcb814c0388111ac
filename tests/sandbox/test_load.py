"""The same verdicts whatever the load; the whole of it is `python bench/load.py --data DATA`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import harness.sandbox.rounds
from bench.load import SETTINGS, completions, differences, judged
from harness.sandbox import Check, Limits, Program, Sandbox
from harness.sandbox.judging.session import PATIENCE
from tests.needs import data_folder

LIMITS = Limits(cpu_s=2.0, wall_s=12.0)


@pytest.mark.slow
def test_verdicts_are_the_same_alone_crowded_and_beside_busy_loops() -> None:
    programs = list(completions(data_folder(), every=30))
    runs = {name: judged(programs, workers, loops, LIMITS) for name, (workers, loops) in SETTINGS.items()}
    assert len(programs) > 200 and len({verdict.status for verdict in runs["1 worker"]}) >= 4
    assert differences(programs, runs) == []


@pytest.fixture
def one_core() -> Iterator[None]:
    """Keep this process and what it starts to one core."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs Linux")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


SPIN = "import time\ndef f(x):\n    while time.process_time() < {}: pass\n    return x + 1\n"
FIRST = Program("def f(x): return x + 1", "f", (Check((1,), 2),))


@pytest.mark.slow
def test_programs_that_only_each_other_made_slow_pass(one_core: None) -> None:
    programs = [Program(f"{SPIN.format(0.8)}# {number}", "f", (Check((1,), 2),)) for number in range(6)]
    verdicts = judged(programs, workers=6, loops=0, limits=Limits(cpu_s=1.5, wall_s=2.0))
    assert [verdict.status for verdict in verdicts] == ["passed"] * 6
    assert max(verdict.wall_s for verdict in verdicts) > 2.0  # six at once need 4.8 s


@pytest.mark.slow
def test_wall_time_stands_while_others_hold_the_core(one_core: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness.sandbox.rounds, "SLACK_S", 1.0)  # its judge tells in time that it is not hung
    with Sandbox(limits=Limits(cpu_s=5.0, wall_s=2.0)) as sandbox:
        assert sandbox.verdict(FIRST).passed
        # a session each: the kernel may divide a core by session first
        crowd = [
            subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(30)
        ]
        try:
            verdict = sandbox.verdict(Program(SPIN.format(0.3), "f", (Check((1,), 2),)))
        finally:
            for one in crowd:
                one.kill()
                one.wait()
    assert verdict.passed and verdict.wall_s > 2.0, verdict
    assert sandbox.healed == 0


CROWDS = {
    "busy": """
import os
def f(x):
    for _ in range(3):
        if os.fork() == 0:
            while True: pass
    while True: pass
""",
    # nobody is told what a child used whose parent ignores that signal
    "hidden": """
import os, signal, time
def f(x):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        try:
            if os.fork() == 0:
                while time.process_time() < 0.05: pass
                os._exit(0)
        except OSError:
            time.sleep(0.001)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS)
def test_a_program_that_crowds_its_own_core_is_a_timeout_within_bounds(one_core: None, crowd: str) -> None:
    with Sandbox(limits=Limits(cpu_s=30.0, wall_s=0.5)) as sandbox:
        assert sandbox.verdict(FIRST).passed
        began = time.monotonic()
        verdict = sandbox.verdict(Program(crowd, "f", (Check((1,), 2),)))
        took_s = time.monotonic() - began
        assert sandbox.verdict(FIRST, fresh=True).passed
    assert verdict.status == "timeout" and "wall limit" in verdict.reason, verdict
    assert took_s < 2 * PATIENCE * 0.5 + 5.0  # it runs twice


FORKS = """
import os, time
while True:
    if os.fork() == 0:
        time.sleep(0.0005)
        os._exit(0)
    os.wait()
"""


@pytest.mark.slow
def test_cpu_time_is_not_counted_in_ticks(one_core: None) -> None:
    coming_and_going = [subprocess.Popen([sys.executable, "-c", FORKS]) for _ in range(4)]
    try:
        # beside other tests a crowded core has given it 0.03 s of CPU in a minute (docs/LOG.md)
        [verdict] = judged([Program(SPIN.format(4.5), "f", (Check((1,), 2),))], 1, 0, Limits(cpu_s=5.0, wall_s=60.0))
    finally:
        for one in coming_and_going:
            one.kill()
            one.wait()
    assert verdict.status == "passed", verdict  # the kernel's own limit sees 6 s
