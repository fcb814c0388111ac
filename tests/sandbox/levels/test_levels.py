"""The strongest level that a machine grants is found, told in every verdict and refused below the minimum."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.sandbox.jail.privileges import NOBODY, OTHERS, SPARE_IDS, process_limit, spare_id
from tests.needs import missing
from tests.sandbox.levels.machine import (
    DENIED,
    GOOD,
    JUDGE,
    START,
    THREADS,
    USER,
    Machine,
    all_pass,
    machine_of,
    need_filters,
    statuses,
)

KINDS = ("direct", "bubblewrap", "no-namespaces", "process-only", "unfiltered")
WALLED = ("direct", "bubblewrap", "no-namespaces")


@pytest.mark.parametrize("kind", KINDS)
def test_strongest_level_that_is_left_is_taken_and_told_in_every_verdict(machine: Machine, kind: str) -> None:
    done = machine.run(JUDGE, json.dumps([GOOD, GOOD]))
    assert done["level"] == machine.level, done["missing"]
    assert done["verdicts"] == [["passed", "", machine.level]] * 2
    text = "; ".join(done["missing"])
    assert ("bwrap instead" in text) == (kind == "bubblewrap")
    assert ("full: user and other namespaces (unshare: Operation not permitted)" in text) == (
        kind not in ("direct", "bubblewrap")
    )
    assert ("no-namespaces: landlock (landlock: Operation not permitted)" in text) == (machine.level == "process-only")
    assert ("process-only with a system-call filter" in text) == (kind == "process-only")


def test_set_uid_bubblewrap_is_full_without_a_folder_to_write_to(public_copy: Path, public_interpreter: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    machine = machine_of("set-uid bubblewrap", USER, public_copy, public_interpreter)
    all_pass(
        machine,
        GOOD,
        DENIED + "def f(x):\n    assert refused(lambda: open('/tmp/x', 'w')) and os.getpid() != 1\n    return x + 1",
        THREADS.format(count=4),
    )


def test_level_below_the_minimum_is_refused_with_what_to_do(public_copy: Path) -> None:
    code = (
        START
        + """
from harness.errors import SandboxError
try:
    Sandbox(minimum="full").__enter__()
except SandboxError as error:
    print(json.dumps(str(error)))
"""
    )
    text = Machine(sys.executable, public_copy, "no-namespaces", 0).run(code)
    assert text.startswith("isolation level is no-namespaces, full is required. Refused: full: user and other")
    assert "Remedy: " in text and "sandbox.level=no-namespaces" in text


def test_interpreter_that_only_root_can_read_serves_at_no_namespaces_without_root(
    public_copy: Path, closed_interpreter: str
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    folder = str(Path(closed_interpreter).parents[1])
    look = (
        DENIED
        + "def f(x):\n    import fractions, ctypes\n    assert os.getuid() >= 65534\n"
        + f"    assert refused(lambda: os.listdir({folder!r})) and refused(lambda: os.listdir('/root'))\n"
        + "    return x + 1"
    )
    all_pass(Machine(closed_interpreter, public_copy, "no-namespaces", 0), look)


BOMB = """
import threading, time
threading.stack_size(32768)
def f(x):
    if x != 1: return x + 1
    count = 0
    try:
        while count < {enough}:
            threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
            count += 1
    except RuntimeError:
        pass
    assert 4 <= count <= {most}, count
    return x + 1
"""


@pytest.mark.parametrize("kind", WALLED)
def test_a_few_threads_work_and_a_bomb_of_threads_is_stopped(machine: Machine, kind: str) -> None:
    exact = kind != "no-namespaces" or (machine.user == 0 and os.geteuid() == 0)
    most = 9 if exact else OTHERS + 16
    first, bomb, last = statuses(
        machine, THREADS.format(count=4), BOMB.format(enough=most + 9, most=most), THREADS.format(count=4)
    )
    assert (first, last) == ("passed", "passed")
    # A thousand threads in 256 MB may leave Python waiting for one that never began: stopped all the same.
    assert bomb == "passed" or (bomb == "timeout" and not exact)


def test_limit_is_exact_where_nobody_else_has_the_number() -> None:
    assert process_limit(8, SPARE_IDS + 5, namespaced=False) == 11
    assert process_limit(8, os.getuid(), namespaced=False) > 8 + OTHERS


def test_number_that_is_not_mapped_is_not_taken() -> None:
    need_filters()
    code = "from harness.sandbox.jail.privileges import spare_id; print(spare_id())"
    try:
        done = subprocess.run(
            ["unshare", "-U", "--map-root-user", sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        missing("user namespaces", "allow them, and install util-linux for its unshare")
    assert int(done.stdout) == NOBODY
    if os.geteuid() == 0 and len(Path("/proc/self/uid_map").read_text().splitlines()) == 1:
        assert spare_id() == SPARE_IDS + os.getpid()
