"""Finds out which calls a test script will make, before any program is asked, so that they can travel in one batch.

The script is rehearsed with a stand-in for the candidate: every call is noted and answered by an object that takes part
in anything and means nothing, and no assertion counts. What is noted therefore holds nothing that depends on an answer,
right or wrong: sent ahead, it tells a program no more than the script's own text does. Whether the calls come as noted
is checked call by call when a program is judged (scripts.py); here nothing is judged.
"""

from __future__ import annotations

import ast
import marshal
import random
from types import CodeType
from typing import Any

BATCH_BYTES = 64 << 10  # of arguments; longer scripts are asked call by call
BATCH_CALLS = 2000
CANONICAL = 2  # marshal's format without references: equal values have equal bytes
ATOMS = {int, float, bool, str, bytes, complex, type(None)}

Call = tuple[bytes, bool]  # arguments as the child reads them; whether it could change them in place


class Unforeseen(BaseException):
    """The script does something of which the calls that follow may depend; no test can catch it as an Exception."""


class Anything:
    """Stands for an answer: every comparison holds, every operation gives itself."""

    def itself(self, *others: object, **named: object) -> Any:
        return self

    def holds(self, *others: object) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __int__(self) -> int:
        return 0

    def __float__(self) -> float:
        return 0.0

    def __hash__(self) -> int:
        return 0

    __index__ = __int__
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = holds
    __call__ = __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __abs__ = itself
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = itself
    __neg__ = __pos__ = __invert__ = __round__ = __and__ = __or__ = __xor__ = itself


class Rehearsal:
    """The candidate's stand-in; remembers how it was called."""

    def __init__(self, name: str) -> None:
        self.__name__ = name
        self.calls: list[Call] = []
        self.keys: list[bytes] = []
        self.left = BATCH_BYTES

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            raw, key = marshal.dumps((args, kwargs)), marshal.dumps((args, kwargs), CANONICAL)
        except ValueError:
            raise Unforeseen("an argument that is an answer, or no plain data") from None
        self.left -= len(raw)
        if self.left < 0 or len(self.calls) >= BATCH_CALLS:
            raise Unforeseen("too many or too large")
        self.calls.append((raw, not fixed(args) or not fixed(tuple(kwargs.values()))))
        self.keys.append(key)
        return Anything()


def fixed(values: tuple[Any, ...]) -> bool:
    """Whether nothing among the values can be changed in place."""
    return all(type(value) in ATOMS or (type(value) is tuple and fixed(value)) for value in values)


class Soften(ast.NodeTransformer):
    """Lets every assert only evaluate what it tests."""

    def visit_Assert(self, node: ast.Assert) -> ast.stmt:
        handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
        return ast.fix_missing_locations(ast.copy_location(ast.Try([ast.Expr(node.test)], [handler], [], []), node))


def soft(tree: ast.Module) -> CodeType:
    """Compile a script whose asserts all hold; the tree is used up."""
    return compile(Soften().visit(tree), "<rehearsal>", "exec", dont_inherit=True)


def rehearse(code: CodeType, names: dict[str, Any], stand_in: Rehearsal, is_check: bool) -> bool:
    """Execute a softened script; return whether it came to its end, so that the calls noted are all that it makes."""
    random.seed(0)
    try:
        exec(code, names)  # noqa: S102  the benchmark's own text
        if is_check:
            names["check"](stand_in)
    except BaseException:  # noqa: BLE001  it means something by an answer: it will be asked call by call
        return False
    return bool(stand_in.calls)
