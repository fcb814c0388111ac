"""A table as text: for a terminal of 80 columns, and as Markdown; it computes no statistic."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tabulate import tabulate

from reports import cells, claims, facts
from reports.claims import Finding
from reports.marks import Mark, legend, marks
from reports.table import Benchmark, Line, Table

GAP = 2  # blanks between columns in tabulate's `plain` format
NAME = 22  # columns of a line's name before it is wrapped; with three scores of 17 it fills 79
NARROW = 12  # a name is squeezed to this before columns move to a block of their own
SPENT = ("teacher calls", "student samples", "programs judged", "updates", "training tokens", "usd", "seconds")

PRICED = ("teacher calls", "programs judged", "training tokens", "usd", "seconds")  # of each point gained


@dataclass(frozen=True)
class Grid:
    """One block: a title, columns (the first names the lines), and a note below."""

    title: str
    header: list[str]
    rows: list[list[str]]
    note: str = ""


def terminal(table: Table, width: int = 80) -> str:
    """Render for a terminal: no line is longer than `width` unless a single word of the command is."""
    parts: list[str] = []
    if headline := facts.headline(table):
        parts.append(textwrap.fill(headline, width))
    parts += [block(grid, width) for grid in grids(table)]
    parts.append(footer(table, width))
    return "\n\n".join(parts) + "\n"


def block(grid: Grid, width: int) -> str:
    """Return a grid for a terminal, its title above and its note below."""
    body = "\n\n".join(plain(part) for part in fit(grid, width))
    return "\n".join(part for part in (textwrap.fill(grid.title, width), body, textwrap.fill(grid.note, width)) if part)


def claims_alone(findings: Sequence[Finding], width: int = 80) -> str:
    """Return what was found of claims, for a terminal."""
    return "\n\n".join(block(grid, width) for grid in noted_once(claim_grids(findings))) + "\n"


def markdown(table: Table) -> str:
    """Render as Markdown: the comparison in one table, the levels in one per benchmark."""
    parts = [f"> {facts.headline(table)}"] if facts.headline(table) else []
    parts.append(pipe(wide(table), as_is=True))
    notes = [f"Scores are pass@k in %, {facts.score_note(table)}. {facts.spent_title(table).capitalize()}."]
    notes += [legend(table)] if legend(table) else []
    for one in table.benchmarks:
        if compared(table, one):
            notes.append(f"{facts.difference_title(table, one)}. {facts.difference_note(table, one.name)}.")
    parts.append("\n".join(f"- {note}" for note in notes))
    further = [*ablation_grids(table), *gain_grids(table), *(level_grid(table, one) for one in table.benchmarks)]
    further += [published_grid(table), *claim_grids(table.claims), sources(table)]
    for grid in filter(lambda grid: grid.rows, further):
        parts.append("\n\n".join(part for part in (grid.title, pipe(grid), grid.note) if part))
    parts.append("\n".join(f"- {name.strip()}: {text}" for name, text in facts.footer(table)))
    if table.command:
        parts.append(f"```\n{table.command}\n```")
    return "\n\n".join(parts) + "\n"


def grids(table: Table) -> list[Grid]:
    """Return the blocks in the order they are read: scores, differences, cost, levels."""
    found = [score_grid(table, one, k) for one in table.benchmarks for k in table.ks]
    found += [difference_grid(table, one) for one in table.benchmarks if compared(table, one)]
    found += ablation_grids(table)
    found.append(spent_grid(table))
    found += gain_grids(table)
    found += [level_grid(table, one) for one in table.benchmarks]
    found += [seed_grid(table, one) for one in table.benchmarks if len(table.seeds) > 1]
    found += [published_grid(table), *claim_grids(table.claims)]
    return noted_once([grid for grid in found if grid.rows])


def noted_once(found: Sequence[Grid]) -> list[Grid]:
    """Return the blocks less each note that the next block repeats: it is read there."""
    notes = [grid.note for grid in found[1:]] + [""]
    return [
        replace(grid, note="" if grid.note == after else grid.note) for grid, after in zip(found, notes, strict=True)
    ]


def compared_titles(table: Table) -> list[str]:
    """Return what stands over `cells.comparison`."""
    return ["difference", "p", facts.corrected(table), "result", "detects"]


def compared(table: Table, benchmark: Benchmark) -> bool:
    return any(one.benchmark == benchmark.name for line in table.lines for one in line.comparisons)


def score_grid(table: Table, benchmark: Benchmark, k: int) -> Grid:
    last = max(line.final_cycle for line in table.lines)
    cycles = list(range(1, last + 1)) or [0]
    rows = [[cells.line_name(line), *score_cells(line, benchmark, k, cycles)] for line in table.lines]
    header = ["", *(f"cycle {cycle}" for cycle in cycles)]
    return Grid(facts.score_title(benchmark, k), header, rows, facts.score_note(table))


def score_cells(line: Line, benchmark: Benchmark, k: int, cycles: Sequence[int]) -> list[str]:
    """Return the scores by cycle; that of the untrained student, which has no cycle, stands in the first column."""
    found = {s.cycle: cells.score(s.estimate) for s in line.scores if (s.benchmark, s.k) == (benchmark.name, k)}
    if line.final_cycle == 0 and cycles:
        return [found.get(0, cells.MISSING), *("" for _ in cycles[1:])]
    return [found.get(cycle, cells.MISSING) for cycle in cycles]


def difference_grid(table: Table, benchmark: Benchmark) -> Grid:
    rows: list[list[str]] = []
    for line in table.lines:
        for one in line.comparisons:
            if one.benchmark == benchmark.name:
                rows.append([line.label, *cells.comparison(one)])
    header = ["", *compared_titles(table)]
    return Grid(facts.difference_title(table, benchmark), header, rows, facts.difference_note(table, benchmark.name))


def ablation_grids(table: Table) -> list[Grid]:
    """Return one block for each recipe with several settings and each benchmark."""
    found: list[Grid] = []
    for ablation in table.ablations:
        for benchmark in table.benchmarks:
            rows = [
                [change.changed, *cells.comparison(one)]
                for change in ablation.changes
                for one in change.comparisons
                if one.benchmark == benchmark.name
            ]
            title = facts.ablation_title(ablation, benchmark, table.ks[0])
            found.append(Grid(title, ["", *compared_titles(table)], rows, facts.ablation_note(table, ablation)))
    return found


def gain_grids(table: Table) -> list[Grid]:
    """Return, for each benchmark, what a point gained over the untrained student cost."""
    found: list[Grid] = []
    for benchmark in table.benchmarks:
        rows = [
            [line.label, f"{100 * gain.value:+.1f}", *(cells.per_point(spent[name], gain) for name in PRICED)]
            for line in table.lines
            if (gain := line.gains.get(benchmark.name)) is not None
            for spent in [dict(zip(SPENT, spent_values(line), strict=True))]
        ]
        header = ["", "gain", *(title.replace(" ", "\n") for title in PRICED)]
        found.append(Grid(facts.gain_title(benchmark, table.ks[0]), header, rows, facts.GAIN_NOTE))
    return found


def claim_grids(findings: Sequence[Finding]) -> list[Grid]:
    """Return one block for each condition under which claims were tested."""
    rows: dict[str, list[list[str]]] = {}
    for one in findings:
        rows.setdefault(one.under, []).append(claims.cells_of(one))
    note = claims.note(findings)
    return [Grid(claims.title(under), claims.HEADER, own, note) for under, own in rows.items()]


def sources(table: Table) -> Grid:
    """Return who makes each claim, and where."""
    found = {one.claim.says: one.claim.source for one in table.claims}
    return Grid("who claims it", ["", "source"], [[*one] for one in found.items()])


def published_grid(table: Table) -> Grid:
    header = ["", "student", "benchmark", "metric", "value", "where", "standing"]
    rows = [
        [p.method, p.student, p.benchmark, p.metric, f"{p.value:g}", f"{p.where}; {p.source}", p.standing]
        for p in table.published
    ]
    return Grid(facts.PUBLISHED_TITLE, header, rows)


def spent_values(line: Line) -> list[float | None]:
    """Return what a line spent, in the order of `SPENT`."""
    names = ("teacher_calls", "student_samples", "programs", "updates", "training_tokens", "teacher_usd")
    return [*(line.spent[name] for name in names), line.seconds]


def spent_grid(table: Table) -> Grid:
    header = ["", *(title.replace(" ", "\n") for title in SPENT)]
    return Grid(facts.spent_title(table), header, [[line.label, *spent_cells(line)] for line in table.lines])


def spent_cells(line: Line) -> list[str]:
    *amounts, usd, seconds = spent_values(line)
    return [*map(cells.amount, amounts), cells.usd(usd or 0.0), cells.seconds(seconds)]


def level_grid(table: Table, benchmark: Benchmark) -> Grid:
    """Return scores by level; whole percents in the intervals, so that four levels fit in 80 columns."""
    sizes: dict[int, int] = {}
    rows: list[list[str]] = []
    for line in table.lines:
        own = {one.level: one.estimate for one in line.levels if one.benchmark == benchmark.name}
        sizes |= {level: estimate.n for level, estimate in own.items()}
        if own:
            rows.append([line.label, *(cells.score(own[level], decimals=0) for level in sorted(own))])
    title = facts.level_title(benchmark, table.ks[0], sizes)
    return Grid(title, ["", *(f"level {level}" for level in sorted(sizes))], rows)


def seed_grid(table: Table, benchmark: Benchmark) -> Grid:
    """Return the single students' scores that a line's mean is made of."""
    rows: list[list[str]] = []
    for line in table.lines:
        own = {one.seed: one.pass_at_k[benchmark.name] for one in line.checkpoints if benchmark.name in one.pass_at_k}
        if own and line.seeds != (None,):
            rows.append([line.label, *(f"{100 * own[s]:.1f}" if s in own else cells.MISSING for s in table.seeds)])
    return Grid(facts.seed_title(table, benchmark), ["", *(f"seed {seed}" for seed in table.seeds)], rows)


def wide(table: Table) -> Grid:
    """Return the whole comparison as one grid: scores of every benchmark and cycle, differences, cost."""
    last = max(line.final_cycle for line in table.lines)
    cycles = list(range(1, last + 1)) or [0]
    pairs = [(one, k) for one in table.benchmarks for k in table.ks]
    header = ["recipe", "seeds", *(f"{one.name} pass@{k}, cycle {cycle}" for one, k in pairs for cycle in cycles)]
    for one in table.benchmarks:
        first, *others = compared_titles(table)
        header += [f"{one.name} {first}", *others]
    header += SPENT
    rows: list[list[str]] = []
    found = marks(table)
    for line in table.lines:
        row = [escaped(cells.line_name(line)), cells.seeds(line)]
        for one, k in pairs:
            mark = found.get((line.label, one.name)) if k == table.ks[0] else None
            row += marked(score_cells(line, one, k, cycles), line, mark)
        for benchmark in table.benchmarks:
            own = [cells.comparison(one) for one in line.comparisons if one.benchmark == benchmark.name]
            row += own[0] if own else ["reference" if line.label == table.reference else cells.MISSING, *[""] * 4]
        rows.append([*row, *spent_cells(line)])
    return Grid("", header, rows)


def marked(scores: list[str], line: Line, mark: Mark | None) -> list[str]:
    """Return a line's scores by cycle, the final one with its marks in Markdown."""
    if mark is None:
        return scores
    at = 0 if line.final_cycle == 0 else min(line.final_cycle, len(scores)) - 1
    value, _, interval = scores[at].partition(" ")
    value = f"**{value}**" if mark.best else f"<u>{value}</u>" if mark.second else value
    return [*scores[:at], f"{value}{'†' if mark.tested else ''} {interval}".rstrip(), *scores[at + 1 :]]


def fit(grid: Grid, width: int) -> list[Grid]:
    """Return the grid as blocks that fit: names are wrapped first, then columns move to further blocks."""
    columns = [[title, *(row[i] for row in grid.rows)] for i, title in enumerate(grid.header)][1:]
    widths = [max(len(part) for cell in column for part in cell.split("\n")) for column in columns]
    longest = max(len(row[0]) for row in grid.rows)
    free = width - sum(widths) - GAP * len(widths)
    name = min(longest, NAME, max(free, NARROW))
    if free < min(longest, NARROW):
        name = min(longest, NAME)
    names = ["", *(wrapped(row[0], name) for row in grid.rows)]
    blocks: list[Grid] = []
    start = 0
    while start < len(columns):
        end, used = start + 1, name + GAP + widths[start]
        while end < len(columns) and used + GAP + widths[end] <= width:
            used, end = used + GAP + widths[end], end + 1
        picked = [row for row in zip(names, *columns[start:end], strict=True) if any(row[1:])]
        blocks.append(Grid(grid.title, list(picked[0]), [list(row) for row in picked[1:]]))
        start = end
    return blocks


def wrapped(name: str, width: int) -> str:
    """Wrap a line's name at its blanks, settings indented below the recipe; a long word breaks after `,` `.` or `=`."""
    lines: list[str] = []
    for line in textwrap.wrap(name, width, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False):
        while len(line) > width:
            cut = max((line.rfind(mark, 3, width) + 1 for mark in ",.="), default=0) or width
            lines.append(line[:cut])
            line = "    " + line[cut:]
        lines.append(line)
    return "\n".join(lines)


def plain(grid: Grid) -> str:
    """Return the grid in columns. Header and rule are passed as rows: tabulate widens every column below a header."""
    columns = zip(grid.header, *grid.rows, strict=True)
    rule = ["-" * max(len(part) for cell in column for part in cell.split("\n")) for column in columns]
    align = ["left", *["right"] * (len(grid.header) - 1)]
    return tabulate([grid.header, rule, *grid.rows], tablefmt="plain", disable_numparse=True, colalign=align)


def pipe(grid: Grid, *, as_is: bool = False) -> str:
    """Return the grid as a Markdown table; `as_is` where its cells are Markdown already."""
    rows = grid.rows if as_is else [[escaped(cell) for cell in row] for row in grid.rows]
    header = [title.replace("\n", " ") for title in grid.header]
    align = ["left", *["right"] * (len(grid.header) - 1)]
    return tabulate(rows, headers=header, tablefmt="pipe", disable_numparse=True, colalign=align)


def escaped(cell: str) -> str:
    """Return text that ends no cell and starts no tag; a settings value may hold anything."""
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def footer(table: Table, width: int) -> str:
    """Return the facts as a list with hanging indents, and the command, broken as a shell would take it."""
    found = facts.footer(table)
    indent = max((len(name) for name, _ in found), default=0) + GAP
    lines = [
        textwrap.fill(text, width, initial_indent=name.ljust(indent), subsequent_indent=" " * indent,
                      break_on_hyphens=False)
        for name, text in found
    ]  # fmt: skip
    if table.command:
        words = textwrap.wrap(table.command, width - 4, break_long_words=False, break_on_hyphens=False)
        lines += ["", "To reproduce:", "  " + " \\\n    ".join(words)]
    return "\n".join(lines)
