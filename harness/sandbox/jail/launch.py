"""Starts a zygote from the judge, talks to it, and notices when it is gone.

It does not know what a program means: it hands over descriptors and asks how a child ended.
"""

from __future__ import annotations

import array
import importlib.util
import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import Literal

from harness.sandbox.limits import Limits

Level = Literal["full", "no-namespaces", "seatbelt", "process-only"]
LEVELS: tuple[Level, ...] = ("full", "no-namespaces", "seatbelt", "process-only")  # strongest first
LINUX_LEVELS, MAC_LEVELS = ("full", "no-namespaces", "process-only"), ("seatbelt", "process-only")
START_S = 100.0  # a zygote starts in 0.1 s; on a crowded core that has taken a minute
ANSWER_S = 60.0
PACKAGE_BYTES = 192 << 20  # address space that numpy takes for itself, before a program does anything with it
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # of harness.sandbox


class ZygoteGone(Exception):
    """The zygote died or does not answer: start another and run the program again."""


class LayerRefused(Exception):
    """The kernel refused a layer of the level that was asked for."""


def command(module: str, argument: str) -> list[str]:
    """Return argv of an interpreter that runs `main(argument)` of one of our modules and sees no installed package.

    `-s -P -S` instead of `-I`, which would ignore PYTHONHASHSEED. The two package stubs let our modules import each
    other without executing the packages' own `__init__`, and without any folder of ours on the path.
    """
    root = os.path.dirname(FOLDER)
    code = (
        "import sys\n"
        f"for name, folder in (('harness', {root!r}), ('harness.sandbox', {FOLDER!r})):\n"
        "    package = sys.modules[name] = type(sys)(name)\n"
        "    package.__path__ = [folder]\n"
        f"from harness.sandbox.{module} import main\n"
        "main(sys.argv[1])\n"
    )
    return [sys.executable, "-s", "-P", "-S", "-B", "-c", code, argument]


def package_folders(name: str) -> tuple[str, ...]:
    """Return the folders of an installed package and of the libraries that its wheel brings; nothing is imported."""
    spec = None
    with suppress(ValueError):  # a stand-in without a spec, as tests make them
        spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return ()
    folder = os.path.realpath(spec.submodule_search_locations[0])
    return tuple(path for path in (folder, f"{folder}.libs") if os.path.isdir(path))


def clean_environment() -> dict[str, str]:
    """Return what a worker gets to see of the environment: nothing of the user's, a fixed hash seed."""
    environment = {"PYTHONHASHSEED": "0", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "TZ": "UTC", "HOME": "/"}
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):  # some interpreters do not start without
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


class Zygote:
    """One running zygote (with its launcher) and the control channel to it."""

    def __init__(self, level: Level, limits: Limits, witness: int, packages: tuple[str, ...] = ()) -> None:
        # macOS has no packets here; one question is under way at a time, so a stream does nearly as well
        kind = socket.SOCK_STREAM if sys.platform == "darwin" else socket.SOCK_SEQPACKET
        ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
        config = {
            "level": level,
            "control": theirs.fileno(),
            "witness": witness,
            "packages": packages,
            "memory_bytes": limits.memory_bytes + (PACKAGE_BYTES if packages else 0),
            "result_bytes": limits.result_bytes,
            "file_bytes": limits.file_bytes,
            "scratch_bytes": limits.scratch_bytes,
            "threads": limits.threads,
        }
        theirs.set_inheritable(True)
        os.set_inheritable(witness, True)
        null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        argv = command("jail.launcher", json.dumps(config))
        # symbols resolved at the start, not anew in every child
        environment = {**clean_environment(), "LD_BIND_NOW": "1"}
        self.launcher = os.posix_spawn(sys.executable, argv, environment, file_actions=null)
        os.set_inheritable(witness, False)
        theirs.close()
        self.control = ours
        self.level: Level = level
        self.remarks: tuple[str, ...] = ()  # on how the level was reached
        try:
            ours.settimeout(START_S)
            answer = self.receive()
            while answer.startswith(b"?"):
                self.remarks += (answer[1:].decode(errors="replace"),)
                answer = self.receive()
            ours.settimeout(ANSWER_S)
        except ZygoteGone as error:
            self.close()
            raise LayerRefused(f"start of the jailed interpreter ({error})") from error
        if answer != b"ready":
            self.close()
            raise LayerRefused(answer[1:].decode(errors="replace"))

    def receive(self) -> bytes:
        try:
            answer = self.control.recv(4096)
        except OSError as error:
            raise ZygoteGone(f"no answer from the zygote: {error}") from error
        if not answer:
            raise ZygoteGone("the zygote has died")
        return answer

    def start(self, channel: socket.socket, pipe: int) -> None:
        """Fork a child that serves one program on `channel` and may write answers into `pipe`."""
        try:
            rights = array.array("i", [channel.fileno(), pipe])
            self.control.sendmsg([b"p"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        except OSError as error:
            raise ZygoteGone(str(error)) from error

    def ask(self, question: bytes) -> bytes:
        try:
            self.control.send(question)
        except OSError as error:
            raise ZygoteGone(str(error)) from error
        return self.receive()

    def cpu_s(self) -> float:
        return float(self.ask(b"c"))

    def finish(self) -> tuple[int, float, int, bool]:
        """Kill what is left of the program; return wait status, CPU seconds, peak bytes, whether /tmp is clean."""
        status, cpu_s, peak_bytes, clean = self.ask(b"f").split()
        return int(status), float(cpu_s), int(peak_bytes), clean == b"1"

    def close(self) -> None:
        """End the zygote and everything below it; returns when they are gone."""
        self.control.close()
        deadline_s = 2.0
        if not wait_gone(self.launcher, deadline_s):
            with suppress(ProcessLookupError):
                os.kill(self.launcher, signal.SIGKILL)
            wait_gone(self.launcher, deadline_s)


def wait_gone(pid: int, timeout_s: float) -> bool:
    """Reap a child process; False when it is still running after `timeout_s`."""
    if hasattr(os, "pidfd_open"):
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            pass
        else:
            select.select([descriptor], [], [], timeout_s)
            os.close(descriptor)
    end = time.monotonic() + timeout_s
    while True:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(0.002)


def start_best(wanted: tuple[Level, ...], limits: Limits, witness: int) -> tuple[Zygote, tuple[str, ...]]:
    """Start a zygote at the first level of `wanted` that the kernel grants; return it and what was refused."""
    missing: list[str] = []
    for level in wanted:
        if level not in (MAC_LEVELS if sys.platform == "darwin" else LINUX_LEVELS):
            continue
        try:
            zygote = Zygote(level, limits, witness)
            return zygote, (*missing, *zygote.remarks)
        except LayerRefused as error:
            missing.append(f"{level}: {error}")
    raise LayerRefused("; ".join(missing))
