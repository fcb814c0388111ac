"""LaTeX that compiles: its structure everywhere, a compiler where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from reports import published
from reports.latex import escape, latex
from reports.table import Table, build
from tests.reports.rows import example, row

EVIL = r"a_b%c$d#e&f{g}h~i^j\k<l>|\input{/etc/passwd}" + "\u2028→é漢"
PREAMBLE = "\\documentclass{article}\n\\usepackage[T1]{fontenc}\n\\usepackage{textcomp,booktabs}\n\\begin{document}\n"


def table() -> Table:
    rows = example({"standard_kd": 0.2, "iterkd margin=0.1": 0.6, "iterkd": 0.5}, seeds=(0, 1), humaneval=True)
    rows = [
        replace(one, settings=one.settings | {"text": EVIL}) if one.recipe == "standard_kd" else one for one in rows
    ]
    made = build(rows, command=f"harness compare {EVIL}", budget="800 examples")
    return replace(made, about={"student": EVIL}, published=published.load())


def test_every_row_has_as_many_cells_as_its_table_has_columns() -> None:
    for columns, body in re.findall(r"\\begin\{tabular\}\{(.*?)\}\n(.*?)\\end\{tabular\}", latex(table()), re.S):
        count = len(re.sub(r"p\{[^}]*\}", "p", columns))
        for line in (line for line in body.splitlines() if line.endswith(r"\\")):
            spanned = sum(int(size) - 1 for size in re.findall(r"\\multicolumn\{(\d+)\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spanned == count, line


def test_braces_and_environments_are_balanced() -> None:
    text = latex(table()).replace(r"\{", "").replace(r"\}", "")
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") > 4


def test_every_special_character_is_escaped() -> None:
    text = escape(EVIL)
    assert r"\input" not in text and r"a\_b\%c\$d\#e\&f\{g\}h" in text and text.endswith("e?")
    assert text.isascii()


def test_caption_states_what_the_table_rests_on() -> None:
    base, ours = row(), row("iterkd", [1, 1, 0, 0], seed=3, cycle=1)
    made = build([base, ours], command="harness compare recipe=iterkd", budget="800 examples")
    text = latex(replace(made, about={"student": "tiny", "teacher": "oracle"}))
    for fact in ("student tiny", "teacher oracle", "800 examples", "decoding greedy", "judge full", "seeds 3"):
        assert fact in text
    assert "0123456789ab" in text and "harness compare recipe=iterkd" in text and "$n=4$" in text


def test_a_line_that_is_unfinished_is_told_in_the_caption() -> None:
    rows = [row(), row("iterkd", seed=0, cycle=1), row("iterkd", seed=1, cycle=1), row("iterkd", seed=0, cycle=2)]
    assert "Unfinished: iterkd is shown up to cycle 1 of 2;" in latex(build(rows))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here: its structure is tested above")
def test_it_compiles(tmp_path: Path) -> None:
    (tmp_path / "all.tex").write_text(PREAMBLE + latex(table()) + "\\end{document}\n", encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == 0 and (tmp_path / "all.pdf").is_file(), done.stdout[-2000:]
