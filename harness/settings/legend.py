"""What each configuration key means, in one line: the comment beside its field, read from the source."""

from __future__ import annotations

import dataclasses
import inspect
import io
import re
import tokenize
from typing import Any

FIELD = re.compile(r"^    (\w+): ")


def legend(config: Any, at: str = "") -> dict[str, str]:
    """Return the comment beside each field of a dataclass and of those it holds, by `group.key`."""
    own = comments(type(config))
    found: dict[str, str] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            found |= legend(value, f"{at}{field.name}.")
        else:
            found[f"{at}{field.name}"] = own.get(field.name, "")
    return found


def comments(kind: type) -> dict[str, str]:
    """Return the comments on the lines of a class's fields, by name."""
    lines = inspect.getsource(kind)
    found: dict[str, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(lines).readline):
        if token.type == tokenize.COMMENT and (field := FIELD.match(token.line)):
            found[field[1]] = token.string.lstrip("# ")
    return found
