"""The papers' numbers as data."""

from __future__ import annotations

import pytest

from harness.errors import DataError
from reports import published

ROW = "{method: m, student: s, benchmark: humaneval, metric: pass@1, value: 1, where: w, setting: x, standing: paper}"


def test_every_file_reads_and_states_a_known_standing() -> None:
    found = published.load()
    assert {"humaneval", "gsm8k"} <= {one.benchmark for one in found}
    assert all(one.standing in published.STANDINGS and one.source for one in found)


def test_a_split_is_of_its_benchmark() -> None:
    found = published.of(["humaneval", "mbpp:test"], published.load())
    assert {one.benchmark for one in found} == {"humaneval", "mbpp"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("standing: paper", "standing: rumour"), "standing is 'rumour', expected one of paper"),
        (("value: 1", "value: .nan"), "value is nan, expected a percentage"),
        (("value: 1", "value: 101"), "value is 101"),
        (("setting: x, ", ""), "setting is missing"),
        (("method: m", "metod: m"), r"metod: no such key \(did you mean method\?\)"),
    ],
)
def test_what_a_number_must_state_is_demanded(change: tuple[str, str], told: str) -> None:
    with pytest.raises(DataError, match=rf"published/x\.yaml, row 1.*{told}"):
        published.read("x.yaml", f"source: S\nrows:\n  - {ROW.replace(*change)}\n")


def test_a_file_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match="Expected a source and rows"):
        published.read("x.yaml", "source: S\n")
