"""Finds and ends processes that a program left behind, where no pid namespace does it.

For the level process-only. A subreaper inherits every orphan below it, so a daemon that left its session is still
found. What forks faster than it can be found is beyond this level.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

from harness.sandbox.jail import kernel
from harness.sandbox.jail.kernel import Kernel

PATIENCE_S = 2.0


def inherit(kern: Kernel) -> None:
    """Become the parent of every orphan below this process."""
    kern.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)


def tie(kern: Kernel | None, zygote: int, may_fork: bool) -> None:
    """In a new child: die with the zygote, and lead a session of its own where it may fork."""
    if kern is not None:
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    if os.getppid() != zygote:  # it died before it was asked for a signal
        os._exit(1)
    if may_fork:
        os.setsid()


def end_all(patience_s: float = PATIENCE_S) -> bool:
    """Kill and reap every child of this process, those that come up meanwhile too; False if some are left."""
    end = time.monotonic() + patience_s
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
        if time.monotonic() > end:
            return False
        for pid in children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.0002)  # a killed process needs a moment to become one that can be reaped


def children() -> list[int]:
    """Return pids of this process's children; none where there is no /proc to look in."""
    if sys.platform != "linux":
        return []
    with suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    found: list[int] = []
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with suppress(OSError, ValueError), open(f"{entry.path}/stat") as file:
                    if int(file.read().rsplit(") ", 1)[1].split()[1]) == os.getpid():
                        found.append(int(entry.name))
    return found
