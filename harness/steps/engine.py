"""Everything that costs something, as recorded steps: answers, samples, verdicts, checkpoints.

The engine knows no recipe, no budget and no benchmark; the lab (for recipes) and compare (for evaluation) call it.
Heavy parts (torch, the sandbox) start only when a step must really run, so a finished run is re-read in moments.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from harness.errors import SandboxError
from harness.sandbox import Level, Limits, Program, Sandbox
from harness.settings.config import Generating, Judging
from harness.steps import codec
from harness.store import steps
from harness.store.content import checks_hash
from harness.store.database import Record, Store
from harness.store.faults import told
from harness.store.keys import Json, digest
from harness.store.steps import Payload, Step
from harness.store.versions import fit_libraries, libraries, version_of
from harness.students.compute import release
from harness.students.decoding import Decoding, Generation
from harness.teachers.base import Teacher
from harness.teachers.composed import Composed
from harness.teachers.model import ModelTeacher
from harness.teachers.replay import ReplayedOracle
from harness.teachers.requests import Answer, Request, request_key
from harness.training import soft_labels
from harness.training.job import Job
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import Problem, Sample, Student, TrainingSet, Verdict

if TYPE_CHECKING:
    from harness.students.served import Served

# Code versions: raise one when the same inputs would give another result. A golden test forces it.
ANSWERS, SAMPLES, SCORES, VERDICTS, CHECKPOINT = 1, 1, 1, 3, 1
SERVED = 2  # of what a server is asked for, beside SAMPLES; 2: nothing is left to the model's generation_config.json


PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"  # that runs the candidates


@dataclass(frozen=True)
class Progress:
    """How far one call has come; `kind` is the step's kind."""

    kind: str
    done: int
    total: int


class Jail(Protocol):
    """What judges programs: a sandbox of this machine, or judges on others."""

    @property
    def level(self) -> str: ...

    def judge(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]: ...


OpenJail = Callable[[], AbstractContextManager[Jail]]


class Engine(Protocol):
    """What the lab and the evaluation call. Every method returns its records beside its results."""

    def ask(self, teacher: Teacher, requests: Sequence[Request], seed: int) -> tuple[list[Answer], list[Record]]: ...

    def sample(
        self, student: Student, prompts: Sequence[tuple[str, str]], decoding: Decoding, seed: int, batch: int
    ) -> tuple[list[list[Sample]], list[Record]]: ...

    def judge(self, pairs: Sequence[tuple[Problem, str]], cpu_s: float) -> tuple[list[Verdict], list[Record]]: ...

    def fit(
        self, student: Student, data: TrainingSet, objective: Objective, schedule: Schedule, seed: int
    ) -> tuple[list[Student], list[dict[str, Any]], Record]: ...


class StepEngine:
    """The real engine: one store, one jail for programs, the students loaded last."""

    def __init__(
        self,
        store: Store,
        judging: Judging,
        level: str,
        *,
        threads: int = 1,
        device: str = "cpu",
        report_to: tuple[str, ...] = (),
        generation: Generating | None = None,
        jail: OpenJail | None = None,
        progress: Callable[[Progress], None] = lambda event: None,
    ) -> None:
        self.store = store
        self.judging = judging
        self.level = level
        self.threads = threads
        self.device = device
        self.report_to = report_to
        self.generation = generation or Generating()
        self.progress = progress
        self.folders: dict[str, Path] = {}  # students that are not artifacts of the store: weights → folder
        self.resources = ExitStack()
        self.open_jail: OpenJail = jail or self.open_sandbox
        self.sandbox: Jail | None = None
        self.loaded: tuple[str, Any] | None = None
        self.server: tuple[str, Served] | None = None

    def __enter__(self) -> StepEngine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.unload()
        self.resources.close()

    def run(
        self,
        step: Step,
        items: Sequence[Json],
        compute: steps.Compute,
        weigh: Sequence[int] | None = None,
        committed: Callable[[list[str]], None] = lambda keys: None,
    ) -> list[Record]:
        """Run one step; `weigh` says how many units each item stands for in the progress display."""
        units = sum(weigh) if weigh else 0

        def done(n: int, total: int) -> None:
            self.progress(Progress(step.kind, round(n * units / total) if units else n, units or total))

        return steps.run(self.store, step, items, compute, done, committed)

    def ask(self, teacher: Teacher, requests: Sequence[Request], seed: int) -> tuple[list[Answer], list[Record]]:
        if isinstance(teacher, Composed):
            return teacher.ask(requests, lambda member, own: self.ask(member, own, seed))
        if isinstance(teacher, ModelTeacher):  # its steps are calls, and one answer may take several
            return teacher.ask(self.run, requests, seed)
        step = Step("answers", ANSWERS, {"teacher": teacher.name, "version": teacher.version, "seed": seed})

        def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
            if isinstance(teacher, ReplayedOracle):
                for index in todo:
                    yield index, teacher.payload(step.key(request_key(requests[index])), requests[index])
                return
            for position, answer in teacher.answer([requests[index] for index in todo], seed):
                yield todo[position], codec.answer_to_json(answer)

        records = self.run(step, [request_key(request) for request in requests], compute)
        return [codec.answer_from_json(record.payload) for record in records], records

    def sample(
        self, student: Student, prompts: Sequence[tuple[str, str]], decoding: Decoding, seed: int, batch: int
    ) -> tuple[list[list[Sample]], list[Record]]:
        """Return `decoding.n` samples of each (problem id, prompt). Prompts of like length are generated together;
        each such batch is an item of its own, so its composition is part of its key."""
        texts = [text for _, text in prompts for _ in range(decoding.n)]
        seeds = [row_seed(seed, text, row % decoding.n, decoding) for row, text in enumerate(texts)]
        order = sorted(range(len(texts)), key=lambda row: (len(texts[row]), texts[row], seeds[row], row))
        chunks = [order[start : start + batch] for start in range(0, len(order), batch)]
        shared: Json = {
            "weights": student.weights,
            "decoding": dataclasses.asdict(decoding),
            "threads": self.threads,
            "device": self.device,
            "libraries": libraries(),
        }
        if self.generation.backend != "transformers":
            from harness.students.served import drawn_by

            named = self.generation
            server = [named.command, named.options, SERVED] if named.backend == "vllm" else []
            shared["generation"] = [drawn_by(named.backend, named.command), *server]

        def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
            generate = self.generator(student)
            for number in todo:
                rows = chunks[number]
                made = generate([texts[row] for row in rows], decoding, [seeds[row] for row in rows])
                yield number, {"samples": [[one.text, one.finish_reason, one.tokens] for one in made]}

        items: list[Json] = [
            {"prompts": [texts[row] for row in rows], "seeds": [seeds[row] for row in rows]} for rows in chunks
        ]
        records = self.run(Step("samples", SAMPLES, shared), items, compute, [len(rows) for rows in chunks])
        made: dict[int, tuple[str, Any, int]] = {}
        for rows, record in zip(chunks, records, strict=True):
            made.update(zip(rows, record.payload["samples"], strict=True))
        found: list[list[Sample]] = []
        for place, (key, _) in enumerate(prompts):
            own = [made[place * decoding.n + index] for index in range(decoding.n)]
            found.append([Sample(key, index, *one) for index, one in enumerate(own)])
        return found, records

    def score(
        self, student: Student, pairs: Sequence[tuple[str, str]], batch: int
    ) -> tuple[list[tuple[float, int]], list[Record]]:
        """Return log q (nats) and tokens of each completion after its prompt, its end token included.

        As with samples, texts of like length are computed together and each such batch is an item.
        """
        order = sorted(range(len(pairs)), key=lambda row: (len(pairs[row][0]) + len(pairs[row][1]), pairs[row], row))
        chunks = [order[start : start + batch] for start in range(0, len(order), batch)]
        shared: Json = {
            "weights": student.weights,
            "threads": self.threads,
            "device": self.device,
            "libraries": libraries(),
        }

        def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
            from harness.students.engine import score

            for number in todo:
                found = score(self.load(student), [pairs[row] for row in chunks[number]])
                yield number, {"scores": [[math.fsum(logp), len(logp)] for logp in found]}

        items: list[Json] = [[list(pairs[row]) for row in rows] for rows in chunks]
        records = self.run(Step("scores", SCORES, shared), items, compute, [len(rows) for rows in chunks])
        scored: dict[int, tuple[float, int]] = {}
        for rows, record in zip(chunks, records, strict=True):
            scored.update(zip(rows, ((logp, tokens) for logp, tokens in record.payload["scores"]), strict=True))
        return [scored[row] for row in range(len(pairs))], records

    def generator(self, student: Student) -> Callable[[Sequence[str], Decoding, Sequence[int]], list[Generation]]:
        """Return what answers a batch of prompts by the student, as `generation.backend` says."""
        if self.generation.backend == "vllm":
            return self.serve(student).generate
        if self.generation.backend == "continuous":
            from harness.students.continuous import generate as at_once

            return partial(at_once, self.load(student))
        from harness.students.engine import generate

        return partial(generate, self.load(student))

    def serve(self, student: Student) -> Served:
        """Return the server of a student, started if it is not the last one; only one runs at a time."""
        if self.server is None or self.server[0] != student.weights:
            from harness.students.served import Served

            self.unload()
            log = self.store.artifacts.root / "logs" / f"serve-{student.weights[:12]}.log"
            named = self.generation
            server = Served(self.folder(student), named.command, named.options, log, named.start_s)
            self.server = (student.weights, server)
        return self.server[1]

    def unload(self) -> None:
        """Let go of the student at hand: what comes next may need the memory."""
        self.loaded = None
        if self.server is not None:
            self.server[1].close()
            self.server = None
        release(self.device)

    def load(self, student: Student) -> Any:
        """Return the student's model and tokenizer, keeping only the last one loaded."""
        if self.loaded is None or self.loaded[0] != student.weights:
            from harness.students.engine import load

            self.loaded = None  # let the old one go before the new one comes
            self.loaded = (student.weights, load(self.folder(student), device=self.device, threads=self.threads))
        return self.loaded[1]

    def folder(self, student: Student) -> Path:
        return self.folders.get(student.weights) or self.store.artifacts.path(student.weights)

    def teacher_folder(self, objective: Objective) -> Path | None:
        """Return where the weights lie whose distributions an objective names, if it uses any."""
        if objective.soft is None or not objective.uses_teacher or not objective.soft.teacher:
            return None
        return self.folder(Student("teacher", objective.soft.teacher))

    def judge(self, pairs: Sequence[tuple[Problem, str]], cpu_s: float) -> tuple[list[Verdict], list[Record]]:
        """Return the verdict of each (problem, whole program) on the problem's checks, within `cpu_s` CPU seconds."""
        limits = dataclasses.replace(self.limits(), cpu_s=cpu_s)
        shared: Json = {
            "limits": dataclasses.asdict(limits),
            "level": self.level,
            "python": PYTHON,
            "numpy": version_of("numpy").get("numpy"),  # which programs may import
        }
        items: list[Json] = [[program, problem.entry_point, checks_hash(problem)] for problem, program in pairs]

        def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
            programs = (program_of(*pairs[index], cpu_s) for index in todo)
            for position, verdict in self.jail().judge(programs):
                if verdict.status == "infrastructure":
                    raise SandboxError(
                        f"problem {pairs[todo[position]][0].id}: the sandbox failed twice ({verdict.reason}). No "
                        "score is made of this; run `harness doctor`, then the same command again."
                    )
                yield todo[position], codec.verdict_to_json(verdict)

        records = self.run(Step("verdicts", VERDICTS, shared), items, compute)
        return [codec.verdict_from_json(record.payload) for record in records], records

    def limits(self) -> Limits:
        return limits_of(self.judging)

    def open_sandbox(self) -> Sandbox:
        limits = self.limits()  # whatever the first program's: each says its own CPU limit
        strongest = cast("Level", self.level)  # weaker than what this machine grants where another one grants less
        return Sandbox(workers=1, minimum=self.judging.level, limits=limits, strongest=strongest)

    def jail(self) -> Jail:
        if self.sandbox is None:
            self.sandbox = self.resources.enter_context(self.open_jail())
            if self.sandbox.level != self.level:
                raise SandboxError(
                    f"the sandbox reached level {self.sandbox.level}, the run began at {self.level}. "
                    "Run `harness doctor`."
                )
        return self.sandbox

    def fit(
        self, student: Student, data: TrainingSet, objective: Objective, schedule: Schedule, seed: int
    ) -> tuple[list[Student], list[dict[str, Any]], Record]:
        """Train from `student` and return the student at each of the schedule's marks, with what was measured."""
        rows: Json = [[one.prompt, one.completion, one.rejected, one.weight] for one in data.examples]
        shared: Json = {
            "student": student.weights,
            "order": data.order,
            "objective": objective.key(),
            "schedule": schedule.key(),
            "seed": seed,
            "libraries": fit_libraries(adapter=schedule.lora is not None, launched=schedule.launched),
            **({"distributions": soft_labels.DISTRIBUTIONS} if objective.cached else {}),
        }

        def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
            from harness.training.trainer import run_job

            if self.device != "cpu":
                self.unload()
            with told(self.store.artifacts.root):
                work = self.store.artifacts.work(step.key(item))
                job = Job(
                    self.folder(student),
                    data,
                    objective,
                    schedule,
                    seed,
                    lambda update: work / "marks" / str(update),
                    lambda done, total: self.progress(Progress("checkpoint", done, total)),
                    self.teacher_folder(objective),
                    lambda weights: self.folder(Student(student.name, weights)),
                    self.report_to,
                )
                if objective.cached:
                    labels = soft_labels.labels_of(job, self.run, self.store.artifacts, libraries())
                    job = dataclasses.replace(job, labels=labels)
                marks = run_job(job, work)
            kept: list[Json] = []
            for mark in marks:
                with told(self.store.artifacts.root):
                    weights = self.store.artifacts.adopt_from(mark.folder)
                kept.append({"weights": weights, **mark.told()})
            yield todo[0], {"marks": kept}

        def committed(keys: list[str]) -> None:  # not before: a fit that was killed here would begin anew
            for key in keys:
                shutil.rmtree(self.store.artifacts.work(key), ignore_errors=True)

        step, item, total = Step("checkpoint", CHECKPOINT, shared), digest(rows), schedule.updates
        [record] = self.run(step, [item], compute, [total], committed)
        marks: list[dict[str, Any]] = record.payload["marks"]
        return [Student(student.name, mark["weights"]) for mark in marks], marks, record


def limits_of(judging: Judging) -> Limits:
    """Return the limits of every program of a run, before a program's own CPU limit."""
    return Limits(cpu_s=judging.cpu_s, wall_s=judging.wall_s, memory_bytes=judging.memory_mb * 2**20)


def program_of(problem: Problem, program: str, cpu_s: float) -> Program:
    """Return what the sandbox judges: a whole program on a problem's checks, within the larger of two CPU limits."""
    most = max(cpu_s, problem.cpu_s or 0.0)
    return Program(program, problem.entry_point, problem.checks, problem.prompt, problem.id, most)


def row_seed(seed: int, prompt: str, index: int, decoding: Decoding) -> int:
    """Return the seed of one sample: its own, so that neighbours in a batch do not change it. Greedy needs none."""
    if decoding.temperature == 0:
        return 0
    return int(digest([seed, prompt, index])[:12], 16)
