"""Pools of training problems: the embedded world's, MBPP's train split, a file, or a data set of the hub.

A pool is validated whole before anything is spent. What stands in a benchmark is `decontaminate`'s business; only
MBPP's train ids that MBPP+ tests on are left out here, because the two share their ids.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.benchmarks import humaneval, mbpp
from harness.errors import ConfigError, DataError, suggest
from harness.programs import is_program
from harness.syntax import defines, function_named, parse, plain, tree_of
from harness.types import Problem
from harness.world import pool as world

TOLD = 10  # errors of a file that are told at once
HUMANEVAL_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
MBPP_FIELDS = ("task_id", "text", "code", "test_list")

# Train ids (601–974) of MBPP that MBPP+ holds: 108 in v0.2.0, and three more that v0.1.0 had.
MBPP_PLUS_TRAIN = (
    "602-608 610-612 614-616 618-620 622-624 626 628-633 635 637-639 641 643-644 720-726 728 730-737 739-745 748-755 "
    "757-760 762-767 769-773 775 777-778 780-782 784-788 790-794 796-801 803-809"
)
MBPP_PLUS_OLD_TRAIN = "640 746 783"


def ids_of(ranges: str) -> frozenset[int]:
    """Read `1-3 5` as {1, 2, 3, 5}."""
    pairs = [part.partition("-") for part in ranges.split()]
    return frozenset(number for first, _, last in pairs for number in range(int(first), int(last or first) + 1))


def load_pool(spec: str, *, size: int | None = None, seed: int = 0, data: Path | None = None) -> tuple[Problem, ...]:
    """Return the pool of that name: `pipelines`, `mbpp:train`, `PATH.jsonl` or `hub:NAME`.

    The embedded world makes as many as `size` says; of any other pool it is the most, drawn and ordered by the seed.
    Raises ConfigError for a name that is none, DataError that tells every fault of a file.
    """
    if spec == "pipelines":
        weights = world.skew()  # of operations, as in the base student's data: feedback is to find what a pool lacks
        return world.draw(800 if size is None else size, seed=seed, split="train", operation_weights=weights)
    found = list(reader(spec, data)())
    random.Random(f"pool {seed}").shuffle(found)
    return tuple(found[:size])


def check_spec(spec: str, *, data: Path | None = None) -> None:
    """Raise what `load_pool` would raise, without making a pool of the embedded world."""
    if spec != "pipelines":
        reader(spec, data)()


def reader(spec: str, data: Path | None) -> Callable[[], Iterable[Problem]]:
    """Return the function that reads a fixed pool whole."""
    if spec == "mbpp:train":
        return lambda: mbpp_train(data)
    if spec.startswith("hub:"):
        return lambda: from_hub(spec.removeprefix("hub:"))
    if spec.endswith(".jsonl"):
        return lambda: from_file(Path(spec))
    near = suggest(spec, ("pipelines", "mbpp:train"))
    raise ConfigError(f"problems={spec}: no such pool{near}. Pools: pipelines, mbpp:train, PATH.jsonl, hub:NAME.")


def mbpp_train(data: Path | None) -> list[Problem]:
    """Return MBPP's train split less every id that a release of MBPP+ tests on."""
    held_out = {f"Mbpp/{number}" for number in ids_of(MBPP_PLUS_TRAIN) | ids_of(MBPP_PLUS_OLD_TRAIN)}
    return [problem for problem in mbpp.problems("train", data) if problem.id not in held_out]


def from_file(path: Path) -> list[Problem]:
    """Return the problems of a JSONL file in HumanEval's or MBPP's fields."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        near = suggest(path.name, [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"problems={path}: cannot be read ({error.strerror}){near}.") from None
    return gather(path.name, ((f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip()))


def from_hub(name: str) -> list[Problem]:
    """Return the train split of a data set of the hub, whose rows have HumanEval's or MBPP's fields."""
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        rows: Iterable[Any] = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, DatasetsError) as error:
        raise DataError(
            f"problems=hub:{name}: the data set cannot be had ({type(error).__name__}: {error}). Check the name and "
            "the network, or save it as JSONL and give the file: problems=PATH.jsonl."
        ) from None
    return gather(f"hub:{name}", ((f"hub:{name} row {number}", row) for number, row in enumerate(rows)))


def gather(source: str, rows: Iterator[tuple[str, Any]]) -> list[Problem]:
    """Make problems of located rows; DataError tells what is wrong with them, up to ten of them."""
    found: list[Problem] = []
    wrong: list[str] = []
    places: dict[str, str] = {}
    for place, content in rows:
        try:
            problem = problem_of(content, source)
        except (ValueError, RecursionError) as error:
            wrong.append(f"{place}: {error}")
            continue
        if problem.id in places:
            wrong.append(f"{place}: task_id {problem.id!r} was used before, at {places[problem.id]}.")
        places.setdefault(problem.id, place)
        found.append(problem)
    if wrong:
        more = f"\nand {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        raise DataError("\n".join(wrong[:TOLD]) + more)
    if not found:
        raise DataError(f"{source}: no problems. Expected one JSON object per line, in HumanEval's or MBPP's fields.")
    return found


def problem_of(content: Any, source: str) -> Problem:
    """Make a problem of a row, or of its JSON; ValueError says what is wrong with it."""
    if isinstance(content, bytes):
        try:
            content = json.loads(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise ValueError(f"not UTF-8 (byte {error.start} of the line).") from None
        except json.JSONDecodeError as error:
            raise ValueError(f"not JSON ({error}).") from None
    if not isinstance(content, dict):
        raise ValueError(f"found a {type(content).__name__}, expected an object.")
    row: dict[str, Any] = content
    lacking = {fields: [key for key in fields if key not in row] for fields in (HUMANEVAL_FIELDS, MBPP_FIELDS)}
    fields = min(lacking, key=lambda one: len(lacking[one]))
    if lacking[fields]:
        raise ValueError(
            f"no {', '.join(lacking[fields])}. Expected {', '.join(HUMANEVAL_FIELDS)} (HumanEval's fields) or "
            f"{', '.join(MBPP_FIELDS)} (MBPP's)."
        )
    return like_humaneval(row, source) if fields == HUMANEVAL_FIELDS else like_mbpp(row, source)


def like_humaneval(row: dict[str, Any], source: str) -> Problem:
    """Check a row in HumanEval's fields and make a problem of it."""
    for key in HUMANEVAL_FIELDS:
        if not isinstance(row[key], str) or not row[key].strip():
            raise ValueError(f"{key} is {row[key]!r:.60}, expected text.")
    if not row["prompt"].endswith("\n"):
        raise ValueError("prompt does not end in a newline, so a completion cannot follow it.")
    head = parse(row["prompt"]) or parse(row["prompt"] + "    pass\n")
    if head is None or function_named(head, row["entry_point"]) is None:
        raise ValueError(f"prompt does not hold the header of the entry point {row['entry_point']!r}.")
    if not is_program(row["prompt"] + row["canonical_solution"]):
        raise ValueError("prompt + canonical_solution is not a program. A solution continues the prompt.")
    if not plain(row["test"]) or not defines(row["test"], "check"):
        raise ValueError("test does not define check(candidate).")
    return humaneval.problem_from(row, source)


def like_mbpp(row: dict[str, Any], source: str) -> Problem:
    """Check a row in MBPP's fields and make a problem of it."""
    for key in ("text", "code"):
        if not isinstance(row[key], str) or not row[key].strip():
            raise ValueError(f"{key} is {row[key]!r:.60}, expected text.")
    if not isinstance(row["task_id"], int | str) or isinstance(row["task_id"], bool):
        raise ValueError(f"task_id is {row['task_id']!r:.60}, expected a number or text.")
    tests = row["test_list"]
    if not isinstance(tests, list) or not tests or not all(isinstance(one, str) and one.strip() for one in tests):
        raise ValueError(f"test_list is {tests!r:.60}, expected a list of assert statements.")
    for key, text in [("code", row["code"]), *(("test_list", one) for one in tests)]:
        try:
            tree_of(text)
        except SyntaxError as error:
            raise ValueError(f"{key} is not Python ({error.msg}): {text!r:.60}") from None
    return mbpp.problem_from(row, source)
