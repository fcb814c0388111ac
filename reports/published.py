"""Published numbers as data: `reports/published/*.yaml`, shown apart from our rows and never in a test or a mean.

Each states its paper, the place in it, the setting as far as it is known, and its standing: `paper` (title, abstract
or text), `authors' code` (their logs or repository), `measured` (computed by us on what the authors released),
`secondary` (a third party's account), `board` (a public leaderboard or model card).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any

from harness.errors import DataError, suggest

STANDINGS = ("paper", "authors' code", "measured", "secondary", "board")


@dataclass(frozen=True)
class Published:
    """One published number; `value` is in percent."""

    method: str
    student: str
    benchmark: str
    metric: str
    value: float
    where: str  # table, abstract or log
    setting: str
    standing: str
    source: str  # the file's: authors, title, year, id


def load() -> tuple[Published, ...]:
    """Return every published number; DataError names the file and entry that does not state what it must."""
    folder = resources.files("reports") / "published"
    found: list[Published] = []
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            found += read(file.name, file.read_text(encoding="utf-8"))
    return tuple(found)


def read(name: str, text: str) -> list[Published]:
    """Return the numbers of one file: its `source`, and `rows` that hold every other field of `Published`."""
    import yaml

    try:
        content: Any = yaml.safe_load(text)
        source, rows = str(content["source"]), list(content["rows"])
    except (yaml.YAMLError, KeyError, TypeError) as err:
        raise DataError(f"published/{name}: {err}. Expected a source and rows.") from err
    return [entry(f"published/{name}, row {number}", source, one) for number, one in enumerate(rows, 1)]


def entry(where: str, source: str, content: Any) -> Published:
    names = [one.name for one in fields(Published) if one.name != "source"]
    if not isinstance(content, dict):
        raise DataError(f"{where}: found {content!r:.60}, expected the keys {', '.join(names)}.")
    for key in content:
        if key not in names:
            raise DataError(f"{where}: {key}: no such key{suggest(str(key), names)}. Keys: {', '.join(names)}.")
    for key in names:
        if key not in content:
            raise DataError(f"{where}: {key} is missing; a number without it cannot be placed. Write `unknown` if so.")
    value = content["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:  # NaN is neither
        raise DataError(f"{where}: value is {value!r}, expected a percentage from 0 to 100.")
    if content["standing"] not in STANDINGS:
        raise DataError(f"{where}: standing is {content['standing']!r}, expected one of {', '.join(STANDINGS)}.")
    texts = {key: str(content[key]) for key in names if key != "value"}
    return Published(value=float(value), source=source, **texts)


def of(benchmarks: Iterable[str], numbers: Iterable[Published]) -> tuple[Published, ...]:
    """Return the numbers that were measured on one of these benchmarks, in whatever setting."""
    known = {name.partition(":")[0] for name in benchmarks}
    return tuple(one for one in numbers if one.benchmark in known)
