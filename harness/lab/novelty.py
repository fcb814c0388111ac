"""Keeps near-copies out of a pool of problems by ROUGE-L (Lin 2004), as self-instruct pipelines do.

ROUGE-L F of two texts of a and b words with a longest common subsequence of c words is 2c / (a + b).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from harness.types import Problem
from harness.world.grammar import SOURCE

WORDS = re.compile(r"\w+|[^\w\s]")
FEWEST = 4  # words of a written problem


def words(problem: Problem) -> list[str]:
    """Return the words of a problem's text: its docstring where the prompt has one, else the whole prompt."""
    parts = re.split(r'"""|\'\'\'', problem.prompt)
    return WORDS.findall((parts[1] if len(parts) >= 3 else problem.prompt).lower())


def novel(problems: Iterable[Problem], limit: float) -> Novelty:
    """Return a filter that knows `problems` and admits what is at most `limit` alike to all it knows."""
    known = Novelty(limit)
    for problem in problems:
        known.add(problem)
    return known


class Novelty:
    """A growing set of known problems. `limit` ≥ 1 admits everything but exact copies of a prompt.

    So does a problem of the embedded world: its sentences come from templates, and of 2,765 posed ones a limit of
    0.7 left 258 (docs/LOG.md), though each asked for something else.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.prompts: set[str] = set()
        self.texts: list[tuple[int, Counter[str], list[str]]] = []

    def add(self, problem: Problem) -> None:
        self.prompts.add(problem.prompt)
        if self.limit < 1 and problem.source != SOURCE:
            text = words(problem)
            self.texts.append((len(text), Counter(text), text))

    def admit(self, problem: Problem) -> bool:
        """Add `problem` and return True, unless it is too short or too near to a known one."""
        if problem.prompt in self.prompts:
            return False
        if self.limit < 1 and problem.source != SOURCE:
            text = words(problem)
            bag = Counter(text)
            if len(text) < FEWEST or any(self.alike(len(text), bag, text, *other) for other in self.texts):
                return False
        self.add(problem)
        return True

    def alike(
        self, a: int, bag_a: Counter[str], text_a: list[str], b: int, bag_b: Counter[str], text_b: list[str]
    ) -> bool:
        needed = self.limit * (a + b) / 2  # common words, above which the two are too near
        # Cheap bounds first: a subsequence is no longer than the shorter text, nor than the common words.
        if min(a, b) <= needed or sum((bag_a & bag_b).values()) <= needed:
            return False
        return common_subsequence(text_a, text_b) > needed


def common_subsequence(a: list[str], b: list[str]) -> int:
    """Return the length of the longest common subsequence, by Hyyrö's bit-parallel algorithm."""
    places: dict[str, int] = {}
    for place, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & full
    return len(a) - row.bit_count()
