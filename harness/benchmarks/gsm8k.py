"""GSM8k as programs: grade-school word problems, each put as a function whose value is the answer.

Papers: Cobbe et al., Training Verifiers to Solve Math Word Problems, arXiv 2110.14168; the setting is that of Gao et
al., PAL: Program-aided Language Models, arXiv 2211.10435. Licence: MIT.
Source: openai/grade-school-math, `train.jsonl` (7,473) and `test.jsonl` (1,319), not shipped: put them (packed or
not) below `gsm8k/` in the data folder. Without a data folder, `openai/gsm8k` is used if it lies in the hub's cache.

A question is the docstring of `solution()`, to be continued; eight solved examples of our own stand before it
(prompts/gsm8k.txt; not those of the paper, so numbers are not the paper's). The answer is what `solution()` returns,
over the data channel: nothing that is printed counts. Rule: a number within 0.001 of the answer, absolute; no
relative tolerance; text and truth values are not numbers. References are the steps that the data's calculator notes.

Errata: none are left out; some answers are known to be wrong, and the data says not which.

Changelog
1  2026-11  first version
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.benchmarks import base, mbpp, sources
from harness.errors import DataError
from harness.sandbox.judging.oracles import ANSWER
from harness.types import Check, Problem

VERSION = 1
DATA_HASH = {
    "test": "b6c9d9547ec974d3c064a2f101ebf67e74257536d8c5e22a9758f2893a9e03a4",
    "train": "419386f7702aae71e33d2ce12db2170fc893004227b082354443fa5873b378bb",
}
SPLITS = ("test", "train")
STYLE: base.Style = "few-shot"  # unless the command says otherwise
URL = "https://github.com/openai/grade-school-math/tree/master/grade_school_math/data"
EXAMPLES = Path(__file__).parent / "prompts" / "gsm8k.txt"
STEP = re.compile(r"<<(.+?)=.*?>>")
OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def problems(split: str = "test", data: Path | None = None) -> tuple[Problem, ...]:
    """Return the problems of a split in the data's order; DataError if a file is missing or not the pinned one."""
    return loaded(split, data)[1]


def loaded(split: str, data: Path | None) -> tuple[str, tuple[Problem, ...]]:
    """Return where a split was found, and its problems."""
    names = (f"gsm8k/{split}.jsonl.gz", f"gsm8k/{split}.jsonl")
    published = sources.Published(names, DATA_HASH[split], URL, "openai/gsm8k", "main", (split,))
    where, rows = sources.rows_of(f"benchmark=gsm8k:{split}", published, data)
    return where, tuple(problem_from(row, split, number) for number, row in enumerate(rows))


def problem_from(row: dict[str, Any], split: str, number: int) -> Problem:
    """Make a problem of a question and its worked answer."""
    answer = number_in(row["answer"])
    return Problem(
        id=f"GSM8k/{split}/{number}",
        prompt=f"def solution():\n{mbpp.docstring(row['question'].strip())}",
        entry_point="solution",
        checks=(Check((), answer, "answer"),),
        reference=worked(row["answer"], answer),
        source=f"gsm8k:{split}",
    )


def number_in(answer: str) -> int | float:
    """Return the number behind the four hashes of an answer."""
    text = answer.rpartition("####")[2].strip().replace(",", "")
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise DataError(f"benchmark=gsm8k: {answer[-60:]!r} does not end in a number behind ####.") from None


def worked(answer: str, value: float) -> str:
    """Return a body that goes through the calculator's steps and returns the last one that has the answer's value."""
    lines: list[str] = []
    last = ""
    for count, text in enumerate(STEP.findall(answer), start=1):
        tree = arithmetic(text)
        found = None if tree is None else computed(tree)
        if tree is not None and found is not None:
            lines.append(f"    step_{count} = {ast.unparse(tree)}\n")
            if abs(found - value) <= ANSWER:
                last = f"step_{count}"
    return "".join(lines) + f"    return {last or value}\n"


def arithmetic(text: str) -> ast.expr | None:
    """Return an expression of the calculator, which writes numbers as in 1,000 and 007."""
    try:
        return ast.parse(re.sub(r"(?<![\d.])0+(?=\d)", "", text.replace(",", "")).strip(), mode="eval").body
    except SyntaxError:
        return None


def computed(node: ast.expr) -> float | None:
    """Return the value of an expression of numbers and the four operations; None for any other."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        found = computed(node.operand)
        return None if found is None else -found
    if not isinstance(node, ast.BinOp) or type(node.op) not in OPERATIONS:
        return None
    left, right = computed(node.left), computed(node.right)
    if left is None or right is None or (right == 0 and isinstance(node.op, ast.Div | ast.FloorDiv)):
        return None
    return OPERATIONS[type(node.op)](left, right)


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return a split, whole."""
    del size, draw
    where, found = loaded(split, data)
    rule, name = f"number within {ANSWER}", f"gsm8k:{split}"
    return base.build(name, VERSION, found, style=style, rule=rule, max_new_tokens=320, shots=EXAMPLES, where=where)
