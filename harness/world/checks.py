"""Checks of a pipeline: inputs, some of them near its constants, chosen so that a single wrong edit shows; no text."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

from harness.types import Check, Plain
from harness.world.operations import CONSTANTS, TABLE, Kind, Operation, Step, Value, chained, run

RANDOM_INPUTS = 8
NEAR_INPUTS = 4  # beside these, one empty or zero input
MOST_CHECKS = 16  # the room left is filled with inputs that tell surviving edits from the reference
SHOWN = (1, 5)  # places of those checks that a test problem shows: an input near a constant and a random one
CANDIDATES = 24  # inputs tried to tell one edit
LETTERS = "abcdeorstABET  "
EMPTY: dict[Kind, Value] = {"xs": [], "n": 0, "s": ""}


def random_input(kind: Kind, rng: random.Random) -> Value:
    """Draw one input."""
    if kind == "n":
        return rng.randint(-40, 120)
    if kind == "s":
        return "".join(rng.choices(LETTERS, k=rng.randint(0, 14)))
    if rng.random() < 0.1:
        return rng.choices(range(2, 9), k=7)
    return rng.choices(range(-12, 37), k=rng.randint(0, 9))


def near_input(kind: Kind, constant: int | str | None, rng: random.Random) -> Value:
    """Draw an input near a constant k: it holds k − 1, k and k + 1, or is that long. Without k, a small input."""
    k = constant if isinstance(constant, int) else rng.randint(0, 3)
    if kind == "n":
        return k + rng.choice((-1, 0, 1))
    if kind == "s":
        letters = rng.choices(LETTERS, k=max(0, k + rng.choice((-1, 0, 1))) if k < 12 else 3)
        if isinstance(constant, str):
            letters += [constant, constant.upper(), constant]
        rng.shuffle(letters)
        return "".join(letters)
    if k <= 4 and rng.random() < 0.5:
        return rng.choices(range(-12, 37), k=max(0, k + rng.choice((-1, 0, 1))))
    items = [k - 1, k, k + 1, k, *rng.choices(range(-12, 37), k=2)]
    rng.shuffle(items)
    return items


def edits(steps: Sequence[Step], rng: random.Random | None = None) -> Iterator[tuple[str, tuple[Step, ...]]]:
    """Yield every single edit of a chain as (kind, chain): constant ± 1, another operation of the same kinds (its
    constant drawn where the old one does not fit), two neighbours that keep the kind swapped, one such step dropped.
    """
    whole = tuple(steps)
    for at, one in enumerate(whole):
        for constant in neighbours(one):
            yield "constant", replaced(whole, at, replace(one, constant=constant))
    for at, (one, after) in enumerate(itertools.pairwise(whole)):
        if keeps_kind(one) and keeps_kind(after):
            yield "swap", (*whole[:at], after, one, *whole[at + 2 :])
    for at, one in enumerate(whole):
        if keeps_kind(one):
            yield "drop", (*whole[:at], *whole[at + 1 :])
    for at, one in enumerate(whole):
        for other in alike(one.of.source, one.of.target):
            if other.id != one.operation:
                yield "operation", replaced(whole, at, Step(other.id, fitting(one, other, rng)))


def replaced(steps: tuple[Step, ...], at: int, by: Step) -> tuple[Step, ...]:
    """Return the chain with one step replaced."""
    return (*steps[:at], by, *steps[at + 1 :])


@functools.cache
def alike(source: Kind, target: Kind) -> tuple[Operation, ...]:
    """Return the operations from one kind to another."""
    return tuple(one for one in TABLE if (one.source, one.target) == (source, target))


def keeps_kind(one: Step) -> bool:
    """Whether the step gives what it takes."""
    return one.of.source == one.of.target


def neighbours(one: Step) -> list[int | str]:
    """Return the constants next to a step's own."""
    if isinstance(one.constant, int):
        return [one.constant - 1, one.constant + 1]
    if isinstance(one.constant, str):
        letters = CONSTANTS["letter"]
        at = letters.index(one.constant)
        return [letters[at - 1], letters[(at + 1) % len(letters)]]
    return []


def fitting(one: Step, other: Operation, rng: random.Random | None) -> int | str | None:
    """Return a constant for another operation: the step's own where it is of that kind, else one drawn."""
    allowed = CONSTANTS[other.constant]
    if not allowed:
        return None
    if one.constant in allowed:
        return one.constant
    return rng.choice(allowed) if rng else allowed[len(allowed) // 2]


class Selection:
    """Inputs chosen so far with the reference's outputs."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.pairs: list[tuple[Value, Value]] = []
        self.seen: set[str] = set()

    def add(self, value: Value) -> bool:
        """Add an input unless it is there already or leads out of the bounds."""
        if (key := repr(value)) in self.seen:
            return False
        self.seen.add(key)
        expected = run(self.steps, value)
        if expected is None:
            return False
        self.pairs.append((value, expected))
        return True


def tells(edit: Sequence[Step], pairs: Sequence[tuple[Value, Value]]) -> bool:
    """Whether an edit gives a value that is not expected on some input. One that leaves the bounds does not count."""
    return any((got := run(edit, value)) is not None and got != expected for value, expected in pairs)


def make_checks(steps: tuple[Step, ...], seed: str, *, visible: bool) -> tuple[Check, ...]:
    """Return the checks of a chain: 13 inputs, and up to three more for edits that pass all of them.

    All are visible, or only those at the places of `SHOWN`.
    """
    assert chained(steps), steps
    rng = random.Random(seed)
    kind = steps[0].of.source
    chosen = Selection(steps)
    chosen.add(EMPTY[kind])
    constants = [one.constant for one in steps if one.constant is not None] or [None]
    for number in range(60):  # a bound or a repetition may cost a few
        if len(chosen.pairs) >= 1 + NEAR_INPUTS:
            break
        chosen.add(near_input(kind, constants[number % len(constants)], rng))
    for _ in range(60):
        if len(chosen.pairs) >= 1 + NEAR_INPUTS + RANDOM_INPUTS:
            break
        chosen.add(random_input(kind, rng))
    tell_edits(chosen, kind, constants, rng)
    pairs = cast("list[tuple[Plain, Plain]]", chosen.pairs)
    return tuple(
        Check((value,), expected, "strict", visible or at in SHOWN) for at, (value, expected) in enumerate(pairs)
    )


def tell_edits(chosen: Selection, kind: Kind, constants: Sequence[int | str | None], rng: random.Random) -> None:
    """Add inputs on which those edits differ that pass all inputs so far."""
    spare: list[tuple[Value, Value]] | None = None
    for _, edit in edits(chosen.steps):
        if len(chosen.pairs) >= MOST_CHECKS:
            return
        if tells(edit, chosen.pairs):
            continue
        if spare is None:
            spare = candidates(chosen, kind, constants, rng)
        found = next((pair for pair in spare if tells(edit, [pair])), None)
        if found is not None:
            chosen.add(found[0])


def candidates(
    chosen: Selection, kind: Kind, constants: Sequence[int | str | None], rng: random.Random
) -> list[tuple[Value, Value]]:
    """Draw inputs that are not chosen yet, most of them full of values at which an earlier step may hide a constant."""
    values = [random_input(kind, rng) for _ in range(CANDIDATES // 3)]
    values += [near_input(kind, rng.choice(constants), rng) for _ in range(CANDIDATES // 3)]
    values += [near_input(kind, rng.randint(-12, 40), rng) for _ in range(CANDIDATES // 3)]
    outputs = [(value, run(chosen.steps, value)) for value in values]
    return [(value, expected) for value, expected in outputs if expected is not None]
