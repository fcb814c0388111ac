"""How difficult a program is to read: cyclomatic complexity, Halstead difficulty, and their mean. It runs nothing.

CC counts decisions in the syntax tree. HD = (n1 / 2)·(N2 / n2) with n1 distinct operators, n2 distinct operands, N2
operands in all. The overall metric of the curriculum paper is OM = (CC + HD) / 2, as third parties give it.
"""

from __future__ import annotations

import ast
import io
import keyword
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from harness.errors import ConfigError
from harness.source.syntax import LARGEST, tree_of

Halstead = Literal[
    "token", "radon"
]  # of operators and operands: ours on Python's tokens, or radon's on its syntax tree

VALUES = frozenset({"True", "False", "None"})
CLOSING = frozenset(")]}")
LAYOUT = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)
NO_RADON = "counter=radon: radon is not installed. Install the extra `radon`, or say counter=token."
ONE_MORE = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)


@dataclass(frozen=True)
class Complexity:
    """What was counted in a program."""

    operators: int  # n1, distinct
    operands: int  # n2, distinct
    all_operands: int  # N2
    cyclomatic: int  # CC

    @property
    def halstead(self) -> float:
        """HD; 0 for a program without operands."""
        return self.operators / 2 * self.all_operands / self.operands if self.operands else 0.0

    @property
    def overall(self) -> float:
        """OM."""
        return (self.cyclomatic + self.halstead) / 2


def measure(code: str, counter: Halstead = "token") -> Complexity | None:
    """Return what is counted in a program; None for text that is not Python."""
    if len(code) > LARGEST:
        return None
    try:
        tree = tree_of(code)
        counts = halstead_tokens(code) if counter == "token" else halstead_radon(code)
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError):
        return None
    return Complexity(*counts, cyclomatic(tree))


def cyclomatic(tree: ast.Module) -> int:
    """Return CC: 1, and 1 for each place where the program may go two ways."""
    return 1 + sum(decisions(node) for node in ast.walk(tree))


def decisions(node: ast.AST) -> int:
    if isinstance(node, ast.BoolOp):
        return len(node.values) - 1
    if isinstance(node, ast.comprehension):
        return 1 + len(node.ifs)
    return int(isinstance(node, ONE_MORE))


def halstead_tokens(code: str) -> tuple[int, int, int]:
    """Return n1, n2 and N2 by Python's tokens, comments and layout left out.

    Operators are keywords but the three values, and signs but closing brackets; a name that is called is one operator
    together with its bracket. Every other name, number, text and value is an operand.
    """
    operators: set[str] = set()
    operands: list[str] = []
    for kind, text in counted(code):
        if kind == "operator":
            operators.add(text)
        else:
            operands.append(text)
    return len(operators), len(set(operands)), len(operands)


def counted(code: str) -> Iterator[tuple[Literal["operator", "operand"], str]]:
    """Yield each operator and operand of a program in order."""
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(code).readline) if one.type not in LAYOUT]
    before, called = "", False
    for place, one in enumerate(tokens):
        text, behind = one.string, tokens[place + 1].string if place + 1 < len(tokens) else ""
        if called:  # the bracket of a call is counted with its name
            called = False
        elif one.type == tokenize.NAME and keyword.iskeyword(text) and text not in VALUES:
            yield "operator", text
        elif one.type == tokenize.NAME and behind == "(" and before not in ("def", "class") and text not in VALUES:
            called = True
            yield "operator", f"{text}("
        elif one.type != tokenize.OP:
            yield "operand", text
        elif text not in CLOSING:
            yield "operator", text
        before = text


def halstead_radon(code: str) -> tuple[int, int, int]:
    """Return n1, n2 and N2 as radon counts them; ConfigError where it is not installed."""
    try:
        metrics: Any = import_module("radon.metrics")
    except ModuleNotFoundError as error:
        raise ConfigError(NO_RADON) from error
    total = metrics.h_visit(code).total
    return int(total.h1), int(total.h2), int(total.N2)
