"""MBPP: 974 short Python tasks with three asserts each, put as a header to complete.

Paper: Austin et al., Program Synthesis with Large Language Models, arXiv 2108.07732. Licence: CC BY 4.0.
Source: google-research, `mbpp.jsonl`; it is not shipped: put it at `mbpp/mbpp.jsonl` of the data folder. Without a data
folder, `google-research-datasets/mbpp` is used if it lies in the hub's cache (`datasets`); nothing is fetched.
Splits, by id: prompt 1–10, test 11–510, validation 511–600, train 601–974; `all` is every one.

Prompt: the reference's header (`def name(args):`), the text and the first assert as its docstring. Published samples
are whole programs as a rule, which may follow the header as they are: they define its name again.

Special cases: the tests of 367, 601 and 927 build objects of a class that only the reference defines; their prompt
gives the class. Line ends are made `\\n` throughout.

Errata: two problems have tests that hang on the order of a set. 341 takes a set literal and expects its items sorted; a
program that only lists them passes or fails by how the interpreter laid the set out. 480 expects one of several letters
that are equally frequent; a program that counts a set of letters passes or fails by the hash seed, which is fixed here.

Changelog
1  2026-11  first version
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.benchmarks import base, examples, sources
from harness.benchmarks.extractors import behind_header
from harness.source.programs import completion_of
from harness.source.syntax import function_named, tree_of
from harness.types import Check, Problem, Script

VERSION = 1
DATA_HASH = "617f6ebec652e031765d5a06323b77e672fd4e95b9e816ffb7a36de26d28a181"
URL = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/mbpp.jsonl"
HUB = "google-research-datasets/mbpp"
HUB_SPLITS = ("prompt", "test", "validation", "train")
PUBLISHED = sources.Published(("mbpp/mbpp.jsonl", "mbpp.jsonl"), DATA_HASH, URL, HUB, "full", HUB_SPLITS)
ERRATA = dict.fromkeys(("Mbpp/341", "Mbpp/480"), "the tests hang on the order of a set")
SPLITS = {"test": (11, 510), "train": (601, 974), "validation": (511, 600), "prompt": (1, 10), "all": (1, 974)}


def problems(split: str = "test", data: Path | None = None) -> tuple[Problem, ...]:
    """Return the problems of a split by id; DataError if the file is missing or not the pinned one."""
    return loaded(split, data)[1]


def loaded(split: str, data: Path | None) -> tuple[str, tuple[Problem, ...]]:
    """Return where the data was found, and the problems of a split."""
    where, rows = sources.rows_of("benchmark=mbpp", PUBLISHED, data)
    return where, tuple(problem_from(row, f"mbpp:{split}") for row in within(rows, split))


def within(rows: list[Any], split: str) -> list[Any]:
    """Return the rows of a split."""
    first, last = SPLITS[split]
    return [row for row in rows if first <= row["task_id"] <= last]


def problem_from(row: dict[str, Any], source: str) -> Problem:
    """Make a problem of a row in MBPP's fields; ValueError names what in the row cannot be used."""
    code = "\n".join(str(row["code"]).splitlines()) + "\n"
    tests = ["\n".join(str(test).splitlines()) for test in row["test_list"]]
    setup = "\n".join(str(row.get("test_setup_code") or "").splitlines())
    tree = tree_of(code)
    name = tested_name(tree, tests)
    function = function_named(tree, name)
    assert function is not None, name
    header = given_classes(tree, [setup, *tests]) + header_of(function, f"{row['text'].strip()}\n\n{tests[0].strip()}")
    shown = examples.asserted_example(tests[0], name)
    problem = Problem(
        id=f"Mbpp/{row['task_id']}" if isinstance(row["task_id"], int) else str(row["task_id"]),
        prompt=header,
        entry_point=name,
        checks=Script("\n".join([*([setup] if setup else []), *tests]) + "\n", style="asserts", visible=seen(shown)),
        reference="",
        source=source,
    )
    return solved(problem, code)


def solved(problem: Problem, code: str) -> Problem:
    """Return the problem with a whole program as its reference.

    A reference that no body can hold stands whole behind the header, whose name it defines again.
    """
    return replace(problem, reference=completion_of(problem, code) or behind_header(code))


def header_of(function: ast.FunctionDef, text: str) -> str:
    """Return the function's header with the text as its docstring."""
    return f"def {function.name}({ast.unparse(function.args)}):\n{docstring(text)}"


def seen(check: Check | None) -> tuple[Check, ...]:
    return (check,) if check else ()


def tested_name(tree: ast.Module, tests: list[str]) -> str:
    """Return the function of the reference that the first assert calls."""
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree_of(tests[0])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions:
            return node.func.id
    raise ValueError(f"the first test calls none of the code's functions ({', '.join(sorted(functions))}).")


def given_classes(tree: ast.Module, texts: list[str]) -> str:
    """Return the source of the reference's classes that the tests name themselves, for the prompt to give."""
    named = {node.id for text in texts for node in ast.walk(tree_of(text)) if isinstance(node, ast.Name)}
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name in named]
    return "".join(ast.unparse(node) + "\n\n\n" for node in classes)


def docstring(text: str) -> str:
    """Return an indented docstring whose value is the text, whatever quotes and backslashes it holds."""
    safe = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    lines = "\n".join(f"    {line}" if line.strip() else "" for line in safe.split("\n"))
    return f'    """{lines.lstrip()}\n    """\n'


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return a split, whole."""
    del size, draw
    where, found = loaded(split, data)
    return of_asserts(f"mbpp:{split}", VERSION, found, style, where)


def of_asserts(name: str, version: int, problems: tuple[Problem, ...], style: base.Style, where: str) -> base.Benchmark:
    """Put problems in MBPP's way together: judged by asserts, samples are whole programs."""
    return base.build(name, version, problems, style=style, rule="asserts", max_new_tokens=512, whole=True, where=where)
