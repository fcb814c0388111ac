"""Figures of a comparison for papers, as SVG, PDF and PNG by matplotlib; it computes no statistic.

Colours are Okabe and Ito's, told apart by colour-blind readers, and every line has a marker of its own. The same
table gives the same bytes of SVG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.types import Row
from reports import evidence
from reports.table import Line, Table

COLOURS = ("#4d4d4d", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#7b5cc4")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
FORMATS = ("svg", "pdf", "png")
SIZE = (4.6, 3.1)  # inches: a column of most papers
PLAIN = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}  # no clock in a file

Draw = Callable[[Any, Table, str], bool]
ByK = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]  # by line and benchmark: k, value, bounds


def write(table: Table, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write each figure that table and rows have data for; UsageError without matplotlib or with nowhere to write."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as err:
        raise UsageError("--figures: matplotlib is not installed. Install it: pip install matplotlib.") from err
    matplotlib.rcParams["svg.hashsalt"] = "harness"
    matplotlib.rcParams["svg.fonttype"] = "none"
    by_k = evidence.pass_at_ks(table, rows)
    figures: dict[str, Draw] = {
        "curves": curves,
        "cost": cost,
        "differences": differences,
        "pass-at-k": lambda axes, own, benchmark: passes(axes, own, benchmark, by_k),
    }
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for benchmark in table.benchmarks:
            for name, draw in figures.items():
                figure = Figure(figsize=SIZE, layout="constrained")
                if draw(figure.subplots(), table, benchmark.name):
                    for kind in FORMATS:
                        path = folder / f"{name}-{safe(benchmark.name)}.{kind}"
                        figure.savefig(path, dpi=200, metadata=PLAIN[kind])
                        written.append(path)
    except OSError as err:
        raise UsageError(f"--figures {folder}: cannot be written ({err.strerror}). Choose another folder.") from err
    return written


def safe(name: str) -> str:
    return "".join(char if char.isalnum() or char in "+-_" else "-" for char in name)


def plain(text: str) -> str:
    """Return text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def look(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)], "markersize": 5}


def scores(table: Table, line: Line, benchmark: str) -> list[tuple[int, float, float, float]]:
    return [
        (s.cycle, 100 * s.estimate.value, 100 * s.estimate.low, 100 * s.estimate.high)
        for s in line.scores
        if (s.benchmark, s.k) == (benchmark, table.ks[0])
    ]


def curves(axes: Any, table: Table, benchmark: str) -> bool:
    """Draw pass rates by cycle with their intervals; the untrained student as a level."""
    last = max(line.final_cycle for line in table.lines)
    for number, line in enumerate(table.lines):
        found = scores(table, line, benchmark)
        if not found:
            continue
        cycles, values, lows, highs = zip(*found, strict=True)
        if line.final_cycle == 0:
            axes.axhline(values[0], color=COLOURS[number], linestyle="--", linewidth=1, label=plain(line.label))
            continue
        axes.plot(cycles, values, label=plain(line.label), **look(number))
        axes.fill_between(cycles, lows, highs, color=look(number)["color"], alpha=0.12, linewidth=0)
    axes.set(xlabel="cycle", ylabel=f"pass@{table.ks[0]} in %", title=plain(benchmark), xticks=range(1, last + 1))
    axes.legend(fontsize="small", frameon=False)
    return last > 0


def cost(axes: Any, table: Table, benchmark: str) -> bool:
    """Draw the final score against the training tokens spent."""
    from matplotlib.ticker import EngFormatter

    drawn = False
    for number, line in enumerate(table.lines):
        found = [one for one in scores(table, line, benchmark) if one[0] == line.final_cycle]
        for _, value, low, high in found:
            spread = [[value - low], [high - value]]
            axes.errorbar(
                line.spent["training_tokens"],
                value,
                yerr=spread,
                linestyle="none",
                label=plain(line.label),
                **look(number),
            )
            drawn = drawn or line.spent["training_tokens"] > 0
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set(xlabel="training tokens", ylabel=f"pass@{table.ks[0]} in %", title=plain(benchmark))
    axes.legend(fontsize="small", frameon=False)
    return drawn


def passes(axes: Any, table: Table, benchmark: str, by_k: ByK) -> bool:
    """Draw pass@k of the final cycle over k, where there are several samples of each problem."""
    drawn = False
    for number, line in enumerate(table.lines):
        found = by_k.get(line.label, {}).get(benchmark, [])
        if not found:
            continue
        ks, values, lows, highs = ([point[part] for point in found] for part in range(4))
        axes.plot(ks, [100 * one for one in values], label=plain(line.label), **look(number))
        shade = {"color": look(number)["color"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(ks, [100 * one for one in lows], [100 * one for one in highs], **shade)
        drawn = True
    if drawn:
        axes.set(xlabel="k, samples drawn", ylabel="pass@k in %", title=plain(benchmark))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize="small", frameon=False)
    return drawn


def differences(axes: Any, table: Table, benchmark: str) -> bool:
    """Draw the paired differences from the reference with their intervals."""
    found = [
        (number, line, one)
        for number, line in enumerate(table.lines)
        for one in line.comparisons
        if one.benchmark == benchmark
    ]
    for place, (number, _, one) in enumerate(found):
        value, low, high = (100 * x for x in (one.difference.value, one.difference.low, one.difference.high))
        axes.errorbar(value, -place, xerr=[[value - low], [high - value]], linestyle="none", **look(number))
    axes.axvline(0, color="#4d4d4d", linewidth=1)
    axes.set(xlabel=f"points less {plain(table.reference)}", title=plain(benchmark), ylim=(-len(found) + 0.5, 0.5))
    axes.set_yticks(
        [-place for place in range(len(found))], [plain(line.label) for _, line, _ in found], fontsize="small"
    )
    return bool(found)
