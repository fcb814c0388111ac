"""Finds benchmarks by name: a module's file name, or the names that it states, with a split behind a colon.

No benchmark is named here. A module serves the name of its file; one whose names no file can have says them in `NAMES`,
each with what `benchmark()` gets as its split.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from harness import benchmarks
from harness.benchmarks import base, rows
from harness.benchmarks.base import Benchmark, Draw, Errata, Style, draw_now
from harness.errors import ConfigError, suggest
from harness.types import Problem

NOT_BENCHMARKS = {"base", "registry", "prove", "plus", "rows", "truths"}


def modules() -> tuple[str, ...]:
    """Return the names of the benchmark modules."""
    return tuple(sorted({info.name for info in pkgutil.iter_modules(benchmarks.__path__)} - NOT_BENCHMARKS))


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
    style: Style = "header",
    draw: Draw = draw_now,
    errata: Errata = "keep",
) -> Benchmark:
    """Return the benchmark of that name, or the problems of a file: `PATH.jsonl`, in HumanEval's or MBPP's fields.

    `size` is the number of problems of a benchmark that is generated; one of fixed problems is always whole. `data`
    is the folder of benchmark data; without it the environment's HARNESS_DATA says. `draw` gets the problems of a
    benchmark that is generated. `errata` may leave out the problems that the module names as faulty. Raises
    ConfigError for an unknown name, DataError for data that is missing or not the pinned one.
    """
    if spec.endswith(".jsonl"):
        return rows.benchmark(Path(spec), style)
    names = named()
    if spec not in names:
        known = ", ".join((*available(), "PATH.jsonl"))
        raise ConfigError(f"benchmark={spec}: no such benchmark{suggest(spec, names)}. Benchmarks: {known}.")
    one, split = names[spec]
    made: Benchmark = one.benchmark(split, size=size, data=data, style=style, draw=draw)
    return made if errata == "keep" else base.without(made, getattr(one, "ERRATA", {}))


def extracted(benchmark: Benchmark, problem: Problem, text: str) -> str:
    """Return the program that is judged for a student's text, as the benchmark reads it."""
    return benchmark.program(problem, text)
