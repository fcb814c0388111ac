"""Everything that one fit is given, and its way as JSON to processes of its own; it trains nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from harness.training.lora import named_base
from harness.training.objective import CONTRASTS, Objective, Soft
from harness.training.schedule import Lora, Mark, Schedule
from harness.types import Example, TrainingSet


@dataclass(frozen=True)
class Job:
    """A fit's arguments, as `trainer.fit` explains them."""

    model_folder: Path
    data: TrainingSet
    objective: Objective
    schedule: Schedule
    seed: int
    out: Callable[[int], Path]
    progress: Callable[[int, int], None] | None = None
    teacher_folder: Path | None = None
    bases: Callable[[str], Path] = Path
    report_to: tuple[str, ...] = ()
    labels: tuple[Path, ...] = ()  # folders of cached distributions, where the objective reads such


def within_tokens(job: Job, costs: Sequence[int]) -> Job:
    """Return the job less the updates that its schedule's tokens do not pay for; `costs` are those of each update."""
    schedule = job.schedule.within(costs)
    asked = dict(zip(schedule.all_marks, job.schedule.all_marks, strict=True))

    def out(update: int) -> Path:
        """Return where the mark was to be written that the tokens have moved to this update."""
        return job.out(asked[update])

    return replace(job, schedule=schedule, out=out)


def to_json(job: Job) -> dict[str, Any]:
    """Return a job as JSON has it; `progress` stays behind."""
    base = named_base(job.model_folder)
    contrast = job.objective.contrast
    return {
        "model_folder": str(job.model_folder.absolute()),
        "examples": [asdict(one) for one in job.data.examples],
        "order": job.data.order,
        "contrast": None if contrast is None else {"name": contrast.name, **asdict(contrast)},
        "soft": None if job.objective.soft is None else asdict(job.objective.soft),
        "schedule": asdict(job.schedule),
        "seed": job.seed,
        "outs": {mark: str(job.out(mark).absolute()) for mark in job.schedule.all_marks},
        "teacher_folder": None if job.teacher_folder is None else str(job.teacher_folder.absolute()),
        "bases": {} if base is None else {base: str(job.bases(base).absolute())},
        "report_to": list(job.report_to),
        "labels": [str(folder.absolute()) for folder in job.labels],
    }


def from_json(said: dict[str, Any], progress: Callable[[int, int], None]) -> Job:
    """Return the job that `to_json` wrote."""
    contrast = dict(said["contrast"] or {})
    return Job(
        Path(said["model_folder"]),
        TrainingSet(tuple(Example(**one) for one in said["examples"]), said["order"]),
        Objective(
            CONTRASTS[contrast.pop("name")](**contrast) if contrast else None,
            None if said["soft"] is None else Soft(**said["soft"]),
        ),
        Schedule(**schedule_fields(said["schedule"])),
        said["seed"],
        lambda update: Path(said["outs"][str(update)]),
        progress,
        None if said["teacher_folder"] is None else Path(said["teacher_folder"]),
        lambda weights: Path(said["bases"][weights]),
        tuple(said["report_to"]),
        tuple(Path(folder) for folder in said["labels"]),
    )


def schedule_fields(said: dict[str, Any]) -> dict[str, Any]:
    """Undo what JSON does to a schedule: it has no tuples and no dataclasses."""
    found = {name: tuple(one) if isinstance(one, list) else one for name, one in said.items()}
    if said["lora"] is not None:
        found["lora"] = Lora(**(said["lora"] | {"targets": tuple(said["lora"]["targets"])}))
    return found


def mark_to_json(mark: Mark) -> dict[str, Any]:
    return {**vars(mark), "folder": str(mark.folder)}


def mark_from_json(said: dict[str, Any]) -> Mark:
    return replace(Mark(**said), folder=Path(said["folder"]))


def write(job: Job, path: Path, **more: Any) -> None:
    """Write a job and what else its processes need to know."""
    path.write_text(json.dumps(to_json(job) | more))
