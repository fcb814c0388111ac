"""Finds benchmarks by name: the module's file name, with a split behind a colon. No benchmark is named here."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from harness import benchmarks
from harness.benchmarks.base import Benchmark, Draw, Style, draw_now
from harness.errors import ConfigError, suggest
from harness.types import Problem

NOT_BENCHMARKS = {"base", "registry", "prove"}


def modules() -> tuple[str, ...]:
    """Return the names of the benchmark modules."""
    return tuple(sorted({info.name for info in pkgutil.iter_modules(benchmarks.__path__)} - NOT_BENCHMARKS))


def module(name: str) -> ModuleType:
    """Import one of `modules()`."""
    return importlib.import_module(f"harness.benchmarks.{name}")


def available() -> tuple[str, ...]:
    """Return every name that `load` takes; a bare name stands for its module's first split."""
    found: list[str] = []
    for name in modules():
        splits = tuple(module(name).SPLITS)
        found += [f"{name}:{split}" for split in splits] if splits else [name]
    return tuple(found)


def load(
    spec: str,
    *,
    size: int | None = None,
    data: Path | None = None,
    style: Style = "header",
    draw: Draw = draw_now,
) -> Benchmark:
    """Return the benchmark of that name.

    `size` is the number of problems of a benchmark that is generated; one of fixed problems is always whole. `data`
    is the folder of benchmark data; without it the environment's HARNESS_DATA says. `draw` gets the problems of a
    benchmark that is generated. Raises ConfigError for an unknown name, DataError for data that is missing or not
    the pinned one.
    """
    name, _, split = spec.partition(":")
    splits = tuple(module(name).SPLITS) if name in modules() else ()
    if name not in modules() or (split and split not in splits):
        near = suggest(spec, (*available(), *modules()))
        raise ConfigError(f"benchmark={spec}: no such benchmark{near}. Benchmarks: {', '.join(available())}.")
    made: Benchmark = module(name).benchmark(
        split or (splits[0] if splits else ""), size=size, data=data, style=style, draw=draw
    )
    return made


def extracted(benchmark: Benchmark, problem: Problem, text: str) -> str:
    """Return the program that is judged for a student's text, as the benchmark reads it."""
    return benchmark.program(problem, text)
