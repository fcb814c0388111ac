"""Which expressions the names of a test script come to hold: by assignment, loop, call, return, or being put away.

Read off the script's tree without regard to scopes or order; it decides nothing about what is found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

PUTTING = {"append", "appendleft", "add", "extend", "insert", "update", "setdefault", "put"}  # methods that keep things
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Binding = tuple[ast.expr, ast.expr]  # target, value


def names_in(node: ast.AST | None) -> set[str]:
    return set() if node is None else {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def bindings(tree: ast.AST) -> Iterator[Binding]:
    """Yield (target, value) for everything that makes a name, or what it holds, refer to a value."""
    functions = functions_in(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from aligned(target, node.value)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value is not None:
            yield node.target, node.value
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            rows = node.iter.elts if isinstance(node.iter, (ast.List, ast.Tuple)) else [node.iter]
            for row in rows:
                yield from aligned(node.target, row)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield node.optional_vars, node.context_expr
        elif isinstance(node, ast.Match):
            yield from ((name(caught, node.subject), node.subject) for caught in caught_in(node))
        elif isinstance(node, ast.Call):
            yield from put_away(node)
            for function in functions.get(called(node.func), ()):
                yield from given(function, node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from ((name(node.name, value), value) for value in handed_back(node))
        elif isinstance(node, ast.arguments):
            parameters = [*node.posonlyargs, *node.args]
            yield from zip_last(parameters, node.defaults)


def aligned(target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    """Yield a target with its value, or of two rows of one length place by place."""
    rows = (ast.Tuple, ast.List)
    if isinstance(target, rows) and isinstance(value, rows) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from aligned(one, other)
    else:
        yield target, value


def functions_in(tree: ast.AST) -> dict[str, list[Function]]:
    """Return the functions that a script defines, by the names that they are called by: a class's for `__init__`."""
    found: dict[str, list[Function]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ClassDef):
            found.setdefault(node.name, []).extend(
                inner for inner in node.body if isinstance(inner, ast.FunctionDef) and inner.name == "__init__"
            )
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            for target in node.targets:
                found.setdefault(called(target), []).append(node.value)
    return found


def called(node: ast.expr) -> str:
    """Return the name under which something is called: of `self.act` it is `act`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def name(text: str, place: ast.AST) -> ast.Name:
    return ast.copy_location(ast.Name(text, ast.Store()), place)


def given(function: Function, call: ast.Call) -> Iterator[Binding]:
    """Yield the parameters of a function with the arguments that a call gives them; stars give any to any."""
    parameters = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    if parameters[:1] in (["self"], ["cls"]):
        parameters = parameters[1:]
    rest = function.args.vararg
    for place, argument in enumerate(call.args):
        if isinstance(argument, ast.Starred):
            yield from ((name(parameter, argument), argument.value) for parameter in parameters)
        elif place < len(parameters):
            yield name(parameters[place], argument), argument
        elif rest is not None:
            yield name(rest.arg, argument), argument
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield name(keyword.arg, keyword.value), keyword.value


def zip_last(parameters: list[ast.arg], defaults: list[ast.expr]) -> Iterator[Binding]:
    """Yield the last parameters with their defaults."""
    for parameter, default in zip(parameters[len(parameters) - len(defaults) :], defaults, strict=True):
        yield name(parameter.arg, default), default


def handed_back(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)) and node.value is not None:
            yield node.value


def put_away(call: ast.Call) -> Iterator[Binding]:
    if isinstance(call.func, ast.Attribute) and call.func.attr in PUTTING:
        yield from ((call.func.value, argument) for argument in call.args)


def caught_in(match: ast.Match) -> Iterator[str]:
    """Yield the names that the patterns of a `match` bind."""
    for case in match.cases:
        for node in ast.walk(case.pattern):
            found = node.rest if isinstance(node, ast.MatchMapping) else getattr(node, "name", None)
            if isinstance(found, str):
                yield found
