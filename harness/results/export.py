"""Copies a student of a finished run into a folder of its own, with a model card that holds its row and command."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.comparison.runs import keep_student, read_facts, student_name
from harness.errors import ConfigError, DataError, suggest
from harness.results.finished import table_of_folder
from harness.settings.resolve import parse
from harness.store.artifacts import artifacts_at, hash_folder
from harness.store.rows import read_rows, write_text
from harness.terminal.texts import about
from harness.types import Row
from reports.card import model_card
from reports.checks import settings_label


def export(folder: Path, words: Sequence[str], target: Path) -> Path:
    """Write the student that `words` picks (recipe=, seed=, cycle=, settings) to `target`, and return that.

    Raises ConfigError if the words pick no row or several, DataError if `target` is taken, StoreError if the
    student's files are gone.
    """
    rows = read_rows(folder / "rows.jsonl")
    row = pick(rows, words)
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise DataError(f"--to {target}: something is there already. Give a new folder.")
    facts = read_facts(folder)
    source = find_files(folder, row, facts.get("artifacts") or str(Path(facts["store"]) / "artifacts"))
    if target.is_dir():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    keep_student(source, target, row.weights)
    shutil.rmtree(target / "adapter", ignore_errors=True)  # it names weights of this store; here they are merged
    table, told = table_of_folder(folder), about(facts)
    line = next(one for one in table.lines if (one.recipe, one.settings) == (row.recipe, settings_label(row.settings)))
    write_text(
        target / "README.md",
        model_card(
            table, line.label, student=told["student"], seed=row.seed, teacher=told["teacher"], data=told["problems"]
        ),
    )
    return target


def pick(rows: Sequence[Row], words: Sequence[str]) -> Row:
    """Return the one row that the words name; without `cycle` it is the last, without `seed` there must be one."""
    problems: list[str] = []
    given = parse(words, problems)
    problems += [
        f"{key}={','.join(map(str, values))}: {len(values)} values. Export takes one student: give one."
        for key, values in given.items()
        if len(values) > 1
    ]
    wanted = {key: str(values[0]) for key, values in given.items()}
    if problems:
        raise ConfigError(problems)
    recipes = sorted({row.recipe for row in rows})
    name = wanted.pop("recipe", "")
    if not name and len(recipes) > 1:
        raise ConfigError(f"recipe: this run holds {', '.join(recipes)}. Say which: recipe={recipes[-1]}.")
    name = name or recipes[0]
    if name not in recipes:
        raise ConfigError(f"recipe={name}: not in this run{suggest(name, recipes)}. Recipes: {', '.join(recipes)}.")
    found = [row for row in rows if row.recipe == name]
    if seed := wanted.pop("seed", ""):
        found = [row for row in found if str(row.seed) == seed]
    cycle = wanted.pop("cycle", "")
    for key, value in wanted.items():
        found = [row for row in found if row.settings.get(key.removeprefix(f"{name}.")) == value]
    if found:
        last = max(row.cycle for row in found)
        found = [row for row in found if str(row.cycle) == (cycle or str(last))]
    students = {row.weights: row for row in reversed(found)}
    if len(students) != 1:
        choices = sorted(
            {
                f"seed={row.seed} cycle={row.cycle} {settings_label(row.settings)}".strip()
                for row in rows
                if row.recipe == name
            }
        )
        raise ConfigError(
            f"{' '.join(words)}: {'more than one' if students else 'no'} student fits. "
            f"Choose from: {'; '.join(choices)}."
        )
    return next(iter(students.values()))


def find_files(folder: Path, row: Row, artifacts: str) -> Path:
    """Return the student's files: in the run folder where they were kept, else among the store's artifacts."""
    kept = folder / "students" / student_name(row.recipe, row.settings, row.seed, row.cycle)
    if kept.is_dir() and hash_folder(kept) == row.weights:
        return kept
    return artifacts_at(artifacts).path(row.weights)
