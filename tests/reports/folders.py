"""Run folders made by hand from rows, for the tests of reports and of the gate."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.results.finished import samples_path
from harness.settings.config import Run
from harness.store.rows import row_to_json, write_lines
from harness.types import Row


def write_run(folder: Path, rows: Sequence[Row], completion: str = "    return x\n", **keys: Any) -> Path:
    """Write a finished run of `rows`; `keys` change its configuration."""
    (folder / "samples").mkdir(parents=True)
    run = dataclasses.asdict(dataclasses.replace(Run(), reference="untrained", recipe=("iterkd",)))
    run |= {"benchmark": list(dict.fromkeys(row.benchmark for row in rows))} | keys
    cells = {(row.recipe, tuple(row.settings.items()), row.seed): row for row in rows if row.seed is not None}
    content = [{"recipe": r, "settings": dict(s), "seed": n, "config": {"fresh": 0.5}} for r, s, n in cells]
    (folder / "config.json").write_text(json.dumps({"run": run, "cells": content}))
    facts = {"command": "harness compare recipe=iterkd", "store": str(folder / "store")}
    (folder / "run.json").write_text(json.dumps(facts))
    write_lines(folder / "rows.jsonl", map(row_to_json, rows))
    names = ("recipe", "settings", "seed", "cycle", "benchmark")
    times = [{name: getattr(row, name) for name in names} | {"seconds": 10.0 * row.cycle} for row in rows]
    write_lines(folder / "timings.jsonl", times)
    for row in rows:
        write_lines(samples_path(folder, row), sample_lines(row, completion))
    return folder


def sample_lines(row: Row, completion: str) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for at, passed in enumerate(row.correct):
        for index in range(row.samples):
            good = index < passed
            fail = {"input": "f(1)", "got": "1", "expected": "2"}
            lines.append(
                {
                    "task_id": f"{row.benchmark}/{at}",
                    "index": index,
                    "completion": completion,
                    "finish_reason": "stop",
                    "passed": good,
                    "status": "passed" if good else "wrong",
                    "reason": "" if good else "a call returned a wrong value",
                    "first_fail": None if good else fail,
                }
            )
    return lines
