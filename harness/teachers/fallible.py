"""The embedded teacher made fallible: it errs in a set share of its answers, and its draws may differ in spelling.

What it says in place of the oracle's answer is of the world's own making: a program with one wrong step that the checks
tell, a fault that is none, another problem than was asked for, scores at random. Seed and request alone decide which
answers are wrong, each draw by itself: a second draw may be right where the first was not, and what is wrong at one
rate is wrong at every higher one. Outside the embedded world a wrong program is one edit away from the reference,
which may still pass, and there is one spelling.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence

from harness.store.keys import digest
from harness.teachers.oracle import Oracle, answered, corrupt, other, pipeline_of
from harness.teachers.requests import (
    RUBRIC,
    Answer,
    Corrupt,
    Judge,
    Pose,
    Rate,
    Refine,
    Request,
    Solve,
    Tests,
    request_key,
)
from harness.teachers.scoring import reply
from harness.teachers.settings import habits
from harness.types import Problem, Text
from harness.world.grammar import Pipeline, body, render


class Fallible(Oracle):
    """The teacher `oracle` with `errs`, the share of its answers that are wrong, or with draws that vary."""

    version = 100 * Oracle.version + 1  # the last two digits are this class's own; raise them when its answers change

    def __init__(self, errs: float, varies: bool) -> None:
        self.errs, self.varies = errs, varies
        self.name = " ".join([Oracle.name, *habits(errs, varies)])

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        """Yield the answers in order, each from generators of its own, so neither batch nor order matters."""
        for position, right in super().answer(requests, seed):
            request = requests[position]
            rng = random.Random(int(digest(["fallible", seed, request_key(request)])[:16], 16))
            wrong = rng.random() < self.errs  # drawn first: `varies` does not change which answers are wrong
            answer = varied(request, right, rng) if self.varies else right
            yield position, erring(request, answer, rng) if wrong else answer


def varied(request: Request, right: Answer, rng: random.Random) -> Answer:
    """Return a solution drawn at a temperature T in spellings of its own; any other answer as it is.

    Of a step's spellings the oracle's has weight 1 and every other one exp(−1/T), so that T → 0 is the oracle's.
    """
    if not isinstance(request, Solve) or not request.drawn or right.code is None:
        return right
    pipeline = pipeline_of(request.problem)
    if pipeline is None:
        return right
    code = respelt(request.problem, pipeline, math.exp(-1 / request.temperature), rng)
    return answered(request, code, code=code)


def respelt(problem: Problem, pipeline: Pipeline, weight: float, rng: random.Random) -> str:
    """Return the whole program with each step's spelling drawn; `weight` of every other one against the oracle's 1."""
    ways = [range(len(one.of.spellings)) for one in pipeline.steps]
    drawn = [rng.choices(own, [1.0, *[weight] * (len(own) - 1)])[0] for own in ways]
    return problem.prompt + body(pipeline.steps, drawn)


def erring(request: Request, right: Answer, rng: random.Random) -> Answer:
    """Return a wrong answer in place of the right one; what the oracle could not answer stays as it is."""
    if right.reason:
        return right
    match request:
        case Solve() | Refine():
            return wrong_program(request, right, rng)
        case Corrupt():
            return sound(request, rng)
        case Pose():
            return unasked(request, right, rng)
        case Judge():
            scores = tuple(rng.randint(0, round(2 * most)) / 2 for most in RUBRIC)
            return answered(request, reply(scores), scores=scores)
        case Rate():
            assert right.scores is not None, right
            return answered(request, " ".join(reversed(right.text.split())), scores=right.scores[::-1])
        case Tests():  # calls with their values are the problem's own checks
            return right


def wrong_program(request: Solve | Refine, right: Answer, rng: random.Random) -> Answer:
    """Return the program with a logic fault, near the right one; the right one where there is no place for a fault."""
    problem = request.problem
    assert right.code is not None, right
    if isinstance(problem.checks, Text):
        code = problem.prompt + other_digit(right.code.removeprefix(problem.prompt), rng)
    else:
        code = corrupt(Corrupt(problem, right.code, "logic"), rng).code
    return right if code is None else answered(request, code, code=code)


def other_digit(output: str, rng: random.Random) -> str:
    """Return an output with another digit at one place, or with a number where it has none."""
    places = [match.start() for match in re.finditer(r"\d", output)]
    if not places:
        return f"{output.rstrip()} {rng.randint(0, 9)}\n"
    at = rng.choice(places)
    digit = rng.choice([one for one in "0123456789" if one != output[at]])
    return f"{output[:at]}{digit}{output[at + 1 :]}"


def sound(request: Corrupt, rng: random.Random) -> Answer:
    """Return a right program where a faulty one was asked for: in any spelling, where more than one is known."""
    pipeline = pipeline_of(request.problem)
    code = request.correct if pipeline is None else respelt(request.problem, pipeline, 1.0, rng)
    return answered(request, code, code=code)


def unasked(request: Pose, right: Answer, rng: random.Random) -> Answer:
    """Return any problem of the training split, whatever was to be like it, rarer or harder."""
    found = other(None, "uniform", rng)
    if found is None:
        return right
    problem = render(found, visible=True)
    return answered(request, problem.prompt, problem=problem)
