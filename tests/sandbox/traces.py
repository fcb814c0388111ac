"""What a hostile program could leave on the host, looked at before and after."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from harness.sandbox import Sandbox
from tests.processes import below

MARKS = ("harness-attack", "harness-attack0")  # whatever an attack tries to create is called so
FOLDERS = ("/", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "/root", str(Path.home()), ".")


def marked_files() -> set[str]:
    """Return files of attacks that reached the host."""
    return {f"{folder}/{name}" for folder in FOLDERS for name in MARKS if os.path.lexists(f"{folder}/{name}")}


def system_v() -> dict[str, list[str]]:
    """Return the tables of System V objects, as far as the host shows them, without those of PostgreSQL's account.

    A server of that account, which other tests start at the same time, keeps one segment while it runs.
    """
    tables: dict[str, list[str]] = {}
    servers = {str(one.pw_uid) for one in pwd.getpwall() if one.pw_name == "postgres"}
    for name in ("shm", "sem", "msg"):
        path = Path("/proc/sysvipc") / name
        header, *lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else [[]]
        # key, id and mode stay; sizes and times of other people's objects may change
        tables[name] = [" ".join(one[:3]) for one in lines if one[header.index("cuid")] not in servers]
    return tables


def own_descriptors() -> dict[str, str]:
    """Return what this process has open."""
    found: dict[str, str] = {}
    for fd in os.listdir("/proc/self/fd"):
        try:
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue  # the listing's own
    return found


def jailed(sandbox: Sandbox) -> int:
    """Return how many processes the sandbox consists of, the judges included."""
    return sum(1 + len(below(worker.process.pid)) for worker in sandbox.workers)


@dataclass(frozen=True)
class Traces:
    """All of it at one moment."""

    files: set[str]
    here: list[str]
    objects: dict[str, list[str]]
    null: tuple[int, int]

    @classmethod
    def now(cls) -> Traces:
        null = os.stat(os.devnull)
        return cls(marked_files(), sorted(os.listdir(".")), system_v(), (null.st_mode, null.st_uid))
