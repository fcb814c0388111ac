"""The student's own texts as training rows: which updates use them, and how they are drawn. It computes no loss.

Source: GKD (arXiv 2306.13649), algorithm 1. There a coin decides before every update; here as many updates as the
share says are drawn beforehand, so that what is sampled is known before anything is spent, and a fit that goes on from
a checkpoint draws what an uninterrupted one does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from harness.students.decoding import Decoding
from harness.students.engine import Draw, Loaded, run
from harness.training.batches import TokenRow


def own_updates(updates: int, share: float) -> int:
    """Return how many of the updates a share stands for: never more."""
    return int(share * updates + 1e-9)


class OwnTexts:
    """Draws the student's own completions of the prompts at hand, and counts what it draws."""

    def __init__(
        self, updates: int, share: float, temperature: float, max_new_tokens: int, max_tokens: int, seed: int
    ) -> None:
        self.places = frozenset(random.Random(f"on-policy {seed}").sample(range(updates), own_updates(updates, share)))
        self.decoding = Decoding(temperature, max_new_tokens=max_new_tokens)
        self.max_tokens, self.seed = max_tokens, seed
        self.counts: dict[str, int] = {"texts": 0, "tokens": 0, "forward": 0}

    def due(self, update: int) -> bool:
        """Tell whether the update that follows `update` finished ones uses the student's own texts."""
        return update in self.places

    def rows(self, loaded: Loaded, rows: Sequence[TokenRow], update: int, places: Sequence[int]) -> list[TokenRow]:
        """Return the rows with the student's completions in place of theirs; `places` are theirs in the update."""
        draws = [
            Draw(
                row.prompt,
                min(self.decoding.max_new_tokens, self.max_tokens - len(row.prompt)),
                seed_of(self.seed, update, place),
            )
            for row, place in zip(rows, places, strict=True)
        ]
        run(loaded, list(draws), self.decoding)
        found = [replace(row, completion=draw.ids, rejected=None) for row, draw in zip(rows, draws, strict=True)]
        self.counts["texts"] += len(found)
        self.counts["tokens"] += sum(len(row.completion) for row in found)
        self.counts["forward"] += sum(row.forward_tokens for row in found)
        return found


def seed_of(seed: int, update: int, place: int) -> int:
    """Return the seed of one text: its own, whichever process draws it and whatever is drawn beside it."""
    return random.Random(f"own text {seed} {update} {place}").getrandbits(48)
