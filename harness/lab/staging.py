"""Curricula: examples by difficulty, in three levels, fed in stages; the result is the order of a training run's rows.

Pure: an order is a function of the examples, the settings and a generator, down to the row. It trains nothing and
changes no example. `hard` below means the hardest share ρ of a level, by the difficulty metric.

    scheme   stage 1   stage 2        stage 3                  share of the updates
    none     all       -              -                        1
    seq      L1        L2             L3                       40, 40, 40 of 120
    inc      L1        L1∪L2          L1∪L2∪L3                 25, 30, 65
    hyb      L1        hard(L1)∪L2    hard(L1)∪hard(L2)∪L3     20, 30, 70
    anti     L3        L2             L1                       40, 40, 40
    random   three random thirds                               40, 40, 40
    hard     L3        -              -                        1
"""

from __future__ import annotations

import math
import random
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from harness.errors import ConfigError
from harness.source.complexity import NO_RADON, Halstead, measure
from harness.store.keys import digest
from harness.types import Example

Scheme = Literal["none", "seq", "inc", "hyb", "anti", "random", "hard"]
Metric = Literal["om", "cc", "hd", "length", "level_gen"]
Cut = Literal["tertile", "fixed", "generator"]
Replay = Literal["hardest", "random"]

FIXED = (2.0, 4.0)  # OM below the first is easy, from the second on hard
SHARES: dict[Scheme, tuple[int, ...]] = {
    "none": (120,),
    "seq": (40, 40, 40),
    "inc": (25, 30, 65),
    "hyb": (20, 30, 70),
    "anti": (40, 40, 40),
    "random": (40, 40, 40),
    "hard": (120,),
}


@dataclass(frozen=True)
class Curriculum:
    """How examples are graded and staged."""

    scheme: Scheme = "hyb"
    metric: Metric = "om"  # difficulty: OM, CC or HD of the code, its characters, or the level that an example bears
    counter: Halstead = "token"  # of operators and operands
    cut: Cut = "tertile"  # into levels: equal thirds, OM at 2 and 4, or the level that an example bears
    rho: float = 0.25  # ρ, hardest share of each earlier level that is fed again (hyb)
    replay: Replay = "hardest"  # which rows of an earlier level are fed again
    shares: tuple[float, ...] = ()  # of the updates, by stage; none: the scheme's own

    def __post_init__(self) -> None:
        if self.counter == "radon" and find_spec("radon") is None:
            raise ValueError(NO_RADON)
        if not 0 <= self.rho <= 1:
            raise ValueError(f"rho={self.rho:g}: expected a share from 0 to 1.")
        stages = len(SHARES[self.scheme])
        if self.shares and (len(self.shares) != stages or min(self.shares) < 0 or sum(self.shares) <= 0):
            given = ",".join(f"{one:g}" for one in self.shares)
            raise ValueError(f"shares={given}: expected {stages} shares for {self.scheme}, none below 0, one above it.")
        if self.cut == "fixed" and self.metric != "om":
            raise ValueError(f"cut=fixed: its bounds are OM's, not those of metric={self.metric}. Say cut=tertile.")


@dataclass(frozen=True)
class Graded:
    """An example's place in the order of difficulty."""

    difficulty: float  # infinite for code that is not Python
    tie: str  # decides between equal difficulties
    level: int  # 1 easy, 2 medium, 3 hard

    @property
    def unread(self) -> bool:
        """Whether its code is no program, which counts as the hardest there is."""
        return math.isinf(self.difficulty)


@dataclass(frozen=True)
class Stage:
    """One stage of a run: which examples it feeds, by their places, and for how many optimiser steps."""

    examples: tuple[int, ...]
    updates: int


def code_of(example: Example) -> str:
    """Return the code whose difficulty counts: the completion's, or the prompt's where the completion is an answer."""
    lines = example.completion.splitlines()
    only_comments = all(not line.strip() or line.lstrip().startswith("#") for line in lines)
    return example.prompt if only_comments else textwrap.dedent(example.completion)


def difficulty(example: Example, curriculum: Curriculum) -> float:
    """Return how difficult an example is by the curriculum's metric; infinite where that cannot be told."""
    if curriculum.metric == "length":
        return float(len(example.prompt) + len(example.completion))
    if curriculum.metric == "level_gen":
        return math.inf if example.level is None else float(example.level)
    found = measure(code_of(example), curriculum.counter)
    if found is None:
        return math.inf
    return {"om": found.overall, "cc": float(found.cyclomatic), "hd": found.halstead}[curriculum.metric]


def grade(examples: Sequence[Example], curriculum: Curriculum) -> list[Graded]:
    """Return the difficulty and level of each example; ConfigError for `cut=generator` where examples bear no level."""
    scores = [difficulty(one, curriculum) for one in examples]
    ties = [digest([one.prompt, one.completion, one.rejected]) for one in examples]
    if curriculum.cut == "fixed":
        levels = [1 + sum(score >= bound for bound in FIXED) for score in scores]
    elif curriculum.cut == "generator":
        levels = [bearing(one) for one in examples]
    else:
        ranking = sorted(range(len(examples)), key=lambda at: (scores[at], ties[at]))
        levels = [0] * len(examples)
        for rank, at in enumerate(ranking):
            levels[at] = 1 + rank * 3 // len(examples)
    return [Graded(*one) for one in zip(scores, ties, levels, strict=True)]


def bearing(example: Example) -> int:
    """Return the level that an example bears; what is above 3 is hard."""
    if example.level is None:
        raise ConfigError(
            f"cut=generator: example {example.origin or example.prompt[:40]!r} bears no level. Say cut=tertile."
        )
    return min(max(example.level, 1), 3)


def stages_of(graded: Sequence[Graded], curriculum: Curriculum, updates: int, rng: random.Random) -> list[Stage]:
    """Return the stages of a run of so many optimiser steps; an empty one leaves its steps to the next, or the last."""
    easy, medium, hard = (tuple(at for at, one in enumerate(graded) if one.level == level) for level in (1, 2, 3))
    everything = tuple(range(len(graded)))
    new: list[tuple[int, ...]] = [easy, medium, hard]  # what each stage is there for: without it the stage is empty
    match curriculum.scheme:
        case "seq":
            sets = new
        case "inc":
            sets = [easy, easy + medium, easy + medium + hard]
        case "hyb":
            again = [kept(one, graded, curriculum, rng) for one in (easy, medium)]
            sets = [easy, again[0] + medium, again[0] + again[1] + hard]
        case "anti":
            sets = new = new[::-1]
        case "random":
            shuffled = rng.sample(everything, len(everything))
            bounds = [len(shuffled) * part // 3 for part in range(4)]
            sets = new = [tuple(shuffled[bounds[part] : bounds[part + 1]]) for part in range(3)]
        case "hard" | "none":
            sets = new = [hard if hard and curriculum.scheme == "hard" else everything]
    filled = [bool(one) for one in new]
    steps = passed_on(allot(updates, curriculum.shares or SHARES[curriculum.scheme]), filled)
    found = [one for one, full in zip(sets, filled, strict=True) if full]
    return [Stage(examples, count) for examples, count in zip(found, steps, strict=True) if count]


def kept(level: Sequence[int], graded: Sequence[Graded], curriculum: Curriculum, rng: random.Random) -> tuple[int, ...]:
    """Return the share ρ of an earlier level that is fed again."""
    count = round(curriculum.rho * len(level))
    if curriculum.replay == "random":
        return tuple(rng.sample(list(level), count))
    ranking = sorted(level, key=lambda at: (-graded[at].difficulty, graded[at].tie))
    return tuple(ranking[:count])


def allot(updates: int, shares: Sequence[float]) -> list[int]:
    """Split the updates by shares, whole numbers, the largest remainders first."""
    exact = [updates * share / sum(shares) for share in shares]
    counts = [int(one) for one in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: (counts[at] - exact[at], at))
    for at in by_remainder[: updates - sum(counts)]:
        counts[at] += 1
    return counts


def passed_on(amounts: Sequence[int], filled: Sequence[bool]) -> list[int]:
    """Return the updates of the filled stages: what an empty one leaves goes to the next one, else to the last."""
    steps: list[int] = []
    waiting = 0
    for amount, full in zip(amounts, filled, strict=True):
        if full:
            steps.append(amount + waiting)
            waiting = 0
        else:
            waiting += amount
    assert steps, "no stage has an example"
    steps[-1] += waiting
    return steps


def visits(stages: Sequence[Stage], batch: int, rng: random.Random) -> list[int]:
    """Return the examples of a whole run in the order of their visits: exactly `batch` for each update.

    Inside a stage one seeded shuffle follows another; the last batch of a stage is filled from that stage.
    """
    places: list[int] = []
    for one in stages:
        wanted = one.updates * batch
        own: list[int] = []
        while len(own) < wanted:
            own += rng.sample(one.examples, len(one.examples))
        places += own[:wanted]
    return places


def staged(
    examples: Sequence[Example], curriculum: Curriculum, updates: int, batch: int, rng: random.Random
) -> list[Example]:
    """Return the rows of a run of so many updates in the order of their visits, repeats included."""
    stages = stages_of(grade(examples, curriculum), curriculum, updates, rng)
    return [examples[at] for at in visits(stages, batch, rng)]
