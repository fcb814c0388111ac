"""What a test may need that a plain machine lacks: skipped there by name, a failure under HARNESS_CI=1."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def missing(what: str, remedy: str) -> None:
    """Skip the running test and name what it lacks; fail instead where CI has promised to provide it."""
    message = f"needs {what}: {remedy}"
    if os.environ.get("HARNESS_CI") == "1":
        pytest.fail(message)
    pytest.skip(message)


def data_folder() -> Path:
    """Return the folder of benchmark data that `HARNESS_DATA` names."""
    folder = os.environ.get("HARNESS_DATA", "")
    if not folder or not Path(folder).is_dir():
        missing("benchmark data", "set HARNESS_DATA to a folder that holds mbpp/, evalplus/, completions/")
    return Path(folder)


def executable(name: str) -> str:
    """Return the path of a system program."""
    found = shutil.which(name)
    if found is None:
        missing(name, f"install the system package that provides {name}")
    return str(found)
