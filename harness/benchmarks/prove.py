"""Proves a benchmark on this machine: its own reference solutions must all pass before any score is believed."""

from __future__ import annotations

from harness.benchmarks.base import Benchmark
from harness.errors import SandboxError
from harness.programs import assemble
from harness.sandbox import Program, Sandbox
from harness.types import Problem, Verdict


def program_for(problem: Problem, completion: str) -> Program:
    """Return what the sandbox judges: prompt + completion, the problem's checks, and its prompt as trusted text."""
    return Program(
        source=assemble(problem, completion),
        entry_point=problem.entry_point,
        checks=problem.checks,
        prompt=problem.prompt,
        id=problem.id,
        cpu_s=problem.cpu_s,
    )


def prove(benchmark: Benchmark, sandbox: Sandbox) -> list[tuple[str, Verdict]]:
    """Judge every reference solution and return those that do not pass, by problem id in the benchmark's order.

    Raises SandboxError if one could not be judged.
    """
    problems = benchmark.problems
    failed: dict[int, Verdict] = {}
    for at, verdict in sandbox.judge(program_for(one, one.reference) for one in problems):
        if verdict.status == "infrastructure":
            raise SandboxError(
                f"{problems[at].id}: the reference could not be judged ({verdict.reason}). Run harness doctor."
            )
        if not verdict.passed:
            failed[at] = verdict
    return [(problems[at].id, failed[at]) for at in sorted(failed)]
