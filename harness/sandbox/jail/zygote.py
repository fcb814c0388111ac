"""The zygote: a warmed interpreter in its jail that forks one child per program and buries it.

Started by the launcher once the jail stands; PID 1 of its namespace at level full. It never sees a test or an expected
value, and decides nothing.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from functools import partial
from typing import NoReturn

from harness.sandbox.jail import isolation, kernel, orphans, seccomp, warm
from harness.sandbox.jail.child import GONE, STOPPED
from harness.sandbox.jail.kernel import Kernel

F_SETFL = 4


def serve(
    control: socket.socket,
    kern: Kernel | None,
    machine: str,
    alone: bool,
    result_bytes: int,
    packages: tuple[str, ...] = (),
) -> NoReturn:
    """Answer the judge: p (with a socket and a pipe) starts a program, c asks its CPU time, f ends it.

    The end of the judge is the end of everything.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for descriptor in (1, 2):
        os.dup2(0, descriptor)  # one null device, so that `renew` reaches whatever a program changed of it
    renew = partial(kern.libc.fcntl, 0, F_SETFL, 0) if kern is not None else bool
    me, live = os.getpid(), warm.prepare(result_bytes, packages).live
    narrow = None
    if machine and kern is not None:
        narrow = partial(kern.enter_filter, seccomp.assemble(seccomp.child_filter(machine, signals=alone)))
    # os.fork runs hooks that no child needs; the zygote is single-threaded, so the C library's fork is enough
    fork = kern.libc.fork if kern is not None else os.fork
    scratch = None
    if alone:
        assert me == 1, me  # end_all() kills all that it can see
        scratch = Scratch()
    receive, send, close, closerange, from_bytes = (
        control.recvmsg,
        control.send,
        os.close,
        os.closerange,
        int.from_bytes,
    )
    last = isolation.DESCRIPTORS
    send(b"ready")
    child = 0
    while True:
        message, ancillary, _, _ = receive(64, 64)
        if message == b"p":
            given = ancillary[0][2]
            fd, pipe = from_bytes(given[:4], "little"), from_bytes(given[4:], "little")
            child = fork()
            if child == 0:
                closerange(3, fd)  # an open descriptor is a way around all walls
                closerange(fd + 1, pipe)
                closerange(pipe + 1, last)
                if not alone:
                    orphans.tie(kern, me, may_fork=narrow is None)
                live(fd, pipe, narrow, alone)
            close(fd)
            close(pipe)
        elif message == b"f":
            status, cpu_s, peak_bytes = end_all(child) if alone else end_one(child)
            clean = scratch.clean() if scratch is not None else orphans.end_all()
            send(b"%d %.6f %d %d" % (status, cpu_s, peak_bytes, clean))
            renew()  # flags of the descriptors that every child is born with are the next program's too
        elif message == b"c":
            send(str(cpu_time(child)).encode())
        elif not message:
            os._exit(0)


def cpu_time(child: int) -> float:
    """CPU seconds of a running child, all its threads; STOPPED if it has sent itself to sleep by signal.

    GONE if it has ended: the judge may not have seen that, where a process of the program's holds the channel open.
    """
    if sys.platform != "linux":
        return 0.0
    try:
        state = os.waitid(os.P_PID, child, os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if state is not None:
            return STOPPED if state.si_code == os.CLD_STOPPED else GONE
        return time.clock_gettime((~child << 3) | 2)  # the kernel's number for that process's CPU clock
    except OSError:
        return 0.0  # it has just ended; the judge will see the end of its channel


def end_all(child: int) -> tuple[int, float, int]:
    """Kill and reap everything else in this pid namespace; return the child's exit status, CPU seconds, peak bytes.

    When the child has gone, all that it left has become our child: if there is none, the namespace is empty. To kill
    every process there looks at every process of the machine, so that is done only where one was left.
    """
    if child <= 0:
        return -1, 0.0, 0
    os.kill(child, kernel.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    cpu_s, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return status, cpu_s, peak * 1024
        if not pid:
            os.kill(-1, kernel.SIGKILL)
            _, _, usage = os.wait4(-1, 0)
        cpu_s += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)


def end_one(child: int) -> tuple[int, float, int]:
    """Kill the child and the session it leads; what left the session becomes an orphan (orphans.py)."""
    if child <= 0:
        return -1, 0.0, 0
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    unit = 1024 if sys.platform == "linux" else 1
    return status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit


class Scratch:
    """The one writable folder: emptied after a program that used it."""

    def __init__(self) -> None:
        self.baseline = self.look()

    def look(self) -> tuple[int, int, int, float, float]:
        space, folder = os.statvfs(isolation.SCRATCH), os.stat(isolation.SCRATCH)
        return space.f_bfree, space.f_ffree, folder.st_mode, folder.st_mtime, folder.st_atime

    def clean(self) -> bool:
        """Empty the folder if it was touched; False when that fails, and this zygote must be replaced."""
        try:
            if self.look() == self.baseline:
                return True
            empty(isolation.SCRATCH)
            with suppress(PermissionError):  # its owner, and no one else, may write sixteen bytes into its times
                os.utime(isolation.SCRATCH, (0, 0))
            before, self.baseline = self.baseline, self.look()
            return self.baseline[:3] == before[:3]
        except (OSError, RecursionError):
            return False  # a program may bury folders deeper than a path can name


def empty(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                empty(entry.path)
                os.rmdir(entry.path)
            else:
                os.unlink(entry.path)
