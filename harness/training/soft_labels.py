"""The soft labels of a fit: which texts need a teacher's distributions, how it gives them, the step that keeps them.

Every text goes through the teacher alone, so what is kept of it hangs on nothing else and is made once, whichever fits
train on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import TrainingError
from harness.store.artifacts import Artifacts
from harness.store.database import Record
from harness.store.faults import told
from harness.store.keys import Json
from harness.store.steps import Compute, Payload, Step
from harness.students.checkpoint import configuration, read_tokenizer
from harness.students.compute import computing, release
from harness.students.logp import CHUNK_ELEMENTS, label_states
from harness.training.job import Job
from harness.training.logit_cache import Kept, LogitWriter, keep, key_of
from harness.training.packing import Feed
from harness.training.rows import encoded
from harness.training.whitebox import lead_of, read_teacher

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.packing import Lead


DISTRIBUTIONS = 1  # code version of the step
TEXTS = 256  # whose distributions are kept in one folder; a kill loses at most these

Run = Callable[[Step, Sequence[Json], Compute], list[Record]]


def labels_of(job: Job, run: Run, artifacts: Artifacts, versions: dict[str, Json]) -> tuple[Path, ...]:
    """Return where the teacher's distributions at a fit's labels lie, made now where the store lacks a text's."""
    wanted = SoftLabels(job)
    keys = list(wanted.texts)

    def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        for start in range(0, len(todo), TEXTS):
            part = todo[start : start + TEXTS]
            scratch = artifacts.scratch(artifacts.owner)
            with told(artifacts.root):
                wanted.write(scratch, [keys[index] for index in part])
                name = artifacts.adopt(scratch)
            for index in part:
                yield index, {"distributions": name}

    shared: Json = {**wanted.key(), "libraries": versions}
    records = run(Step("distributions", DISTRIBUTIONS, shared), [*keys], compute)
    wanted.model = None  # its memory is the fit's now
    release(job.schedule.device)
    return tuple(artifacts.path(name) for name in dict.fromkeys(one.payload["distributions"] for one in records))


class SoftLabels:
    """What a fit that reads cached distributions has to have made."""

    def __init__(self, job: Job) -> None:
        """Find the fit's texts. Raises TrainingError, as the fit itself would, for data that cannot be trained on."""
        soft = job.objective.soft
        assert soft is not None, job.objective
        if job.teacher_folder is None:
            raise TrainingError(
                f"train.logits_top_k={soft.top_k}: no teacher whose distributions could be kept was given. Say "
                "logits=FOLDER, or take a recipe of texts (seqkd)."
            )
        self.tokenizer = read_tokenizer(job.model_folder)
        self.lead = lead_of(job.objective, self.tokenizer, packing=job.schedule.packing)
        rows = encoded(job, self.tokenizer, self.lead).rows
        self.texts = {key_of(row.prompt, row.completion): (row.prompt, row.completion) for row in rows}
        sizes = [int(configuration(one).vocab_size) for one in (job.model_folder, job.teacher_folder)]
        self.width = min(sizes)  # what two heads of one tokenizer have in common
        self.k = min(soft.top_k, self.width)
        self.soft, self.folder, self.schedule = soft, job.teacher_folder, job.schedule
        self.model: PreTrainedModel | None = None

    def key(self) -> dict[str, Json]:
        """Return what the distributions of every text depend on beside the text."""
        return {
            "teacher": self.soft.teacher,
            "lead": self.soft.lead,
            "k": self.k,
            "vocabulary": self.width,
            "threads": self.schedule.threads,
            "device": self.schedule.device,
        }

    def write(self, folder: Path, keys: Sequence[str]) -> None:
        """Write what the teacher says about some of the texts into an empty folder, one text at a time."""
        device, threads = self.schedule.device, self.schedule.threads
        with computing(device, threads), LogitWriter(folder, self.k, self.width) as writer:
            if self.model is None:
                self.model = read_teacher(self.folder, self.tokenizer, device)
            for key in keys:
                writer.add(key, distributions(self.model, *self.texts[key], self.lead, self.k, self.width))


def distributions(
    teacher: PreTrainedModel, prompt: list[int], completion: list[int], lead: Lead | None, k: int, width: int
) -> Kept:
    """Return what is kept of the teacher's distributions over the first `width` tokens, at each label of one text."""
    import numpy as np
    import torch

    ids = torch.tensor([prompt + completion], device=teacher.device)  # [1, L]
    mask = torch.zeros((1, ids.shape[1] - 1), dtype=torch.bool, device=teacher.device)  # [1, L-1]
    mask[0, len(prompt) - 1 :] = True
    feed = Feed(ids, mask, None, 1)
    feed = feed if lead is None else feed.behind(lead)
    with torch.inference_mode():
        states, head = label_states(teacher, feed.ids, feed.mask)  # [T, d]
        size = max(1, CHUNK_ELEMENTS // width)
        parts = [
            keep(head(states[at : at + size])[:, :width].float().log_softmax(dim=-1), k)
            for at in range(0, len(states), size)
        ]
    return Kept(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("ids", "logp", "tail")))
