"""Finds benchmarks by name: a module's file name, or the names that it states, with a split behind a colon.

No benchmark is named here. A module of this package is a benchmark if it states its `SPLITS`. It serves the name of its
file; one whose names no file can have says them in `NAMES`, each with what `benchmark()` gets as its split.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

from harness import benchmarks
from harness.benchmarks import base, rows
from harness.benchmarks.base import Benchmark, Draw, Errata, Style, draw_now
from harness.benchmarks.extractors import Extractor
from harness.errors import ConfigError, DataError, suggest


def modules() -> tuple[str, ...]:
    """Return the names of the benchmark modules."""
    names = sorted(info.name for info in pkgutil.iter_modules(benchmarks.__path__))
    return tuple(name for name in names if hasattr(module(name), "SPLITS"))


def module(name: str) -> ModuleType:
    """Import one of `modules()`."""
    return importlib.import_module(f"harness.benchmarks.{name}")


def named() -> dict[str, tuple[ModuleType, str]]:
    """Return every name with its module and split; a bare name stands for its module's first split."""
    found: dict[str, tuple[ModuleType, str]] = {}
    for file in modules():
        one = module(file)
        name: str = getattr(one, "NAME", file)
        splits = tuple(one.SPLITS)
        own: dict[str, str] = dict(getattr(one, "NAMES", {name: splits[0] if splits else ""}))
        own |= {f"{name}:{split}": split for split in splits}
        for name, split in own.items():
            assert name not in found, f"{name}: two modules serve it"
            found[name] = (one, split)
    return found


def available() -> tuple[str, ...]:
    """Return every name that `load` takes, but for the bare ones that stand for a split which has a name."""
    names = named()
    return tuple(sorted(name for name, (_, split) in names.items() if f"{name}:{split}" not in names))


def load(
    spec: str,
    *,
    size: int | None = None,
    data: Path | None = None,
    style: Style | Literal["auto"] = "auto",
    draw: Draw = draw_now,
    errata: Errata = "keep",
    extractor: Extractor = "auto",
) -> Benchmark:
    """Return the benchmark of that name, or the problems of a file: `PATH.jsonl`, in HumanEval's or MBPP's fields.

    `size` is the number of problems of a benchmark that is generated; one of fixed problems is always whole. `data`
    is the folder of benchmark data; without it the environment's HARNESS_DATA says. `style` is how a student is
    asked; auto is the benchmark's own way. `draw` gets the problems of a benchmark that is generated. `errata` may
    leave out the problems that the module names as faulty. Raises ConfigError for an unknown name, DataError for data
    that is missing or not the pinned one.
    """
    if spec.endswith(".jsonl"):
        made = rows.benchmark(Path(spec), "completion" if style == "auto" else style)
        return replace(made, extractor=extractor)
    names = named()
    if spec not in names:
        known = ", ".join((*available(), "PATH.jsonl"))
        raise ConfigError(f"benchmark={spec}: no such benchmark{suggest(spec, names)}. Benchmarks: {known}.")
    one, split = names[spec]
    chosen: Style = getattr(one, "STYLE", "completion") if style == "auto" else style
    made = one.benchmark(split, size=size, data=data, style=chosen, draw=draw)
    assert isinstance(made, Benchmark), made
    made = replace(made, extractor=extractor)
    faulty = errata_of(spec) if errata == "exclude" else {}
    return base.without(made, faulty) if faulty else made


def errata_of(spec: str) -> dict[str, str]:
    """Return a benchmark's problems with known errors, each with what is wrong."""
    found = named().get(spec)
    return dict(getattr(found[0], "ERRATA", {})) if found else {}


@dataclass(frozen=True)
class Listed:
    """What is told of a benchmark in a list."""

    name: str
    problems: int = 0
    version: int = 0
    digest: str = ""
    where: str = ""
    errata: int = 0
    trouble: str = ""  # why it cannot be had here


def listing(data: Path | None = None) -> Iterator[Listed]:
    """Yield every benchmark with what it holds here, each as soon as it is loaded."""
    for name in available():
        try:
            found = load(name, data=data)
        except DataError as error:
            yield Listed(name, trouble=str(error).removeprefix(f"benchmark={name}: ").partition(". ")[0])
            continue
        faulty = sum(one.id in errata_of(name) for one in found.problems)
        yield Listed(name, len(found.problems), found.version, found.digest, found.where, faulty)
