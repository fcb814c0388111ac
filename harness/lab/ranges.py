"""Ranges of a recipe's numbers, checked in one wording; what hangs on several fields is the recipe's own to say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

RANGES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "zero_or_more": ("0 or more", lambda value: value >= 0),
    "one_or_more": ("1 or more", lambda value: value >= 1),
    "above_zero": ("a number above 0", lambda value: value > 0),
    "shares": ("a share from 0 to 1", lambda value: 0 <= value <= 1),
    "inside": ("a number between 0 and 1", lambda value: 0 < value < 1),
}


def in_range(config: Any, **fields: Sequence[str]) -> None:
    """Raise ValueError that tells every field out of its range; the names of the ranges are the keys of `RANGES`."""
    wrong: list[str] = []
    for kind, names in fields.items():
        expected, holds = RANGES[kind]
        values = {name: getattr(config, name) for name in names}
        wrong += [
            f"{name}={value}: expected {expected}."
            for name, value in values.items()
            if not (math.isfinite(value) and holds(value))
        ]
    if wrong:
        raise ValueError(" ".join(wrong))
