"""Finished runs as reports and the gate take them: folders joined, rows checked, samples found. It runs nothing.

Runs may be joined whose students, budgets or settings differ: what differs becomes part of a line's name, so that no
line mixes two of them. What must not differ is how a benchmark was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.comparison.parts import read_parts
from harness.comparison.runs import LOGITS_TEACHER, cell_name, read_facts, student_name
from harness.errors import StoreError, UsageError
from harness.settings.config import NOT_RESULTS, Budget
from harness.stats.multiplicity import Adjust
from harness.store.rows import read_rows
from harness.terminal.texts import Facts, about, budget_text, notes_of, seconds_of
from harness.types import Row
from reports.checks import place, settings_label
from reports.table import UNTRAINED, Table, build
from reports.training import training_notes

# Of a run's keys: what a line's name tells anyway, or what no result rests on.
TOLD = {"recipe", "seed", "reference", "benchmark", "k", "command", "name", LOGITS_TEACHER, *NOT_RESULTS}
Key = tuple[str, str, int | None, int, str]


@dataclass(frozen=True)
class Finished:
    """One or more runs as one; `sources` and `trained` say where each row's samples and training examples are."""

    folders: tuple[Path, ...]
    facts: tuple[Facts, ...]  # each run's configuration, command and store
    rows: tuple[Row, ...]
    sources: tuple[Path, ...]  # one for each row
    trained: tuple[Path, ...]  # one for each row
    timings: tuple[dict[str, Any], ...]

    def samples(self, row: Row) -> list[dict[str, Any]]:
        """Return the samples of a row with their verdicts; StoreError where they are not what it was counted from."""
        at = next(i for i, own in enumerate(self.rows) if own is row)
        return read_samples(self.sources[at], row)

    def examples(self, row: Row) -> list[dict[str, Any]] | None:
        """Return the different examples that a row's cell trained on; None where the run kept none."""
        at = next(i for i, own in enumerate(self.rows) if own is row)
        return read_examples(self.trained[at])


def load(folders: Sequence[Path], names: Sequence[str] = ()) -> Finished:
    """Join finished runs; with `names` lines are told apart by their run's, else by the keys that differ.

    Raises StoreError for a folder that holds no finished run, UsageError where two runs contradict each other.
    """
    loaded = [read_run(folder) for folder in folders]
    flat = [dict(leaves(facts)) for facts, _, _ in loaded]
    keys = dict.fromkeys(key for one in flat for key in one)
    differing = [key for key in keys if len({json.dumps(one.get(key)) for one in flat}) > 1]
    check_recipes(folders)
    found: dict[Key, tuple[Row, Path, Path, Path]] = {}
    timings: list[dict[str, Any]] = []
    base: set[str] = set()  # weights of the first run's untrained student
    for at, (folder, own, (_, rows, times)) in enumerate(zip(folders, flat, loaded, strict=True)):
        extra = {"part": names[at]} if names else {key: short(own.get(key)) for key in differing}
        base = base or {row.weights for row in rows if row.recipe == UNTRAINED}
        for row in rows:
            shared = row.recipe == UNTRAINED and row.weights in base
            named = row if shared else replace(row, settings=row.settings | extra)
            key = (named.recipe, settings_label(named.settings), named.seed, named.cycle, named.benchmark)
            if key in found:
                check_same(named, folder, *found[key][:2])
            else:
                found[key] = named, folder, samples_path(folder, row), examples_path(folder, row)
        timings += [{**one, "settings": one["settings"] | extra} for one in times]
    return Finished(
        folders=tuple(folders),
        facts=tuple(facts for facts, _, _ in loaded),
        rows=tuple(row for row, _, _, _ in found.values()),
        sources=tuple(source for _, _, source, _ in found.values()),
        trained=tuple(trained for _, _, _, trained in found.values()),
        timings=tuple(timings),
    )


def load_parts(folder: Path) -> Finished:
    """Join the finished parts of a run of several comparisons; StoreError where none is finished."""
    names = [name for name in read_parts(folder)["parts"] if (folder / name / "rows.jsonl").is_file()]
    if not names:
        raise StoreError(f"{folder}: no part of it is finished yet. Go on with it: {read_parts(folder)['command']}")
    return load([folder / name for name in names], names)


def table_of(finished: Finished, reference: str = "", adjust: Adjust = "holm") -> Table:
    """Return the table of joined runs; `reference` is a line's name, else the first run's."""
    ks = [k for k in finished.facts[0]["k"] if all(k in facts["k"] for facts in finished.facts)]
    if not ks:
        pairs = zip(finished.folders, finished.facts, strict=True)
        told = "; ".join(f"{folder}: k={facts['k']}" for folder, facts in pairs)
        raise UsageError(f"no k in common ({told}); report these runs apart")
    budgets = list(dict.fromkeys(budget_text(Budget(**facts["budget"])) for facts in finished.facts))
    first = finished.facts[0]
    table = build(
        finished.rows,
        reference=reference or first["reference"],
        seconds=seconds_of(finished.timings),
        ks=ks,
        budget="; or ".join(budgets),
        command=" && ".join(dict.fromkeys(facts["command"] for facts in finished.facts)),
        notes=[*notes_of(finished.rows), *training_notes(finished.timings)],
        adjust=adjust,
    )
    told = [about(facts) for facts in finished.facts]
    names = dict.fromkeys(name for one in told for name in one)
    return replace(table, about={name: ", ".join(dict.fromkeys(o[name] for o in told if name in o)) for name in names})


def table_of_folder(folder: Path) -> Table:
    """Return the table of a finished run from its folder alone."""
    return table_of(load([folder]))


def read_run(folder: Path) -> tuple[Facts, list[Row], list[dict[str, Any]]]:
    facts = read_facts(folder)
    if not (folder / "rows.jsonl").is_file():
        raise StoreError(f"{folder}: this run is not finished, so it has no rows. Go on with it: {facts['command']}")
    rows = read_rows(folder / "rows.jsonl")
    path = folder / "timings.jsonl"
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # splitlines would break at U+2028 within a text
        timings: list[dict[str, Any]] = [json.loads(one) for one in lines if one]
        bad = next((one for one in timings if not math.isfinite(one["seconds"])), None)
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(f"{path}: damaged ({err}). Run the command of this run again; it is written anew.") from err
    if bad:
        raise StoreError(
            f"{path}: seconds is {bad['seconds']} for {bad['recipe']}, expected a number. Run the command of this run "
            "again; it is written anew."
        )
    return facts, rows, timings


def leaves(facts: Facts, at: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of a run that a result may rest on, with their values."""
    for key, value in facts.items():
        if not at and key in TOLD:
            continue
        if isinstance(value, dict):
            yield from leaves(value, f"{at}{key}.")
        else:
            yield f"{at}{key}", value


def short(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def check_recipes(folders: Sequence[Path]) -> None:
    """Raise where a recipe's defaults changed between two runs: lines of one name would mean two things."""
    known: dict[tuple[str, str], tuple[Any, Path]] = {}
    for folder in folders:
        for cell in json.loads((folder / "config.json").read_text(encoding="utf-8"))["cells"]:
            key = (cell["recipe"], settings_label(cell["settings"]))
            config, first = known.setdefault(key, (cell["config"], folder))
            if config != cell["config"]:
                raise UsageError(
                    f"{' '.join(key).strip()}: {folder} ran it as {json.dumps(cell['config'])}, {first} as "
                    f"{json.dumps(config)}; its defaults changed in between. Run one again, or report them apart"
                )


def check_same(row: Row, folder: Path, other: Row, first: Path) -> None:
    """Raise where two runs tell different things of the same cell; a cell that both hold stands once."""
    if row != other:
        names = [name for name in Row.__dataclass_fields__ if getattr(row, name) != getattr(other, name)]
        raise UsageError(
            f"{place(row)}: {folder} and {first} differ in {', '.join(names)} for the same cell; the code, the data or "
            "the machine changed in between. Run one of them again, or report them apart"
        )


def samples_path(folder: Path, row: Row) -> Path:
    """Return where a run keeps a row's samples."""
    name = UNTRAINED if row.seed is None else student_name(row.recipe, row.settings, row.seed, row.cycle)
    return folder / "samples" / f"{name}-{row.benchmark.replace(':', '-').replace(' ', '-')}.jsonl"


def examples_path(folder: Path, row: Row) -> Path:
    """Return where a run keeps the examples that a row's cell trained on."""
    return folder / "examples" / f"{cell_name(row.recipe, row.settings, row.seed)}.jsonl"


def read_examples(path: Path) -> list[dict[str, Any]] | None:
    """Return the examples of a file; None where there is no such file, as of runs of older versions."""
    if not path.is_file():
        return None
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n")
        found: list[dict[str, Any]] = [json.loads(line) for line in lines if line]
        return [{name: one[name] for name in ("prompt", "completion", "rejected", "origin")} for one in found]
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(f"{path}: damaged ({err}). Run the command of this run again; it is written anew.") from err


def read_samples(path: Path, row: Row) -> list[dict[str, Any]]:
    """Return a row's samples, problem by problem; StoreError where they are not what the row was counted from."""
    remedy = "Run the command of this run again; it is written anew."
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogatepass").split("\n")
        samples: list[dict[str, Any]] = [json.loads(line) for line in lines if line]
        counts: dict[str, int] = {}
        for one in samples:
            counts[one["task_id"]] = counts.get(one["task_id"], 0) + bool(one["passed"])
    except OSError as err:
        raise StoreError(f"{path}: the samples of {place(row)} are gone ({err.strerror}). {remedy}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise StoreError(f"{path}: damaged ({err}). {remedy}") from err
    if tuple(counts.values()) != row.correct:
        raise StoreError(f"{path}: {sum(counts.values())} samples pass, the row counts {sum(row.correct)}. {remedy}")
    return samples
