"""Trains a student: one function for every recipe, the same arguments always giving the same weights on a CPU.

It keeps no checkpoints besides the marks it is asked for, reports to nobody, and shuffles nothing: see `batches`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.errors import TrainingError
from harness.students.checkpoint import positions, read_model, read_tokenizer, write
from harness.students.compute import computing, importing, own_randomness
from harness.students.tokens import padding
from harness.training.batches import encode, plan
from harness.training.objective import Objective
from harness.training.schedule import Mark, Schedule
from harness.types import TrainingSet


def fit(
    model_folder: Path,
    data: TrainingSet,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    out: Callable[[int], Path],
    progress: Callable[[int, int], None] | None = None,
) -> list[Mark]:
    """Train the student in `model_folder` and write it, whole, to `out(update)` at every mark.

    On a CPU the same arguments give the same bytes. `progress(done, updates)` is called after every update. The
    optimiser starts afresh. Raises TrainingError before anything is written if the data cannot be trained on as it is.
    """
    with importing():  # first of all, so that the whole of the loading goes uncollected
        from harness.training.distiller import Layout, Marker, build

    demand_device(schedule.device)
    tokenizer = read_tokenizer(model_folder)
    with (
        computing(schedule.device, schedule.threads),
        own_randomness(schedule.device),
        tempfile.TemporaryDirectory() as scratch,
    ):
        # master weights and optimiser in float32; a GPU computes in bfloat16 by autocast
        model = read_model(model_folder, schedule.device, dtype="float32")
        room, asked = positions(model), schedule.max_tokens
        limit = "schedule max_tokens" if asked <= room else "the student's positions"
        rows = encode(data, tokenizer, pairs=objective.uses_pairs, max_tokens=min(room, asked), limit=limit)
        batches = plan(rows, data.order, schedule.updates, schedule.batch, seed)
        layout = Layout(rows, batches, schedule.micro_batches, padding(tokenizer))
        trainer = build(model, objective, schedule, seed, layout, scratch)
        marks: list[Mark] = []

        def write_mark(update: int) -> None:
            seen = [rows[index] for batch in batches[:update] for index in batch]
            folder = out(update)
            write(model, tokenizer, folder)
            tokens = sum(row.forward_tokens for row in seen)
            marks.append(Mark(update, folder, tokens, len(seen), trainer.mean_terms()))

        def tell(update: int) -> None:
            if progress is not None:
                progress(update, schedule.updates)

        trainer.add_callback(Marker(schedule.all_marks, write_mark, tell))
        trainer.train()
    done = trainer.state.global_step
    assert done == schedule.updates, f"{done} of {schedule.updates} updates"
    return marks


def demand_device(device: str) -> None:
    """Raise unless the device is there, and is one: the library would split batches over several on its own."""
    import torch

    if device == "cuda" and torch.cuda.device_count() != 1:
        raise TrainingError(
            f"schedule device is 'cuda' and {torch.cuda.device_count()} CUDA devices are visible; exactly one is"
            " needed: set CUDA_VISIBLE_DEVICES, or train with device=cpu"
        )
