"""What HumanEval+ and MBPP+ share: EvalPlus's releases, their inputs as calls, and how its evaluator compares values.

Its evaluator (EvalPlus 0.3.1, `evaluate.py`, `eval/__init__.py`, `eval/_special_oracle.py`) is followed here by data:
each call gets an expected value and the name of a rule in harness/sandbox/oracles.py, so that what only one problem
needs stands in a table of this module, and nothing of it in the judge. A program passes if every call of the base and
the added inputs does; equal inputs of a problem are called once.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import marshal
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from harness.benchmarks import base
from harness.benchmarks.truths import Question, Truth
from harness.errors import DataError
from harness.types import Check, Plain, Rule

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

    @property
    def names(self) -> tuple[str, ...]:
        stem = f"{self.title}-{self.version}.jsonl"
        return (f"evalplus/{stem}.gz", f"evalplus/{stem}", f"{stem}.gz", stem)


def rows(what: str, release: Release, data: Path | None) -> list[dict[str, Any]]:
    """Return the rows of a release, from the data folder or EvalPlus's own cache; DataError unless it is the pinned."""
    url = SOURCE.format(release.title.lower(), release.version, release.title, release.version)
    own = own_cache() / release.names[-1]
    path = own if own.is_file() and base.data_folder(data) is None else base.find_file(what, release.names, data, url)
    content = path.read_bytes()
    try:
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error}). Fetch {url} anew.") from None
    found = hashlib.sha256(text).hexdigest()
    if not pinned(release, found):
        raise DataError(f"{path}: the text has sha256 {found}, this version expects {release.sha256}. Fetch {url}.")
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def pinned(release: Release, found: str) -> bool:
    return found == release.sha256


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
