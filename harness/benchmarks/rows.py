"""Problems of one's own: rows in HumanEval's or MBPP's fields, checked whole before use. It runs nothing.

A row may name its `family`: problems that are paraphrases, translations or instances of one another, and therefore
count as one where intervals and tests are made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.benchmarks import base, humaneval, mbpp
from harness.errors import DataError, suggest
from harness.source.programs import is_program
from harness.source.syntax import defines, function_named, parse, plain, tree_of
from harness.types import Problem, Script

VERSION = 1
TOLD = 10  # errors of a file that are told at once
HUMANEVAL_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
MBPP_FIELDS = ("task_id", "text", "code", "test_list")
MAY_LACK = ("canonical_solution", "test")  # of HumanEval's fields, in a pool of training problems


def benchmark(path: Path, style: base.Style) -> base.Benchmark:
    """Return the problems of a JSONL file as a benchmark, named by its file and known by its content."""
    found = tuple(from_file(path, "benchmark"))
    families = set(base.families_of(found))
    if len(families) == 1:
        raise DataError(
            f"benchmark={path}: all {len(found)} problems are of the family {families.pop()!r:.60}. An interval needs "
            "two families at least; leave the field out where problems are independent."
        )
    whole = all(isinstance(one.checks, Script) and one.checks.style == "asserts" for one in found)  # in MBPP's fields
    return base.build(
        path.stem, VERSION, found, style=style, rule="tests", max_new_tokens=512, whole=whole, where=str(path)
    )


def from_file(path: Path, key: str) -> list[Problem]:
    """Return the problems of a JSONL file; DataError tells every fault of it. `key` is the key that named the file."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        near = suggest(path.name, [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"{key}={path}: cannot be read ({error.strerror}){near}.") from None
    located = ((f"{path}:{number}", line) for number, line in enumerate(lines, start=1) if line.strip())
    return gather(path.name, located, pool=key == "problems")


def gather(source: str, rows: Iterator[tuple[str, Any]], *, pool: bool = True) -> list[Problem]:
    """Make problems of located rows; DataError tells what is wrong with them, up to ten of them.

    In a pool of training problems a row in HumanEval's fields may lack its test and its solution.
    """
    found: list[Problem] = []
    wrong: list[str] = []
    places: dict[str, str] = {}
    for place, content in rows:
        try:
            problem = problem_of(content, source, pool=pool)
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


def problem_of(content: Any, source: str, *, pool: bool = False) -> Problem:
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
    if pool and {"prompt", "entry_point"} <= row.keys():
        row = {**dict.fromkeys(MAY_LACK), **row}
    lacking = {fields: [key for key in fields if key not in row] for fields in (HUMANEVAL_FIELDS, MBPP_FIELDS)}
    fields = min(lacking, key=lambda one: len(lacking[one]))
    if lacking[fields]:
        raise ValueError(
            f"no {', '.join(lacking[fields])}. Expected {', '.join(HUMANEVAL_FIELDS)} (HumanEval's fields) or "
            f"{', '.join(MBPP_FIELDS)} (MBPP's)."
        )
    if not isinstance(row.get("family", ""), str):
        raise ValueError(f"family is {row['family']!r:.60}, expected text: one name for problems that belong together.")
    made = like_humaneval(row, source) if fields == HUMANEVAL_FIELDS else like_mbpp(row, source)
    return replace(made, family=row.get("family", ""))


def like_humaneval(row: dict[str, Any], source: str) -> Problem:
    """Check a row in HumanEval's fields and make a problem of it."""
    given = {key: value for key, value in row.items() if value is not None or key not in MAY_LACK}
    for key in HUMANEVAL_FIELDS:
        if key in given and (not isinstance(row[key], str) or not row[key].strip()):
            raise ValueError(f"{key} is {row[key]!r:.60}, expected text.")
    if not row["prompt"].endswith("\n"):
        raise ValueError("prompt does not end in a newline, so a completion cannot follow it.")
    head = parse(row["prompt"]) or parse(row["prompt"] + "    pass\n")
    if head is None or function_named(head, row["entry_point"]) is None:
        raise ValueError(f"prompt does not hold the header of the entry point {row['entry_point']!r}.")
    if "canonical_solution" in given and not is_program(row["prompt"] + row["canonical_solution"]):
        raise ValueError("prompt + canonical_solution is not a program. A solution continues the prompt.")
    if "test" in given and (not plain(row["test"]) or not defines(row["test"], "check")):
        raise ValueError("test does not define check(candidate).")
    found = humaneval.problem_from({**row, **{key: row[key] or "" for key in MAY_LACK}}, source)
    return found if "test" in given else replace(found, checks=())


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
