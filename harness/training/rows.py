"""Which rows a fit trains on: its examples as tokens, within the room of the student and of a teacher of logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.students.checkpoint import configured_positions
from harness.training.batches import Encoded, encode
from harness.training.job import Job
from harness.training.packing import Lead

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def room_of(job: Job, lead: Lead | None) -> tuple[int, str]:
    """Return how many tokens an example may have, and what says so."""
    rooms = {
        "train.max_tokens": job.schedule.max_tokens,
        "the student's positions": configured_positions(job.model_folder),
    }
    if job.objective.uses_teacher and job.teacher_folder is not None:
        read_before = 0 if lead is None else len(lead.ids)
        rooms["the teacher's positions"] = configured_positions(job.teacher_folder) - read_before
    limit = min(rooms, key=lambda name: rooms[name])
    return rooms[limit], limit


def encoded(job: Job, tokenizer: PreTrainedTokenizerBase, lead: Lead | None) -> Encoded:
    """Return the rows of a fit. Raises TrainingError for data that cannot be trained on."""
    most, limit = room_of(job, lead)
    return encode(
        job.data,
        tokenizer,
        pairs=job.objective.uses_pairs,
        max_tokens=most,
        limit=limit,
        aligned=job.objective.uses_alignment,
    )
