"""Finished runs as text in each format; for the HTML page what it needs beside a table. It runs nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from harness.benchmarks.base import Benchmark, Errata, Style
from harness.benchmarks.extractors import EXTRACTORS
from harness.benchmarks.registry import load
from harness.errors import DataError, HarnessError
from harness.results.finished import Finished
from harness.settings.config import NOT_RESULTS
from harness.types import Row
from reports import render
from reports.checks import place
from reports.evidence import Run
from reports.export import to_csv, to_json
from reports.html import page
from reports.latex import latex
from reports.table import Table


def rendered(finished: Finished, table: Table, form: str, width: int) -> str:
    """Return the table in a format; `width` is of the terminal, in columns."""
    if form == "terminal":
        return render.terminal(table, width=width)
    if form == "html":
        return html(finished, table)
    return {"markdown": render.markdown, "latex": latex, "json": to_json, "csv": to_csv}[form](table)


def html(finished: Finished, table: Table) -> str:
    """Return the page of finished runs."""
    names = ", ".join(folder.name or str(folder) for folder in finished.folders)
    run = Run(
        rows=finished.rows,
        samples=finished.samples,
        examples=finished.examples,
        prompts=prompts(finished),
        configuration=[shown(facts, folder) for facts, folder in zip(finished.facts, finished.folders, strict=True)],
    )
    return page(table, run, f"Comparison {names}")


def shown(facts: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a run's facts without the paths of the machine that made it: a page is passed on."""
    return {"run": folder.name} | {key: value for key, value in facts.items() if key not in NOT_RESULTS}


def prompts(finished: Finished) -> dict[str, dict[str, str]]:
    """Return every problem's prompt, for those benchmarks whose data is at hand and is what was measured."""
    found: dict[str, dict[str, str]] = {}
    for row in finished.rows:
        if row.benchmark not in found:
            found[row.benchmark] = {}
            with suppress(HarnessError):  # a report needs no benchmark data; the page says which prompts it lacks
                found[row.benchmark] = {problem.id: problem.prompt for problem in measured_on(finished, row).problems}
    return found


def measured_on(finished: Finished, row: Row) -> Benchmark:
    """Return the benchmark that a row was measured on, read as it was then.

    Raises ConfigError where no benchmark has its name, DataError where the data is missing or another.
    """
    name, how = row.benchmark.partition(" step ")[0], row.protocol  # a later step of inference has the same problems
    extractor = how.get("extractor", "auto")
    benchmark = load(
        name,
        size=finished.facts[0]["world"]["test"],
        style=cast(Style, how.get("style", "auto")),
        extractor=extractor if extractor in EXTRACTORS else "auto",
        errata=cast(Errata, how.get("errata", "keep")),
    )
    if benchmark.digest != row.benchmark_hash:
        raise DataError(
            f"{place(row)}: measured on data {row.benchmark_hash[:12]}, here it is {benchmark.digest[:12]}. Verdicts "
            "can be compared on the same data only."
        )
    return benchmark
