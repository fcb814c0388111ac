"""How values cross from a candidate's process to the judge: tagged JSON of exact builtin types, never pickle.

`encode` runs beside the candidate and is a courtesy to honest programs: subclasses (a Counter, an IntEnum) become what
they extend. `decode` runs in the judge and is the boundary: it builds builtins and opaque handles, whatever it is sent.

A tree is a scalar, or a list whose first element is a tag:
l list, t tuple, s set, f frozenset, d dict (k, v, k, v …), b bytes, a bytearray, w memoryview, c complex, i int too
long for decimal digits, r range, n iterator, e deque, k v p keys, values and items of a dict, q fraction, m decimal,
D date, time or duration, y builtin type by name, o opaque object (handle, type name).
"""

from __future__ import annotations

import builtins
import importlib
import json
import sys
from collections.abc import Callable, Sequence
from json import JSONDecoder, JSONEncoder
from types import MappingProxyType
from typing import Any

MAX_DEPTH = 100
BIG = 1 << 1024  # beyond it an int is written in hexadecimal: decimal conversion is quadratic and capped by Python
ITERATOR_ITEMS = 10_000
RANGE_ITEMS = 1_000_000  # a test may make a list of it, in the judge


def text_encoder() -> Callable[[Any], str]:
    """Return what JSONEncoder.encode is but for a list, without its making a new encoder in C for each."""
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    plain = JSONEncoder(check_circular=False)
    if make is None:
        return plain.encode
    encode = make(None, plain.default, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return lambda tree: "".join(encode(tree, 0))


# JSON with NaN and infinities, as Python's own encoder writes them by default
to_text = text_encoder()
from_text = JSONDecoder().decode

NUMBER_BITS = 1 << 14  # of a fraction's numerator and denominator: finding their divisors is quadratic
NUMBER_CHARS = 1 << 12  # of a decimal's text, and its exponent: a test may write out what it stands for
IMMUTABLE = 1 << 8  # flag of a type that is Python's own (Py_TPFLAGS_IMMUTABLETYPE)

KINDS = {"C": "Counter", "O": "OrderedDict", "F": "defaultdict"}  # by tag, names in the module collections
FACTORIES = ("int", "float", "str", "bool", "list", "tuple", "set", "dict")
PLAIN_ROWS = {list, tuple}
KEYS, VALUES, ITEMS = type({}.keys()), type({}.values()), type({}.items())
MOMENTS: dict[str, tuple[str, ...]] = {  # classes of the module datetime and the numbers that they are made from
    "date": ("year", "month", "day"),
    "time": ("hour", "minute", "second", "microsecond"),
    "datetime": ("year", "month", "day", "hour", "minute", "second", "microsecond"),
    "timedelta": ("days", "seconds", "microseconds"),
}


class TooLarge(Exception):
    """A value is beyond the caps of size or depth."""


class Damaged(Exception):
    """The child sent something that no honest child sends."""


def sensible(number: Any) -> bool:
    """Whether a decimal can be compared (a signalling NaN cannot) and written out in reasonable space."""
    if number.is_snan():
        return False
    return len(str(number)) <= NUMBER_CHARS and (not number.is_finite() or abs(number.adjusted()) <= NUMBER_CHARS)


def plain_of(value: Any, kind: type) -> Any:
    """Return the builtin container that an object of these standard classes wraps and is equal to; else None."""
    if kind is MappingProxyType:
        return dict(value)
    collections = sys.modules.get("collections")
    for name in ("UserDict", "UserList", "UserString", "ChainMap"):
        if issubclass(kind, getattr(collections, name, ())):
            return dict(value) if name == "ChainMap" else value.data
    return None


class Named(tuple[Any, ...]):
    """What a named tuple is made into on the other side: a tuple whose items have names too."""

    _fields: tuple[str, ...]

    def __new__(cls, items: tuple[Any, ...], fields: Sequence[str] = ()) -> Named:
        made = super().__new__(cls, items)
        made._fields = tuple(fields)
        for name, item in zip(fields, items, strict=False):  # whatever was sent: there may be too few
            if name in ("count", "index") and not callable(item):  # hides a tuple's method, but is none of a program's
                vars(made)[name] = item
        return made

    def __getattr__(self, name: str) -> Any:
        if name not in self._fields:
            raise AttributeError(name)
        return self[self._fields.index(name)]


def fields_of(value: Any) -> list[str]:
    """Return the names of a named tuple's items; none for any other tuple."""
    fields: Any = getattr(value, "_fields", ())
    named = type(fields) is tuple and len(fields) == tuple.__len__(value) and all(type(one) is str for one in fields)
    return list(fields) if named else []


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
        if type(values) in PLAIN_ROWS and values:
            kinds = set(map(type, values))  # most rows are of one kind, and are then seen through in C
            if kinds == {int} and min(values) > -BIG and max(values) < BIG:
                self.spend(2 * len(values))
                return [tag, *values]
            if kinds == {float}:
                self.spend(2 * len(values))
                return [tag, *values]
            if kinds == {str}:
                self.spend(2 * len(values) + sum(map(len, values)))
                return [tag, *values]
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
            items = self.items("t", tuple.__iter__(value), depth)
            fields = fields_of(value)
            self.spend(sum(map(len, fields)))
            return ["N", fields, *items[1:]] if fields else items
        if is_a(kind, dict):
            return self.mapping(value, kind, depth)
        if kind is type and getattr(builtins, value.__name__, None) is value:
            return ["y", value.__name__]
        found = self.of_a_module(value, kind, depth)
        if found is not None:
            return found
        self.objects.append(value)
        return ["o", len(self.objects) - 1, str(kind.__name__)[:80]]

    def mapping(self, value: Any, kind: type, depth: int) -> list[Any]:
        """A dict's subclass; those of the standard library keep what they do beside being dicts."""
        items = self.pairs(value, depth)
        for tag, name in KINDS.items():
            if kind is getattr(sys.modules.get("collections"), name, None):
                items[0] = tag
                if tag == "F":
                    factory = value.default_factory
                    known = type(factory) is type and getattr(builtins, factory.__name__, None) is factory
                    items.insert(1, factory.__name__ if known else "")
        return items

    def of_a_module(self, value: Any, kind: type, depth: int) -> Any:
        """Views, iterators, and data of the standard library's modules; None for what is none of these."""
        if kind is KEYS or kind is VALUES or kind is ITEMS:
            return self.items("k" if kind is KEYS else "v" if kind is VALUES else "p", value, depth)
        if kind is memoryview:
            self.spend(2 * value.nbytes)
            return ["w", value.tobytes().hex()]
        if kind.__flags__ & IMMUTABLE and hasattr(kind, "__next__"):
            return self.items("n", self.first_items(value), depth)
        plain = plain_of(value, kind)
        if plain is not None:
            return self.tree(plain, depth + 1)
        loaded = sys.modules.get  # a value of a module's class is there only if the module is
        if kind is getattr(loaded("collections"), "deque", None):
            return self.items("e", value, depth)
        if kind is getattr(loaded("fractions"), "Fraction", None):
            if max(value.numerator.bit_length(), value.denominator.bit_length()) <= NUMBER_BITS:
                return ["q", self.tree(value.numerator, depth), self.tree(value.denominator, depth)]
        elif kind is getattr(loaded("decimal"), "Decimal", None):
            if sensible(value):
                return ["m", str(value)]
        elif kind.__module__ == "datetime" and kind is getattr(loaded("datetime"), kind.__name__, None):
            return self.moment(value, kind.__name__)
        numpy = loaded("numpy")
        if numpy is not None and issubclass(kind, numpy.generic):
            return self.tree(value.item(), depth + 1)
        return None

    def moment(self, value: Any, name: str) -> Any:
        """Return the tree of a date, time or duration; None for one with a time zone of more than an offset."""
        if name not in MOMENTS:
            return None
        numbers = [getattr(value, field) for field in MOMENTS[name]]
        zone = getattr(value, "tzinfo", None)
        if zone is None:
            return ["D", name, numbers]
        if name == "datetime" and type(zone).__name__ == "timezone" and type(zone).__module__ == "datetime":
            return ["D", name, numbers, value.utcoffset().total_seconds()]
        return None

    def first_items(self, iterator: Any) -> list[Any]:
        taken: list[Any] = []
        for item in iterator:
            taken.append(item)
            if len(taken) > ITERATOR_ITEMS:
                raise TooLarge(f"an iterator yields more than {ITERATOR_ITEMS} items")
        return taken


class Decoder:
    """Builds data from a tree; `handle` makes what stands for an opaque object.

    `plain` data is of builtin types alone, for comparisons by rule; otherwise a Counter remains one.
    """

    def __init__(self, handle: Callable[[int, str], Any], plain: bool = False) -> None:
        self.handle = handle
        self.plain = plain

    def decode(self, tree: Any) -> Any:
        if type(tree) is not list:
            if type(tree) is dict:
                raise Damaged("a JSON object")
            return tree
        try:
            return self.container(tree)
        except (ValueError, TypeError, IndexError, ArithmeticError, RecursionError) as error:
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
            return (item for item in [decode(item) for item in tree[1:]])
        if tag in KINDS or tag == "N":
            return self.dressed(tag, tree)
        return self.leaf(tag, tree)

    def dressed(self, tag: str, tree: list[Any]) -> Any:
        """Build what is a dict or a tuple and more."""
        if tag == "N":
            items = tuple([self.decode(item) for item in tree[2:]])
            if self.plain or type(tree[1]) is not list or not all(type(one) is str for one in tree[1]):
                return items
            return Named(items, tree[1])
        kind: Any = dict if self.plain else getattr(importlib.import_module("collections"), KINDS[tag])
        first = 2 if tag == "F" else 1
        known = tag == "F" and not self.plain and tree[1] in FACTORIES
        mapping: Any = kind(getattr(builtins, tree[1])) if known else kind()
        for index in range(first, len(tree), 2):  # a loop of ours, as in container()
            mapping[self.decode(tree[index])] = self.decode(tree[index + 1])
        return mapping

    def leaf(self, tag: Any, tree: list[Any]) -> Any:
        if tag == "i":
            return int(tree[1], 16)
        if tag in ("b", "a", "w"):
            raw = bytes.fromhex(tree[1])
            return raw if tag == "b" else bytearray(raw) if tag == "a" else memoryview(raw)
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
            return self.handle(tree[1], tree[2][:80])
        return self.of_a_module(tag, tree)

    def of_a_module(self, tag: Any, tree: list[Any]) -> Any:
        """Build what needs a module: loaded here, since most programs return none of these."""
        if tag in ("e", "k", "v", "p"):
            items = [self.decode(item) for item in tree[1:]]
            if tag == "e":
                return importlib.import_module("collections").deque(items)
            pairs: Any = items if tag == "p" else zip(items, items, strict=True) if tag == "k" else enumerate(items)
            mapping: dict[Any, Any] = {}
            for key, value in pairs:  # a loop of ours, as in container()
                mapping[key] = value
            return mapping.keys() if tag == "k" else mapping.values() if tag == "v" else mapping.items()
        if tag == "q":
            numbers = [self.decode(tree[1]), self.decode(tree[2])]
            if all(type(number) is int and number.bit_length() <= NUMBER_BITS for number in numbers):
                return importlib.import_module("fractions").Fraction(*numbers)
        if tag == "m" and type(tree[1]) is str and len(tree[1]) <= NUMBER_CHARS:
            number = importlib.import_module("decimal").Decimal(tree[1])
            if sensible(number):
                return number
        if tag == "D" and type(tree[1]) is str and tree[1] in MOMENTS and all(type(n) is int for n in tree[2]):
            module = importlib.import_module("datetime")
            kind = getattr(module, tree[1])
            if len(tree) == 3:
                return kind(*tree[2][: len(MOMENTS[tree[1]])])
            if tree[1] == "datetime":
                return kind(*tree[2][:7], tzinfo=module.timezone(module.timedelta(seconds=float(tree[3]))))
        raise Damaged(f"unknown tag or content {tag!r:.40}")
