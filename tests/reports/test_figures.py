"""Figures for papers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from reports.figures import write
from reports.table import build
from tests.reports.rows import example

pytest.importorskip("matplotlib")


@pytest.mark.filterwarnings("ignore")
def test_figures_are_written_in_three_formats_with_names_as_text(tmp_path: Path) -> None:
    rows = example({"iterkd": 0.4, "persd": 0.2}, seeds=(0, 1))
    rows = [replace(one, settings={"text": "$x_1$"}) if one.recipe == "persd" else one for one in rows]
    written = write(build(rows), rows, tmp_path / "figures")
    assert {path.suffix for path in written} == {".svg", ".pdf", ".png"} and len(written) == 9
    text = (tmp_path / "figures/curves-pipelines.svg").read_text()
    assert "pass@1 in %" in text and "cycle" in text and "$x_1$" in text.replace("\\", "")


def test_the_same_table_gives_the_same_svg(tmp_path: Path) -> None:
    rows = example({"iterkd": 0.4})
    one, other = (write(build(rows), rows, tmp_path / name) for name in "ab")
    assert one[0].read_bytes() == other[0].read_bytes()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match=r"--figures .*taken: cannot be written"):
        write(build(example({"iterkd": 0.4})), [], tmp_path / "taken")


def test_several_samples_give_a_figure_of_pass_at_k(tmp_path: Path) -> None:
    rows = example({"iterkd": 0.4}, samples=3)
    names = {path.name for path in write(build(rows), rows, tmp_path)}
    assert "pass-at-k-pipelines.svg" in names
    assert "k, samples drawn" in (tmp_path / "pass-at-k-pipelines.svg").read_text()
