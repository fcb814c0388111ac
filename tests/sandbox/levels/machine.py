"""Weaker machines for tests: runs Python under a kernel that refuses layers of the jail, as root or as a plain user.

The refusals are a real system-call filter that the tested processes inherit, as in a container; nothing of the harness
is replaced.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.sandbox.jail import bubblewrap, seccomp
from tests.needs import missing
from tests.processes import state_and_parent

ROOT = Path(__file__).parents[3]
USER = 47_001  # nobody's number
NOT_COPIED = ("site-packages", "__pycache__", "test", "tests", "idlelib", "tkinter", "lib2to3", "config-*", "*.a")

# which calls a machine refuses, by the level that is left to it
REFUSED: dict[str, tuple[str, ...]] = {
    "direct": (),
    "bubblewrap": ("unshare",),
    "no-namespaces": ("unshare", "clone"),
    "process-only": ("unshare", "clone", "landlock_create_ruleset"),
    "unfiltered": ("unshare", "clone", "landlock_create_ruleset", "prctl"),
    "set-uid bubblewrap": ("unshare", "clone user"),
}
LEVEL = {"direct": "full", "bubblewrap": "full", "set-uid bubblewrap": "full", "unfiltered": "process-only"}


def readable_by_all(path: str) -> bool:
    """Whether every user can reach a file."""
    places = [Path(path).resolve(), *Path(path).resolve().parents]
    return all(place.stat().st_mode & (stat.S_IXOTH if place.is_dir() else stat.S_IROTH) for place in places)


def interpreter_for_all(folder: Path) -> str:
    """Return an interpreter that every user can start: ours, the system's, or a copy of ours in `folder`."""
    own = os.path.realpath(sys.executable)
    if readable_by_all(own) and readable_by_all(os.__file__):
        return own
    system = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if system is not None and readable_by_all(system):
        question = "import sys, ctypes; print(sys.version_info >= (3, 11))"
        done = subprocess.run([system, "-c", question], capture_output=True, text=True, check=False)
        if done.stdout.strip() == "True":
            return os.path.realpath(system)
    return copied_interpreter(folder)


def copied_interpreter(folder: Path) -> str:
    """Copy our interpreter and its standard library into `folder`; return the copy's path."""
    own = Path(os.path.realpath(sys.executable))
    (folder / "bin").mkdir()
    shutil.copy(own, folder / "bin" / own.name)
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copytree(os.path.dirname(os.__file__), folder / "lib" / name, ignore=shutil.ignore_patterns(*NOT_COPIED))
    for library in Path(sys.base_prefix, "lib").glob("libpython*.so*"):
        shutil.copy(library, folder / "lib", follow_symlinks=False)
    return str(folder / "bin" / own.name)


@contextmanager
def public_copy_of_the_tests() -> Iterator[Path]:
    """A copy of the sandbox and its tests that every user can read; the checkout may lie where only root can."""
    folder = Path(tempfile.mkdtemp(prefix="harness-levels-"))
    try:
        for package in ("harness", "tests"):
            (folder / package).mkdir()
            for module in (ROOT / package).glob("*.py"):
                shutil.copy(module, folder / package)
            shutil.copytree(
                ROOT / package / "sandbox",
                folder / package / "sandbox",
                ignore=shutil.ignore_patterns("__pycache__"),
            )
        for place in [folder, *folder.rglob("*")]:
            place.chmod(0o755 if place.is_dir() else 0o644)
        yield folder
    finally:
        shutil.rmtree(folder)


class Machine:
    """One weaker machine: a kernel's refusals and a user."""

    def __init__(self, python: str, folder: Path, kind: str, user: int) -> None:
        self.python = python
        self.folder = folder
        self.kind = kind
        self.user = user

    @property
    def level(self) -> str:
        return LEVEL.get(self.kind, self.kind)

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `code` with the sandbox importable; its output is a pipe."""
        setuid = self.kind == "set-uid bubblewrap"
        request = {"refused": REFUSED[self.kind], "user": self.user, "setuid": setuid, "code": code}
        argv = [self.python, "-B", "-s", "-m", "tests.sandbox.levels.weak", json.dumps(request), *arguments]
        environment = {"PYTHONPATH": str(self.folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        return subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=self.folder
        )

    def run(self, code: str, *arguments: str, timeout_s: float = 120.0) -> Any:
        """Run `code` to its end and return what it printed, a JSON value."""
        process = self.start(code, *arguments)
        out, err = process.communicate(timeout=timeout_s)
        assert process.returncode == 0, err[-3000:]
        return json.loads(out)


def need_filters() -> None:
    """Skip where no refusal can be staged."""
    if sys.platform != "linux" or platform.machine() not in seccomp.AUDIT_ARCH:
        pytest.skip("needs Linux on x86-64 or arm64")


def left_of(pids: list[int], within_s: float) -> list[int]:
    """Return those that still exist when the time is up, as a zombie too unless only init has yet to reap it."""
    end = time.monotonic() + within_s
    while time.monotonic() < end and any(exists(pid) for pid in pids):
        time.sleep(0.01)
    return [pid for pid in pids if exists(pid)]


def exists(pid: int) -> bool:
    found = state_and_parent(pid)
    return found is not None and (found[0] != "Z" or found[1] != 1)


# what runs on such a machine
START = """
import json, os, signal, sys, time
from harness.sandbox import Limits, Program, Sandbox
from harness.types import Check
CHECKS = (Check((1,), 2), Check((41,), 42))
LIMITS = Limits(cpu_s=1.0, wall_s=30.0, memory_bytes=256 << 20)
def told(verdict):
    return [verdict.status, verdict.reason, verdict.level]
"""
JUDGE = (
    START
    + """
with Sandbox(limits=LIMITS) as sandbox:
    programs = [Program(source, "f", CHECKS) for source in json.loads(sys.argv[1])]
    verdicts = [told(verdict) for program in programs for _, verdict in sandbox.judge([program])]
    print(json.dumps({"level": sandbox.level, "missing": sandbox.missing, "verdicts": verdicts}))
"""
)
GOOD = "def f(x): return x + 1"
DENIED = """
import os, socket, sys
def refused(act):
    try:
        act()
    except OSError:
        return True
    return False
"""
THREADS = """
import threading
def f(x):
    found = []
    threads = [threading.Thread(target=found.append, args=(n,)) for n in range({count})]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(found) == {count}
    return x + 1
"""


def all_pass(machine: Machine, *sources: str) -> None:
    assert statuses(machine, *sources) == ["passed"] * len(sources)


def statuses(machine: Machine, *sources: str) -> list[str]:
    done = machine.run(JUDGE, json.dumps(sources))
    assert done["level"] == machine.level, done
    return [verdict[0] for verdict in done["verdicts"]]


def machine_of(kind: str, user: int, folder: Path, python: str) -> Machine:
    if "bubblewrap" in kind and not bubblewrap.find():
        missing("bubblewrap", "install it")
    return Machine(python if user else sys.executable, folder, kind, user)
