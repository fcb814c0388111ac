"""A run's completions judged again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.benchmarks.registry import load
from harness.errors import DataError, SandboxError
from harness.results.rejudge import rejudge
from harness.sandbox import probe
from harness.settings.config import Run
from harness.types import Row
from tests.reports.folders import write_run
from tests.reports.rows import row

SIZE = 4


def finished(folder: Path, claimed: list[int], **change: object) -> Path:
    """Write a run whose untrained student answered the first two problems right, whatever its file claims."""
    benchmark = load("pipelines", size=SIZE)
    level, _ = probe()
    base: Row = row("untrained", claimed)
    base = replace(base, benchmark_hash=benchmark.digest, protocol={"isolation": level})
    base = replace(base, **change)  # pyright: ignore[reportArgumentType]
    run = write_run(folder, [base], world={"test": SIZE}, sandbox=vars(Run().sandbox))
    [path] = (run / "samples").glob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for at, (line, problem) in enumerate(zip(lines, benchmark.problems, strict=True)):
        line |= {"task_id": problem.id, "completion": problem.reference if at < 2 else "    return {}\n"}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return run


def test_equal_verdicts_stay(tmp_path: Path) -> None:
    [found] = rejudge(finished(tmp_path / "run", [1, 1, 0, 0]), workers=1)
    assert found.found.same.value == 1 and found.changed == ()


def test_a_verdict_that_moves_is_named(tmp_path: Path) -> None:
    [found] = rejudge(finished(tmp_path / "run", [0, 1, 0, 1]), workers=1)
    assert (len(found.found.lost), len(found.found.gained)) == (1, 1)
    assert found.changed[0].endswith(": passed -> wrong") and found.changed[1].endswith(": wrong -> passed")


def test_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="measured on data ffff"):
        next(rejudge(finished(tmp_path / "run", [1, 1, 0, 0], benchmark_hash="f" * 64), workers=1))


def test_another_isolation_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path / "run", [1, 1, 0, 0], protocol={"isolation": "elsewhere"})
    with pytest.raises(SandboxError, match="judged at isolation elsewhere"):
        next(rejudge(run, workers=1))
