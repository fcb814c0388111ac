"""Python source as syntax: parse, strip and compare it without running it. It knows no problem and no model."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

LARGEST = 256 * 1024  # characters; beyond this a text is no answer, and the parser's time is not ours to give


def tree_of(code: str) -> ast.Module:
    """Parse a program; SyntaxError or ValueError for what is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "\\d" in a model's regular expression is not our user's concern
        try:
            return ast.parse(code)
        except (RecursionError, MemoryError) as error:  # nested too deeply
            raise SyntaxError(str(error) or type(error).__name__) from None


def parse(code: str) -> ast.Module | None:
    """Parse a program, or the indented body of one; None for what is not Python."""
    if len(code) > LARGEST:
        return None
    for text in (code, "if True:\n" + code):
        try:
            return tree_of(text)
        except (SyntaxError, ValueError):
            continue
    return None


def function_named(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """Return the function that the name means once the module has run: the last one defined at the top level."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[-1] if found else None


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the statement that is the node's docstring."""
    if not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or not node.body:
        return None
    first = node.body[0]
    if not isinstance(first, ast.Expr) or not isinstance(first.value, ast.Constant):
        return None
    return first if isinstance(first.value.value, str) else None


def strip_comments(code: str) -> str:
    """Remove comments, and lines that held nothing else; no other character goes. Unreadable code is unchanged."""
    if "#" not in code:
        return code
    lines = code.splitlines(keepends=True)
    try:
        comments = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type == tokenize.COMMENT]
    except (tokenize.TokenError, SyntaxError):
        return code
    if len(lines) != len(io.StringIO(code).readlines()):  # exotic line separators: positions would not agree
        return code
    for token in comments:
        row, column = token.start
        line = lines[row - 1]
        before = line[:column].rstrip()
        lines[row - 1] = before + line[column + len(token.string) :] if before else ""
    return "".join(lines)


def strip_docstrings(code: str) -> str:
    """Remove the docstrings of modules, classes and functions; a body that held nothing else becomes `pass`."""
    tree = parse(code)
    if tree is None or code.count("\r"):
        return code
    lines = code.split("\n")
    wrapped = 0 if plain(code) else 1  # an indented body was parsed one line lower
    for node in reversed(list(ast.walk(tree))):
        text = docstring_of(node)
        if text is None:
            continue
        assert isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        first, last = text.lineno - 1 - wrapped, (text.end_lineno or text.lineno) - 1 - wrapped
        before = lines[first].encode()[: text.col_offset].decode()
        after = lines[last].encode()[text.end_col_offset :].decode().lstrip(" \t;")
        only = len(node.body) == 1 and not isinstance(node, ast.Module)
        if only:
            lines[first : last + 1] = [before + "pass" + ("  " + after if after else "")]
        elif before.strip() or after:
            lines[first : last + 1] = [before + after]
        else:
            del lines[first : last + 1]
    return "\n".join(lines)


def plain(code: str) -> bool:
    """Tell whether the code parses as it stands, without being taken for the body of something."""
    try:
        tree_of(code)
    except (SyntaxError, ValueError):
        return False
    return True


class Normalised(ast.NodeTransformer):
    """Drops what does not change what a program does: docstrings and annotations."""

    def visit(self, node: ast.AST) -> ast.AST | None:
        text = docstring_of(node)
        if text is not None:
            assert isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            node.body = node.body[1:]
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.AnnAssign):
            if node.value is None:
                return None
            node = ast.Assign(targets=[node.target], value=node.value)
        self.generic_visit(node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.body = [statement for statement in node.body if not isinstance(statement, ast.Pass)]
        return node


def normalised(tree: ast.Module) -> ast.Module:
    """Return the tree without what does not matter; the tree given is used up."""
    found = Normalised().visit(tree)
    assert isinstance(found, ast.Module), found
    return found


def normal_form(code: str) -> str | None:
    """Return a text that two programs share if they differ only in layout, comments, docstrings and annotations."""
    tree = parse(code)
    if tree is None:
        return None
    try:
        return ast.dump(normalised(tree))
    except RecursionError:
        return None


def same_ast(a: str, b: str) -> bool:
    """Tell whether two programs (or two bodies) have the same normalised syntax tree; unreadable ones never do."""
    first = normal_form(a)
    return first is not None and first == normal_form(b)


@dataclass(frozen=True)
class Form:
    """A function as its syntax has it, under no names of its own: equal for copies that differ in names and layout."""

    text: str
    nodes: int


def function_forms(code: str) -> tuple[Form, ...]:
    """Return the form of every function in the code, nested ones included; nothing for what is not Python."""
    tree = parse(code)
    if tree is None:
        return ()
    nodes = list(ast.walk(tree))
    own = own_names(nodes)
    try:
        return tuple(form_of(node, own) for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    except RecursionError:
        return ()


def own_names(nodes: Iterable[ast.AST]) -> frozenset[str]:
    """Return the names that a program gives itself: functions, classes, parameters, variables; not what it imports."""
    own: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                own.add(node.id)
        elif isinstance(node, ast.arg):
            own.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            own.add(node.name)
    return frozenset(own)


def form_of(function: ast.AST, own: frozenset[str]) -> Form:
    """Write a function's tree down, its own names numbered in the order of their appearance."""
    writer = Writer(own)
    writer.write(function)
    return Form("".join(writer.out), writer.nodes)


NO_MATTER = {"annotation", "returns", "type_comment", "ctx", "kind", "lineno", "type_params", "simple"}


class Writer:
    """Writes a tree as text without what does not change what a program does: docstrings, annotations, `pass`."""

    def __init__(self, own: frozenset[str]) -> None:
        self.own = own
        self.numbers: dict[str, str] = {}
        self.out: list[str] = []
        self.nodes = 0

    def write(self, node: ast.AST) -> None:
        self.nodes += 1
        kind = type(node)
        if kind is ast.Name:
            assert isinstance(node, ast.Name)
            self.out.append(f"({self.name(node.id)})")
            return
        if kind is ast.Constant:
            assert isinstance(node, ast.Constant)
            self.out.append(f"({node.value!r})")
            return
        self.out.append("(Assign" if kind is ast.AnnAssign else f"({kind.__name__}")
        for field in fields_of(kind):
            value = getattr(node, field)
            if isinstance(value, list):
                self.write_all(value, documented=field == "body" and docstring_of(node) is not None)
            elif isinstance(value, ast.AST):
                if kind is ast.AnnAssign and field == "target":  # `x: int = 1` is `x = 1`, which has a list of targets
                    self.write_all([value])
                else:
                    self.write(value)
            elif isinstance(value, str):
                self.out.append(f" {self.name(value)}")
            elif value is not None:
                self.out.append(f" {value!r}")
        self.out.append(")")

    def write_all(self, values: list[Any], *, documented: bool = False) -> None:
        self.out.append("[")
        for value in values[1:] if documented else values:
            if isinstance(value, ast.Pass) or (isinstance(value, ast.AnnAssign) and value.value is None):
                continue
            if isinstance(value, ast.AST):
                self.write(value)
            else:
                self.out.append(f" {self.name(value) if isinstance(value, str) else repr(value)}")
        self.out.append("]")

    def name(self, name: str) -> str:
        """Return a name of somebody else's as it is, one of the program's own by its number."""
        if name not in self.own:
            return name
        return self.numbers.setdefault(name, f"#{len(self.numbers)}")


@cache
def fields_of(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(field for field in kind._fields if field not in NO_MATTER)


def bound(statement: ast.stmt) -> set[str]:
    """Return the names that a top-level statement binds, at whatever depth it does."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.alias):
            names.add((node.asname or node.name).partition(".")[0])
    return names


def defines(code: str, entry_point: str) -> bool:
    """Tell whether the code binds the name at its top level; for unreadable code, whether a `def` line says so."""
    tree = parse(code) if plain(code) else None
    if tree is None:
        return re.search(rf"^(async )?def {re.escape(entry_point)}\b", code, re.MULTILINE) is not None
    return entry_point in {name for statement in tree.body for name in bound(statement)}
