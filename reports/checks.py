"""What a table refuses: rows that were not measured alike, are damaged, or rest on a sandbox that failed."""

from __future__ import annotations

from collections.abc import Sequence

from harness.errors import SandboxError, UsageError
from harness.types import Row


def settings_label(settings: dict[str, str]) -> str:
    """Return the settings as one word per key, `margin=0.1 weight=0.5`, in the order of the keys."""
    return " ".join(f"{key}={value}" for key, value in sorted(settings.items()))


def line_label(recipe: str, settings: str) -> str:
    """Return the name of a table's line: the recipe and what of it differs from its defaults."""
    return f"{recipe} {settings}".rstrip()


def place(row: Row) -> str:
    """Return where a row belongs, for messages."""
    label = line_label(row.recipe, settings_label(row.settings))
    seed = "" if row.seed is None else f", seed {row.seed}"
    return f"{label}{seed}, cycle {row.cycle}, {row.benchmark}"


def check(rows: Sequence[Row]) -> None:
    """Raise where the rows cannot stand in one table; the message names the first offending row."""
    if not rows:
        raise UsageError("no rows to make a table of; run `harness compare` first, or name another run")
    first: dict[str, Row] = {}
    seen: set[tuple[str, str, int | None, int, str]] = set()
    for row in rows:
        check_alone(row)
        check_alike(row, first.setdefault(row.benchmark, row))
        check_judged(row)
        key = (row.recipe, settings_label(row.settings), row.seed, row.cycle, row.benchmark)
        if key in seen:
            raise UsageError(f"{place(row)}: two rows; a table takes one result of each cell, cycle and benchmark")
        seen.add(key)


def check_alone(row: Row) -> None:
    unjudged = row.statuses.get("infrastructure", 0)
    if unjudged:
        raise SandboxError(
            f"{place(row)}: {unjudged} of {row.n * row.samples} programs have no verdict because the sandbox failed; "
            "they are not wrong answers, so no score is shown. Run `harness doctor`, then the same command again"
        )
    if row.n < 1:
        raise UsageError(f"{place(row)}: no problem was evaluated, so there is nothing to show. Evaluate it again")
    bad = [c for c in row.correct if type(c) is not int or not 0 <= c <= row.samples]  # a file may hold NaN or 0.5
    lengths = {len(facts) for facts in (row.levels, row.families) if facts} | {len(row.correct)}
    if lengths != {row.n} or bad:
        raise UsageError(
            f"{place(row)}: a damaged row: n={row.n}, {len(row.correct)} counts of 0 to {row.samples} passing samples "
            f"({len(bad)} outside), {len(row.levels)} levels; evaluate it again"
        )


def check_judged(row: Row) -> None:
    judged = sum(row.statuses.values())
    if judged != row.n * row.samples:
        raise UsageError(
            f"{place(row)}: {judged} verdicts for {row.n} problems with {row.samples} samples each; a score would rest "
            "on missing verdicts. Evaluate it again"
        )


def check_alike(row: Row, first: Row) -> None:
    """Raise where two rows of one benchmark differ in anything that moves a score."""

    def facts(one: Row) -> dict[str, str]:
        own = {"benchmark_hash": one.benchmark_hash, "problems": str(one.n), "samples per problem": str(one.samples)}
        return own | one.protocol

    found, expected = facts(row), facts(first)
    for key in [*expected, *(key for key in found if key not in expected)]:
        if found.get(key) != expected.get(key):
            raise UsageError(
                f"{place(row)}: {key} is {found.get(key, 'not stated')}, but {expected.get(key, 'not stated')} in "
                f"{place(first)}; their scores cannot stand in one table. Evaluate both alike, or report them apart"
            )
    if row.levels != first.levels:
        raise UsageError(f"{place(row)}: levels differ from {place(first)}, although the benchmark's hash is the same")
