"""The micro-batches of a fit in the form that transformers' Trainer takes them; it computes nothing.

Importing this module loads torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import Dataset

from harness.training.batches import TokenRow, collate
from harness.training.logit_cache import LogitCache
from harness.training.packing import packed, padded


class Layout(Dataset[dict[str, Any]]):
    """The micro-batches of the whole fit in order, each with the counts of its whole optimiser step.

    Every update is cut into `micro_batches` parts for each of the processes, which take the parts in turns.
    """

    def __init__(
        self,
        rows: Sequence[TokenRow],
        batches: Sequence[Sequence[int]],
        micro_batches: int,
        pad: int,
        packing: bool = False,
        labels: LogitCache | None = None,
    ) -> None:
        self.rows, self.batches, self.micro_batches, self.pad = rows, batches, micro_batches, pad
        self.packing, self.labels, self.processes = packing, labels, 1

    @property
    def parts(self) -> int:
        """Into how many parts an update is cut."""
        return self.micro_batches * self.processes

    def __len__(self) -> int:
        return len(self.batches) * self.parts

    def __getitem__(self, place: int) -> dict[str, Any]:
        step = [self.rows[index] for index in self.batches[place // self.parts]]
        return self.inputs(self.part(place), sum(len(row.completion) for row in step)) | {
            "pairs": sum(row.rejected is not None for row in step),
            "place": place,
            "labels": self.labels.tensors(self.part(place)) if self.labels else (),
        }

    def part(self, place: int) -> list[TokenRow]:
        """Return the rows of one micro-batch."""
        update, part = divmod(place, self.parts)
        width = len(self.batches[update]) // self.parts
        return [self.rows[index] for index in self.batches[update][part * width : (part + 1) * width]]

    def inputs(self, rows: Sequence[TokenRow], tokens: int) -> dict[str, Any]:
        """Return rows as the trainer is given them; `tokens` is the count of their whole update."""
        batch = collate(rows, self.pad)
        feed = packed(batch) if self.packing else padded(batch)
        return batch.as_inputs() | {
            "feed": (feed.ids, feed.mask, feed.positions, feed.completions),
            "tokens": tokens,
            "pairs": 0,
            "labels": (),
            "examples": [row.example for row in rows],
        }


def first(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Collate a list of one item: the layout has already made it a batch."""
    assert len(items) == 1, f"{len(items)} items"
    return items[0]
