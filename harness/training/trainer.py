"""Trains a student: one function for every recipe, the same arguments always giving the same weights on a CPU.

It keeps no checkpoints besides the marks it is asked for, reports to nobody, and shuffles nothing: see `batches`.
"""

from __future__ import annotations

import gc
import math
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import NotFinite, TrainingError
from harness.students.checkpoint import positions, read_model, read_tokenizer, write
from harness.students.compute import computing, importing, own_randomness
from harness.students.tokens import padding
from harness.training.batches import TokenRow, collate, encode, plan
from harness.training.lora import Adapted
from harness.training.objective import Objective
from harness.training.resume import Checkpoints, Position
from harness.training.schedule import Mark, Schedule
from harness.types import TrainingSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAVE_EVERY_S = 600.0  # between two checkpoints of a fit


def fit(
    model_folder: Path,
    data: TrainingSet,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    out: Callable[[int], Path],
    progress: Callable[[int, int], None] | None = None,
    *,
    teacher_folder: Path | None = None,
    bases: Callable[[str], Path] = Path,
    work: Path | None = None,
    save_every_s: float = SAVE_EVERY_S,
) -> list[Mark]:
    """Train the student in `model_folder` and write it, whole, to `out(update)` at every mark.

    On a CPU the same arguments give the same bytes. `progress(done, updates)` is called after every update. The
    optimiser starts afresh. `teacher_folder` is read only if the objective uses a teacher's distributions; `bases`
    returns the folder of the weights, named by their hash, that a student's adapter was trained on. With a folder
    `work` the fit keeps checkpoints there and goes on from the last one; on a CPU that gives the same bytes as a fit
    that nobody interrupted. A batch that does not fit into the GPU's memory is split into more forward passes.
    Raises TrainingError before anything is written if the data or the teacher cannot be trained on as it is, or when a
    loss is no longer finite.
    """
    with importing():  # first of all, so that the whole of the loading goes uncollected
        import torch

        import_module("harness.training.distiller")

    demand_device(schedule.device)
    with (
        computing(schedule.device, schedule.threads),
        own_randomness(schedule.device),
        tempfile.TemporaryDirectory() if work is None else nullcontext(work) as folder,
    ):
        kept = Checkpoints(Path(folder))
        fitting = Fitting(model_folder, data, objective, schedule, seed, out, progress, teacher_folder, bases)
        every_s = math.inf if work is None else save_every_s
        while True:
            try:
                return fitting.run(kept, every_s)
            except torch.OutOfMemoryError as error:
                fitting.split(str(error))
            except NotFinite as error:
                rows = [asdict(data.examples[index]) for index in error.examples]
                where = f" The batch is in {kept.save_broken(rows)}." if work is not None else ""
                raise TrainingError(f"{error}{where}") from error
            gc.collect()  # what the failed attempt held goes before the next one begins
            torch.cuda.empty_cache()


class Fitting:
    """One fit, tried as often as its memory makes it necessary."""

    def __init__(
        self,
        model_folder: Path,
        data: TrainingSet,
        objective: Objective,
        schedule: Schedule,
        seed: int,
        out: Callable[[int], Path],
        progress: Callable[[int, int], None] | None,
        teacher_folder: Path | None,
        bases: Callable[[str], Path],
    ) -> None:
        self.model_folder, self.teacher_folder, self.bases = model_folder, teacher_folder, bases
        self.data, self.objective, self.schedule, self.seed = data, objective, schedule, seed
        self.out, self.progress = out, progress
        self.micro_batches = schedule.micro_batches

    def split(self, reason: str) -> None:
        """Take more forward passes for an update; TrainingError where one row alone is too large."""
        more = [
            parts for parts in range(self.micro_batches + 1, self.schedule.batch + 1) if not self.schedule.batch % parts
        ]
        if not more:
            raise TrainingError(
                f"out of memory with one example in a forward pass ({reason}). Lower train.max_tokens, or take a "
                "smaller student or a larger device."
            )
        self.micro_batches = next((parts for parts in more if parts >= 2 * self.micro_batches), more[-1])

    def run(self, kept: Checkpoints, save_every_s: float) -> list[Mark]:
        """Train from the last checkpoint, or from the beginning, to the end."""
        from harness.training.distiller import Layout, Watcher, build

        schedule, objective = self.schedule, self.objective
        tokenizer = read_tokenizer(self.model_folder)
        # master weights and optimiser in float32; a GPU computes in bfloat16 by autocast
        if schedule.lora is not None:
            adapted = Adapted(self.model_folder, schedule.lora, schedule.device, self.bases)
            model, write_out = adapted.model, adapted.write
        else:
            model = read_model(self.model_folder, schedule.device, dtype="float32")
            write_out = partial(write, model)
        room, asked = positions(model), schedule.max_tokens
        limit = "schedule max_tokens" if asked <= room else "the student's positions"
        rows = encode(
            self.data,
            tokenizer,
            pairs=objective.uses_pairs,
            max_tokens=min(room, asked),
            limit=limit,
            aligned=objective.uses_alignment,
        )
        teacher = read_teacher(self.teacher_folder, tokenizer, schedule.device) if objective.uses_teacher else None
        if objective.uses_reference:
            rows = with_reference(model, rows, padding(tokenizer), schedule.batch)
        batches = plan(rows, self.data.order, schedule.updates, schedule.batch, self.seed)
        found = kept.last()
        position = found[1] if found else Position()
        self.micro_batches = position.micro_batches = max(position.micro_batches, self.micro_batches)
        layout = Layout(rows, batches, self.micro_batches, padding(tokenizer))
        trainer = build(model, objective, schedule, self.seed, layout, str(kept.folder), teacher)
        trainer.sums = position.sums

        def write_mark(update: int) -> None:
            seen = [rows[index] for batch in batches[:update] for index in batch]
            folder = self.out(update)
            write_out(tokenizer, folder)
            tokens = sum(row.forward_tokens for row in seen)
            losses, shares = trainer.mean_terms()
            position.marks.append(Mark(update, folder, tokens, len(seen), losses, shares, self.micro_batches))

        def seal(update: int) -> None:
            position.sums = trainer.sums
            kept.seal(update, position)

        def tell(update: int) -> None:
            if self.progress is not None:
                self.progress(update, schedule.updates)

        trainer.add_callback(Watcher(schedule.all_marks, tell, write_mark, seal, save_every_s))
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
        done = trainer.state.global_step
        assert done == schedule.updates, f"{done} of {schedule.updates} updates"
        return position.marks


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
