"""Trains a student: one function for every recipe, the same arguments always giving the same weights on a CPU.

It keeps no checkpoints besides the marks it is asked for, reports to nobody, and shuffles nothing: see `batches`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import TrainingError
from harness.students.checkpoint import positions, read_model, read_tokenizer, write
from harness.students.compute import computing, importing, own_randomness
from harness.students.tokens import padding
from harness.training.batches import TokenRow, collate, encode, plan
from harness.training.objective import Objective
from harness.training.schedule import Mark, Schedule
from harness.types import TrainingSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def fit(
    model_folder: Path,
    data: TrainingSet,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    out: Callable[[int], Path],
    progress: Callable[[int, int], None] | None = None,
    teacher_folder: Path | None = None,
) -> list[Mark]:
    """Train the student in `model_folder` and write it, whole, to `out(update)` at every mark.

    On a CPU the same arguments give the same bytes. `progress(done, updates)` is called after every update. The
    optimiser starts afresh. `teacher_folder` is read only if the objective uses a teacher's distributions. Raises
    TrainingError before anything is written if the data or the teacher cannot be trained on as it is.
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
        rows = encode(
            data,
            tokenizer,
            pairs=objective.uses_pairs,
            max_tokens=min(room, asked),
            limit=limit,
            aligned=objective.uses_alignment,
        )
        teacher = read_teacher(teacher_folder, tokenizer, schedule.device) if objective.uses_teacher else None
        if objective.uses_reference:
            rows = with_reference(model, rows, padding(tokenizer), schedule.batch)
        batches = plan(rows, data.order, schedule.updates, schedule.batch, seed)
        layout = Layout(rows, batches, schedule.micro_batches, padding(tokenizer))
        trainer = build(model, objective, schedule, seed, layout, scratch, teacher)
        marks: list[Mark] = []

        def write_mark(update: int) -> None:
            seen = [rows[index] for batch in batches[:update] for index in batch]
            folder = out(update)
            write(model, tokenizer, folder)
            tokens = sum(row.forward_tokens for row in seen)
            marks.append(Mark(update, folder, tokens, len(seen), *trainer.mean_terms()))

        def tell(update: int) -> None:
            if progress is not None:
                progress(update, schedule.updates)

        trainer.add_callback(Marker(schedule.all_marks, write_mark, tell))
        trainer.train()
    done = trainer.state.global_step
    assert done == schedule.updates, f"{done} of {schedule.updates} updates"
    return marks


def read_teacher(folder: Path | None, tokenizer: PreTrainedTokenizerBase, device: str) -> PreTrainedModel:
    """Return the frozen teacher; TrainingError unless it splits text into the student's tokens."""
    if folder is None:
        raise TrainingError("kd needs a teacher with logits, and none was given; use a recipe of teacher texts (seqkd)")
    theirs, ours = read_tokenizer(folder).get_vocab(), tokenizer.get_vocab()
    width = min(max(theirs.values()), max(ours.values()))  # heads of one family may be padded differently
    apart = {text for text, place in theirs.items() ^ ours.items() if place <= width}
    if apart:
        raise TrainingError(
            f"kd: teacher {folder} and student have {len(apart)} different tokens, for instance {min(apart)!r};"
            " distributions over different vocabularies cannot be compared. Use a recipe of teacher texts (seqkd)."
        )
    return read_model(folder, device).eval().requires_grad_(False)


def with_reference(model: PreTrainedModel, rows: list[TokenRow], pad: int, batch: int) -> list[TokenRow]:
    """Score every pair's two texts, end tokens included, under the model as it stands."""
    import torch

    from harness.students.logp import token_logp
    from harness.training.losses import sequence_logp

    found, was_training = list(rows), model.training
    pairs = sorted((place for place, row in enumerate(rows) if row.rejected is not None), key=lambda k: rows[k].length)
    model.eval()
    with torch.no_grad():
        for start in range(0, len(pairs), batch):
            places = pairs[start : start + batch]
            part = collate([rows[place] for place in places], pad)
            ids, mask = part.ids.to(model.device), part.mask.to(model.device)
            scores: list[float] = sequence_logp(token_logp(model, ids, mask), mask).tolist()  # completions, rejected
            for row, place in enumerate(places):
                found[place] = replace(rows[place], reference=(scores[row], scores[len(places) + row]))
    model.train(was_training)
    return found


def demand_device(device: str) -> None:
    """Raise unless the device is there, and is one: the library would split batches over several on its own."""
    import torch

    if device == "cuda" and torch.cuda.device_count() != 1:
        raise TrainingError(
            f"schedule device is 'cuda' and {torch.cuda.device_count()} CUDA devices are visible; exactly one is"
            " needed: set CUDA_VISIBLE_DEVICES, or train with device=cpu"
        )
