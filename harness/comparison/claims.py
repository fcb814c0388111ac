"""Holds the claims that a preset states against the rows of its finished parts; it runs nothing and shows nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.comparison.parts import Parts, read_parts
from harness.errors import ConfigError
from harness.stats import claims as statistics
from harness.stats.claims import Contrasts, Measured
from harness.stats.seeds import matrix
from harness.store.rows import read_rows
from harness.types import Row
from reports.checks import check, line_label, settings_label
from reports.claims import Claim, Finding

CHANCE = 0  # seed of the bootstrap: the same rows, the same digits


def read_claims(stated: Sequence[dict[str, Any]]) -> list[Claim]:
    """Return the claims that a preset, or the file of its run, states; ConfigError where one is not whole."""
    try:
        wholes: list[dict[str, Any]] = [{**one, "parts": tuple(one["parts"])} for one in stated]
        return [Claim(**one) for one in wholes]
    except (KeyError, TypeError) as err:
        names = ", ".join(one.name for one in dataclasses.fields(Claim))
        said = ", ".join(f"“{one.get('says', '?')}”" for one in stated)
        raise ConfigError(
            f"claims {said}: one is not whole ({type(err).__name__}: {err}). Expected {names} of each."
        ) from err


def demand_lines(parts: Parts) -> None:
    """Raise ConfigError where a claim speaks of a line, a benchmark or a part that the preset does not run."""
    wrong: list[str] = []
    for claim in read_claims(parts.claims):
        for name in claim.parts:
            if name not in parts.commands:
                wrong.append(f"claim “{claim.says}”: no part {name}. Parts: {', '.join(parts.commands)}.")
                continue
            command = parts.commands[name]
            labels = {cell.label for cell in command.cells}
            lacking = {claim.line, *([claim.over] if claim.over else [])} - labels
            lacking |= {claim.benchmark} - set(command.run.benchmark)
            if lacking:
                there = ", ".join((*sorted(labels), *command.run.benchmark))
                wrong.append(f"claim “{claim.says}”: part {name} has no {', '.join(sorted(lacking))}. There: {there}.")
            if len(command.run.seed) < 2:
                wrong.append("seed: a claim needs two seeds or more, and five to mean anything. Say seed=0,1,2,3,4.")
            if not claim.over and command.run.cycles < 2:
                wrong.append(f"cycles={command.run.cycles}: “{claim.says}” needs two cycles or more.")
    if wrong:
        raise ConfigError(tuple(dict.fromkeys(wrong)))


def findings(folder: Path) -> tuple[Finding, ...]:
    """Return what the parts of a folder say of the claims; none where the folder holds no parts."""
    stated = read_parts(folder)
    rows = {name: part_rows(folder / name) for name in stated.get("parts", {})}
    asked = [(claim, name) for claim in read_claims(stated.get("claims", [])) for name in claim.parts]
    tests = [measured(claim, rows[name]) if rows[name] else None for claim, name in asked]
    known = [one for one in tests if one is not None]
    decided = iter(statistics.decide(known, unmeasured=len(tests) - len(known)))
    return tuple(
        Finding(claim, stated["parts"][name], None if test is None else next(decided))
        for (claim, name), test in zip(asked, tests, strict=True)
    )


def part_rows(folder: Path) -> list[Row]:
    """Return a part's rows; none where it is not finished."""
    path = folder / "rows.jsonl"
    if not path.is_file():
        return []
    found = read_rows(path)
    check(found)
    return found


def measured(claim: Claim, rows: Sequence[Row]) -> Measured:
    """Test one claim on one part's rows."""
    ours = scores(claim.line, claim.benchmark, rows)
    over = scores(claim.over, claim.benchmark, rows)[-1] if claim.over else None
    return statistics.directed(statistics.trend(ours) if over is None else ours[-1] - over, claim.margin, seed=CHANCE)


def scores(label: str, benchmark: str, rows: Sequence[Row]) -> list[Contrasts]:
    """Return a line's scores after each cycle, by seed and problem; seeds in the same order for every line."""
    own = [one for one in rows if line_label(one.recipe, settings_label(one.settings)) == label]
    found: list[Contrasts] = []
    for cycle in sorted({one.cycle for one in own}):
        at = [one for one in own if (one.cycle, one.benchmark) == (cycle, benchmark)]
        at.sort(key=lambda row: -1 if row.seed is None else row.seed)
        found.append(np.asarray(matrix([row.correct for row in at], at[0].samples, 1)))
    return found
