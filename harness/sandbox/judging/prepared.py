"""A test script and a problem's text, read once for all samples: compiled, asserts counted, free names found.

Of a script it executes nothing (scripts.py) and foresees nothing (foresight.py).
"""

from __future__ import annotations

import ast
import builtins
import sys
from contextlib import suppress
from types import CodeType
from typing import Any

from harness.sandbox.judging.pristine import keep_pristine, meet
from harness.sandbox.judging.rules import cut

FILE = "<tests>"
PASSED = "__assertion_passed__"
FORGIVING = (ast.Try, ast.TryStar, ast.With, ast.AsyncWith)  # what may catch an exception on purpose


class CountAsserts(ast.NodeTransformer):
    """Puts a call behind every assert that notes that it held."""

    def __init__(self) -> None:
        self.asserts: list[ast.Assert] = []

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        index = len(self.asserts)
        self.asserts.append(node)
        note = ast.Expr(ast.Call(ast.Name(PASSED, ast.Load()), [ast.Constant(index)], []))
        return [node, ast.fix_missing_locations(ast.copy_location(note, node))]


class Prepared:
    """A script, parsed and compiled once for all samples of its problem."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text, FILE)
        counter = CountAsserts()
        self.free = free_names(tree)
        self.forgives = any(isinstance(node, FORGIVING) or "aises" in word(node) for node in ast.walk(tree))
        self.names_stop = "StopIteration" in text or "StopAsyncIteration" in text
        tree = self.kept(tree)
        self.code: CodeType = compile(counter.visit(tree), FILE, "exec", dont_inherit=True)
        self.text = text
        self.asserts = [(node.lineno, node.end_lineno or node.lineno) for node in counter.asserts]
        self.lines = text.splitlines()

    def kept(self, tree: ast.Module) -> ast.Module:
        return keep_pristine(tree, {"candidate", *self.free - sys.stdlib_module_names})

    def tree(self) -> ast.Module:
        """Return the script anew, for a purpose of its own."""
        return self.kept(ast.parse(self.text, FILE))

    def helped_by(self, entry_point: str) -> bool:
        """Whether the tests judge what the entry point returns by what other names of the program return."""
        others = self.free - sys.stdlib_module_names - {entry_point}
        return meet(ast.parse("\n".join(self.lines)), {entry_point, "candidate"}, others)

    def source(self, line: int) -> str:
        """Return the text of the assert that stands on a line."""
        for first, last in self.asserts:
            if first <= line <= last:
                return cut(" ".join(part.strip() for part in self.lines[first - 1 : last]))
        return cut(self.lines[line - 1].strip()) if 0 < line <= len(self.lines) else ""


class Prompt:
    """A problem's own text: what it defines beside the entry point is there for the problem's script."""

    def __init__(self, text: str, entry_point: str) -> None:
        self.entry_point = entry_point
        self.code: CodeType | None = None
        lasting = True
        for whole in (text, text + "\n    pass\n"):  # a header without docstring is not yet a function
            with suppress(SyntaxError, ValueError):
                self.code = compile(whole, "<prompt>", "exec", dont_inherit=True)
                lasting = all(map(lasts, ast.parse(whole).body))
                break
        self.names = self.executed() if lasting else None

    def definitions(self) -> dict[str, Any]:
        """Return what it defines, made anew where a program could change it by way of a test's argument."""
        return dict(self.names) if self.names is not None else self.executed()

    def executed(self) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "prompt"}
        if self.code is not None:
            with suppress(Exception):  # a package that the judge lacks: what stands before it is defined
                exec(self.code, names)  # noqa: S102  the benchmark's own text
        names.pop(self.entry_point, None)
        return names


def lasts(node: ast.stmt) -> bool:
    """Whether a statement defines nothing that can change: imports, texts, functions without defaults of their own."""
    if isinstance(node, ast.FunctionDef):
        defaults = (*node.args.defaults, *filter(None, node.args.kw_defaults))
        return not node.decorator_list and all(isinstance(value, ast.Constant) for value in defaults)
    return isinstance(node, (ast.Import, ast.ImportFrom)) or (
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    )


def word(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def free_names(tree: ast.Module) -> set[str]:
    """Return names that a script reads and nowhere binds."""
    read: set[str] = set()
    bound: set[str] = set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            bound.add(node.name)
    return read - bound
