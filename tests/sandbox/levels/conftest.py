"""Weaker machines: a copy of the sandbox that every user can read, interpreters, and the machine of a test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.levels.machine import (
    USER,
    Machine,
    copied_interpreter,
    interpreter_for_all,
    machine_of,
    need_filters,
    public_copy_of_the_tests,
)


@pytest.fixture(scope="session")
def public_copy() -> Iterator[Path]:
    need_filters()
    with public_copy_of_the_tests() as folder:
        yield folder


@pytest.fixture(scope="session")
def public_interpreter(public_copy: Path) -> str:
    place = public_copy / "interpreter"
    place.mkdir(mode=0o755)
    return interpreter_for_all(place)


@pytest.fixture(scope="session")
def closed_interpreter() -> Iterator[str]:
    """A copy of the interpreter in a folder that nobody else can enter."""
    need_filters()
    with tempfile.TemporaryDirectory() as folder:
        yield copied_interpreter(Path(folder))


@pytest.fixture(params=["root", "user"])
def user(request: pytest.FixtureRequest) -> int:
    """Who runs the harness: 0 for whoever runs the tests."""
    if request.param == "user":
        return USER if os.geteuid() == 0 else 0
    if os.geteuid() != 0:
        pytest.skip("needs root")
    return 0


@pytest.fixture
def machine(kind: str, user: int, public_copy: Path, public_interpreter: str) -> Machine:
    return machine_of(kind, user, public_copy, public_interpreter)
