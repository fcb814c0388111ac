"""Puts several sequences into one row of a forward pass, in their order; weights and losses never see that.

A row's tokens say where they stand in their own sequence, and a model that is told so keeps sequences apart. Nothing
is predicted from a sequence's last token, so it does not go forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.batches import MicroBatch

TOLERANCE = 1e-2  # nats: of a model in half precision; texts that see one another differ by whole nats


@dataclass(frozen=True)
class Lead:
    """What a teacher reads before every sequence: its tokens stand behind the begin token, where there is one."""

    ids: tuple[int, ...]
    begins: int  # begin tokens that every sequence opens with, 0 or 1


@dataclass(frozen=True)
class Feed:
    """What goes through a model, its labels in the order of the micro-batch's, row after row."""

    ids: Tensor  # [R, L], the last column never goes forward
    mask: Tensor  # [R, L-1], true where a label is predicted
    positions: Tensor | None  # [R, L-1], of each token in its own sequence; None: one sequence a row
    completions: int  # rows in front that hold nothing but completions; rejected texts follow

    def front(self) -> Feed:
        """Return the completions alone."""
        end = self.completions
        positions = None if self.positions is None else self.positions[:end]
        return Feed(self.ids[:end], self.mask[:end], positions, end)

    def behind(self, lead: Lead) -> Feed:
        """Return the sequences behind a lead, their labels in the same order; packed ones cannot be."""
        import torch

        assert self.positions is None, "a lead would have to stand before every sequence of a row"
        rows, cut = len(self.ids), lead.begins
        told = torch.tensor(lead.ids, device=self.ids.device).expand(rows, -1)
        ids = torch.cat([self.ids[:, :cut], told, self.ids[:, cut:]], dim=1)  # [R, K + L]
        mask = torch.cat([self.mask.new_zeros(rows, len(lead.ids)), self.mask], dim=1)  # [R, K + L-1]
        return Feed(ids, mask, None, self.completions)


def padded(batch: MicroBatch) -> Feed:
    """One sequence a row, padded on the right."""
    return Feed(batch.ids, batch.mask, None, len(batch.weights))


def packed(batch: MicroBatch) -> Feed:
    """Next-fit, in order, into rows as long as the longest sequence; completions and rejected texts apart."""
    import torch

    lengths: list[int] = (batch.ends.int().argmax(dim=1) + 1).tolist()  # of what goes forward
    places: list[tuple[int, int]] = []  # row and column at which each sequence begins
    row, used, capacity, completions = 0, 0, max(lengths), 0
    for sequence, length in enumerate(lengths):
        if used and (used + length > capacity or sequence == len(batch.weights)):
            row, used = row + 1, 0
        places.append((row, used))
        used += length
        if sequence < len(batch.weights):
            completions = row + 1
    ids = batch.ids.new_full((row + 1, capacity + 1), int(batch.ids[0, 0]))
    mask = batch.mask.new_zeros((row + 1, capacity))
    # what is left of a row is one sequence more, of which nothing is predicted
    positions = torch.arange(capacity).repeat(row + 1, 1)
    for sequence, ((at, begin), length) in enumerate(zip(places, lengths, strict=True)):
        end = begin + length
        ids[at, begin:end] = batch.ids[sequence, :length]
        mask[at, begin:end] = batch.mask[sequence, :length]
        positions[at, begin:] = torch.arange(capacity - begin)
        if end < capacity:
            positions[at, end:] = torch.arange(capacity - end)
    return Feed(ids, mask, positions, completions)


def demand_packing(model: Any) -> None:
    """Raise TrainingError unless the model keeps packed sequences apart; it is asked on a few tokens of its own."""
    import torch

    ids = torch.tensor([[3, 4, 5, 6, 7, 8]], device=model.device) % model.config.vocab_size
    positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=model.device)
    training = model.training
    model.eval()
    with torch.no_grad():
        together = model(input_ids=ids, position_ids=positions, use_cache=False).logits[:, 3:].log_softmax(-1)
        alone = model(input_ids=ids[:, 3:], use_cache=False).logits.log_softmax(-1)
    model.train(training)
    if (together - alone).abs().max() > TOLERANCE:
        raise TrainingError(
            f"train.packing: {type(model).__name__} mixes texts that share a row. Say train.packing=false."
        )
