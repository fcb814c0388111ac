"""MBPP, sanitized: the 427 problems of MBPP that its authors verified by hand, with clearer texts and tests.

Paper: Austin et al., Program Synthesis with Large Language Models, arXiv 2108.07732. Licence: CC BY 4.0.
Source: google-research, `sanitized-mbpp.json`; it is not shipped: put it below `mbpp/` in the data folder. Without a
data folder, `google-research-datasets/mbpp` is used if it lies in the hub's cache (`datasets`); nothing is fetched.
The bare name is every problem; splits are MBPP's, by id. Prompts, extraction and tests are those of mbpp.py.

Errata: 737, 787 and 794 assert the truth of what is returned; a match object counts as true, as in the original.

Changelog
1  2026-11  first version
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.benchmarks import base, mbpp
from harness.errors import DataError
from harness.programs import assemble
from harness.types import Problem

VERSION = 1
DATA_HASH = "0a16f33d2b664db4e3a55acceaf7aad487e1841828174a7ee91734501e9de00f"
NAME = "mbpp-sanitized"
URL = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/sanitized-mbpp.json"
NAMES = {NAME: "all"}
SPLITS = tuple(split for split in mbpp.SPLITS if split != "all")


def problems(split: str = "all", data: Path | None = None) -> tuple[Problem, ...]:
    """Return the problems of a split by id; DataError if the file is missing or not the pinned one."""
    where, rows = rows_of(data)
    base.check_hash(where, rows, DATA_HASH, f"Fetch {URL}")
    lowest, highest = mbpp.SPLITS[split]
    wanted = (row for row in rows if lowest <= row["task_id"] <= highest)
    return tuple(mbpp.problem_from(like_mbpp(row), NAME) for row in wanted)


def rows_of(data: Path | None) -> tuple[str, list[Any]]:
    """Return where the rows were found, and the rows, by id."""
    if base.data_folder(data) is None:
        rows = base.from_hub(mbpp.HUB, "sanitized", ("prompt", "test", "validation", "train"))
        if rows is not None:
            return f"hub:{mbpp.HUB}", sorted(rows, key=lambda row: row["task_id"])
    names = ("mbpp/sanitized-mbpp.json", "sanitized-mbpp.json")
    path = base.find_file(f"benchmark={NAME}", names, data, URL)
    try:
        found: list[Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}). Fetch {URL} anew.") from None
    return str(path), sorted(found, key=lambda row: row["task_id"])


def like_mbpp(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in MBPP's own fields."""
    return {**row, "text": row["prompt"], "test_setup_code": "\n".join(row["test_imports"])}


def prompt(problem: Problem, style: base.Style) -> str:
    """Return what a student is given."""
    return base.prompt_text(problem, style)


def extract(problem: Problem, completion: str) -> str:
    """Return the program that is judged: the completion, a body or a whole program, continues the prompt."""
    return assemble(problem, completion)


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return a split, whole."""
    del size, draw
    found = problems(split, data)
    name = NAME if split == "all" else f"{NAME}:{split}"
    return base.build(name, VERSION, found, style=style, rule="asserts", max_new_tokens=512)
