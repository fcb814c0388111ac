"""How values cross from a candidate's process to the judge: tagged JSON of exact builtin types, never pickle.

`encode` runs beside the candidate and is a courtesy to honest programs: subclasses (a Counter, an IntEnum) become what
they extend. `decode` runs in the judge and is the boundary: it builds builtins and opaque handles, whatever it is sent.

A tree is a scalar, or a list whose first element is a tag:
l list, t tuple, s set, f frozenset, d dict (k, v, k, v …), b bytes, a bytearray, c complex, i int too long for decimal
digits, r range, n iterator, y builtin type by name, o opaque object (handle, type name).
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from json import JSONDecoder, JSONEncoder
from typing import Any

MAX_DEPTH = 100
BIG = 1 << 1024  # beyond it an int is written in hexadecimal: decimal conversion is quadratic and capped by Python
ITERATOR_ITEMS = 10_000
RANGE_ITEMS = 1_000_000  # a test may make a list of it, in the judge

# JSON with NaN and infinities, as Python's own encoder writes them by default
to_text = JSONEncoder(check_circular=False).encode
from_text = JSONDecoder().decode

ITERATORS: tuple[type, ...] = tuple(
    type(example)
    for example in (
        map(len, ()),
        filter(len, ()),
        zip(),
        enumerate(()),
        reversed(()),
        reversed([]),
        iter([]),
        iter(()),
        iter({}),
        iter(""),
        iter(range(0)),
        (item for item in ()),
    )
)


class TooLarge(Exception):
    """A value is beyond the caps of size or depth."""


class Damaged(Exception):
    """The child sent something that no honest child sends."""


class Encoder:
    """Turns one value into a tree; objects that are not data are kept in `objects` and sent as handles."""

    def __init__(self, objects: list[Any], result_bytes: int) -> None:
        self.objects = objects
        self.result_bytes = result_bytes
        self.left = 0

    def encode(self, value: Any) -> Any:
        self.left = self.result_bytes
        return self.tree(value, 0)

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooLarge(f"a value is larger than {self.result_bytes} bytes")

    def tree(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            if -BIG < value < BIG:
                return value
            self.spend(value.bit_length() // 4)
            return ["i", hex(value)]
        if kind is float:
            return value
        if kind is str:
            self.spend(len(value))
            return value
        if depth >= MAX_DEPTH:
            raise TooLarge(f"a value is nested deeper than {MAX_DEPTH} levels")
        if kind is list:
            return self.items("l", value, depth)
        if kind is tuple:
            return self.items("t", value, depth)
        if kind is dict:
            return self.pairs(value, depth)
        return self.rarer(value, kind, depth)

    def items(self, tag: str, values: Any, depth: int) -> list[Any]:
        tree = self.tree
        depth += 1
        out: list[Any] = [tag]
        for value in values:
            self.spend(2)
            out.append(tree(value, depth))
        return out

    def pairs(self, value: Any, depth: int) -> list[Any]:
        out: list[Any] = ["d"]
        for key, item in dict.items(value):
            self.spend(4)
            out.append(self.tree(key, depth + 1))
            out.append(self.tree(item, depth + 1))
        return out

    def rarer(self, value: Any, kind: type, depth: int) -> Any:
        """Sets, bytes, subclasses of builtins (by the base class's own methods), iterators; the rest is opaque."""
        is_a: Callable[[type, Any], bool] = issubclass
        if is_a(kind, (set, frozenset)):
            base = set if is_a(kind, set) else frozenset
            return self.items("s" if base is set else "f", base.__iter__(value), depth)
        if is_a(kind, (bytes, bytearray)):
            self.spend(2 * len(value))
            return ["b" if is_a(kind, bytes) else "a", bytes(value).hex()]
        if kind is complex:
            return ["c", value.real, value.imag]
        if kind is range:
            if len(value) > RANGE_ITEMS:
                raise TooLarge(f"a range has more than {RANGE_ITEMS} items")
            return ["r", self.tree(value.start, depth), self.tree(value.stop, depth), self.tree(value.step, depth)]
        if is_a(kind, int):
            return self.tree(int.__int__(value), depth)
        if is_a(kind, float):
            return float.__float__(value)
        if is_a(kind, str):
            return self.tree(str.__str__(value), depth)
        if is_a(kind, list):
            return self.items("l", list.__iter__(value), depth)
        if is_a(kind, tuple):
            return self.items("t", tuple.__iter__(value), depth)
        if is_a(kind, dict):
            return self.pairs(value, depth)
        if kind in ITERATORS:
            return self.items("n", self.first_items(value), depth)
        if kind is type and getattr(builtins, value.__name__, None) is value:
            return ["y", value.__name__]
        numpy = sys.modules.get("numpy")
        if numpy is not None and is_a(kind, numpy.generic):
            return self.tree(value.item(), depth + 1)
        self.objects.append(value)
        return ["o", len(self.objects) - 1, str(kind.__name__)[:80]]

    def first_items(self, iterator: Any) -> list[Any]:
        taken: list[Any] = []
        for item in iterator:
            taken.append(item)
            if len(taken) > ITERATOR_ITEMS:
                raise TooLarge(f"an iterator yields more than {ITERATOR_ITEMS} items")
        return taken


class Decoder:
    """Builds plain data from a tree; `handle` makes what stands for an opaque object."""

    def __init__(self, handle: Callable[[int, str], Any]) -> None:
        self.handle = handle

    def decode(self, tree: Any) -> Any:
        if type(tree) is not list:
            if type(tree) is dict:
                raise Damaged("a JSON object")
            return tree
        try:
            return self.container(tree)
        except (ValueError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise Damaged(f"{type(error).__name__}: {error}") from error

    def container(self, tree: list[Any]) -> Any:
        decode = self.decode
        tag = tree[0]
        if tag == "l":
            return [decode(item) for item in tree[1:]]
        if tag == "t":
            return tuple([decode(item) for item in tree[1:]])
        if tag == "d":
            pairs: dict[Any, Any] = {}
            for index in range(1, len(tree), 2):  # a loop of ours: hostile keys that collide must not hold us in C
                pairs[decode(tree[index])] = decode(tree[index + 1])
            return pairs
        if tag in ("s", "f"):
            members = {decode(item) for item in tree[1:]}
            return members if tag == "s" else frozenset(members)
        if tag == "n":
            return iter([decode(item) for item in tree[1:]])
        return self.leaf(tag, tree)

    def leaf(self, tag: Any, tree: list[Any]) -> Any:
        if tag == "i":
            return int(tree[1], 16)
        if tag in ("b", "a"):
            raw = bytes.fromhex(tree[1])
            return raw if tag == "b" else bytearray(raw)
        if tag == "c":
            return complex(float(tree[1]), float(tree[2]))
        if tag == "r":
            found = range(self.decode(tree[1]), self.decode(tree[2]), self.decode(tree[3]))
            if len(found) > RANGE_ITEMS:
                raise Damaged("a range that is too long")
            return found
        if tag == "y":
            named = getattr(builtins, tree[1], None)
            if type(named) is type:
                return named
        if tag == "o" and type(tree[1]) is int and type(tree[2]) is str:
            return self.handle(tree[1], tree[2])
        raise Damaged(f"unknown tag {tag!r:.40}")
