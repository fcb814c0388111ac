"""Processes as the host sees them in /proc: what stands below one, and whether it is gone."""

from __future__ import annotations

import time
from pathlib import Path


def below(pid: int) -> list[int]:
    """Return the descendants of a process that have not ended, outermost first."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := state_and_parent(int(entry.name))) is not None and found[0] != "Z":
            parents[int(entry.name)] = found[1]
    descendants: list[int] = []
    front = [pid]
    while front:
        front = sorted(child for child, parent in parents.items() if parent in front)
        descendants += front
    return descendants


def state_and_parent(pid: int) -> tuple[str, int] | None:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[:2]
    except OSError:
        return None
    return state, int(parent)


def gone(pids: list[int], within_s: float) -> bool:
    """Wait until none of the processes is alive; False when the time is up."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.01)
    return False


def alive(pid: int) -> bool:
    found = state_and_parent(pid)
    return found is not None and found[0] != "Z"
