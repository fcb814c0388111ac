"""Finds arguments that a test script also computes its expectation from, and has the candidate called with copies.

`assert candidate(x) == sorted(x)` compares two things of the candidate's making if the candidate may change `x`: it
empties `x` and returns []. So where an argument meets, in one expression, what the candidate returned, the script keeps
its own `x`. Elsewhere changes in place come back (`candidate(x)` and then `assert x == [1, 2, 3]`), as they should.

Names are followed through assignments and loops without regard to scopes or order: it errs on the side of copying.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

COPY = "__pristine__"  # the name that the copying function goes by in a script
GATHERS = (ast.BoolOp, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.IfExp)  # expressions that bring nothing to bear


def pristine(value: Any) -> Any:
    """Return a copy of plain data that shares nothing mutable with it; handles of objects stay themselves."""
    kind = type(value)
    if kind in (list, set, tuple, frozenset):
        return kind([pristine(item) for item in value])
    if kind is dict:
        return {key: pristine(item) for key, item in value.items()}
    return bytearray(value) if kind is bytearray else value


def names_in(node: ast.AST | None) -> set[str]:
    return set() if node is None else {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def bindings(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Yield (target, value) of every assignment, loop and `with`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from ((target, node.value) for target in node.targets)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) and node.value is not None:
            yield node.target, node.value
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            yield node.target, node.iter
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield node.optional_vars, node.context_expr


def without_calls(node: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression and those in it that may be the same object, or hold it: none that a call has made."""
    if isinstance(node, (ast.Call, ast.Compare, ast.BinOp, ast.UnaryOp, ast.Constant, ast.JoinedStr)):
        return
    yield node
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.expr):
            yield from without_calls(inner)


class Flow:
    """What of a script comes from the candidate, and what of it the candidate could change."""

    def __init__(self, tree: ast.AST, callees: set[str]) -> None:
        self.bindings = list(bindings(tree))
        parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {function.id for function in functions if isinstance(function, ast.Name)}
        self.callees = callees | parameters & called  # a helper may be handed the candidate under any name
        for target, value in self.bindings:
            if isinstance(value, ast.Name) and value.id in self.callees:
                self.callees |= names_in(target)
        self.returned = self.spread_returned()
        self.changeable = self.spread_changeable(tree)
        self.sources = self.spread_sources(tree)

    def is_call(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return bool(names_in(node.func) & self.callees) or any(  # map(candidate, xs)
            isinstance(argument, ast.Name) and argument.id in self.callees for argument in given
        )

    def is_returned(self, node: ast.AST) -> bool:
        """Whether an expression holds something that the candidate returned."""
        return any(
            self.is_call(inner) or (isinstance(inner, ast.Name) and inner.id in self.returned)
            for inner in ast.walk(node)
        )

    def spread_returned(self) -> set[str]:
        self.returned: set[str] = set()
        while True:
            more = {name for target, value in self.bindings if self.is_returned(value) for name in names_in(target)}
            if more <= self.returned:
                return self.returned
            self.returned |= more

    def spread_changeable(self, tree: ast.AST) -> set[str]:
        """Return names of arguments, and names through which the same objects can be reached."""
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and self.is_call(node):
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    found |= names_in(argument)
        found -= self.callees - self.returned
        while True:
            more: set[str] = set()
            for target, value in self.bindings:
                shared = {name for inner in without_calls(value) for name in names_in(inner) if inner is not value}
                shared |= {value.id} if isinstance(value, ast.Name) else set()
                if names_in(target) & found:
                    more |= shared
                if isinstance(target, ast.Name) and shared & found:
                    more |= {target.id}
            if more <= found:
                return found
            found |= more

    def spread_sources(self, tree: ast.AST) -> dict[str, set[str]]:
        """Return, for every name that is computed from changeable ones after the first call, what it comes from."""
        lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and self.is_call(node)]
        first = min(lines, default=0)
        found = {name: {name} for name in self.changeable}
        changed = True
        while changed:
            changed = False
            for target, value in self.bindings:
                come = {source for name in names_in(value) for source in found.get(name, ())}
                for name in names_in(target) if value.lineno >= first else ():
                    if not come <= found.setdefault(name, set()):
                        found[name] |= come
                        changed = True
        return found

    def outside_calls(self, node: ast.AST) -> set[str]:
        """Return changeable names that an expression rests on, those that are only handed to the candidate left out."""
        if self.is_call(node):
            return set()
        own = self.sources.get(node.id, set()) if isinstance(node, ast.Name) else set[str]()
        return own.union(*(self.outside_calls(inner) for inner in ast.iter_child_nodes(node)))

    def compared(self, tree: ast.AST) -> set[str]:
        """Return changeable names that meet, in one expression, what the candidate returned."""
        found: set[str] = set()
        for node in ast.walk(tree):
            if not isinstance(node, ast.expr) or isinstance(node, GATHERS) or self.is_call(node):
                continue
            parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
            for part in parts:
                if self.is_returned(part):
                    found = found.union(*(self.outside_calls(other) for other in parts if other is not part))
        return found


class Copying(ast.NodeTransformer):
    """Wraps arguments of the candidate's calls that hold one of `names`."""

    def __init__(self, flow: Flow, names: set[str]) -> None:
        self.flow = flow
        self.names = names

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if self.flow.is_call(node):
            node.args = [self.copied(argument) for argument in node.args]
            for keyword in node.keywords:
                keyword.value = self.copied(keyword.value)
        return node

    def copied(self, argument: ast.expr) -> ast.expr:
        if isinstance(argument, ast.Starred):
            argument.value = self.copied(argument.value)
            return argument
        if not names_in(argument) & self.names or (isinstance(argument, ast.Name) and argument.id in self.flow.callees):
            return argument
        call = ast.Call(ast.Name(COPY, ast.Load()), [argument], [])
        return ast.fix_missing_locations(ast.copy_location(call, argument))


def keep_pristine(tree: ast.Module, callees: set[str]) -> ast.Module:
    """Return the script with copies for arguments that it also compares results with; `callees` are the candidate."""
    flow = Flow(tree, callees)
    names = flow.compared(tree)
    return Copying(flow, names).visit(tree) if names else tree


def meet(tree: ast.Module, ours: set[str], others: set[str]) -> bool:
    """Whether results of calls of `ours` and of `others` come together in one expression of the script."""
    one, two = Flow(tree, ours), Flow(tree, others)
    return any(
        one.is_returned(node) and two.is_returned(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Compare, ast.Call, ast.BinOp, ast.Subscript))
    )
