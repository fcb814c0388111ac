"""Nothing is left of a sandbox at any level, however it ends."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.processes import below
from tests.sandbox.levels.machine import START, Machine, left_of

KINDS = ("direct", "bubblewrap", "no-namespaces", "process-only", "unfiltered")

BELOW = """
def below(pid):
    found, front = [], [pid]
    while front:
        front = [int(n) for p in front for n in open(f"/proc/{p}/task/{p}/children").read().split()]
        found += front
    return found
"""
ENDLESS = (
    START
    + """
source = {
    "compute": "def f(x):\\n    while True: pass",
    "sleep": "import time\\ndef f(x):\\n    time.sleep(99)",
    "daemon": "import os, time\\ndef f(x):\\n    if os.fork() == 0:\\n        os.setsid()\\n"
              "        if os.fork() == 0:\\n            time.sleep(99)\\n        os._exit(0)\\n    time.sleep(99)",
}[sys.argv[1]]
with Sandbox(limits=Limits(cpu_s=60.0, wall_s=90.0)) as sandbox:
    print(sandbox.level, flush=True)
    list(sandbox.judge([Program(source, "f", CHECKS)]))
"""
)


@pytest.mark.parametrize(
    ("kind", "act"),
    [*((kind, "sleep") for kind in KINDS[:-1]), ("bubblewrap", "compute"), ("unfiltered", "daemon")],
)
def test_killed_harness_leaves_no_process_and_no_mount(machine: Machine, act: str) -> None:
    mounts = Path("/proc/self/mountinfo").read_text()
    harness = machine.start(ENDLESS, act)
    assert harness.stdout is not None and harness.stdout.readline().strip() == machine.level
    time.sleep(0.3)
    pids = below(harness.pid)
    assert len(pids) >= (5 if act == "daemon" else 3), pids  # judge, zygote, child at least
    harness.kill()
    harness.communicate()
    assert left_of(pids, 3.0) == []
    assert Path("/proc/self/mountinfo").read_text() == mounts


HEAL = (
    START
    + BELOW
    + """
good = Program("def f(x): return x + 1", "f", CHECKS)
with Sandbox(limits=LIMITS) as sandbox:
    list(sandbox.judge([good], fresh=True))
    seen, healed = set(), []
    count = len(below(os.getpid()))
    for place in range(1, count):
        pids = below(os.getpid())
        seen.update(pids)
        os.kill(pids[min(place, len(pids) - 1)], signal.SIGKILL)
        healed.append([verdict.status for _, verdict in sandbox.judge([good] * 2, fresh=True)])
print(json.dumps([count, healed, sorted(seen)]))
"""
)


@pytest.mark.parametrize("kind", ["bubblewrap", "no-namespaces", "unfiltered"])
def test_killed_part_heals_and_nothing_of_it_outlives_the_sandbox(machine: Machine, kind: str) -> None:
    count, healed, seen = machine.run(HEAL)
    assert count == {"bubblewrap": 4, "no-namespaces": 2, "unfiltered": 3}[kind]  # judge, (launcher, bwrap), zygote
    assert healed == [["passed", "passed"]] * (count - 1)
    assert left_of(seen, 1.0) == []


@pytest.mark.parametrize("kind", ["unfiltered"])
def test_daemon_that_left_its_session_is_found_and_ended(machine: Machine) -> None:
    code = (
        START
        + BELOW
        + """
source = '''
import os, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(99)
        os._exit(0)
    time.sleep(0.05)
    return x + 1
'''
with Sandbox(limits=LIMITS) as sandbox:
    [(_, verdict)] = sandbox.judge([Program(source, "f", CHECKS)])
    print(json.dumps([verdict.status, len(below(os.getpid()))]))
"""
    )
    assert machine.run(code) == ["passed", 3]  # judge, launcher and zygote
