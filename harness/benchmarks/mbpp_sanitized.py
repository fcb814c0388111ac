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

from pathlib import Path
from typing import Any

from harness.benchmarks import base, mbpp, sources
from harness.types import Problem

VERSION = 1
DATA_HASH = "0a16f33d2b664db4e3a55acceaf7aad487e1841828174a7ee91734501e9de00f"
NAME = "mbpp-sanitized"
URL = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/sanitized-mbpp.json"
PUBLISHED = sources.Published(
    ("mbpp/sanitized-mbpp.json", "sanitized-mbpp.json"), DATA_HASH, URL, mbpp.HUB, "sanitized", mbpp.HUB_SPLITS
)
NAMES = {NAME: "all"}
SPLITS = tuple(split for split in mbpp.SPLITS if split != "all")


def problems(split: str = "all", data: Path | None = None) -> tuple[Problem, ...]:
    """Return the problems of a split by id; DataError if the file is missing or not the pinned one."""
    return loaded(split, data)[1]


def loaded(split: str, data: Path | None) -> tuple[str, tuple[Problem, ...]]:
    """Return where the data was found, and the problems of a split."""
    where, rows = sources.rows_of(f"benchmark={NAME}", PUBLISHED, data)
    return where, tuple(mbpp.problem_from(like_mbpp(row), NAME) for row in mbpp.within(rows, split))


def like_mbpp(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row in MBPP's own fields."""
    return {**row, "text": row["prompt"], "test_setup_code": "\n".join(row["test_imports"])}


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return a split, whole."""
    del size, draw
    where, found = loaded(split, data)
    return mbpp.of_asserts(NAME if split == "all" else f"{NAME}:{split}", VERSION, found, style, where)
