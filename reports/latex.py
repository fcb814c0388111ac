"""A table as LaTeX with booktabs rules, for papers: results, ablations, levels, cost; it computes no statistic.

Needs `\\usepackage{booktabs}` and UTF-8, which is LaTeX's default. Every text is escaped: names come from commands.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from harness.stats.passk import Estimate
from reports import cells, facts
from reports.marks import LEGEND, Mark, dagger, marks
from reports.render import (
    SPENT,
    Grid,
    ablation_grids,
    claim_grids,
    gain_grids,
    level_grid,
    published_grid,
    sources,
    spent_cells,
)
from reports.table import Benchmark, Line, Table

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "→": r"$\rightarrow$", "±": r"$\pm$", "†": r"\dag{}", "–": "--",
    "'": r"\textquotesingle{}", "`": r"\textasciigrave{}", "-": "-",
}  # fmt: skip
COSTS = {"teacher calls": "calls", "training tokens": "tokens", "usd": "USD", "seconds": "s"}  # short, to fit a page


def latex(table: Table) -> str:
    """Return every table of the comparison, each a float of its own with its caption."""
    parts = ["% needs \\usepackage[T1]{fontenc}, \\usepackage{textcomp,booktabs}", results(table)]
    further = [*ablation_grids(table), *gain_grids(table), *(level_grid(table, one) for one in table.benchmarks)]
    further += [*claim_grids(table.claims), sources(table)]
    parts += [simple(grid) for grid in further if grid.rows]
    if table.published:
        parts.append(simple(published_grid(table), "p{2.2cm}p{2.4cm}p{2cm}lrp{4.4cm}l"))
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return text as LaTeX prints it; a character that a plain font lacks becomes its nearest Latin, or a `?`."""
    return "".join(SPECIAL.get(char) or latin(char) for char in text)


def latin(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() else " "
    plain = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode()
    return "".join(SPECIAL.get(one, one) for one in plain) or "?"


def results(table: Table) -> str:
    """Return methods × benchmarks and cycles, with marks, half-widths of the intervals, differences and cost."""
    last = max(line.final_cycle for line in table.lines)
    cycles, k, found = list(range(1, last + 1)) or [0], table.ks[0], marks(table)
    groups = ["", *(f"{escape(one.name)} pass@{k} ($n={one.n}$)" for one in table.benchmarks), "cost"]
    width = len(cycles) + 1
    spans = [1, *([width] * len(table.benchmarks)), len(COSTS)]
    titles = ["method"]
    for _ in table.benchmarks:
        titles += [*(f"cycle {cycle}" for cycle in cycles), r"$\Delta$"]
    titles += COSTS.values()
    lines = [row_of(table, line, cycles, found) for line in table.lines]
    pairs = zip(groups, spans, strict=True)
    head = " & ".join(text if size == 1 else f"\\multicolumn{{{size}}}{{c}}{{{text}}}" for text, size in pairs)
    notes = [
        r"Scores in \%, $\pm$ half of the 95\,\% interval " + escape(facts.score_note(table).partition("] ")[2]) + ".",
        r"$\Delta$: final cycle less " + escape(table.reference) + ", in points, paired by problem.",
        facts.spent_title(table).capitalize() + ": teacher calls, training tokens, US dollars, seconds.",
        escape(LEGEND),
        escape(dagger(table)),
        escape(facts.headline(table)[:1].upper() + facts.headline(table)[1:] + "." if facts.headline(table) else ""),
        escape(facts.caption(table)) + ".",
    ]
    body = [*rules(spans), " & ".join(titles) + r" \\", r"\midrule", *lines]
    return float_of("l" + "r" * (sum(spans) - 1), [head + r" \\", *body], " ".join(filter(None, notes)))


def rules(spans: Sequence[int]) -> list[str]:
    """Return a thin rule under each group of columns."""
    start, found = 1, ""
    for size in spans:
        if size > 1:
            found += f"\\cmidrule(lr){{{start}-{start + size - 1}}}"
        start += size
    return [found]


def row_of(table: Table, line: Line, cycles: Sequence[int], found: dict[tuple[str, str], Mark]) -> str:
    row = [escape(cells.line_name(line))]
    for one in table.benchmarks:
        row += score_cells(table, line, one, cycles, found.get((line.label, one.name), Mark()))
        own = [c for c in line.comparisons if c.benchmark == one.name]
        row.append(f"${100 * own[0].difference.value:+.1f}$" if own else "--")
    spent: dict[str, str] = dict(zip(SPENT, spent_cells(line), strict=True))
    row += [spent[name] for name in COSTS]
    return " & ".join(row) + r" \\"


def score_cells(table: Table, line: Line, benchmark: Benchmark, cycles: Sequence[int], mark: Mark) -> list[str]:
    own = {s.cycle: s.estimate for s in line.scores if (s.benchmark, s.k) == (benchmark.name, table.ks[0])}
    if line.final_cycle == 0:  # the untrained student stands in the first column
        own = {cycles[0]: own[0]} if 0 in own else {}
    last = cycles[0] if line.final_cycle == 0 else line.final_cycle
    return [score(own[cycle], mark if cycle == last else Mark()) if cycle in own else "--" for cycle in cycles]


def score(estimate: Estimate, mark: Mark) -> str:
    value = f"{100 * estimate.value:.1f}"
    value = f"\\textbf{{{value}}}" if mark.best else f"\\underline{{{value}}}" if mark.second else value
    half = 50 * (estimate.high - estimate.low)
    dagger = r"$^{\dag}$" if mark.tested else ""
    return f"{value}{dagger} {{\\scriptsize$\\pm${half:.1f}}}"


def simple(grid: Grid, columns: str = "") -> str:
    """Return a grid as a float: its title and note become the caption."""
    header = [escape(title.replace("\n", " ")) for title in grid.header]
    rows = [" & ".join(escape(cell) for cell in row) + r" \\" for row in grid.rows]
    caption = ". ".join(part for part in (grid.title, grid.note) if part)
    body = [" & ".join(header) + r" \\", r"\midrule", *rows]
    return float_of(columns or "l" + "r" * (len(header) - 1), body, escape(caption) + ".")


def float_of(columns: str, body: Sequence[str], caption: str) -> str:
    return "\n".join(
        [
            r"\begin{table*}",
            r"\centering\small\setlength{\tabcolsep}{4pt}",
            f"\\caption{{{caption}}}",
            f"\\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
        ]
    )
