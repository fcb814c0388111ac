"""Proves a benchmark on this machine: its own reference solutions must all pass before any score is believed."""

from __future__ import annotations

from harness.benchmarks.base import Benchmark
from harness.engine import program_of
from harness.errors import SandboxError
from harness.programs import assemble
from harness.sandbox import Limits, Sandbox
from harness.types import Verdict


def prove(benchmark: Benchmark, sandbox: Sandbox, cpu_s: float = Limits.cpu_s) -> list[tuple[str, Verdict]]:
    """Judge every reference solution and return those that do not pass, by problem id in the benchmark's order.

    Raises SandboxError if one could not be judged.
    """
    problems = benchmark.problems
    failed: dict[int, Verdict] = {}
    for at, verdict in sandbox.judge(program_of(one, assemble(one, one.reference), cpu_s) for one in problems):
        if verdict.status == "infrastructure":
            raise SandboxError(
                f"{problems[at].id}: the reference could not be judged ({verdict.reason}). Run harness doctor."
            )
        if not verdict.passed:
            failed[at] = verdict
    return [(problems[at].id, failed[at]) for at in sorted(failed)]
