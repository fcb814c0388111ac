"""The untrained student of a comparison: an embedded one, made on first use, or a folder or hub id of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from harness.config import Run
from harness.engine import CHECKPOINT, StepEngine, libraries
from harness.errors import DataError
from harness.store.artifacts import hash_folder
from harness.store.keys import Json
from harness.store.steps import Payload, Step
from harness.students.checkpoint import demand_student
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import Student, TrainingSet
from harness.world.pool import WORLD_VERSION
from harness.world.student import SIZES, corpus, create

BATCH, LEARNING_RATE, WARMUP = 16, 6e-3, 20  # measured best of a handful for 0.3M parameters


def base_student(engine: StepEngine, run: Run) -> Student:
    """Return the student that every recipe starts from; all seeds share it."""
    folder = student_folder(run)
    if folder is None:
        return embedded(engine, run)
    student = Student(run.student, hash_folder(folder))
    engine.folders[student.weights] = folder
    return student


def student_folder(run: Run) -> Path | None:
    """Return where the run's student lies, or None for an embedded one; UsageError where there is no such student."""
    if run.student in SIZES:
        return None
    folder = Path(run.student) if Path(run.student).is_dir() else from_hub(run.student)
    demand_student(folder)
    return folder


def embedded(engine: StepEngine, run: Run) -> Student:
    """Create the tiny student with random weights, then train it on its corpus; both are recorded steps."""
    world = run.world

    def blank(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        scratch = engine.store.artifacts.scratch(engine.store.owner.name)
        create(run.student, scratch, seed=world.base_seed)
        yield todo[0], {"marks": [{"weights": engine.store.artifacts.adopt(scratch)}]}

    step = Step("checkpoint", 1, {"create": run.student, "seed": world.base_seed, "world": WORLD_VERSION})
    [record] = engine.run(step, ["blank"], blank, [1])
    start = Student(run.student, record.payload["marks"][0]["weights"])
    updates = math.ceil(world.base_examples / BATCH)
    schedule = Schedule(
        updates=updates,
        batch=BATCH,
        learning_rate=LEARNING_RATE,
        warmup=WARMUP,
        threads=engine.threads,
        device=engine.device,
        marks=(updates,),
    )

    def trained(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        data = TrainingSet(corpus(world.base_examples, seed=world.base_seed))
        students, _, _ = engine.fit(start, data, Objective(), schedule, world.base_seed)
        yield todo[0], {"marks": [{"weights": students[-1].weights}]}

    # By the corpus' name, not its content: nine thousand examples need not be written out again to be recognised.
    named: Json = {
        "start": start.weights,
        "corpus": world.base_examples,
        "seed": world.base_seed,
        "world": WORLD_VERSION,
        "schedule": schedule.key(),
        "libraries": libraries(),
    }
    [record] = engine.run(Step("checkpoint", CHECKPOINT, named), ["base"], trained, [updates])
    return Student(run.student, record.payload["marks"][-1]["weights"])


def from_hub(name: str) -> Path:
    """Return the local snapshot of a hub id, from the cache where it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as err:
        raise DataError(
            f"student={name}: neither an embedded size ({', '.join(SIZES)}), nor a folder here, nor a hub model that "
            f"can be fetched now ({type(err).__name__}). Check the name, log in, or give a folder."
        ) from err
