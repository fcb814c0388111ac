"""Claims held against finished parts: the shipped ones fit their preset, and rows made by hand get their verdicts."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.claims import demand_lines, findings, read_claims
from harness.comparison.parts import parts_of
from harness.errors import ConfigError
from harness.store.rows import row_to_json, write_lines
from harness.types import Row
from tests.reports.rows import row

SEEDS, PROBLEMS = range(5), 120
BETTER = {"says": "A above B", "source": "a paper", "line": "a", "over": "b", "benchmark": "pipelines", "parts": ["x"]}


def drawn(recipe: str, rates: Sequence[float]) -> list[Row]:
    """Return rows of five seeds with one pass rate for each cycle."""
    rng, rows = random.Random(recipe), list[Row]()
    for seed in SEEDS:
        for cycle, rate in enumerate(rates, start=1):
            correct = [int(rng.random() < rate) for _ in range(PROBLEMS)]
            rows.append(row(recipe, correct, seed=seed, cycle=cycle))
    return rows


def folder_of(place: Path, claims: Sequence[dict[str, object]], parts: dict[str, list[Row]]) -> Path:
    """Write the folder of several comparisons."""
    stated = {"command": "harness compare preset=x", "preset": "x", "parts": dict.fromkeys(parts, "equal updates")}
    (place / "parts.json").write_text(json.dumps({**stated, "claims": [*claims]}))
    for name, rows in parts.items():
        if rows:
            (place / name).mkdir()
            write_lines(place / name / "rows.jsonl", [row_to_json(one) for one in rows])
    return place


def verdicts(folder: Path) -> list[str]:
    return ["unfinished" if one.decided is None else one.decided.verdict for one in findings(folder)]


def test_the_shipped_claims_speak_of_lines_that_their_parts_run() -> None:
    found = parts_of(["preset=claims"])
    assert found is not None
    demand_lines(found)
    assert all(len(one.run.seed) >= 5 for one in found.commands.values())
    claims = read_claims(found.claims)
    assert len(claims) >= 10 and all(one.source and len(one.parts) == 2 for one in claims)


def test_a_higher_line_is_supported_a_lower_one_contradicted_and_an_equal_one_open(tmp_path: Path) -> None:
    rows = [*drawn("a", [0.3, 0.7]), *drawn("b", [0.3, 0.4]), *drawn("c", [0.3, 0.4])]
    claims = [BETTER, {**BETTER, "line": "b", "over": "a"}, {**BETTER, "line": "b", "over": "c"}]
    assert verdicts(folder_of(tmp_path, claims, {"x": rows})) == ["supported", "contradicted", "inconclusive"]


def test_the_last_cycle_is_what_lines_are_compared_by(tmp_path: Path) -> None:
    rows = [*drawn("a", [0.2, 0.7]), *drawn("b", [0.6, 0.3])]
    [found] = findings(folder_of(tmp_path, [BETTER], {"x": rows}))
    assert found.decided is not None and found.decided.measured.value > 0.3


def test_a_claim_without_another_line_is_about_the_slope_over_cycles(tmp_path: Path) -> None:
    rises = {key: value for key, value in BETTER.items() if key != "over"}
    [found] = findings(folder_of(tmp_path, [rises], {"x": drawn("a", [0.2, 0.4, 0.6])}))
    assert found.decided is not None and found.decided.verdict == "supported"
    assert found.decided.measured.value == pytest.approx(0.2, abs=0.05)


def test_a_margin_asks_whether_two_lines_differ_little(tmp_path: Path) -> None:
    rows = [*drawn("a", [0.4]), *drawn("b", [0.4])]
    claims = [{**BETTER, "margin": 0.25}, {**BETTER, "margin": 0.0001}]
    assert verdicts(folder_of(tmp_path, claims, {"x": rows})) == ["supported", "inconclusive"]


def test_seeds_are_paired_whatever_order_their_rows_come_in(tmp_path: Path) -> None:
    rows = [*drawn("a", [0.5]), *drawn("b", [0.5])]
    [one] = findings(folder_of(tmp_path, [BETTER], {"x": rows}))
    write_lines(tmp_path / "x" / "rows.jsonl", [row_to_json(each) for each in reversed(rows)])
    assert findings(tmp_path) == (one,)


def test_an_unfinished_part_is_told_and_still_counts_in_the_family(tmp_path: Path) -> None:
    rows = [*drawn("a", [0.5]), *drawn("b", [0.36])]
    both = folder_of(tmp_path, [{**BETTER, "parts": ["x", "y"]}], {"x": rows, "y": []})
    found = findings(both)
    assert [one.decided is None for one in found] == [False, True]
    (tmp_path / "parts.json").write_text((tmp_path / "parts.json").read_text().replace('["x", "y"]', '["x"]'))
    [alone] = findings(tmp_path)
    assert found[0].decided is not None and alone.decided is not None
    assert found[0].decided.holm_for == pytest.approx(2 * alone.decided.holm_for)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"line": "nobody"}, "has no nobody. There: ekt, ekt-kd, "),
        ({"benchmark": "humaneval"}, "has no humaneval"),
        ({"parts": ["elsewhere"]}, "no part elsewhere"),
    ],
)
def test_a_claim_about_what_its_part_does_not_run_is_an_error_before_the_run(
    change: dict[str, object], told: str
) -> None:
    found = parts_of(["preset=claims"])
    assert found is not None
    wrong = replace(found, claims=({**found.claims[0], **change},))
    with pytest.raises(ConfigError, match=told):
        demand_lines(wrong)


def test_one_seed_or_one_cycle_cannot_bear_the_claims() -> None:
    found = parts_of(["preset=claims", "seed=0", "cycles=1"])
    assert found is not None
    with pytest.raises(ConfigError) as caught:
        demand_lines(found)
    assert [one.partition(":")[0] for one in caught.value.problems] == ["seed", "cycles=1"]


def test_a_claim_that_lacks_a_field_is_an_error_that_names_what_is_expected() -> None:
    with pytest.raises(ConfigError, match=r"claims “x”: one is not whole.*Expected says, source, line, benchmark, pa"):
        read_claims([{"says": "x", "parts": []}])
