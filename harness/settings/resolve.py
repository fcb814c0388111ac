"""Turns the words of a command line into a configuration, or into every error at once.

`recipe`, `seed` and any scalar key of a recipe may be swept with a comma list, each value a cell of its own; keys
whose type is a list take the list whole. Unknown keys and values are errors that name the nearest valid one.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import itertools
import math
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from harness.errors import ConfigError, suggest
from harness.settings import catalog
from harness.settings.config import Cell, Command, Run, secrets_in
from harness.teachers.settings import check as check_teaching


def resolve(words: Sequence[str], *, need_recipe: bool = True) -> Command:
    """Resolve the words of a command line.

    Raises ConfigError holding every problem found: keys, values, recipes and presets alike.
    """
    problems: list[str] = []
    settings = parse(words, problems)
    if "teacher" in settings:  # short for the one key that says who it is
        if "teacher.name" in settings:
            problems.append("teacher.name: given twice. Say teacher=NAME alone.")
        settings["teacher.name"] = settings.pop("teacher")
    preset = one_word(settings.pop("preset", ["default"]), "preset", problems)
    tree = read_preset(preset, problems)
    if "parts" in tree:
        problems.append(f"preset={preset}: it is several comparisons, which only compare and plan take.")
        tree = {}
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
    if not run.reference:
        alone = sum(cell.recipe == run.recipe[-1] for cell in cells) == len(set(run.seed)) if run.recipe else False
        several = len(set(run.recipe)) > 1
        run = dataclasses.replace(run, reference=run.recipe[-1] if several and alone else "untrained")
    check_reference(run, cells, problems)
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
            override = parser.parse_override(quoted(word))
            values = list(override.sweep_iterator()) if override.is_sweep_override() else override.value()
        except HydraException as err:
            problems.append(formless(word, str(err).splitlines()[0]))
            continue
        key = override.key_or_group
        if key in found:
            problems.append(f"{word}: {key} is given twice. Expected it once; sweep with a comma list: {key}=A,B.")
            continue
        found[key] = values if isinstance(values, list) else [values]
    return found


def formless(word: str, said: str) -> str:
    """Say what is wrong with a word that is no key=value; `said` is the parser's view of it."""
    if "=" in word:
        return f"{word}: not of the form key=value ({said}). Quote odd values: 'key=\"a b\"'."
    recipes = {name for group in catalog.names().values() for name in group}
    hint = f" Did you mean recipe={word}?" if recipes.issuperset(word.split(",")) else " `harness list keys` has them."
    return f"{word}: expected key=value.{hint}"


def quoted(word: str) -> str:
    """Put quotes around a URL: what stands in one is no grammar."""
    key, equals, value = word.partition("=")
    return f'{key}="{value}"' if equals and "://" in value and value[0] not in "'\"[" else word


def one_word(values: list[Any], key: str, problems: list[str]) -> str:
    if len(values) != 1:
        problems.append(f"{key}={','.join(map(str, values))}: expected one value.")
    return str(values[0])


def presets() -> tuple[str, ...]:
    folder = importlib.resources.files("harness") / "conf"
    return tuple(sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml")))


def read_preset(name: str, problems: list[str]) -> dict[str, Any]:
    """Return the keys of a preset: one of ours, or a file of the user's."""
    import yaml

    own = name.endswith(".yaml")
    if not own and name not in presets():
        known = ", ".join((*presets(), "PATH.yaml"))
        problems.append(f"preset={name}: no such preset{suggest(name, presets())}. Presets: {known}.")
        return {}
    file = Path(name) if own else importlib.resources.files("harness") / "conf" / f"{name}.yaml"
    try:
        found: object = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as err:
        problems.append(f"preset={name}: cannot be read ({' '.join(str(err).split())}). Expected a YAML file of keys.")
        return {}
    if found is not None and not isinstance(found, dict):
        problems.append(f"preset={name}: found {type(found).__name__}, expected a mapping of keys to values.")
        return {}
    return typing.cast("dict[str, Any]", found or {})


def put(tree: dict[str, Any], key: str, values: list[Any], problems: list[str]) -> None:
    """Set `a.b` or `a.b.c` in a nested mapping; a single value stays single, so that the key's type can be checked."""
    group, dot, name = key.partition(".")
    value = values[0] if len(values) == 1 else values
    if not dot:
        tree[group] = value
    elif isinstance(tree.setdefault(group, {}), dict):
        put(tree[group], name, values, problems)
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
    given = {key: value for key, value in values.items() if value is not INVALID}
    try:
        return kind(**given)
    except ValueError as err:  # a configuration that knows its own ranges says what is wrong with a value
        problems.append(f"{at}{err}")
        return kind()


def first_key(kind: Any) -> str:
    return dataclasses.fields(kind)[0].name


INVALID = object()  # stands for a value that has been reported
KINDS: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


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
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(f"{key}={value}: expected a finite number.")
        return INVALID
    if type(value) is hint:
        return value
    problems.append(f"{key}={value}: expected {KINDS.get(hint, hint.__name__)}.")
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
        for chosen in combinations(recipe, own[name]):
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


def combinations(recipe: catalog.Recipe, words: dict[str, list[Any]]) -> list[dict[str, Any]]:
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
    for group in ("teacher", "budget", "world", "train", "decode", "sandbox"):
        known += [f"{group}.{one.name}" for one in dataclasses.fields(typing.get_type_hints(Run)[group])]
    for name, recipe in recipes.items():
        known += [f"{name}.{one.name}" for one in dataclasses.fields(recipe.config)]
    near = suggest(key, known)
    return f"{key}: no such key{near}. A recipe's own keys are written RECIPE.KEY; `harness list` shows them all."


LARGEST_POOL = 1_000_000  # problems of one cell, all held in memory
ABOVE_ZERO = (
    "cycles",
    "threads",
    "budget.examples",
    "budget.updates",
    "world.test",
    "world.base_examples",
    "world.teacher_examples",
    "train.batch",
    "train.learning_rate",
    "train.max_tokens",
    "train.micro_batches",
    "train.processes",
    "decode.samples",
    "decode.batch",
    "generation.start_s",
    "decode.steps",
    "sandbox.cpu_s",
    "sandbox.wall_s",
    "sandbox.memory_mb",
    "ray.judge_cores",
    "slurm.hours",
)
NOT_NEGATIVE = (
    "jobs",
    "ray.judges",
    "ray.restarts",
    "slurm.memory_gb",
    "slurm.restarts",
    "workers",
    "budget.training_tokens",
    "budget.attempts",
    "budget.teacher_calls",
    "budget.teacher_usd",
    "train.warmup",
    "train.attempt_tokens",
    "train.logits_top_k",
    "decode.temperature",
    "decode.max_new_tokens",
    "sandbox.training_cpu_s",
)


def value_of(run: Run, key: str) -> Any:
    """Return the value of a dotted key."""
    found: Any = run
    for name in key.split("."):
        found = getattr(found, name)
    return found


def check(run: Run, problems: list[str], *, sampled: bool) -> None:
    """Note values that have the right type and cannot be; `sampled`: this command samples a student itself."""
    values = {key: value_of(run, key) for key in (*ABOVE_ZERO, *NOT_NEGATIVE, "decode.top_p", "train.final_ratio")}
    problems += [f"{key}={values[key]}: expected a number above 0." for key in ABOVE_ZERO if not values[key] > 0]
    problems += [f"{key}={values[key]}: expected 0 or more." for key in NOT_NEGATIVE if not values[key] >= 0]
    if not 0 < run.decode.top_p <= 1:
        problems.append(f"decode.top_p={run.decode.top_p}: expected above 0, at most 1.")
    if not 0 <= run.train.final_ratio <= 1:
        problems.append(f"train.final_ratio={run.train.final_ratio}: expected 0 to 1.")
    problems += check_teaching(run.teacher)
    problems += secrets_in(run)
    for name, given in (("recipe", run.recipe), ("seed", run.seed), ("benchmark", run.benchmark), ("k", run.k)):
        twice = sorted({str(one) for one in given if given.count(one) > 1})
        problems += [f"{name}={one}: given twice. Expected each value once." for one in twice]
    problems += [f"seed={seed}: expected 0 or more." for seed in run.seed if not 0 <= seed < 2**32]
    if run.cycles * run.budget.examples > LARGEST_POOL:
        problems.append(
            f"cycles × budget.examples = {run.cycles * run.budget.examples}: expected at most {LARGEST_POOL} training "
            "problems. Lower one of the two."
        )
    if not run.benchmark:
        problems.append("benchmark=: none given. Expected one or more, as benchmark=pipelines,humaneval.")
    for k in run.k:
        if k < 1 or (sampled and k > run.decode.samples):
            most = f"1 to decode.samples={run.decode.samples}" if sampled else "1 or more"
            problems.append(f"k={k}: expected {most}.")
    if run.decode.steps > 1 and run.style == "instruct":
        problems.append(f"decode.steps={run.decode.steps}: a repair continues a header. Say style=completion with it.")
    if run.decode.samples > 1 and run.decode.temperature == 0:
        problems.append(
            "decode.samples > 1 with decode.temperature=0 gives equal samples. Set decode.temperature=0.8, say."
        )


def check_reference(run: Run, cells: Sequence[Cell], problems: list[str]) -> None:
    """Note a reference that names no row of the table, or several."""
    labels = list(dict.fromkeys(cell.label for cell in cells))
    exact = run.reference in ("untrained", *labels)
    named = {cell.label for cell in cells if cell.recipe == run.reference}
    if cells and not exact and len(named) != 1:
        what = f"{len(named)} rows bear that name" if named else f"no such row{suggest(run.reference, labels)}"
        problems.append(f"reference={run.reference}: {what}. Rows: {'; '.join(['untrained', *labels])}.")
