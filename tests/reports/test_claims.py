"""The table of claims in every format."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.stats.claims import Decided, Measured
from reports import claims, render
from reports.claims import Claim, Finding
from reports.export import to_json
from reports.html import blocks
from reports.latex import latex
from reports.table import build
from tests.reports.rows import row

CLAIM = Claim(
    "PERsD above STAND with a third of the data", "a paper, its abstract", "persd", "pipelines", ("x",), "stand"
)
MEASURED = Measured(0.123, 0.051, 0.195, 0.0001, 0.9999, 0.03, 12.0, 5, 200)
FOUND = (
    Finding(CLAIM, "equal updates", Decided(MEASURED, "supported", 0.0024, 1.0, 0.101)),
    Finding(CLAIM, "equal training tokens", Decided(replace(MEASURED, value=-0.123), "contradicted", 1.0, 0.0003, 0.1)),
    Finding(replace(CLAIM, says="EKT above KD"), "equal training tokens", None),
)
TABLE = replace(build([row(), row("persd", seed=0, cycle=1)]), claims=FOUND)


def test_claims_stand_at_the_end_of_a_terminals_table_within_80_columns() -> None:
    text = render.terminal(TABLE)
    after = text[text.index("claims of the papers") :]
    assert "+12.3 [ +5.1, +19.5]" in after and "0.002  supported" in after and "10.1" in after
    assert max(map(len, text.splitlines())) <= 80


def test_a_contradiction_is_told_with_its_own_p_and_an_unfinished_part_as_such() -> None:
    lines = render.claims_alone(FOUND).splitlines()
    assert any("<0.001" in line and "contradicted" in line for line in lines)
    assert any("EKT above KD" in line and "not finished" in line for line in lines)


def test_the_p_is_that_of_the_direction_found() -> None:
    below = Decided(replace(MEASURED, value=-0.03, low=-0.1, high=0.04), "inconclusive", 1.0, 0.061, 0.1)
    assert claims.cells_of(Finding(CLAIM, "equal updates", below))[2:4] == ["0.061", "inconclusive"]


def test_each_condition_has_a_block_and_the_note_stands_once() -> None:
    text = " ".join(render.claims_alone(FOUND).split())
    assert text.count("claims of the papers as hypotheses, at") == 2
    assert text.count("over all 3 hypotheses") == 1


@pytest.mark.parametrize("form", [render.markdown, latex])
def test_other_formats_hold_verdicts_and_who_claims_it(form) -> None:
    text = form(TABLE)
    assert "supported" in text and "contradicted" in text and "a paper, its abstract" in text


def test_the_page_and_the_json_hold_them_too() -> None:
    assert [grid.title for grid in blocks(TABLE)[-3:]] == [
        "claims of the papers as hypotheses, at equal updates",
        "claims of the papers as hypotheses, at equal training tokens",
        "who claims it",
    ]
    [first, *_] = json.loads(to_json(TABLE))["claims"]
    assert first["claim"]["says"] == CLAIM.says and first["decided"]["verdict"] == "supported"


def test_a_table_without_claims_says_nothing_of_them() -> None:
    assert "claims" not in render.terminal(replace(TABLE, claims=()))
