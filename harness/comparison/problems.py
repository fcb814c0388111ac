"""Pools of training problems: the embedded world's, MBPP's train split, a file, or a data set of the hub.

A pool is validated whole before anything is spent. What stands in a benchmark is `decontaminate`'s business; only
MBPP's train ids that MBPP+ tests on are left out here, because the two share their ids.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.benchmarks import gsm8k, mbpp, rows
from harness.errors import ConfigError, DataError, suggest
from harness.store.keys import text_digest
from harness.types import Problem
from harness.world import pool as world
from harness.world import tinypy

GENERATED = ("pipelines", tinypy.SOURCE)  # as many problems as asked for

# Train ids (601–974) of MBPP that MBPP+ holds: 108 in v0.2.0, and three more that v0.1.0 had.
MBPP_PLUS_TRAIN = (
    "602-608 610-612 614-616 618-620 622-624 626 628-633 635 637-639 641 643-644 720-726 728 730-737 739-745 748-755 "
    "757-760 762-767 769-773 775 777-778 780-782 784-788 790-794 796-801 803-809"
)
MBPP_PLUS_OLD_TRAIN = "640 746 783"
DEVELOPMENT = 500  # problems of GSM8k's train split that no pool holds


def ids_of(ranges: str) -> frozenset[int]:
    """Read `1-3 5` as {1, 2, 3, 5}."""
    pairs = [part.partition("-") for part in ranges.split()]
    return frozenset(number for first, _, last in pairs for number in range(int(first), int(last or first) + 1))


def load_pool(spec: str, *, size: int | None = None, seed: int = 0, data: Path | None = None) -> tuple[Problem, ...]:
    """Return the pool of that name: `pipelines`, `tinypy`, `mbpp:train`, `gsm8k:train`, `PATH.jsonl` or `hub:NAME`.

    The embedded world makes as many as `size` says; of any other pool it is the most, drawn and ordered by the seed.
    Raises ConfigError for a name that is none, DataError that tells every fault of a file.
    """
    if spec == "pipelines":
        weights = world.skew()  # of operations, as in the base student's data: feedback is to find what a pool lacks
        return world.draw(800 if size is None else size, seed=seed, split="train", operation_weights=weights)
    if spec == tinypy.SOURCE:
        return tinypy.pool(800 if size is None else size, seed=seed)
    found = list(reader(spec, data)())
    random.Random(f"pool {seed}").shuffle(found)
    return tuple(found[:size])


def check_spec(spec: str, *, data: Path | None = None) -> None:
    """Raise what `load_pool` would raise, without making a pool of the embedded world."""
    if spec not in GENERATED:
        reader(spec, data)()


def lacking_problems(spec: str, *, data: Path | None = None) -> dict[str, int]:
    """Return how many problems of a pool have no tests, and how many no solution of their own, where there are any."""
    found = () if spec in GENERATED else tuple(reader(spec, data)())
    counts = {"checks": sum(one.checks == () for one in found), "references": sum(not one.reference for one in found)}
    return {what: count for what, count in counts.items() if count}


def reader(spec: str, data: Path | None) -> Callable[[], Iterable[Problem]]:
    """Return the function that reads a fixed pool whole."""
    if spec == "mbpp:train":
        return lambda: mbpp_train(data)
    if spec == "gsm8k:train":
        return lambda: gsm8k_train(data)
    if spec.startswith("hub:"):
        return lambda: from_hub(spec.removeprefix("hub:"))
    if spec.endswith(".jsonl"):
        return lambda: rows.from_file(Path(spec), "problems")
    near = suggest(spec, (*GENERATED, "mbpp:train", "gsm8k:train"))
    known = ", ".join((*GENERATED, "mbpp:train", "gsm8k:train", "PATH.jsonl", "hub:NAME"))
    raise ConfigError(f"problems={spec}: no such pool{near}. Pools: {known}.")


def mbpp_train(data: Path | None) -> list[Problem]:
    """Return MBPP's train split less every id that a release of MBPP+ tests on."""
    held_out = {f"Mbpp/{number}" for number in ids_of(MBPP_PLUS_TRAIN) | ids_of(MBPP_PLUS_OLD_TRAIN)}
    return [problem for problem in mbpp.problems("train", data) if problem.id not in held_out]


def gsm8k_train(data: Path | None) -> list[Problem]:
    """Return GSM8k's train split less a development set: the 500 problems whose prompts have the lowest hashes."""
    found = gsm8k.problems("train", data)
    development = set(sorted(found, key=lambda one: text_digest(one.prompt))[:DEVELOPMENT])
    return [one for one in found if one not in development]


def from_hub(name: str) -> list[Problem]:
    """Return the train split of a data set of the hub, whose rows have HumanEval's or MBPP's fields."""
    import datasets
    from datasets.exceptions import DatasetsError

    try:
        found: Iterable[Any] = datasets.load_dataset(name, split="train")
    except (OSError, ValueError, DatasetsError) as error:
        raise DataError(
            f"problems=hub:{name}: the data set cannot be had ({type(error).__name__}: {error}). Check the name and "
            "the network, or save it as JSONL and give the file: problems=PATH.jsonl."
        ) from None
    return rows.gather(f"hub:{name}", ((f"hub:{name} row {number}", row) for number, row in enumerate(found)))
