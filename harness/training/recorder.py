"""What a fit hands out while it runs: marks with their measurements, checkpoints' positions, progress.

With several processes every one of them calls these, and the first writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.training.batches import Encoded
from harness.training.job import Job
from harness.training.resume import Checkpoints, Position
from harness.training.schedule import Mark

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.distiller import Distiller

WriteOut = Callable[[Path, "dict[str, Tensor] | None"], None]
"""Writes a whole student to a folder; the weights are given where no process holds them all."""


class Recorder:
    """One run's records."""

    def __init__(
        self,
        job: Job,
        trainer: Distiller,
        encoded: Encoded,
        batches: Sequence[Sequence[int]],
        kept: Checkpoints,
        position: Position,
        write_out: WriteOut,
        cached: dict[str, int],
    ) -> None:
        self.job, self.trainer, self.batches = job, trainer, batches
        self.rows, self.told = encoded.rows, {"left_out": encoded.left_out, "cached": cached}
        self.kept, self.position, self.write_out = kept, position, write_out
        self.first = trainer.is_world_process_zero()
        if self.first:  # the others begin at nothing: what was counted before the checkpoint is counted once
            trainer.sums = position.sums
            if trainer.own is not None:
                trainer.own[0].counts |= position.own

    def mark(self, update: int) -> None:
        """Write the student as it is and note what was spent and lost."""
        trainer, folder = self.trainer, self.job.out(update)
        own, (losses, shares), weights = trainer.own_counts(), trainer.mean_terms(), trainer.whole_weights()
        if self.first:
            shutil.rmtree(folder, ignore_errors=True)  # of a killed run: the store may know its files by other names
            self.write_out(folder, weights)
        trainer.accelerator.wait_for_everyone()
        given = [batch for place, batch in enumerate(self.batches[:update]) if not trainer.due(place)]
        tokens = sum(self.rows[index].forward_tokens for batch in given for index in batch) + own["forward"]
        seen, parts = update * self.job.schedule.batch, self.position.micro_batches
        self.position.marks.append(
            Mark(update, folder, tokens, seen, losses, shares, parts, own["texts"], own["tokens"], **self.told)
        )

    def seal(self, update: int) -> None:
        """Declare a checkpoint whole once every process has written what it keeps."""
        self.position.sums, self.position.own = self.trainer.all_sums(), self.trainer.own_counts()
        self.trainer.accelerator.wait_for_everyone()
        if self.first:
            self.kept.seal(update, self.position)

    def tell(self, update: int) -> None:
        if self.job.progress is not None and self.first:
            self.job.progress(update, self.job.schedule.updates)

    def agree(self, due: bool) -> bool:
        """Return whether a checkpoint is due for any process: their clocks differ."""
        return any(self.trainer.gathered(due))
