"""How fast this machine judges: a figure of some seconds for `harness sandbox bench`. It compares with nobody.

The measurements that do, side by side with other evaluators, are in bench/sandbox.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from harness.errors import SandboxError
from harness.sandbox.jail.launch import Level
from harness.sandbox.job import Program
from harness.sandbox.pool import Sandbox
from harness.types import Check, Verdict

TRIVIAL = Program("def f(x):\n    return x + 1\n", "f", (Check((1,), 2), Check((41,), 42)))
WARM_S = 0.2


@dataclass(frozen=True)
class Speed:
    """What was measured. Programs are trivial, so that the sandbox's own cost is all there is to see."""

    level: Level
    first_s: float  # from opening the sandbox to the first verdict
    p50_s: float  # of one program, as its judge sees it, with one worker
    p99_s: float
    rates: dict[int, float]  # programs per second by number of workers


def measure(workers: int, seconds: float, minimum: Level = "process-only") -> Speed:
    """Judge trivial programs with one worker and with `workers`, about `seconds` each; none is taken from memory."""
    began = time.perf_counter()
    with Sandbox(minimum=minimum, cache=False) as sandbox:
        sandbox.verdict(TRIVIAL)
        first_s = time.perf_counter() - began
        level = sandbox.level
        rate, walls = timed(sandbox, seconds)
    rates = {1: rate}
    if workers > 1:
        with Sandbox(workers, minimum=minimum, cache=False) as sandbox:
            rates[workers], _ = timed(sandbox, seconds)
    return Speed(level, first_s, walls[len(walls) // 2], walls[len(walls) * 99 // 100], rates)


def timed(sandbox: Sandbox, seconds: float) -> tuple[float, list[float]]:
    """Return programs per second and the sorted wall seconds of each."""
    for _ in sandbox.judge(for_a_while(WARM_S)):
        pass
    began = time.perf_counter()
    verdicts = [verdict for _, verdict in sandbox.judge(for_a_while(seconds))]
    taken_s = time.perf_counter() - began
    odd: Verdict | None = next((verdict for verdict in verdicts if not verdict.passed), None)
    if odd is not None:
        raise SandboxError(f"a trivial program was not passed but {odd.status} ({odd.reason}). Run harness doctor")
    return len(verdicts) / taken_s, sorted(verdict.wall_s for verdict in verdicts)


def for_a_while(seconds: float) -> Iterator[Program]:
    end = time.monotonic() + seconds
    yield TRIVIAL
    while time.monotonic() < end:
        yield TRIVIAL
