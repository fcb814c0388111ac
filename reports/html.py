"""One self-contained HTML page of a comparison: opens from disk, asks no network, runs no script but its own.

Whatever a model, a recipe or a command wrote reaches the page as text: through the template's escaping, or as JSON
that its script puts into text nodes. A content policy with the script's hash forbids any other script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from reports import cells, evidence, facts
from reports.evidence import Run, as_json
from reports.marks import Mark, legend, marks
from reports.render import (
    SPENT,
    Grid,
    ablation_grids,
    claim_grids,
    compared_titles,
    gain_grids,
    level_grid,
    published_grid,
    sources,
    spent_values,
)
from reports.table import Line, Table


@dataclass(frozen=True)
class Cell:
    """One cell of the page's table: what is read, and what it is sorted by."""

    text: str
    value: float | None = None
    mark: Mark = field(default_factory=Mark)


def page(table: Table, run: Run, title: str) -> str:
    """Return the page."""
    import jinja2  # slow to load, so only where a page is asked for
    from markupsafe import Markup

    script, style = asset("page.js"), asset("page.css")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    data = as_json(content(table, run))
    return environment.from_string(asset("page.html.j2")).render(
        title=title,
        headline=facts.headline(table),
        policy=f"default-src 'none'; style-src '{sha256(style)}'; script-src '{sha256(script)}'; base-uri 'none'",
        style=Markup(style),
        script=Markup(script),
        data=Markup(data),
        header=header(table),
        rows=[row_of(table, line) for line in table.lines],
        legend=legend(table),
        notes=notes(table),
        ledger=ledger(table),
        grids=[grid for grid in blocks(table) if grid.rows],
        footer=facts.footer(table),
        command=table.command,
        configuration=json.dumps([dict(one) for one in run.configuration], indent=1, ensure_ascii=False),
    )


def notes(table: Table) -> list[str]:
    compared = [
        one.name for one in table.benchmarks if any(c.benchmark == one.name for x in table.lines for c in x.comparisons)
    ]
    return [facts.score_note(table), *(f"{name}: {facts.difference_note(table, name)}" for name in compared)]


def asset(name: str) -> str:
    return (resources.files("reports") / "page" / name).read_text(encoding="utf-8")


def sha256(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def content(table: Table, run: Run) -> dict[str, Any]:
    """Return what the page's script draws: curves, points, differences, verdicts, the matrix."""
    return {
        "reference": table.reference,
        "adjusted": facts.corrected(table),
        "k": table.ks[0],
        "benchmarks": [{"name": one.name, "n": one.n, "samples": one.samples} for one in table.benchmarks],
        "lines": [drawn(table, line) for line in table.lines],
        "passAtK": evidence.pass_at_ks(table, run.rows),
        **evidence.gather(table, run),
    }


def drawn(table: Table, line: Line) -> dict[str, Any]:
    return {
        "label": line.label,
        "final": line.final_cycle,
        "seeds": [seed for seed in line.seeds if seed is not None],
        "scores": [
            [s.benchmark, s.cycle, s.estimate.value, s.estimate.low, s.estimate.high]
            for s in line.scores
            if s.k == table.ks[0]
        ],
        "differences": [
            [c.benchmark, c.difference.value, c.difference.low, c.difference.high, c.adjusted_p, cells.result(c)]
            for c in line.comparisons
        ],
        "spent": dict(zip(SPENT, spent_values(line), strict=True)),
    }


def header(table: Table) -> list[str]:
    cycles = list(range(1, max(line.final_cycle for line in table.lines) + 1)) or [0]
    titles = ["method", "seeds"]
    for one in table.benchmarks:
        titles += [f"{one.name} pass@{k}, cycle {cycle}" for k in table.ks for cycle in cycles]
        titles += [f"{one.name} {name}" for name in compared_titles(table)]
    return [*titles, *SPENT]


def row_of(table: Table, line: Line) -> list[Cell]:
    """Return a line's cells below `header`."""
    cycles = list(range(1, max(one.final_cycle for one in table.lines) + 1)) or [0]
    found = marks(table)
    row = [Cell(cells.line_name(line)), Cell(cells.seeds(line), float(len(line.seeds)))]
    for one in table.benchmarks:
        for k in table.ks:
            own = {s.cycle: s.estimate for s in line.scores if (s.benchmark, s.k) == (one.name, k)}
            if line.final_cycle == 0 and 0 in own:
                own = {cycles[0]: own[0]}
            last = line.final_cycle or cycles[0]
            for cycle in cycles:
                mark = found.get((line.label, one.name), Mark()) if (cycle, k) == (last, table.ks[0]) else Mark()
                score = own.get(cycle)
                row.append(Cell(cells.score(score), score.value, mark) if score else Cell(cells.MISSING))
        compared = [c for c in line.comparisons if c.benchmark == one.name]
        if compared:
            c = compared[0]
            values = [c.difference.value, c.difference.p, c.adjusted_p, None, c.detectable]
            row += [Cell(text, value) for text, value in zip(cells.comparison(c), values, strict=True)]
        else:
            row += [Cell("reference" if line.label == table.reference else cells.MISSING), *[Cell("")] * 4]
    return [*row, *ledger_cells(line)]


def ledger_cells(line: Line) -> list[Cell]:
    values = spent_values(line)
    texts = [*map(cells.amount, values[:-2]), cells.usd(values[-2] or 0.0), cells.seconds(values[-1])]
    return [Cell(text, value) for text, value in zip(texts, values, strict=True)]


def ledger(table: Table) -> Grid:
    """Return everything that was counted, exactly, a line each."""
    names = list(table.lines[0].spent)
    forms = {"teacher_usd": ",.6g"}
    rows = [[line.label, *(f"{line.spent[name]:{forms.get(name, ',.0f')}}" for name in names)] for line in table.lines]
    return Grid(facts.spent_title(table), ["", *(name.replace("_", " ") for name in names)], rows)


def blocks(table: Table) -> list[Grid]:
    found = [*ablation_grids(table), *gain_grids(table), *(level_grid(table, one) for one in table.benchmarks)]
    return [*found, published_grid(table), *claim_grids(table.claims), sources(table)]
