"""Trains a student: one function for every recipe, the same arguments always giving the same weights on a CPU.

It keeps no checkpoints besides the marks it is asked for, reports to nobody, and shuffles nothing: see `batches`.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import NotFinite, TrainingError
from harness.students.checkpoint import read_model, read_tokenizer, write
from harness.students.compute import computing, importing, own_randomness, release
from harness.students.engine import Loaded, end_tokens
from harness.students.tokens import padding
from harness.training.batches import TokenRow, collate, plan
from harness.training.job import Job, within_tokens
from harness.training.launch import launched
from harness.training.logit_cache import LogitCache
from harness.training.lora import Adapted
from harness.training.objective import Objective
from harness.training.on_policy import OwnTexts, own_updates
from harness.training.packing import demand_packing
from harness.training.recorder import Recorder, WriteOut
from harness.training.resume import Checkpoints, Position
from harness.training.rows import encoded, room_of
from harness.training.schedule import Mark, Schedule
from harness.training.whitebox import lead_of, read_teacher
from harness.types import TrainingSet

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SAVE_EVERY_S = 600.0  # between two checkpoints of a fit, at most; cheap ones come sooner


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
    report_to: tuple[str, ...] = (),
    labels: tuple[Path, ...] = (),
) -> list[Mark]:
    """Train the student in `model_folder` as `run_job` does; without a folder `work`, none that stays."""
    job = Job(model_folder, data, objective, schedule, seed, out, progress, teacher_folder, bases, report_to, labels)
    if work is not None:
        return run_job(job, work, save_every_s)
    with tempfile.TemporaryDirectory() as folder:
        return run_job(job, Path(folder), math.inf)


def run_job(job: Job, work: Path, save_every_s: float = SAVE_EVERY_S) -> list[Mark]:
    """Train the student in `model_folder` and write it, whole, to `out(update)` at every mark.

    On a CPU the same arguments give the same bytes. `progress(done, updates)` is called after every update. The
    optimiser starts afresh. `teacher_folder` is read only if the objective uses a teacher's distributions, `labels` are
    the folders that hold those of the given texts if it has them cached (see `soft_labels`); `bases` returns the
    folder of the weights, named by their hash, that a student's adapter was trained on. The fit keeps checkpoints in
    `work` and goes on from the last one; on a CPU that gives the same bytes as a fit that nobody interrupted. A batch
    that does not fit into the GPU's memory is split into more forward passes. A schedule of several processes has them
    launched, and `report_to` names services that are told the losses. Raises TrainingError before anything is written
    if the data or the teacher cannot be trained on as it is, or when a loss is no longer finite.
    """
    if job.schedule.launched:
        return launched(job, work, save_every_s)
    return here(job, work, save_every_s)


def here(job: Job, folder: Path, save_every_s: float) -> list[Mark]:
    """Train in this process."""
    with importing():  # first of all, so that the whole of the loading goes uncollected
        import_module("harness.training.distiller")

    demand_device(job.schedule.device)
    fitting = Fitting(job)
    while True:
        try:
            return fitting.attempt(Checkpoints(folder), save_every_s)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            fitting.micro_batches = more_parts(job.schedule.batch, fitting.micro_batches, str(error))
            tell_split(fitting.micro_batches)
        finally:  # outside of the clause above, whose error holds the tensors of the failed attempt
            release(job.schedule.device)


def tell_split(parts: int) -> None:
    """Tell the log that memory was lacking; where a fit ends, its mark says so too."""
    logging.getLogger(__name__).warning("out of memory: an update is now split into %d forward passes", parts)


def out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was what an attempt lacked; some libraries have only words for it."""
    import torch

    said = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(one in str(error) for one in said)


def more_parts(batch: int, parts: int, reason: str) -> int:
    """Return into how many forward passes to split `batch` rows next; TrainingError where one row is too large."""
    more = [one for one in range(parts + 1, batch + 1) if not batch % one]
    if not more:
        raise TrainingError(
            f"out of memory with one example in a forward pass ({reason}). Lower train.max_tokens, or take a "
            "smaller student or a larger device."
        )
    return next((one for one in more if one >= 2 * parts), more[-1])


class Fitting:
    """One fit, tried as often as its memory makes it necessary."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.micro_batches = job.schedule.micro_batches

    def attempt(self, kept: Checkpoints, save_every_s: float) -> list[Mark]:
        """Run once, with the threads of the schedule and without touching the caller's randomness."""
        job = self.job
        with computing(job.schedule.device, job.schedule.threads), own_randomness(job.schedule.device):
            try:
                return self.run(kept, save_every_s)
            except NotFinite as error:
                rows = [asdict(job.data.examples[index]) for index in error.examples]
                where = f" The batch is in {kept.save_broken(rows)}." if save_every_s < math.inf else ""
                raise TrainingError(f"{error}{where}") from error

    def run(self, kept: Checkpoints, save_every_s: float) -> list[Mark]:
        """Train from the last checkpoint, or from the beginning, to the end."""
        from harness.training.distiller import Watcher, build
        from harness.training.layout import Layout

        job, schedule, objective = self.job, self.job.schedule, self.job.objective
        tokenizer = read_tokenizer(job.model_folder)
        device = "cpu" if schedule.launched else schedule.device  # several processes know their devices later
        lead = lead_of(objective, tokenizer, packing=schedule.packing)
        found_rows = encoded(job, tokenizer, lead)
        labels = cache_of(job)
        model, write_out = self.trained_model(tokenizer, device)
        teacher = read_teacher(job.teacher_folder, tokenizer, device) if objective.live else None
        for one in (model, teacher) if schedule.packing else ():
            if one is not None:
                demand_packing(one)
        rows = found_rows.rows
        if objective.uses_reference:
            rows = with_reference(model, rows, padding(tokenizer), schedule.batch, bf16=schedule.bf16)
        batches = plan(rows, job.data.order, schedule.updates, schedule.batch, job.seed)
        job = within_tokens(job, [sum(rows[index].forward_tokens for index in batch) for batch in batches])
        schedule, batches = job.schedule, batches[: job.schedule.updates]
        found = kept.last()
        position = found[1] if found else Position()
        self.micro_batches = position.micro_batches = max(position.micro_batches, self.micro_batches)
        layout = Layout(rows, batches, self.micro_batches, padding(tokenizer), schedule.packing, labels)
        own = self.own_texts(model, tokenizer, room_of(job, lead)[0])
        trainer = build(model, objective, schedule, job.seed, layout, str(kept.folder), teacher, own, job.report_to)
        trainer.lead = lead
        cached = {} if labels is None else labels_told(labels, rows, objective)
        recorder = Recorder(job, trainer, found_rows, batches, kept, position, write_out, cached)
        trainer.add_callback(Watcher(recorder, schedule.all_marks, schedule.restarts, save_every_s))
        trainer.train(resume_from_checkpoint=str(found[0]) if found else None)
        done = trainer.state.global_step
        assert done == schedule.updates, f"{done} of {schedule.updates} updates"
        return position.marks

    def trained_model(self, tokenizer: PreTrainedTokenizerBase, device: str) -> tuple[PreTrainedModel, WriteOut]:
        """Return the model that is trained, float32 whatever it computes in, and what writes it out as a student."""
        job = self.job
        if job.schedule.lora is None:
            model = read_model(job.model_folder, device, dtype="float32")
            return model, lambda folder, weights: write(model, tokenizer, folder, weights)
        adapted = Adapted(job.model_folder, job.schedule.lora, device, job.bases, job.seed)
        return adapted.model, lambda folder, weights: adapted.write(tokenizer, folder)

    def own_texts(
        self, model: Any, tokenizer: PreTrainedTokenizerBase, max_tokens: int
    ) -> tuple[OwnTexts, Loaded] | None:
        """Return what draws the student's own texts, if the objective uses them."""
        objective, schedule = self.job.objective, self.job.schedule
        soft = objective.soft
        if soft is None or not own_updates(schedule.updates, objective.own_texts):
            return None
        most = soft.max_new_tokens or max_tokens
        texts = OwnTexts(schedule.updates, soft.on_policy, soft.temperature, most, max_tokens, self.job.seed)
        ends, device = end_tokens(model, tokenizer), str(model.device)
        return texts, Loaded(model, tokenizer, device, schedule.threads, max_tokens, ends, padding(tokenizer))


def with_reference(model: PreTrainedModel, rows: list[TokenRow], pad: int, batch: int, *, bf16: bool) -> list[TokenRow]:
    """Score every pair's two texts, end tokens included, under the model as it stands, in the format of its training.

    A reference in another format would differ from the student before the first update already.
    """
    import torch

    from harness.students.logp import token_logp
    from harness.training.losses import sequence_logp

    found, was_training = list(rows), model.training
    pairs = sorted((place for place, row in enumerate(rows) if row.rejected is not None), key=lambda k: rows[k].length)
    model.eval()
    with torch.no_grad(), torch.autocast(model.device.type, torch.bfloat16, enabled=bf16):
        for start in range(0, len(pairs), batch):
            places = pairs[start : start + batch]
            part = collate([rows[place] for place in places], pad)
            ids, mask = part.ids.to(model.device), part.mask.to(model.device)
            scores: list[float] = sequence_logp(token_logp(model, ids, mask), mask).tolist()  # completions, rejected
            for row, place in enumerate(places):
                found[place] = replace(rows[place], reference=(scores[row], scores[len(places) + row]))
    model.train(was_training)
    return found


def cache_of(job: Job) -> LogitCache | None:
    """Return the cached distributions that a fit reads, if it reads such."""
    if not job.objective.cached:
        return None
    if not job.labels:
        assert job.objective.soft is not None
        raise TrainingError(
            f"train.logits_top_k={job.objective.soft.top_k}: the teacher's distributions are read from a cache, and "
            "none was given. Give `labels`, the folders that hold them, or say train.logits_top_k=0."
        )
    return LogitCache(job.labels)


def labels_told(cache: LogitCache, rows: Sequence[TokenRow], objective: Objective) -> dict[str, int]:
    """Return how many labels of the rows were cached, and how many of them the tokens not kept would have been."""
    assert objective.soft is not None
    kept = [cache.get(row.prompt, row.completion) for row in rows]
    count, mass = sum(len(one.tail) for one in kept), sum(len(one.tail) * one.mass for one in kept)
    told = f"soft labels read from a cache of top {objective.soft.top_k}"
    return {told: count, f"{told}, teacher's mass outside it in labels": round(count - mass)}


def demand_device(device: str) -> None:
    """Raise unless the device is there, and is one: the library would split batches over several on its own."""
    import torch

    if device == "cuda" and torch.cuda.device_count() != 1:
        raise TrainingError(
            f"device=cuda: {torch.cuda.device_count()} CUDA devices are visible, expected one. Set "
            "CUDA_VISIBLE_DEVICES, or say device=cpu."
        )
