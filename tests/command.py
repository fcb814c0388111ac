"""Runs the `harness` command as a user does, in a folder of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

# The smoke preset made smaller still: every stage for real, in seconds.
TINY = (
    "preset=smoke",
    "world.base_examples=160",
    "world.test=16",
    "budget.examples=16",
    "budget.attempts=16",
    "budget.updates=3",
)


def start(*words: str, folder: Path) -> subprocess.Popen[str]:
    """Start `harness WORDS` in `folder`, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "harness.cli", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run(*words: str, folder: Path, code: int = 0) -> str:
    """Run `harness WORDS` in `folder`, demand its exit code, and return what it printed on both streams."""
    process = start(*words, folder=folder)
    out, err = process.communicate(timeout=280)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}:\n{out}\n{err}"
    return out + err


def only_run(folder: Path) -> Path:
    """Return the one run folder below `folder`."""
    [found] = [path.parent for path in (folder / "runs").glob("*/config.json")]
    return found
