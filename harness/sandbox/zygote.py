"""The launcher and the zygote: build the jail once, warm an interpreter in it, fork one child per program.

Run by the judge as `main(config)`. The launcher stays outside the pid namespace and waits; the zygote is PID 1 inside.
Neither ever sees a test or an expected value, and neither decides anything.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from harness.sandbox import isolation, kernel, landlock, seccomp, warm
from harness.sandbox.child import live
from harness.sandbox.kernel import Kernel

STOPPED = -1.0  # in place of CPU seconds
MOST_DESCRIPTORS = 1 << 20  # that the launcher may have inherited


class Refused(Exception):
    """A layer of the jail could not be set up; the text names the layer."""


class Config:
    """What the judge asks for; it comes as JSON in argv and holds nothing secret."""

    def __init__(self, text: str) -> None:
        values = json.loads(text)
        self.level: str = values["level"]
        self.control: int = values["control"]
        self.witness: int = values["witness"]
        self.memory_bytes: int = values["memory_bytes"]
        self.result_bytes: int = values["result_bytes"]
        self.file_bytes: int = values["file_bytes"]
        self.scratch_bytes: int = values["scratch_bytes"]
        self.threads: int = values["threads"]


def main(text: str) -> NoReturn:
    """Become the launcher; never returns."""
    config = Config(text)
    keep_only((config.control, config.witness), MOST_DESCRIPTORS)
    if config.witness >= isolation.DESCRIPTORS:  # a harness with many open files: ours must lie below the limit
        os.dup(config.witness)
        os.close(config.witness)
    control = socket.socket(fileno=config.control)
    try:
        if config.level == "full":
            run_full(config, control)
        run_plain(config, control)
    except (OSError, Refused, AttributeError) as error:
        # AttributeError: a C library without a call that we need
        with suppress(OSError):
            control.send(b"!" + str(error).encode()[:500])
    os._exit(1)


def run_full(config: Config, control: socket.socket) -> NoReturn:
    """Enter the namespaces, fork the zygote as their PID 1, wait until it is gone."""
    kern = Kernel()
    machine = filtered_machine()
    with suppress(OSError):
        isolation.write_file("/proc/self/oom_score_adj", "1000")  # memory runs out: this goes first
    step(isolation.enter_namespaces, "user and other namespaces", kern)
    kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    step(isolation.build_root, "private file system", kern, config.scratch_bytes)
    zygote = os.fork()
    if zygote == 0:
        try:
            os.chdir(isolation.SCRATCH)
            isolation.become_nobody(kern, namespaced=True)
            kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)  # after the change of user, which clears it
            # the zygote, one child, its threads, and the launcher where it has the same user
            isolation.set_limits(config.memory_bytes, config.file_bytes, config.threads + 3)
            enter_filter(kern, seccomp.zygote_filter(machine))
            assert os.getpid() == 1 and os.getuid() != 0, (os.getpid(), os.getuid())
            serve(config, control, kern, machine)
        except (OSError, Refused) as error:
            with suppress(OSError):
                control.send(b"!" + str(error).encode()[:500])
        finally:
            os._exit(1)
    control.close()
    os.waitpid(zygote, 0)
    os._exit(0)


def run_plain(config: Config, control: socket.socket) -> NoReturn:
    """Run as zygote without namespaces: landlock and a filter at level no-namespaces, limits only at process-only."""
    kern, machine = None, ""
    os.chdir("/")
    if sys.platform == "linux":
        kern = Kernel()
        if config.level == "no-namespaces":
            machine = filtered_machine()
            folders = isolation.library_folders()
            isolation.become_nobody(kern, namespaced=False)
            if not os.access(os.__file__, os.R_OK):
                raise Refused(f"an unprivileged user that can read the interpreter ({os.path.dirname(os.__file__)})")
            step(landlock.confine, "landlock", kern, folders)
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    isolation.set_limits(config.memory_bytes, 0, None)
    if machine:
        enter_filter(kern, seccomp.zygote_filter(machine))
    serve(config, control, kern, machine)


def keep_only(descriptors: tuple[int, ...], end: int) -> None:
    """Close every descriptor but these and the null devices at 0 to 2: an open one is a way around all walls."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, end)


def filtered_machine() -> str:
    machine = seccomp.known_machine()
    if not machine:
        raise Refused(f"system-call filter (no table for {os.uname().machine})")
    return machine


def step(action: Callable[..., None], layer: str, *arguments: object) -> None:
    """Run one part of the set-up; a refusal names the layer."""
    try:
        action(*arguments)
    except (OSError, KeyError) as error:
        raise Refused(f"{layer} ({error})") from error


def enter_filter(kern: Kernel, lines: list[seccomp.Instruction]) -> None:
    try:
        kern.enter_filter(seccomp.assemble(lines))
    except OSError as error:
        raise Refused(f"system-call filter ({error})") from error


def serve(config: Config, control: socket.socket, kern: Kernel | None, machine: str) -> NoReturn:
    """Answer the judge: p (with a descriptor) starts a program, c asks its CPU time, f ends it; end of file ends us."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    warm.prepare(config.result_bytes)
    alone = config.level == "full"
    narrow = seccomp.assemble(seccomp.child_filter(machine, signals=alone)) if machine else None
    # os.fork runs hooks that no child needs; the zygote is single-threaded, so the C library's fork is enough
    fork = kern.libc.fork if kern is not None else os.fork
    scratch = Scratch() if alone else None
    control.send(b"ready")
    child = 0
    while True:
        message, ancillary, _, _ = control.recvmsg(64, 64)
        if not message:
            os._exit(0)
        if message == b"p":
            fd = int.from_bytes(ancillary[0][2][:4], "little")
            child = fork()
            if child == 0:
                keep_only((fd,), isolation.DESCRIPTORS)
                if narrow is not None and kern is not None:
                    kern.enter_filter(narrow)
                if not alone and narrow is None:
                    os.setsid()  # with the filter there are no further processes to kill
                gc.enable()
                live(fd, config.result_bytes)
            os.close(fd)
        elif message == b"c":
            control.send(str(cpu_time(child)).encode())
        elif message == b"f":
            status, cpu_s, peak_bytes = end_all() if alone else end_one(child)
            clean = scratch is None or scratch.clean()
            control.send(f"{status} {cpu_s} {peak_bytes} {int(clean)}".encode())


def cpu_time(child: int) -> float:
    """CPU seconds of a running child, all its threads; STOPPED if it has sent itself to sleep by signal."""
    if sys.platform != "linux":
        return 0.0
    try:
        if os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None:
            return STOPPED
        return time.clock_gettime((~child << 3) | 2)  # the kernel's number for that process's CPU clock
    except OSError:
        return 0.0  # it has just ended; the judge will see the end of its channel


def end_all() -> tuple[int, float, int]:
    """Kill and reap everything else in this pid namespace; return exit status, CPU seconds, peak bytes."""
    assert os.getpid() == 1, os.getpid()
    with suppress(ProcessLookupError):
        os.kill(-1, kernel.SIGKILL)
    status, cpu_s, peak = -1, 0.0, 0
    while True:
        try:
            _, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            return status, cpu_s, peak * 1024
        cpu_s += usage.ru_utime + usage.ru_stime
        peak = max(peak, usage.ru_maxrss)


def end_one(child: int) -> tuple[int, float, int]:
    """Kill the child and the session it leads; processes that left the session are beyond this level."""
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

    def look(self) -> tuple[int, int, int]:
        space = os.statvfs(isolation.SCRATCH)
        return space.f_bfree, space.f_ffree, os.stat(isolation.SCRATCH).st_mode

    def clean(self) -> bool:
        """Empty the folder if it was touched; False when that fails, and this zygote must be replaced."""
        try:
            if self.look() == self.baseline:
                return True
            empty(isolation.SCRATCH)
            return self.look() == self.baseline
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
