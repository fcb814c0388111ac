"""What HumanEval+ and MBPP+ share: EvalPlus's releases, their inputs as calls, and how its evaluator compares values.

Its evaluator (EvalPlus 0.3.1, `evaluate.py`, `eval/__init__.py`, `eval/_special_oracle.py`) is followed here by data:
each call gets an expected value and the name of a rule in harness/sandbox/judging/oracles.py, so that what only one
problem needs stands in a table of this module, and nothing of it in the judge. A program passes if every call of the
base and the added inputs does; equal inputs of a problem are called once.
"""

from __future__ import annotations

import hashlib
import json
import marshal
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.benchmarks import base, sources
from harness.benchmarks.truths import Question, Truth, truths
from harness.errors import DataError
from harness.store.keys import Json
from harness.types import Check, Plain, Problem, Rule

SOURCE = "https://github.com/evalplus/{}_release/releases/download/{}/{}-{}.jsonl.gz"
TOLERANCES: dict[float, Rule] = {0: "evalplus", 1e-6: "evalplus-1e-6", 1e-4: "evalplus-1e-4"}
FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "base_input", "plus_input", "atol")

# Entry points whose values are compared in another way than by the tolerance (its special oracles).
MEMBERS = {
    "similar_elements",
    "find_char_long",
    "common_in_nested_lists",
    "extract_singly",
    "larg_nnum",
    "intersection_array",
    "find_dissimilar",
    "Diff",
}
GIVEN = {"check_str", "text_match_three", "text_starta_endb"}  # whether something was found
ANYTHING = {"are_equivalent"}


@dataclass(frozen=True)
class Release:
    """One published file of EvalPlus."""

    title: str  # as in the file's name: HumanEvalPlus
    version: str
    sha256: str  # of the unpacked text
    truths: str  # sha256 of the expected values, as its references compute them

    @property
    def names(self) -> tuple[str, ...]:
        stem = f"{self.title}-{self.version}.jsonl"
        return (f"evalplus/{stem}.gz", f"evalplus/{stem}", f"{stem}.gz", stem)


@dataclass(frozen=True)
class Loaded:
    """A release's problems, where its data was found, and what decides them."""

    problems: tuple[Problem, ...]
    where: str
    pinned: list[Json]


def load(
    what: str,
    release: Release,
    data: Path | None,
    inputs: Callable[[dict[str, Any]], tuple[tuple[Plain, ...], ...]],
    problem: Callable[[dict[str, Any], tuple[tuple[Plain, ...], ...], list[Truth]], Problem],
    cpu_s: dict[str, float],
) -> Loaded:
    """Load a release: `inputs` makes a row's arguments, `problem` a problem of a row, its inputs and their values.

    Raises DataError if the file is missing, or it or the values expected are not the pinned ones.
    """
    where, found = rows(what, release, data)
    asked = [inputs(row) for row in found]
    values, made = truths(
        f"{release.title}-{release.version}",
        [question(row, own) for row, own in zip(found, asked, strict=True)],
    )
    if not pinned(release.truths, made):
        raise DataError(
            f"{what}: the values that its references return here have sha256 {made}, this version expects "
            f"{release.truths}. Python {sys.version.split()[0]} on {platform.machine()} computes another value; scores "
            "would not be comparable. Use CPython 3.11 on x86-64 or arm64, and report this with both numbers."
        )
    made_of = tuple(problem(*one) for one in zip(found, asked, values, strict=True))
    return Loaded(made_of, where, [release.sha256, made, {**cpu_s}])


def benchmark(name: str, version: int, found: Loaded, style: base.Style, *, whole: bool = False) -> base.Benchmark:
    """Put a release together as a benchmark."""
    return base.build(
        name,
        version,
        found.problems,
        style=style,
        rule="evalplus",
        max_new_tokens=512,
        whole=whole,
        where=found.where,
        pinned=found.pinned,
    )


def rows(what: str, release: Release, data: Path | None) -> tuple[str, list[dict[str, Any]]]:
    """Return where a release was found, data folder or EvalPlus's own cache, and its rows.

    Raises DataError unless it is the pinned one.
    """
    url = SOURCE.format(release.title.lower(), release.version, release.title, release.version)
    own = own_cache() / release.names[-1]
    path = sources.find(release.names, data) or (own if own.is_file() else None)
    if path is None:
        raise sources.missing(what, release.names, data, url, str(own))
    text = sources.unpacked(path, f"Fetch {url} anew.")
    found = hashlib.sha256(text).hexdigest()
    if not pinned(release.sha256, found):
        raise DataError(f"{path}: the text has sha256 {found}, this version expects {release.sha256}. Fetch {url}.")
    return str(path), [json.loads(line) for line in text.splitlines() if line.strip()]


def pinned(expected: str, found: str) -> bool:
    return found == expected


def own_cache() -> Path:
    """Return where the `evalplus` package keeps what it fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME", "") or Path.home() / ".cache") / "evalplus"


def inputs_of(row: dict[str, Any], arguments: Callable[[list[Any]], Sequence[Any]]) -> tuple[tuple[Plain, ...], ...]:
    """Return a problem's inputs, base first, each once; `arguments` makes Python values of JSON's."""
    listed = [*row["base_input"], *row["plus_input"]]  # an empty plus_input may be an object
    found = [tuple(arguments(one)) for one in listed]
    return tuple({marshal.dumps(args, 2): args for args in reversed(found)}.values())[::-1]


def question(row: dict[str, Any], inputs: tuple[tuple[Plain, ...], ...]) -> Question:
    name = row["entry_point"]
    return Question(row["prompt"] + row["canonical_solution"], name, inputs, name in GIVEN)


def checks(
    row: dict[str, Any], inputs: Iterable[tuple[Plain, ...]], truths: Iterable[Truth], shown: Iterable[Check]
) -> tuple[Check, ...]:
    """Return the calls of a problem; those that its text shows, with the value they have, are visible."""
    told = {marshal.dumps(one.args, 2): one.expected for one in shown}
    found: list[Check] = []
    for args, truth in zip(inputs, truths, strict=True):
        expected, rule = expectation(row, args, truth)
        said = told.get(marshal.dumps(args, 2), told)  # `told` itself is no value
        found.append(Check(args, expected, rule, visible=said is not told and said == truth.value))
    return tuple(found)


def expectation(row: dict[str, Any], args: tuple[Any, ...], truth: Truth) -> tuple[Plain, Rule]:
    """Return the value that a call is held against, and the rule."""
    name = row["entry_point"]
    if truth.digest:
        return truth.value, "digest"
    if name in MEMBERS:
        return truth.value, "members"
    if name in GIVEN:
        return truth.value, "given"
    if name in ANYTHING:
        return truth.value, "anything"
    if name == "find_zero":
        return cast("Plain", args[0]), "root"
    other = ALTERNATIVES.get(name)
    if other is not None:
        return [truth.value, other(*args)], "one-of"
    return truth.value, TOLERANCES[row["atol"]]


def nothing(number: int) -> int:
    """0, whatever the number."""
    del number
    return 0


def total_area(base_edge: float, height: float) -> int:
    """Surface of a square pyramid whose height is measured at its axis (the reference takes it along a side)."""
    return round(base_edge**2 + 2 * base_edge * ((base_edge / 2) ** 2 + height**2) ** 0.5)


def digit_distance(one: int, other: int) -> int:
    """Sum of the digits' differences, the shorter number padded with zeros (the reference takes one difference)."""
    width = max(len(str(one)), len(str(other)))
    digits = zip(str(one).zfill(width), str(other).zfill(width), strict=True)
    return sum(abs(int(a) - int(b)) for a, b in digits)


# A second right value, where the task can be read in two ways.
ALTERNATIVES: dict[str, Callable[..., Plain]] = {
    "sum_div": nothing,
    "surface_Area": total_area,
    "digit_distance_nums": digit_distance,
}
