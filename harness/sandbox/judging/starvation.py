"""How long others kept a program from a core, as the kernel notes it; asked at the wall limit only.

It ends nothing and extends nothing. Where the kernel tells nothing (not Linux, a hidden /proc) the answer is 0.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """What the kernel says of a process."""

    pid: int
    parent: int
    ran_s: float  # CPU seconds of all its threads, and of its children that it has waited for
    began_s: float  # after the machine's start


def starved_s(ancestor: int, began: float) -> float:
    """Return for how many seconds since `began`, on the monotonic clock, others held up a program below `ancestor`.

    Before its process existed it waited for those who make it. Afterwards each of its threads knows how long it stood
    in a core's queue; as long as the program's other threads and processes have run, they may have been the reason, so
    only the rest was certainly others. A program that crowds its own core so gains nothing, unless by processes of
    which nothing is left to see: who ignores SIGCHLD is not told what its children used, which the filter prevents.
    """
    if sys.platform != "linux":
        return 0.0
    now, since_boot = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
    tick_s = 1 / os.sysconf("SC_CLK_TCK")
    own = below(ancestor, list(processes(tick_s)), since_boot - (now - began) - tick_s)
    if not own:
        return 0.0
    ran_s = sum(one.ran_s for one in own)
    waited_s = [wait_s - (ran_s - run_s) for one in own for run_s, wait_s in threads(one.pid)]
    unborn_s = min(one.began_s for one in own) - (since_boot - (now - began))
    return max(unborn_s, 0.0) + max(waited_s, default=0.0)


def below(ancestor: int, everyone: list[Process], since_s: float) -> list[Process]:
    """Return the descendants of a process that began after a moment: the jail's own are older than the program."""
    found, parents = [], {ancestor}
    while children := [one for one in everyone if one.parent in parents]:
        found += [one for one in children if one.began_s >= since_s]
        parents = {one.pid for one in children}
    return found


def processes(tick_s: float) -> Iterator[Process]:
    """Yield every process that can be seen."""
    with suppress(OSError), os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                with suppress(OSError), open(f"{entry.path}/stat", "rb") as file:
                    # behind the name, which may hold anything: state, parent, …; numbers as in proc(5), less 3
                    fields = file.read().rpartition(b") ")[2].split()
                    ran_s = sum(map(int, fields[11:15])) * tick_s
                    yield Process(int(entry.name), int(fields[1]), ran_s, int(fields[19]) * tick_s)


def threads(pid: int) -> Iterator[tuple[float, float]]:
    """Yield the seconds that each thread of a process ran, and stood ready to run."""
    with suppress(OSError), os.scandir(f"/proc/{pid}/task") as entries:
        for entry in entries:
            with suppress(OSError), open(f"{entry.path}/schedstat", "rb") as file:
                run, wait, *_ = map(int, file.read().split())
                yield run / 1e9, wait / 1e9
