"""Runs programs of TinyPy's grammar without Python: assignments, `if`, `for … in range(…)`, `print` of one number.

An interpreter of that grammar alone, so that outputs cost microseconds and nothing foreign can run here: anything else
in a program is a DataError. Its outputs are held against Python's own, in the sandbox, by a test.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from harness.errors import DataError
from harness.source.syntax import tree_of

Number = int | float
MOST_STEPS = 1000  # of all loops together
LARGEST = 10**12  # of any value; beyond it a program makes no fair problem

ARITHMETIC: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
RELATIONS: dict[type[ast.cmpop], Callable[[Number, Number], bool]] = {
    ast.Lt: operator.lt,
    ast.Gt: operator.gt,
    ast.LtE: operator.le,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class Unfair(Exception):
    """The program divides by zero, uses a name that has no value, runs for too long or leaves the bounds."""


def printed(program: str) -> list[str] | None:
    """Return the lines that a program prints; None for one that fails or leaves the bounds.

    Raises DataError for a program outside the grammar.
    """
    try:
        tree = tree_of(program)
    except (SyntaxError, ValueError) as error:
        raise DataError(f"TinyPy program: not Python ({error}): {program!r:.80}") from None
    machine = Machine()
    try:
        machine.block(tree.body)
    except Unfair:
        return None
    return machine.lines


class Machine:
    """The values of the variables, what was printed, and the steps that are left."""

    def __init__(self) -> None:
        self.values: dict[str, Number] = {}
        self.lines: list[str] = []
        self.left = MOST_STEPS

    def block(self, statements: list[ast.stmt]) -> None:
        for one in statements:
            self.statement(one)

    def statement(self, one: ast.stmt) -> None:
        match one:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.values[name] = self.number(value)
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self.truth(test) else orelse)
            case ast.For(
                target=ast.Name(id=name),
                iter=ast.Call(func=ast.Name(id="range"), args=bounds, keywords=[]),
                body=body,
                orelse=[],
            ) if 1 <= len(bounds) <= 3:
                for value in self.range(bounds):
                    self.values[name] = value
                    self.block(body)
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"), args=[value], keywords=[])):
                self.lines.append(str(self.number(value)))
            case _:
                raise outside(one)

    def range(self, bounds: list[ast.expr]) -> range:
        found = [self.number(one) for one in bounds]
        whole = [one for one in found if isinstance(one, int)]
        if len(whole) != len(found) or (len(whole) == 3 and whole[2] == 0):
            raise Unfair
        values = range(*whole)
        self.left -= len(values)
        if self.left < 0:
            raise Unfair
        return values

    def number(self, one: ast.expr) -> Number:
        match one:
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                return value
            case ast.Name(id=name):
                if name not in self.values:
                    raise Unfair
                return self.values[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.number(operand)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in ARITHMETIC:
                try:
                    found = ARITHMETIC[type(op)](self.number(left), self.number(right))
                except ZeroDivisionError:
                    raise Unfair from None
                if not -LARGEST < found < LARGEST:
                    raise Unfair
                return found
            case _:
                raise outside(one)

    def truth(self, one: ast.expr) -> bool:
        match one:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in RELATIONS:
                return RELATIONS[type(op)](self.number(left), self.number(right))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.truth(operand)
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self.truth(value) for value in values)
            case ast.BoolOp(op=ast.Or(), values=values):
                return any(self.truth(value) for value in values)
            case _:
                raise outside(one)


def outside(node: ast.AST) -> DataError:
    return DataError(f"TinyPy program: {ast.unparse(node)!r:.80} is outside the grammar; nothing was run.")
