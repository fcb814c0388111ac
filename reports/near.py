"""The training examples nearest to a problem, by the words of their prompts; it reads no file.

Words are weighted by how few of the examples hold them, so that what every prompt says counts for nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

WORD = re.compile(r"[^\W_]+")
MOST = 2_000  # examples that are searched; of more, as many at equal distances
SHOWN = 2  # examples of each line


def words(text: str) -> set[str]:
    return set(WORD.findall(text.lower()))


class Nearest:
    """Examples found by the cosine of their prompts' weighted words: 1 for the same words, 0 for none in common."""

    def __init__(self, prompts: Sequence[str]) -> None:
        step = max(len(prompts) / MOST, 1.0)
        self.places = [int(at * step) for at in range(min(len(prompts), MOST))]
        found = [words(prompts[at]) for at in self.places]
        counts = Counter(word for own in found for word in own)
        self.unseen = math.log(1 + len(found))
        self.weights = {word: math.log((1 + len(found)) / (1 + count)) for word, count in counts.items()}
        holding: dict[str, list[int]] = defaultdict(list)
        for at, own in enumerate(found):
            for word in own:
                if self.weights[word] > 0:
                    holding[word].append(at)
        self.holding = {word: np.array(own) for word, own in holding.items()}  # the examples that hold a word
        # An example all of whose words are in every prompt is near to nothing.
        self.lengths = np.array([self.length(own) or math.inf for own in found])

    def length(self, own: set[str]) -> float:
        return math.sqrt(math.fsum(self.weights.get(word, self.unseen) ** 2 for word in own))

    def of(self, prompt: str) -> list[tuple[int, float]]:
        """Return the places of the nearest examples, the nearest first, with their similarity."""
        own = words(prompt)
        products = np.zeros(len(self.places))
        for word in sorted(own & self.holding.keys()):
            products[self.holding[word]] += self.weights[word] ** 2
        cosines = products / (self.lengths * (self.length(own) or math.inf))
        order = np.argsort(-cosines, kind="stable")[:SHOWN]
        return [(self.places[at], float(cosines[at])) for at in order if cosines[at] > 0]
