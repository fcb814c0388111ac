"""Logic faults of Pipelines programs: one wrong step, bound or default that the checks show. Nothing is run.

What a fault does is computed from the table of operations, so it is known to fail before anybody runs it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from harness.teachers.reading import Line, align, body_of, read, write
from harness.types import Problem, Script, Text
from harness.world.checks import EMPTY, edits, replaced, tells
from harness.world.grammar import Pipeline, indented
from harness.world.operations import Kind, Step, Value

EDIT_WEIGHTS = {"operation": 0.4, "constant": 0.2, "drop": 0.15, "swap": 0.1, "bound": 0.1, "empty": 0.05}
# For each comparison the one that is off by one at its bound, and the constant that would do the same.
BOUNDS = {">": (">=", -1), "<": ("<=", 1), ">=": (">", 1), "<=": ("<", -1)}
DEFAULTS: dict[Kind, tuple[Value, ...]] = {"xs": ([], [0]), "n": (0, 1), "s": ("", " ")}  # for an empty input


def wrong_step(problem: Problem, correct: str, pipeline: Pipeline, rng: random.Random) -> str | None:
    """Return a correct program with one wrong step that the problem's checks tell from the right one."""
    argument = pipeline.steps[0].of.source
    assert not isinstance(problem.checks, Script | Text), problem.id
    pairs = cast("list[tuple[Value, Value]]", [(one.args[0], one.expected) for one in problem.checks])
    lines = read(body_of(problem, correct), argument)
    for kind in weighted_order(EDIT_WEIGHTS, rng):
        found = next(wrong_bodies(kind, pipeline.steps, lines, pairs, rng), None)
        if found is not None:
            return problem.prompt + found
    return None


def wrong_bodies(
    kind: str, steps: tuple[Step, ...], lines: list[Line], pairs: list[tuple[Value, Value]], rng: random.Random
) -> Iterator[str]:
    """Yield faulty bodies of one kind: an edit of the chain, a bound missed by one, a wrong value for empty input."""
    argument = steps[0].of.source
    if kind == "bound":
        yield from missed_bounds(steps, lines, pairs, rng)
    elif kind == "empty":
        yield from wrong_defaults(steps, lines, pairs)
    else:
        chains = [edit for name, edit in edits(steps, rng) if name == kind]
        yield from (write(one, lines, argument) for one in rng.sample(chains, len(chains)) if tells(one, pairs))


def missed_bounds(
    steps: tuple[Step, ...], lines: list[Line], pairs: list[tuple[Value, Value]], rng: random.Random
) -> Iterator[str]:
    """Yield bodies in which one comparison takes its bound in, or leaves it out: what the next constant would do."""
    partners = align(steps, lines)
    for at in rng.sample(range(len(steps)), len(steps)):
        partner, constant = partners[at], steps[at].constant
        if partner is None or not isinstance(constant, int):
            continue
        signs = list(re.finditer(rf"([<>]=?) {constant}\b", partner.text))
        if len(signs) != 1 or len(re.findall(rf"\b{constant}\b", partner.text)) > 1:  # a cap may take its bound in
            continue
        sign, (other, shift) = signs[0], BOUNDS[signs[0][1]]
        if tells(replaced(steps, at, replace(steps[at], constant=constant + shift)), pairs):
            text = f"{partner.text[: sign.start()]}{other}{partner.text[sign.end(1) :]}"
            yield indented([text if line is partner else line.text for line in lines])


def wrong_defaults(steps: tuple[Step, ...], lines: list[Line], pairs: list[tuple[Value, Value]]) -> Iterator[str]:
    """Yield the body with a guard that gives a wrong value for an empty input."""
    argument = steps[0].of.source
    expected = {repr(value): expected for value, expected in pairs}.get(repr(EMPTY[argument]))
    wrong = [one for one in DEFAULTS[steps[-1].of.target] if one != expected]
    if expected is not None:
        yield indented([f"if not {argument}:\n    return {wrong[0]!r}", *(line.text for line in lines)])


def weighted_order(weights: dict[str, float], rng: random.Random) -> list[str]:
    """Return the names in random order, the heavier ones earlier on average."""
    return sorted(weights, key=lambda name: rng.expovariate(weights[name]))
