"""Draws Pipelines problems: training pools with skewed operations, a test set of behaviours that training never shows.

A pipeline is held out by its behaviour on fixed inputs, not by its name: two chains that do the same on them are on the
same side. It trains and asks nothing.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Literal

from harness.store.content import problem_content
from harness.store.keys import digest as json_digest
from harness.types import Problem
from harness.world.checks import LETTERS, random_input
from harness.world.grammar import LONGEST, Pipeline, render
from harness.world.operations import CONSTANTS, TABLE, Kind, Operation, Step, Value, run

WORLD_VERSION = 2  # raise it when any problem changes; the digest in tests/world/ forces that

Split = Literal["train", "test"]
UNIFORM: Mapping[int, float] = {1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}
STARTS: tuple[tuple[Kind, ...], tuple[float, ...]] = (("xs", "s", "n"), (0.45, 0.30, 0.25))
REVERSED = 0.35  # share of the docstrings with two or more steps
TEST_SIZE, TEST_SEED = 400, 20240805
SAME_CHAIN = 3  # most test problems with the same operations in the same order
PATIENCE = 300  # draws without a new problem after which a level counts as used up
LONGEST_OUTPUT = 400  # characters of its repr
FEWEST_OUTPUTS = 3  # distinct ones


@functools.cache
def fixed_inputs(kind: Kind) -> tuple[Value, ...]:
    """Return the inputs on which behaviours are compared: all values near any constant, and random ones."""
    rng = random.Random(f"fingerprint {kind}")
    drawn: list[Value] = [random_input(kind, rng) for _ in range(20)]
    if kind == "n":
        return (*range(-6, 34), *drawn)
    if kind == "s":
        return ("", " ", "e E", *("".join(rng.choices(LETTERS, k=length)) for length in range(1, 18)), *drawn)
    windows = [[first, first + 1, first + 2, first + 1] for first in range(-12, 36, 3)]
    for window in windows:
        rng.shuffle(window)
    return ([], *windows, *([value] * (value % 5 + 1) for value in (0, 1, 7)), *drawn)


def fingerprint(pipeline: Pipeline) -> str | None:
    """Return a hash of the outputs on the fixed inputs; None for a chain that makes no fair problem.

    Unfair is what leaves the bounds, answers at great length, or answers almost everything alike.
    """
    return chain_fingerprint(tuple(one.behaviour for one in pipeline.steps))


@functools.lru_cache(maxsize=20_000)
def chain_fingerprint(behaviour: tuple[tuple[str, int | str | None], ...]) -> str | None:
    steps = [Step(*one) for one in behaviour]
    kind = steps[0].of.source
    outputs: list[str] = []
    for value in fixed_inputs(kind):
        got = run(steps, value)
        if got is None:
            return None
        outputs.append(repr(got))
        if len(outputs[-1]) > LONGEST_OUTPUT:
            return None
    if len(set(outputs)) < FEWEST_OUTPUTS:
        return None
    return hashlib.md5(f"{kind} {' '.join(outputs)}".encode(), usedforsecurity=False).hexdigest()


def held_out(print_: str) -> bool:
    """Whether a behaviour belongs to the test split: three of ten do."""
    return int(print_[:8], 16) % 10 < 3


def skew(seed: int = 0) -> dict[str, float]:
    """Return the weight of each operation in the training world: 1 / rank^0.9 over a shuffled ranking."""
    ranking = [one.id for one in TABLE]
    random.Random(f"skew {seed}").shuffle(ranking)
    return {id: 1 / rank**0.9 for rank, id in enumerate(ranking, start=1)}


class Chooser:
    """Draws pipelines, the operations by given weights among those that take the value at hand."""

    def __init__(self, operation_weights: Mapping[str, float] | None = None) -> None:
        weights = operation_weights or {}
        self.choices: dict[Kind, tuple[list[Operation], list[float]]] = {}
        for kind in STARTS[0]:
            fits = [one for one in TABLE if one.source == kind]
            own = [weights.get(one.id, 0.0) if weights else 1.0 for one in fits]
            self.choices[kind] = (fits, list(itertools.accumulate(own)))

    def pipeline(self, level: int, rng: random.Random, start: Kind | None = None) -> Pipeline:
        """Draw one pipeline, fair or not."""
        kind = start or self.start(rng)
        steps: list[Step] = []
        for _ in range(level):
            fits, sums = self.choices[kind]
            if sums[-1] <= 0:  # none of the weighted operations takes this kind
                sums = list(range(1, len(fits) + 1))
            [operation] = rng.choices(fits, cum_weights=sums)
            if steps and steps[-1].operation == operation.id:  # one more try
                [operation] = rng.choices(fits, cum_weights=sums)
            steps.append(draw_step(operation, rng))
            kind = operation.target
        return Pipeline(tuple(steps), level > 1 and rng.random() < REVERSED)

    def start(self, rng: random.Random) -> Kind:
        return rng.choices(STARTS[0], weights=STARTS[1])[0]

    def fair(
        self, level: int, split: Split, rng: random.Random, start: Kind | None = None
    ) -> Iterator[tuple[Pipeline, str]]:
        """Yield fair pipelines of one split with their fingerprints, without end."""
        while True:
            pipeline = self.pipeline(level, rng, start)
            found = fingerprint(pipeline)
            if found is not None and held_out(found) == (split == "test"):
                yield pipeline, found


def draw_step(operation: Operation, rng: random.Random) -> Step:
    """Draw an operation's constant and phrasing."""
    allowed = CONSTANTS[operation.constant]
    return Step(operation.id, rng.choice(allowed) if allowed else None, rng.randrange(len(operation.phrases)))


def quotas(n: int, level_weights: Mapping[int, float]) -> dict[int, int]:
    """Split n over the levels by weight, whole numbers, the largest remainders first."""
    assert set(level_weights) <= set(range(1, LONGEST + 1)) and sum(level_weights.values()) > 0, level_weights
    total = sum(level_weights.values())
    shares = {level: n * weight / total for level, weight in sorted(level_weights.items())}
    counts = {level: int(share) for level, share in shares.items()}
    by_remainder = sorted(shares, key=lambda level: (counts[level] - shares[level], level))
    for level in by_remainder[: n - sum(counts.values())]:
        counts[level] += 1
    return counts


def pipelines(
    n: int,
    seed: int | str,
    *,
    split: Split,
    level_weights: Mapping[int, float] = UNIFORM,
    operation_weights: Mapping[str, float] | None = None,
) -> Iterator[Pipeline]:
    """Yield n fair pipelines, repetitions included, the levels in exact shares and random order."""
    rng = random.Random(f"pipelines {split} {seed}")
    chooser = Chooser(operation_weights)
    streams = {level: chooser.fair(level, split, rng) for level in level_weights}
    for level in shuffled_levels(quotas(n, level_weights), rng):
        yield next(streams[level])[0]


def shuffled_levels(counts: Mapping[int, int], rng: random.Random) -> list[int]:
    levels = [level for level, count in counts.items() for _ in range(count)]
    rng.shuffle(levels)
    return levels


def draw(
    n: int,
    *,
    seed: int | str,
    split: Split,
    level_weights: Mapping[int, float] = UNIFORM,
    operation_weights: Mapping[str, float] | None = None,
    exclude: Container[str] = frozenset(),
) -> tuple[Problem, ...]:
    """Draw n problems with different prompts, the same for the same arguments; `exclude` names fingerprints.

    A level that has no new problem to give leaves its share to the next harder one, so there may be fewer easy
    problems than asked for; fewer than n only if all levels are used up. In the test split behaviours differ too, and
    at most three problems share their operations. Training problems carry visible checks.
    """
    rng = random.Random(f"pool {split} {seed}")
    chooser = Chooser(operation_weights)
    taken = Taken(distinct_behaviour=split == "test", exclude=exclude)
    streams = {level: chooser.fair(level, split, rng) for level in range(1, LONGEST + 1)}
    used_up: set[int] = set()
    found: list[Pipeline] = []
    for level in shuffled_levels(quotas(n, level_weights), rng):
        open_levels = [one for one in (*range(level, LONGEST + 1), *range(level - 1, 0, -1)) if one not in used_up]
        for one in open_levels:
            new = next((p for p, print_ in itertools.islice(streams[one], PATIENCE) if taken.take(p, print_)), None)
            if new is not None:
                found.append(new)
                break
            used_up.add(one)
    return tuple(render(one, visible=split == "train") for one in found)


class Taken:
    """What a draw has taken already."""

    def __init__(self, *, distinct_behaviour: bool, exclude: Container[str]) -> None:
        self.distinct_behaviour = distinct_behaviour
        self.exclude = exclude
        self.ids: set[str] = set()
        self.prints: set[str] = set()
        self.chains: Counter[tuple[str, ...]] = Counter()

    def take(self, pipeline: Pipeline, print_: str) -> bool:
        """Take a pipeline unless it is there already or excluded."""
        chain = tuple(one.operation for one in pipeline.steps)
        if print_ in self.exclude or pipeline.id in self.ids:
            return False
        if self.distinct_behaviour and (print_ in self.prints or self.chains[chain] >= SAME_CHAIN):
            return False
        self.ids.add(pipeline.id)
        self.prints.add(print_)
        self.chains[chain] += 1
        return True


@functools.cache
def test_set(n: int = TEST_SIZE, *, seed: int = TEST_SEED) -> tuple[Problem, ...]:
    """Return the benchmark's problems: held-out behaviours, operations uniform, levels as even as they last."""
    return draw(n, seed=seed, split="test")


def digest(problems: Iterable[Problem]) -> str:
    """Return the SHA-256 of the problems' content, their order and the world's version."""
    return json_digest([WORLD_VERSION, [problem_content(one) for one in problems]])
