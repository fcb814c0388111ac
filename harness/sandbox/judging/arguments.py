"""Does to a test's arguments, in place, what the candidate did to its copies of them. Both sides are plain data."""

from __future__ import annotations

from typing import Any


def write_back(ours: Any, changed: Any) -> None:
    """Do to our argument, in place, what the candidate did to its copy."""
    if type(ours) is not type(changed):
        return
    if isinstance(ours, list):
        kept = [merged(old, new) for old, new in zip(ours, changed, strict=False)]
        ours[:] = kept + changed[len(kept) :]
    elif isinstance(ours, dict):
        merged_items = {key: merged(ours.get(key), value) for key, value in changed.items()}
        ours.clear()
        ours.update(merged_items)
    elif isinstance(ours, set):
        ours.clear()
        ours.update(changed)
    elif isinstance(ours, bytearray):
        ours[:] = changed


def merged(old: Any, new: Any) -> Any:
    """Keep the identity of a nested mutable object, with its new content."""
    if isinstance(old, (list, dict, set, bytearray)) and type(old) is type(new):
        write_back(old, new)
        return old
    return new
