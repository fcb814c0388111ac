"""One sandbox per level for the whole folder: starting one takes longer than judging most programs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from harness.sandbox import Limits, Sandbox

# short, so that endless programs end soon; the wall limit still leaves room on a loaded machine
LIMITS = Limits(cpu_s=1.0, wall_s=6.0, memory_bytes=256 << 20)


@pytest.fixture(scope="session")
def full() -> Iterator[Sandbox]:
    """A sandbox at level full; skipped where the kernel refuses it."""
    if sys.platform != "linux":
        pytest.skip("needs Linux")
    with Sandbox(limits=LIMITS) as sandbox:
        if sandbox.level != "full":
            pytest.skip(f"needs isolation level full; refused here: {sandbox.missing}")
        yield sandbox


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox at the strongest level there is."""
    with Sandbox(limits=LIMITS) as sandbox:
        yield sandbox
