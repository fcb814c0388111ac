"""The configuration of a run: typed dataclasses, filled from presets and `key=value` words.

`recipe`, `seed` and any scalar key of a recipe may be swept with a comma list, each value a cell of its own; keys
whose type is a list take the list whole. Unknown keys and values are errors that name the nearest valid one, and
all errors of a command are told at once.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import itertools
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from harness import catalog
from harness.errors import ConfigError, suggest
from harness.store.keys import Json, digest


@dataclass(frozen=True)
class Budget:
    """What a recipe may spend per cycle; one without a loop spends all cycles' shares as it likes. 0: no limit."""

    examples: int = 800  # distinct training examples
    updates: int = 100  # optimiser steps; every recipe makes exactly this many
    attempts: int = 800  # completions sampled from the student
    teacher_calls: int = 0
    teacher_usd: float = 0.0


@dataclass(frozen=True)
class World:
    """The embedded world; see docs/benchmarks.md."""

    base_examples: int = 9000  # that the untrained student has seen
    base_seed: int = 0  # all seeds of a comparison share one base student
    test: int = 400  # problems of the benchmark `pipelines`


@dataclass(frozen=True)
class Train:
    """The trainer's settings, the same for every recipe."""

    batch: int = 16  # examples per optimiser step
    learning_rate: float = 2e-3  # peak
    warmup: int = 10  # optimiser steps
    final_ratio: float = 0.05  # of the peak rate, at the end of the linear decay
    max_tokens: int = 1024  # longest example; a longer one is an error


@dataclass(frozen=True)
class Decode:
    """How the student is sampled when it is evaluated."""

    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0
    samples: int = 1  # per problem
    max_new_tokens: int = 0  # 0: as the benchmark states
    batch: int = 128  # prompts generated together; part of the key, as batching moves the last bits of a float


@dataclass(frozen=True)
class Judging:
    """Limits of one judged program, and the least isolation that is accepted."""

    level: Literal["full", "no-namespaces", "process-only"] = "process-only"  # refused below this
    cpu_s: float = 5.0  # of a benchmark's program, all its checks together
    training_cpu_s: float = 0.0  # of a program on a training problem; 0: 0.1 in the embedded world, else cpu_s
    wall_s: float = 30.0
    memory_mb: int = 1024


@dataclass(frozen=True)
class Run:
    """Everything that one command states. The fields below `jobs` do not change any result."""

    recipe: tuple[str, ...] = ()
    seed: tuple[int, ...] = (0,)
    cycles: int = 3  # evaluated ends of a recipe's rounds
    student: str = "tiny-0.3M"  # an embedded size, a folder, or a hub id
    teacher: str = "oracle"
    problems: str = "pipelines"  # pipelines | mbpp:train | PATH.jsonl | hub:NAME
    benchmark: tuple[str, ...] = ("pipelines",)
    k: tuple[int, ...] = (1,)  # of pass@k
    reference: str = "untrained"  # the row that the others are compared with
    threads: int = 1  # of one cell on a CPU; part of every key
    device: str = "cpu"  # cpu | cuda
    budget: Budget = field(default_factory=Budget)
    world: World = field(default_factory=World)
    train: Train = field(default_factory=Train)
    decode: Decode = field(default_factory=Decode)
    sandbox: Judging = field(default_factory=Judging)
    jobs: int = 0  # cells at a time; 0: one per core, or one on a GPU
    keep: Literal["last", "best", "all"] = "last"  # checkpoints that stay in the run folder
    run: str = ""  # the run's folder; empty: runs/NAME-HASH
    store: str = "runs/store"  # the steps that all runs share
    data: str = ""  # folder of benchmark data; empty: what HARNESS_DATA says


NOT_RESULTS = ("jobs", "keep", "run", "store", "data")


@dataclass(frozen=True)
class Cell:
    """A recipe, its resolved configuration and a seed: one process, one line of the table per seed."""

    recipe: str
    settings: dict[str, str]  # keys that the command set, as `margin` → `0.1`
    config: dict[str, Json]  # every field, ablations as a nested mapping
    seed: int

    @property
    def name(self) -> str:
        label = ",".join(f"{key}={value}" for key, value in sorted(self.settings.items()))
        return f"{self.recipe}{f'[{label}]' if label else ''} seed={self.seed}"


@dataclass(frozen=True)
class Command:
    """A resolved command: the run, and the cells that its sweeps spell out."""

    run: Run
    cells: tuple[Cell, ...]
    preset: str
    words: tuple[str, ...]  # as typed

    def content(self) -> dict[str, Json]:
        """Return what decides the results, for hashing, comparing and printing."""
        run = {key: value for key, value in dataclasses.asdict(self.run).items() if key not in NOT_RESULTS}
        return {"run": run, "cells": [dataclasses.asdict(cell) for cell in self.cells]}

    def folder(self) -> str:
        """Return the run's folder: as given, or named after the recipes and the hash of the configuration."""
        label = "+".join(name.rpartition(".")[2] for name in self.run.recipe)[:60]
        return self.run.run or f"runs/{label}-{digest(self.content())[:8]}"


def resolve(words: Sequence[str], *, need_recipe: bool = True) -> Command:
    """Resolve the words of a command line.

    Raises ConfigError holding every problem found: keys, values, recipes and presets alike.
    """
    problems: list[str] = []
    settings = parse(words, problems)
    preset = one_word(settings.pop("preset", ["default"]), "preset", problems)
    tree = read_preset(preset, problems)
    run_words = {key: value for key, value in settings.items() if key.partition(".")[0] in run_keys()}
    recipe_words = {key: value for key, value in settings.items() if key not in run_words}
    for key, values in run_words.items():
        put(tree, key, values, problems)
    run = build(Run, tree, problems)
    if need_recipe and not run.recipe:
        problems.append(
            f"recipe: none given. Say for instance recipe={','.join(catalog.names()['recipes'][:1])},persd."
        )
    cells = spell_out(run, recipe_words, problems)
    check(run, problems, sampled=need_recipe)
    if problems:
        raise ConfigError(problems)
    return Command(run, cells, preset, tuple(words))


def run_keys() -> tuple[str, ...]:
    return tuple(one.name for one in dataclasses.fields(Run))


def parse(words: Sequence[str], problems: list[str]) -> dict[str, list[Any]]:
    """Return each key's values, in Hydra's override grammar: `a,b`, `range(0,3)`, `[1,2]`, quotes.

    A list value and a sweep both become a list here; the key's type decides what it means.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    found: dict[str, list[Any]] = {}
    for word in words:
        try:
            override = parser.parse_override(word)
            values = list(override.sweep_iterator()) if override.is_sweep_override() else override.value()
        except HydraException as err:
            problems.append(
                f"{word}: not of the form key=value ({str(err).splitlines()[0]}). Quote odd values: 'key=\"a b\"'."
            )
            continue
        key = override.key_or_group
        if key in found:
            problems.append(f"{word}: {key} is given twice. Expected it once; sweep with a comma list: {key}=A,B.")
            continue
        found[key] = values if isinstance(values, list) else [values]
    return found


def one_word(values: list[Any], key: str, problems: list[str]) -> str:
    if len(values) != 1:
        problems.append(f"{key}={','.join(map(str, values))}: expected one value.")
    return str(values[0])


def presets() -> tuple[str, ...]:
    folder = importlib.resources.files("harness") / "conf"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def read_preset(name: str, problems: list[str]) -> dict[str, Any]:
    import yaml

    if name not in presets():
        problems.append(f"preset={name}: no such preset{suggest(name, presets())}. Presets: {', '.join(presets())}.")
        return {}
    text = (importlib.resources.files("harness") / "conf" / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text) or {}


def put(tree: dict[str, Any], key: str, values: list[Any], problems: list[str]) -> None:
    """Set `a.b` in a nested mapping; a single value stays single, so that the key's type can be checked."""
    group, dot, name = key.partition(".")
    value = values[0] if len(values) == 1 else values
    if not dot:
        tree[group] = value
    elif isinstance(tree.setdefault(group, {}), dict):
        tree[group][name] = value
    else:
        problems.append(f"{key}: {group} is a single value, it has no key {name}.")


def build(kind: Any, tree: dict[str, Any], problems: list[str], at: str = "") -> Any:
    """Fill the frozen dataclass `kind` from a mapping, noting unknown keys and values of the wrong type."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in hints:
            problems.append(
                f"{at}{key}: no such key{suggest(key, hints)}. "
                f"Keys{f' of {at[:-1]}' if at else ''}: {', '.join(hints)}."
            )
        elif dataclasses.is_dataclass(hints[key]):
            if isinstance(value, dict):
                values[key] = build(hints[key], typing.cast(dict[str, Any], value), problems, f"{at}{key}.")
            else:
                problems.append(
                    f"{at}{key}={value}: it is a group; set one of its keys, as {at}{key}.{first_key(hints[key])}=…."
                )
        else:
            values[key] = convert(value, hints[key], f"{at}{key}", problems)
    return kind(**{key: value for key, value in values.items() if value is not INVALID})


def first_key(kind: Any) -> str:
    return dataclasses.fields(kind)[0].name


INVALID = object()  # stands for a value that has been reported


def convert(value: Any, hint: Any, key: str, problems: list[str]) -> Any:
    """Return `value` as the annotated type, or INVALID after noting what is wrong with it."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value in inner:
            return value
        problems.append(
            f"{key}={value}: expected one of {', '.join(map(str, inner))}{suggest(str(value), map(str, inner))}."
        )
        return INVALID
    if origin is tuple:
        return convert_tuple(value, inner, key, problems)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None
        return convert(value, next(one for one in inner if one is not type(None)), key, problems)
    if isinstance(value, list):
        problems.append(
            f"{key}={','.join(map(str, typing.cast(list[Any], value)))}: this key takes one value; only recipe, seed "
            "and a recipe's own keys can be swept."
        )
        return INVALID
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is str and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if type(value) is hint:
        return value
    problems.append(f"{key}={value}: expected {hint.__name__}, found {type(value).__name__}.")
    return INVALID


def convert_tuple(value: Any, inner: tuple[Any, ...], key: str, problems: list[str]) -> Any:
    values: list[Any] = typing.cast(list[Any], value) if isinstance(value, list | tuple) else [value]
    open_ended = len(inner) == 2 and inner[1] is Ellipsis
    if not open_ended and len(values) != len(inner):
        problems.append(f"{key}={','.join(map(str, values))}: expected {len(inner)} values, found {len(values)}.")
        return INVALID
    kinds = itertools.repeat(inner[0]) if open_ended else iter(inner)
    items = [convert(one, kind, key, problems) for one, kind in zip(values, kinds, strict=False)]
    return INVALID if any(one is INVALID for one in items) else tuple(items)


def spell_out(run: Run, words: dict[str, list[Any]], problems: list[str]) -> tuple[Cell, ...]:
    """Return the cells of a run: every recipe, every combination of its swept keys, every seed."""
    recipes: dict[str, catalog.Recipe] = {}
    for name in dict.fromkeys(run.recipe):
        try:
            recipes[name] = catalog.find(name)
        except ConfigError as err:
            problems.extend(err.problems)
    own: dict[str, dict[str, list[Any]]] = {name: {} for name in recipes}
    for key, values in words.items():
        name = next((one for one in sorted(recipes, key=len, reverse=True) if key.startswith(f"{one}.")), None)
        if name is None:
            problems.append(unknown(key, recipes))
        else:
            own[name][key.removeprefix(f"{name}.")] = values
    cells: list[Cell] = []
    for name, recipe in recipes.items():
        for chosen in combinations(recipe, own[name], problems):
            tree = dataclasses.asdict(recipe.config)
            for key, value in chosen.items():
                put(tree, key, [value] if not isinstance(value, list) else value, problems)
            config = build(type(recipe.config), tree, problems, f"{name}.")
            settings = {
                key: ",".join(map(str, value)) if isinstance(value, list) else str(value)
                for key, value in chosen.items()
            }
            cells += [Cell(name, settings, dataclasses.asdict(config), seed) for seed in dict.fromkeys(run.seed)]
    return tuple(cells)


def combinations(recipe: catalog.Recipe, words: dict[str, list[Any]], problems: list[str]) -> list[dict[str, Any]]:
    """Return one mapping of key → value for each combination of swept keys; list-typed keys are not swept."""
    hints = typing.get_type_hints(type(recipe.config))
    choices: list[list[tuple[str, Any]]] = []
    for key, values in words.items():
        group, _, name = key.partition(".")
        hint = hints.get(group)
        if name and dataclasses.is_dataclass(hint):
            hint = typing.get_type_hints(hint).get(name)
        whole = typing.get_origin(hint) is tuple
        choices.append([(key, values)] if whole else [(key, value) for value in values])
    return [dict(chosen) for chosen in itertools.product(*choices)]


def unknown(key: str, recipes: dict[str, catalog.Recipe]) -> str:
    known = [*run_keys(), "preset"]
    for group in ("budget", "world", "train", "decode", "sandbox"):
        known += [f"{group}.{one.name}" for one in dataclasses.fields(typing.get_type_hints(Run)[group])]
    for name, recipe in recipes.items():
        known += [f"{name}.{one.name}" for one in dataclasses.fields(recipe.config)]
    near = suggest(key, known)
    return f"{key}: no such key{near}. A recipe's own keys are written RECIPE.KEY; `harness list` shows them all."


def check(run: Run, problems: list[str], *, sampled: bool) -> None:
    """Note values that have the right type and cannot be; `sampled`: this command samples a student itself."""
    positive = {
        "cycles": run.cycles,
        "threads": run.threads,
        "budget.examples": run.budget.examples,
        "budget.updates": run.budget.updates,
        "world.test": run.world.test,
        "world.base_examples": run.world.base_examples,
        "train.batch": run.train.batch,
        "train.learning_rate": run.train.learning_rate,
        "decode.samples": run.decode.samples,
        "decode.batch": run.decode.batch,
        "sandbox.cpu_s": run.sandbox.cpu_s,
        "sandbox.wall_s": run.sandbox.wall_s,
        "sandbox.memory_mb": run.sandbox.memory_mb,
    }
    problems += [f"{key}={value}: expected a number above 0." for key, value in positive.items() if value <= 0]
    limits = {f"budget.{one.name}": getattr(run.budget, one.name) for one in dataclasses.fields(Budget)}
    problems += [f"{key}={value}: expected 0 (no limit) or more." for key, value in limits.items() if value < 0]
    problems += [
        f"k={k}: expected at most decode.samples={run.decode.samples}."
        for k in run.k
        if sampled and not 0 < k <= run.decode.samples
    ]
    if run.reference != "untrained" and run.recipe and run.reference not in run.recipe:
        problems.append(
            f"reference={run.reference}: not a row of this table{suggest(run.reference, run.recipe)}. "
            f"Rows: untrained, {', '.join(run.recipe)}."
        )
    if run.decode.samples > 1 and run.decode.temperature == 0:
        problems.append(
            "decode.samples > 1 with decode.temperature=0 gives equal samples. Set decode.temperature=0.8, say."
        )
