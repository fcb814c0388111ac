"""Finds arguments that a test script also computes its expectation from, and has the candidate called with copies.

`assert candidate(x) == sorted(x)` compares two things of the candidate's making if the candidate may change `x`: it
empties `x` and returns []. So where an argument meets, in one expression, what the candidate returned, the script keeps
its own `x`. Elsewhere changes in place come back (`candidate(x)` and then `assert x == [1, 2, 3]`), as they should.

Names are followed through assignments, loops and calls (bindings.py) without regard to scopes: it errs on the side of
copying.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from harness.sandbox.judging.bindings import bindings, called, names_in

# calls that make no objects of their own but hand out those that they are given, and such as do their work later
ITERATING = {"iter", "next", "enumerate", "zip", "reversed", "filter", "chain", "islice", "cycle", "items", "values"}
HANDING = {"get", "pop", "popleft", *ITERATING}
LAZY = HANDING | {"map", "starmap", "partial"}
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


def without_calls(node: ast.expr) -> Iterator[ast.expr]:
    """Yield an expression and those in it that may be the same object, or hold it: none that a call has made."""
    if isinstance(node, ast.Call) and called(node.func) in HANDING:
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        for inner in (*owner, *node.args):
            yield from without_calls(inner)
        return
    if isinstance(node, (ast.Call, ast.Compare, ast.BinOp, ast.UnaryOp, ast.Constant, ast.JoinedStr)):
        return
    yield node
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.expr):
            yield from without_calls(inner)


def held(node: ast.AST) -> set[str]:
    """Return the name or attribute that an expression is."""
    if isinstance(node, ast.Attribute):
        return {f".{node.attr}"}
    return {node.id} if isinstance(node, ast.Name) else set()


def shared_by(value: ast.expr) -> set[str]:
    """Return names through which objects can be reached that a value is or holds."""
    return {inner.id for inner in without_calls(value) if isinstance(inner, ast.Name)}


def homes(tree: ast.AST) -> dict[ast.AST, ast.AST]:
    """Return for every expression the innermost function, or the script, that it stands in."""
    found: dict[ast.AST, ast.AST] = {}

    def enter(node: ast.AST, home: ast.AST) -> None:
        found[node] = home
        inside = node if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) else home
        for inner in ast.iter_child_nodes(node):
            enter(inner, inside)

    enter(tree, tree)
    return found


class Flow:
    """What of a script comes from the candidate, and what of it the candidate could change."""

    def __init__(self, tree: ast.AST, callees: set[str]) -> None:
        self.bindings = list(bindings(tree))
        parameters = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        functions = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        heard = {function.id for function in functions if isinstance(function, ast.Name)}
        # a helper may be handed the candidate under any name, also in a list, a dict or as its object's attribute
        self.callees = self.spread_callees(callees | parameters & heard)
        self.returned = self.spread_returned()
        self.changeable = self.spread_changeable(tree)
        self.sources = self.spread_sources(tree)

    def spread_callees(self, found: set[str]) -> set[str]:
        """Return the names, and the attributes with a dot before them, that the candidate is called by."""
        while True:
            more: set[str] = set()
            for target, value in self.bindings:
                if any(held(inner) & found for inner in without_calls(value)):
                    more |= {f".{target.attr}"} if isinstance(target, ast.Attribute) else names_in(target)
            if more <= found:
                return found
            found = found | more

    def is_call(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        return bool((names_in(node.func) | held(node.func)) & self.callees) or any(  # map(candidate, xs)
            held(argument) & self.callees for argument in given
        )

    def is_returned(self, node: ast.AST) -> bool:
        """Whether an expression holds something that the candidate returned, or calls a function that hands it on."""
        return any(
            self.is_call(inner) or (isinstance(inner, (ast.Name, ast.Attribute)) and called(inner) in self.returned)
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
                shared = shared_by(value)
                if names_in(target) & found:
                    more |= shared
                if isinstance(target, ast.Name) and shared & found:
                    more |= {target.id}
            if more <= found:
                return found
            found |= more

    def spread_sources(self, tree: ast.AST) -> dict[str, set[str]]:
        """Return, for every name that is computed from changeable ones after the first call, what it comes from."""
        home = homes(tree)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and self.is_call(node)]
        first = min(calls, key=lambda node: node.lineno, default=None)

        def computed_before(value: ast.expr) -> bool:
            if first is None or isinstance(value, (ast.Lambda, ast.GeneratorExp)):
                return False
            if isinstance(value, ast.Call) and called(value.func) in LAZY:
                return False
            return value.lineno < first.lineno and home[value] in (tree, home[first])

        later = [(target, value) for target, value in self.bindings if not computed_before(value)]
        found = {name: {name} for name in self.changeable}
        changed = True
        while changed:
            changed = False
            for target, value in later:
                come = {source for name in names_in(value) for source in found.get(name, ())}
                for name in names_in(target):
                    if not come <= found.setdefault(name, set()):
                        found[name] |= come
                        changed = True
        return found

    def with_aliases(self, names: set[str]) -> set[str]:
        """Return changeable names, and those through which the same objects can be reached."""
        while True:
            more: set[str] = set()
            for target, value in self.bindings:
                one = (names_in(target) | shared_by(value)) & self.changeable
                more |= one if one & names else set()
            if more <= names:
                return names
            names = names | more

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
    names = flow.with_aliases(flow.compared(tree))
    return Copying(flow, names).visit(tree) if names else tree


def meet(tree: ast.Module, ours: set[str], others: set[str]) -> bool:
    """Whether results of calls of `ours` and of `others` come together in one expression of the script."""
    one, two = Flow(tree, ours), Flow(tree, others)
    return any(
        one.is_returned(node) and two.is_returned(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Compare, ast.Call, ast.BinOp, ast.Subscript))
    )
