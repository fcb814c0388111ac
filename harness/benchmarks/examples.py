"""Examples that a problem's text shows, read as checks: doctests, `f(1) == 2`, `f(1) ➞ 2`, asserts. It runs nothing."""

from __future__ import annotations

import ast
import re

from harness.source.syntax import tree_of
from harness.types import Check, Plain

SHOWN_AS = re.compile(
    r"[ \t]*(?:\n[ \t]*(?!>>>)|(?:➞|→|=+>|-+>|==?|returns?\b|should (?:return|be|equal)\b)[ \t]*\n?[ \t]*)"
)


def shown_examples(text: str, entry_point: str) -> tuple[Check, ...]:
    """Return the calls whose value a problem's text shows: doctests, `f(1) == 2`, `f(1) ➞ 2` and the like."""
    found: dict[str, Check] = {}
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text):
        end = call_end(text, match.start())
        if end is None:
            continue
        args = literal_args(text[match.start() : end])
        mark = SHOWN_AS.match(text, end)
        if args is None or mark is None:
            continue
        value = leading_literal(text[mark.end() :].partition("\n")[0])
        if value is not None:
            found.setdefault(repr(args), Check(args=args, expected=value[0], visible=True))
    return tuple(found.values())


def call_end(text: str, start: int) -> int | None:
    """Return where the call that begins at `start` ends, within the next thousand characters."""
    at = start
    while (at := text.find(")", at, start + 1000)) >= 0:
        at += 1
        try:
            tree_of(text[start:at].lstrip())
        except (SyntaxError, ValueError):
            continue
        return at
    return None


def literal_args(call: str) -> tuple[Plain, ...] | None:
    """Return the arguments of a call that has plain positional ones only."""
    [statement] = tree_of(call).body
    node = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(node, ast.Call) or node.keywords:
        return None
    try:
        return tuple(ast.literal_eval(one) for one in node.args)
    except (ValueError, TypeError):
        return None


def leading_literal(line: str) -> tuple[Plain] | None:
    """Return the literal that a line begins with, wrapped; nothing if it goes on as an expression."""
    line = re.sub(r"(\"\"\"|\'\'\')\s*$", "", line).rstrip(" .;,")  # a docstring may end here
    for end in range(len(line), 0, -1):
        if not re.match(r"\s*($|[#.,;(]|\s[A-Za-z])", line[end:]) or line[end - 1].isspace():
            continue
        try:
            return (ast.literal_eval(line[:end]),)
        except (ValueError, SyntaxError, TypeError):
            continue
    return None


def asserted_example(statement: str, entry_point: str) -> Check | None:
    """Return the check that `assert f(literals) == literal` states; None for an assert of another form."""
    tree = tree_of(statement)
    test = tree.body[0].test if tree.body and isinstance(tree.body[0], ast.Assert) else None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    call = ast.unparse(test.left)
    if not call.startswith(f"{entry_point}("):
        return None
    args = literal_args(call)
    try:
        expected: Plain = ast.literal_eval(test.comparators[0])
    except (ValueError, TypeError):
        return None
    return Check(args=args, expected=expected, visible=True) if args is not None else None
