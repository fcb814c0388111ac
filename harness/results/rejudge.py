"""Judges a finished run's completions again and tells how many verdicts stayed: a number of its own beside a score.

Nothing is sampled and nothing recorded; the sandbox starts with an empty memory of verdicts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import DataError, SandboxError
from harness.results.finished import Finished, load
from harness.results.pages import measured_on
from harness.sandbox import Limits, Program, Sandbox
from harness.stats.stability import Stability, stability
from harness.steps.engine import program_of
from harness.types import Row
from reports.checks import place


@dataclass(frozen=True)
class Rejudged:
    """One row's verdicts given twice; `changed` tells the completions whose verdict moved."""

    row: str
    found: Stability
    changed: tuple[str, ...]


def rejudge(folder: Path, workers: int | None = None) -> Iterator[Rejudged]:
    """Yield every row of a run judged again, under the limits of the run.

    Raises DataError where the benchmark is not the one that was measured, SandboxError where a program has no
    verdict this time or the isolation is another.
    """
    finished = load([folder])
    judging = finished.facts[0]["sandbox"]
    limits = Limits(cpu_s=judging["cpu_s"], wall_s=judging["wall_s"], memory_bytes=judging["memory_mb"] * 2**20)
    with Sandbox(workers or os.cpu_count() or 1, minimum=judging["level"], limits=limits, cache=False) as sandbox:
        for row in finished.rows:
            if sandbox.level != row.protocol.get("isolation", sandbox.level):
                raise SandboxError(
                    f"{place(row)}: judged at isolation {row.protocol['isolation']}, here it is {sandbox.level}; a "
                    "change of verdicts would say nothing about their stability. Judge again where it was measured"
                )
            yield again(finished, row, sandbox, float(judging["cpu_s"]))


def again(finished: Finished, row: Row, sandbox: Sandbox, cpu_s: float) -> Rejudged:
    benchmark = measured_on(finished, row)
    if benchmark.extractor != row.protocol.get("extractor", benchmark.extractor):
        raise DataError(
            f"{place(row)}: its programs were found by extractor {row.protocol['extractor']}, which this version does "
            "not have. Run the comparison again."
        )
    problems = {problem.id: problem for problem in benchmark.problems}
    samples = finished.samples(row)

    def programs() -> Iterator[Program]:
        for one in samples:
            problem = problems[one["task_id"]]
            yield program_of(*benchmark.judged(problem, one["completion"]), cpu_s)

    second = [""] * len(samples)
    for at, verdict in sandbox.judge(programs()):
        if verdict.status == "infrastructure":
            raise SandboxError(f"{samples[at]['task_id']}: the sandbox failed ({verdict.reason}). Run harness doctor")
        second[at] = verdict.status
    found = stability([one["status"] for one in samples], second)
    moved = (*found.lost, *found.gained, *found.other)
    changed = tuple(f"{samples[at]['task_id']}: {samples[at]['status']} -> {second[at]}" for at in moved)
    return Rejudged(place(row), found, changed)
