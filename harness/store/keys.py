"""Content keys: one canonical text for plain JSON data, and its SHA-256."""

from __future__ import annotations

import hashlib
import json
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | tuple[Json, ...] | dict[str, Json] | None"


def canonical(content: Json) -> str:
    """Return the one text that stands for `content`: sorted keys, no spaces, NaN refused.

    Raises ValueError for NaN and infinities, whose text differs between JSON readers.
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(content: Json) -> str:
    """Return the SHA-256 of the canonical text, in hexadecimal."""
    return text_digest(canonical(content))


def text_digest(text: str) -> str:
    # surrogatepass: a model's text may hold lone surrogates, and must still have a key
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
