"""One sandbox per kind for the whole folder: starting one takes longer than judging most programs.

None takes a verdict from memory: what runs after an attack must be judged anew.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from harness.sandbox import Limits, Sandbox
from tests.needs import missing

# short, so that endless programs end soon; the wall limit still leaves room on a loaded machine
LIMITS = Limits(cpu_s=1.0, wall_s=6.0, memory_bytes=256 << 20)
# for programs that wait instead of computing: they are run twice to the wall limit
IMPATIENT = Limits(cpu_s=1.0, wall_s=0.6, memory_bytes=256 << 20)


def reached(sandbox: Sandbox, level: str) -> Sandbox:
    """Return a sandbox that has a level; skip where the kernel refuses it, but fail in CI."""
    if sandbox.level != level:
        missing(f"isolation level {level}", f"refused here: {sandbox.missing}")
    return sandbox


@pytest.fixture(scope="session")
def inherited() -> Iterator[int]:
    """The reading end of a pipe whose other end every process started from here may inherit."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    os.set_blocking(reading, False)
    yield reading
    os.close(reading)
    os.close(writing)


@pytest.fixture(scope="session")
def full(inherited: int) -> Iterator[Sandbox]:
    """A sandbox at level full; skipped where the kernel refuses it."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    with Sandbox(limits=LIMITS, cache=False) as sandbox:
        yield reached(sandbox, "full")


@pytest.fixture(scope="session")
def impatient(inherited: int) -> Iterator[Sandbox]:
    """A sandbox at level full whose wall limit is short."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    with Sandbox(limits=IMPATIENT, cache=False) as sandbox:
        yield reached(sandbox, "full")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox at the strongest level there is."""
    with Sandbox(limits=LIMITS, cache=False) as sandbox:
        yield sandbox
