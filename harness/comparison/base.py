"""The models that a comparison starts from: the untrained student, and the teacher whose distributions can be read.

Either is an embedded one, made on first use, or a folder or hub id of one's own.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError, DataError, suggest
from harness.settings.config import Run
from harness.steps.engine import CHECKPOINT, StepEngine
from harness.store.artifacts import hash_folder
from harness.store.faults import told
from harness.store.keys import Json
from harness.store.steps import Payload, Step
from harness.store.versions import libraries
from harness.students.checkpoint import (
    configured_positions,
    demand_student,
    linear_layers,
    outline,
    read_tokenizer,
)
from harness.students.tokens import demand_known_tokens, demand_whole_texts, encode_prompts
from harness.teachers.base import Teacher
from harness.training.lora import ALL_LINEAR
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.training.whitebox import demand_same_tokens
from harness.types import Example, Student, TrainingSet
from harness.world.pool import WORLD_VERSION
from harness.world.student import SIZES, corpus, create, teacher_corpus
from harness.world.tinypy import TINYPY_VERSION
from harness.world.tinypy_student import SCRATCH
from harness.world.tinypy_student import create as create_of_characters

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BATCH, LEARNING_RATE, WARMUP = 16, 6e-3, 20  # measured best of a handful for 0.3M parameters
EMBEDDED = "embedded"  # the word for the embedded teacher with logits
TEACHER_SIZE, TEACHER_RATE = "tiny-0.5M", 4e-3


def base_student(engine: StepEngine, run: Run) -> Student:
    """Return the student that every recipe starts from; all seeds share it."""
    folder = student_folder(run)
    if run.student in SCRATCH:
        return blank(engine, run.student, run.world.base_seed)
    if folder is None:
        world = run.world

        def examples() -> tuple[Example, ...]:
            return corpus(world.base_examples, seed=world.base_seed)

        return embedded(engine, run, run.student, LEARNING_RATE, world.base_examples, world.base_examples, examples)
    return known(engine, run.student, folder)


def student_folder(run: Run) -> Path | None:
    """Return where the run's student lies, or None for an embedded one; UsageError where there is no such student."""
    return None if run.student in (*SIZES, *SCRATCH) else model_folder("student", run.student)


def logits_teacher(engine: StepEngine, run: Run, teacher: Teacher) -> Student:
    """Return the model whose distributions recipes can learn from, made now if it is the embedded one."""
    source = logits_source(run, teacher)
    if source == EMBEDDED:
        world = run.world

        def examples() -> tuple[Example, ...]:
            return teacher_corpus(world.teacher_examples, seed=world.base_seed)

        named: Json = {"of the teacher": world.teacher_examples}
        return embedded(engine, run, TEACHER_SIZE, TEACHER_RATE, world.teacher_examples, named, examples)
    return known(engine, source, model_folder("logits", source))


def logits_source(run: Run, teacher: Teacher) -> str:
    """Return which model's distributions can be read: `embedded`, or a folder or hub id; ConfigError where none can."""
    own = str(getattr(teacher, "logits", ""))  # a teacher that has them names its model
    embedded_world = run.student in SIZES and run.teacher.name == "oracle" and not run.teacher.solve
    source = run.logits or own or (EMBEDDED if embedded_world else "")
    if not source:
        raise ConfigError(
            f"teacher={run.teacher.label}: it gives texts only, and this recipe learns from a teacher's distributions. "
            f"Say logits=FOLDER with a model of the tokens of student={run.student}, or take a recipe of texts (seqkd)."
        )
    return source


def check_student(run: Run) -> None:
    """Raise UsageError for a student of one's own that could not be trained: its tokenizer, its layers for adapters."""
    folder = student_folder(run)
    if folder is not None:
        model = whole_model(f"student={run.student}", folder)
        demand_whole_texts(f"student={run.student}", read_tokenizer(folder))
        demand_targets(run, model)
    elif named_targets(run):
        with tempfile.TemporaryDirectory() as scratch:  # its layers are its family's, whatever it will have learned
            write_blank_student(run.student, Path(scratch), seed=0)
            demand_targets(run, outline(Path(scratch)))


def whole_model(name: str, folder: Path) -> PreTrainedModel:
    """Return the model in a folder, its weights' values apart; UsageError unless it has all of them and its tokens."""
    model = outline(folder)
    demand_known_tokens(name, read_tokenizer(folder), int(model.config.get_text_config().vocab_size))
    return model


def demand_room(run: Run, prompts: Sequence[str]) -> None:
    """Raise ConfigError where most training problems leave a student of one's own no room for an answer."""
    folder = student_folder(run)
    if folder is None:
        return
    rooms = {"train.max_tokens": run.train.max_tokens, f"student={run.student}": configured_positions(folder)}
    limit = min(rooms, key=lambda name: rooms[name])
    lengths = [len(ids) for ids in encode_prompts(read_tokenizer(folder), prompts)]
    long = [length for length in lengths if length >= rooms[limit]]
    if 2 * len(long) > len(lengths):
        raise ConfigError(
            f"{limit}: it holds {rooms[limit]} tokens, and {len(long)} of {len(lengths)} prompts of "
            f"problems={run.problems} have as many or more (up to {max(long)}). Take a student of more, shorter "
            "problems, or a higher train.max_tokens."
        )


def named_targets(run: Run) -> tuple[str, ...]:
    """Return the layers that are to get an adapter, where they are named one by one."""
    targets = run.train.lora.targets if run.train.lora.rank else (ALL_LINEAR,)
    return () if targets == (ALL_LINEAR,) else targets


def demand_targets(run: Run, model: PreTrainedModel) -> None:
    """Raise ConfigError unless every layer that is to get an adapter is one of the student's."""
    layers = linear_layers(model)
    for target in named_targets(run):
        if not any(f".{layer}".endswith(f".{target}") for layer in layers):
            near = suggest(target, {layer.rpartition(".")[2] for layer in layers})
            raise ConfigError(
                f"train.lora.targets={','.join(named_targets(run))}: student={run.student} has no layer {target}{near}."
                f" Name linear layers of it, or say {ALL_LINEAR} alone."
            )


def check_logits(run: Run, teacher: Teacher) -> None:
    """Raise UsageError unless there is a model to read distributions from and it has the student's tokens."""
    source = logits_source(run, teacher)
    folders = [student_folder(run), None if source == EMBEDDED else model_folder("logits", source)]
    if folders == [None, None] and run.student not in SCRATCH:
        return
    if folders[1] is not None:
        whole_model(f"logits={source}", folders[1])
    from harness.world import student, tinypy_student

    words = (tinypy_student if run.student in SCRATCH else student).tokenizer, student.tokenizer
    ours, theirs = (
        make() if folder is None else read_tokenizer(folder) for make, folder in zip(words, folders, strict=True)
    )
    demand_same_tokens(source, theirs, ours)


def model_folder(key: str, name: str) -> Path:
    """Return where a model lies that a key of the command names by folder or hub id."""
    folder = Path(name) if Path(name).is_dir() else from_hub(key, name)
    demand_student(folder, key)
    return folder


def known(engine: StepEngine, name: str, folder: Path) -> Student:
    """Return a model that lies in a folder of the user's as the engine knows it."""
    student = Student(name, hash_folder(folder))
    engine.folders[student.weights] = folder
    return student


def write_blank_student(size: str, folder: Path, seed: int) -> None:
    """Write an embedded student with random weights."""
    (create_of_characters if size in SCRATCH else create)(size, folder, seed=seed)


def blank(engine: StepEngine, size: str, seed: int) -> Student:
    """Create a tiny model with random weights, a recorded step."""

    def made(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        scratch = engine.store.artifacts.scratch(engine.store.owner.name)
        with told(engine.store.artifacts.root):  # a disk may be full
            write_blank_student(size, scratch, seed)
        yield todo[0], {"marks": [{"weights": engine.store.artifacts.adopt(scratch)}]}

    world = TINYPY_VERSION if size in SCRATCH else WORLD_VERSION  # of the world whose tokens it reads
    step = Step("checkpoint", 1, {"create": size, "seed": seed, "world": world})
    [record] = engine.run(step, ["blank"], made, [1])
    return Student(size, record.payload["marks"][0]["weights"])


def embedded(
    engine: StepEngine,
    run: Run,
    size: str,
    learning_rate: float,
    count: int,
    named: Json,
    examples: Callable[[], tuple[Example, ...]],
) -> Student:
    """Create a tiny model with random weights, then train it on its corpus; both are recorded steps.

    `named` stands for the corpus in the step's key: thousands of examples need not be drawn to be recognised.
    """
    world = run.world

    start = blank(engine, size, world.base_seed)
    updates = math.ceil(count / BATCH)
    schedule = Schedule(
        updates=updates,
        batch=BATCH,
        learning_rate=learning_rate,
        warmup=WARMUP,
        threads=engine.threads,
        device=engine.device,
        marks=(updates,),
    )

    def trained(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        students, _, _ = engine.fit(start, TrainingSet(examples()), Objective(), schedule, world.base_seed)
        yield todo[0], {"marks": [{"weights": students[-1].weights}]}

    content: Json = {
        "start": start.weights,
        "corpus": named,
        "seed": world.base_seed,
        "world": WORLD_VERSION,
        "schedule": schedule.key(),
        "libraries": libraries(),
    }
    [record] = engine.run(Step("checkpoint", CHECKPOINT, content), ["base"], trained, [updates])
    return Student(size, record.payload["marks"][-1]["weights"])


def from_hub(key: str, name: str) -> Path:
    """Return the local snapshot of a hub id, from the cache where it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as err:
        words = ", ".join((*SIZES, *SCRATCH)) if key == "student" else EMBEDDED
        raise DataError(
            f"{key}={name}: neither embedded ({words}), nor a folder here, nor a hub model that can be fetched now "
            f"({type(err).__name__}). Check the name, log in, or give a folder."
        ) from err
