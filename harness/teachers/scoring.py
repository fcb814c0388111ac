"""Rubric scores without asking a teacher: what a scoring model is asked and replies, and a heuristic that reads code.

The scoring model is trained and sampled by the lab; its reply is read as a teacher's is. Nothing is run here.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Sequence

from harness.source.syntax import function_named, parse
from harness.teachers.feedback import LONGEST
from harness.types import Problem

REPLY_TOKENS = 64  # enough for a line per rule
WIDEST = 100  # characters of a readable line

Scores = tuple[float | None, ...]


def question(problem: Problem, attempt: str) -> str:
    """Return the text that a scoring model continues: problem and attempt."""
    code = attempt[:LONGEST]
    return f"{problem.prompt}{code}{'' if code.endswith(chr(10)) else chr(10)}# Scores:\n"


def reply(scores: Sequence[float | None]) -> str:
    """Return the text that a scoring model learns to write: a line per rule."""
    lines = (f"R{rule}: {'n/a' if score is None else f'{score:g}'}" for rule, score in enumerate(scores, start=1))
    return "\n".join(lines) + "\n"


def heuristic(problem: Problem, attempt: str) -> Scores:
    """Score an attempt by reading it; the rules are ours and know nothing of what the code should do.

    R1 (0–2): it is a program with the entry point; half of it each for returning a value and using every parameter.
    R2 (0–1): it decides or filters somewhere. R3 (0–1): share of the numbers of the text that stand in the code.
    R4 (0–1): share of lines that are no longer than 100 characters and no copy of the line before. R5 (0–1): no name is
    read that nothing binds.
    """
    tree = parse(problem.prompt + attempt)
    function = function_named(tree, problem.entry_point) if tree else None
    lines = [line for line in attempt.splitlines() if line.strip()]
    if tree is None or function is None or not lines:
        return (0.0,) * 5
    nodes = list(ast.walk(function))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    parameters = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in nodes)
    decides = any(isinstance(node, ast.If | ast.IfExp | ast.BoolOp | ast.While | ast.Try) for node in nodes)
    filters = any(isinstance(node, ast.comprehension) and node.ifs for node in nodes)
    wanted = set(re.findall(r"\d+", problem.prompt))
    present = set(re.findall(r"\d+", attempt))
    tidy = [len(line) <= WIDEST and line != before for before, line in zip(["", *lines], lines, strict=False)]
    return (
        float(returns) + float(parameters <= names),
        1.0 if decides or filters else 0.5,
        len(wanted & present) / len(wanted) if wanted else 1.0,
        sum(tidy) / len(tidy),
        0.0 if unbound(tree) else 1.0,
    )


def unbound(tree: ast.Module) -> set[str]:
    """Return the names that are read and that neither the module nor Python binds."""
    bound = set(dir(builtins))
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
            case ast.alias(name=name, asname=other):
                bound.add((other or name).partition(".")[0])
            case _:
                pass
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - bound
