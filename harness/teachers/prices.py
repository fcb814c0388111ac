"""What a token costs: a dated table by host and model, and a file of the user's own on top. It asks nobody."""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from harness.errors import ConfigError, suggest
from harness.store.keys import digest

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens of one model at one host."""

    tokens_in: float
    tokens_cached: float
    tokens_out: float
    as_of: str  # the day on which it was last checked

    def usd(self, tokens_in: int, tokens_cached: int, tokens_out: int) -> float:
        """Return the price of a reply; `tokens_cached` are among `tokens_in`."""
        fresh = max(0, tokens_in - tokens_cached)
        cached = min(tokens_cached, tokens_in)
        return (fresh * self.tokens_in + cached * self.tokens_cached + tokens_out * self.tokens_out) / MILLION

    @property
    def hash(self) -> str:
        """Return a short hash, stored with every reply that was priced by it."""
        return digest([self.tokens_in, self.tokens_cached, self.tokens_out, self.as_of])[:12]


def price_of(model: str, base_url: str, own: str = "") -> Price | None:
    """Return the price of a model at an endpoint, None where no table knows it.

    Raises ConfigError for a table that is malformed or holds a price below 0.
    """
    table = read_table((resources.files("harness.teachers") / "prices.yaml").read_text(encoding="utf-8"), "prices.yaml")
    if own:
        try:
            table |= read_table(Path(own).read_text(encoding="utf-8"), own)
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(
                f"teacher.prices={own}: cannot be read ({err}). Expected a YAML file of prices; see docs/teachers.md."
            ) from err
    return table.get((host_of(base_url), model))


def host_of(base_url: str) -> str:
    """Return host and port of an address, as a price table names it."""
    return urlsplit(base_url).netloc


def read_table(text: str, name: str) -> dict[tuple[str, str], Price]:
    """Return the prices of a YAML table `host: {model: {in, cached, out, as_of}}`; ConfigError with all faults."""
    import yaml

    try:
        tree = yaml.safe_load(text) or {}
    except yaml.YAMLError as err:
        raise ConfigError(
            f"{name}: not YAML ({' '.join(str(err).split())}). See docs/teachers.md for its form."
        ) from err
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}: found a {type(tree).__name__}, expected host: {{model: {{in, out, as_of}}}}.")
    found: dict[tuple[str, str], Price] = {}
    problems: list[str] = []
    for host, models in cast("dict[Any, Any]", tree).items():
        if not isinstance(models, dict):
            problems.append(f"{name}: {host}: expected models with their prices, found {models!r}.")
            continue
        for model, entry in cast("dict[Any, Any]", models).items():
            price = read_price(entry, f"{name}: {host}: {model}", problems)
            if price is not None:
                found[str(host), str(model)] = price
    if problems:
        raise ConfigError(problems)
    return found


def read_price(entry: Any, where: str, problems: list[str]) -> Price | None:
    """Return one entry's price, or None after noting what is wrong with it."""
    if not isinstance(entry, dict):
        problems.append(f"{where}: expected {{in: …, out: …, as_of: …}}, found {entry!r}.")
        return None
    fields = cast("dict[str, Any]", entry)
    before = len(problems)
    for key in fields:
        if key not in ("in", "cached", "out", "as_of"):
            problems.append(
                f"{where}: no such key {key}{suggest(str(key), ('cached', 'as_of'))}. Keys: in, cached, out, as_of."
            )
    numbers = {"in": fields.get("in"), "out": fields.get("out"), "cached": fields.get("cached", fields.get("in"))}
    for key, value in numbers.items():
        if key == "cached" and key not in fields:
            continue  # told as `in`
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            problems.append(f"{where}: {key} is {value!r}, expected US dollars per million tokens, 0 or more.")
    as_of = fields.get("as_of")
    if not isinstance(as_of, datetime.date):
        problems.append(
            f"{where}: as_of is {as_of!r}, expected the day on which the price was looked up, as 2026-11-21."
        )
    if len(problems) > before:
        return None
    return Price(float(numbers["in"]), float(numbers["cached"]), float(numbers["out"]), str(as_of))  # type: ignore[arg-type] - checked above
