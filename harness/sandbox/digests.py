"""The SHA-256 of a plain value, for answers too large to be sent: equal values have equal digests. It compares nothing.

Numbers count by value, as `==` has it: 1, 1.0 and True are one. Runs beside the candidate and where expected values are
made; a candidate that lies about a digest would have to know the right one. Lists of numbers and of strings are read
in C: a million items take tens of milliseconds.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any

NUMBERS = {int, float, bool}
EXACT = 1 << 53  # a float holds every integer up to here


def digest_of(value: Any) -> str:
    """Return the digest of a value made of builtin types; TypeError for any other object."""
    from hashlib import sha256  # 3 ms, which only programs with such answers pay

    found = sha256()
    feed(found.update, value)
    return found.hexdigest()


def feed(update: Callable[[bytes], object], value: Any) -> None:
    """Hash a value with its type and length, so that no two values have one text."""
    kind = type(value)
    if kind in NUMBERS or kind is complex:
        update(number(value))
    elif kind is str:
        text = value.encode("utf-8", "surrogatepass")
        update(b"s%d:" % len(text) + text)
    elif kind is list or kind is tuple:
        update(b"%s%d:" % (b"l" if kind is list else b"t", len(value)))
        feed_items(update, value)
    elif kind is dict or kind is set or kind is frozenset:
        update(b"%s%d:" % (b"d" if kind is dict else b"m", len(value)))
        pairs: Any = value.items() if kind is dict else value
        for one in sorted(map(digest_of, pairs)):
            update(one.encode())
    elif value is None:
        update(b"n")
    elif kind is bytes or kind is bytearray:
        update(b"b%d:" % len(value) + value)
    else:
        raise TypeError(f"a {kind.__name__} has no digest")


def feed_items(update: Callable[[bytes], object], values: Sequence[Any]) -> None:
    kinds = set(map(type, values))
    if kinds == {str}:
        update(b"S" + array("Q", map(len, values)).tobytes())
        update("".join(values).encode("utf-8", "surrogatepass"))
    elif kinds and kinds <= NUMBERS and min(values) > -EXACT and max(values) < EXACT:
        update(b"N" + array("d", [value or 0.0 for value in values]).tobytes())  # -0.0 is 0
    else:
        update(b"X")
        for value in values:
            feed(update, value)


def number(value: Any) -> bytes:
    """Return a text of a number that is the same for equal numbers."""
    if isinstance(value, complex):
        return number(value.real) if value.imag == 0 else b"c" + number(value.real) + number(value.imag)
    if isinstance(value, float) and not value.is_integer():
        return b"f" + value.hex().encode()
    return b"i%x;" % int(value)
