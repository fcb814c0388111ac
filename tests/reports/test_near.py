"""Training examples near a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import StoreError
from harness.results.finished import load, table_of
from reports import evidence
from reports.evidence import Run
from reports.near import MOST, Nearest
from tests.reports.folders import write_run
from tests.reports.rows import row

PROMPTS = ["Sort the numbers in descending order.", "Return the sum of the numbers.", "Reverse the words of the text."]
ROWS = [row("untrained", [1, 0]), row("iterkd", [1, 1], seed=3, cycle=1)]


def kept(*prompts: str) -> list[dict[str, Any]]:
    return [{"prompt": one, "completion": "    pass\n", "rejected": None, "origin": "solve"} for one in prompts]


def test_the_same_words_are_nearest_and_a_word_of_all_prompts_tells_nothing() -> None:
    nearest = Nearest(PROMPTS)
    [(place, share), *_] = nearest.of(PROMPTS[0])
    assert place == 0 and share == pytest.approx(1)
    assert nearest.of("the") == []


def test_more_examples_than_are_searched_are_searched_at_equal_distances() -> None:
    nearest = Nearest([f"word{number}" for number in range(2 * MOST)])
    assert len(nearest.places) == MOST and nearest.of(f"word{2 * MOST - 2}")[0][0] == 2 * MOST - 2


def test_page_holds_the_examples_near_a_problem_of_each_trained_line(tmp_path: Path) -> None:
    found = load([write_run(tmp_path / "run", ROWS)])
    prompts = {"pipelines": {"pipelines/1": PROMPTS[1]}}
    data = evidence.gather(table_of(found), Run(found.rows, found.samples, prompts, [], lambda row: kept(*PROMPTS)))
    assert data["near"]["sets"] == [None, [3, 3, 3]] and data["near"]["problems"] == 1
    line, share, origin, prompt, *_ = data["near"]["found"]["pipelines"][1][0]
    assert (line, share, origin, data["texts"][prompt]) == (1, 1.0, "solve", PROMPTS[1])


def test_examples_of_a_run_are_read_and_missing_ones_are_none(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", ROWS)
    found = load([folder])
    assert found.examples(found.rows[1]) is None
    (folder / "examples").mkdir()
    path = folder / "examples" / "iterkd-seed3.jsonl"
    path.write_text(json.dumps(kept("p")[0] | {"weight": 1.0}) + "\n")
    assert found.examples(found.rows[1]) == kept("p")
    path.write_text("{")
    with pytest.raises(StoreError, match=r"iterkd-seed3\.jsonl: damaged"):
        found.examples(found.rows[1])
