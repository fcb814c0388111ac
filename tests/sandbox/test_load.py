"""The same verdicts whatever the load; the whole of it is `python bench/load.py --data DATA`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bench.load import SETTINGS, completions, differences, judged
from harness.sandbox import Check, Limits, Program
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


@pytest.mark.slow
def test_a_program_that_only_the_crowd_made_slow_passes_when_it_runs_alone(one_core: None) -> None:
    spin = "import time\ndef f(x):\n    while time.process_time() < 0.8: pass\n    return x + 1\n"
    programs = [Program(f"{spin}# {number}", "f", (Check((1,), 2),)) for number in range(6)]
    began = time.monotonic()
    verdicts = judged(programs, workers=6, loops=0, limits=Limits(cpu_s=1.5, wall_s=3.0))
    assert [verdict.status for verdict in verdicts] == ["passed"] * 6
    assert time.monotonic() - began > 6 * 0.8 + 3.0  # six at once need 4.8 s: none was done at the wall limit


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
    spin = "import time\ndef f(x):\n    while time.process_time() < 4.5: pass\n    return x + 1\n"
    coming_and_going = [subprocess.Popen([sys.executable, "-c", FORKS]) for _ in range(4)]
    try:
        # Beside other tests a crowded core has given it 0.03 s of CPU in a minute, and such a program is still called a
        # timeout (docs/LOG.md). This test is about how CPU time is counted, so it waits longer than that.
        [verdict] = judged([Program(spin, "f", (Check((1,), 2),))], 1, 0, Limits(cpu_s=5.0, wall_s=200.0))
    finally:
        for one in coming_and_going:
            one.kill()
            one.wait()
    assert verdict.status == "passed", verdict  # the kernel's own limit sees 6 s
