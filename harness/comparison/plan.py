"""Rehearses a command without spending anything: what would run, what it would cost, what it could detect.

Recipes are pure between lab calls, so they are run for real against an engine that answers with stand-ins. The counts
are exact where a recipe does not look at results, and rest on the stated assumptions where it does.
"""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.benchmarks.base import Benchmark
from harness.comparison.base import BATCH, EMBEDDED, logits_source
from harness.comparison.compare import pool, teacher_of, terms
from harness.decontaminate import index_of
from harness.errors import HarnessError
from harness.lab import Lab
from harness.settings import catalog
from harness.settings.config import Cell, Command
from harness.settings.resolve import build
from harness.store.database import Record
from harness.store.keys import Json, digest
from harness.students.decoding import Decoding
from harness.teachers.base import Teacher
from harness.teachers.estimate import Asked, asked
from harness.teachers.requests import Answer, Corrupt, Judge, Pose, Rate, Refine, Request, Solve, Tests, request_key
from harness.training.objective import Objective
from harness.training.on_policy import own_updates
from harness.training.schedule import Schedule
from harness.types import Check, Problem, Sample, Spent, Student, TrainingSet, Verdict
from harness.world.grammar import SOURCE
from harness.world.student import SIZES

ATTEMPTS_PASS = 0.25  # share of the student's attempts assumed to pass
RIGHT, FAULTY, TRIED = "rehearsed = 1", "rehearsed = 2", "rehearsed = 3"  # no word that a recipe may object to

CHARACTERS = 2.6  # of a token of the embedded student in Pipelines programs; 1.3 in TinyPy's

LONGEST_S = 60.0  # a recipe whose loop ends on real verdicts only would be rehearsed for ever

# Seconds of one unit on one core with the embedded student, measured on the default run; they set the proportions of
# the progress display and the first guess of the time left. Real students move both by one common factor.
UNIT_S = {
    "checkpoint": 0.045,
    "samples": 0.005,
    "scores": 0.001,
    "verdicts": 0.004,
    "answers": 0.0007,
    "distributions": 0.004,  # a text through the embedded teacher
    "problems": 0.001,
}
START_S = 5.0  # until the command has looked at everything and a cell has loaded its libraries
READING_ALONG = 0.6  # of an update: what the embedded teacher adds to it (4.7 instead of 2.9 CPU s for 60 updates)


@dataclass(frozen=True)
class Forecast:
    """One cell's units by kind of step, and what the budget's counters would show at its end."""

    name: str
    units: dict[str, int]
    spent: Spent
    unknown: str = ""  # why the recipe could not be rehearsed
    calls: dict[str, Asked] = dataclasses.field(default_factory=dict[str, Asked])  # of a language model, by content
    base_s: float = 0.0  # of its seconds, those of the base student, which every other cell waits for

    @property
    def seconds(self) -> float:
        return sum(UNIT_S[kind] * count for kind, count in self.units.items())


class Rehearsal:
    """An engine that spends nothing: right answers are right, faulty ones fail, a share of attempts passes."""

    def __init__(self) -> None:
        self.units: Counter[str] = Counter()
        self.known: set[str] = set()
        self.questions: dict[str, Asked] = {}
        self.began = time.monotonic()

    def record(self, kind: str, content: Json, units: int = 1) -> Record:
        """Count a step's units, unless the recipe has needed the same step before."""
        if time.monotonic() - self.began > LONGEST_S:
            raise HarnessError(f"the rehearsal did not end within {LONGEST_S:g} s")
        key = digest([kind, content])
        if key not in self.known:
            self.known.add(key)
            self.units[kind] += units
        return Record(key, kind, {}, 0.0)

    def ask(self, teacher: Teacher, requests: Sequence[Request], seed: int) -> tuple[list[Answer], list[Record]]:
        for request in requests:
            self.questions.update(asked(teacher, request, seed))
        records = [self.record("answers", [seed, request_key(request)]) for request in requests]
        return [self.answer(request, record.key) for request, record in zip(requests, records, strict=True)], records

    def answer(self, request: Request, key: str) -> Answer:
        rng = random.Random(key)
        blank = Answer(request.kind, "", None, None, None, 0, 0, 0.0, "stop")
        if isinstance(request, Solve | Refine):
            return replace(blank, code=f"{request.problem.prompt}    {RIGHT}\n")
        if isinstance(request, Corrupt):
            return replace(blank, code=f"{request.problem.prompt}    {FAULTY}\n")
        if isinstance(request, Judge):
            return replace(blank, scores=(2.0 * rng.random(), *(rng.random() for _ in range(4))))
        if isinstance(request, Rate):
            return replace(blank, scores=(10.0 * rng.random(), 10.0 * rng.random()))
        if isinstance(request, Tests):
            return replace(blank, checks=(Check((), None, "anything"),))
        assert isinstance(request, Pose), request
        text = " ".join(f"{rng.getrandbits(40):x}" for _ in range(8))
        problem = Problem(f"rehearsed/{key}", f'def f(x):\n    """{text}"""\n', "f", (), "", 1, "rehearsal")
        return replace(blank, problem=problem)

    def sample(
        self, student: Student, prompts: Sequence[tuple[str, str]], decoding: Decoding, seed: int, batch: int
    ) -> tuple[list[list[Sample]], list[Record]]:
        content: Json = [student.weights, seed, dataclasses.asdict(decoding), [text for _, text in prompts]]
        record = self.record("samples", content, len(prompts) * decoding.n)
        text = f"    {TRIED}\n"
        return [[Sample(key, index, text, "stop", 0) for index in range(decoding.n)] for key, _ in prompts], [record]

    def judge(self, pairs: Sequence[tuple[Problem, str]], cpu_s: float) -> tuple[list[Verdict], list[Record]]:
        verdicts: list[Verdict] = []
        for problem, text in pairs:
            share = int(digest([problem.id, text])[:8], 16) / 16**8
            passed = RIGHT in text or (TRIED in text and share < ATTEMPTS_PASS)
            verdicts.append(Verdict("passed" if passed else "wrong", "", None, 0, 1, 0.0, 0.0, 0, "rehearsal"))
        return verdicts, [self.record("verdicts", [problem.id, text, checks(problem)]) for problem, text in pairs]

    def fit(
        self, student: Student, data: TrainingSet, objective: Objective, schedule: Schedule, seed: int
    ) -> tuple[list[Student], list[dict[str, Any]], Record]:
        pairs = sum(one.rejected is not None for one in data.examples) if objective.uses_pairs else 0
        schedule = schedule.within([schedule.batch * tokens_of(data, objective)] * schedule.updates)
        longer = round(schedule.updates * (1 + pairs / len(data.examples)))  # a faulty half is a second forward pass
        longer += round(READING_ALONG * schedule.updates) if objective.live else 0
        record = self.record("checkpoint", [student.weights, repr(data), repr(objective), repr(schedule), seed], longer)
        self.read_teacher(data, objective)
        drawn = schedule.batch * own_updates(schedule.updates, objective.own_texts)
        if drawn:
            self.record("samples", ["own texts", record.key], drawn)
        marks: list[dict[str, Any]] = [
            {
                "weights": f"{record.key}-{mark}",
                "update": mark,
                "tokens": 0,
                "examples": mark * schedule.batch,
                "own_texts": schedule.batch * own_updates(mark, objective.own_texts),
                "own_tokens": 0,
                "losses": {},
            }
            for mark in schedule.all_marks
        ]
        return [Student(student.name, mark["weights"]) for mark in marks], marks, record

    def read_teacher(self, data: TrainingSet, objective: Objective) -> None:
        """Count the texts whose distributions are to be cached, each once whichever fits train on it."""
        if objective.cached and objective.soft is not None:
            soft = objective.soft
            for one in data.examples:
                self.record("distributions", [soft.teacher, soft.lead, soft.top_k, one.prompt, one.completion])


def tokens_of(data: TrainingSet, objective: Objective) -> int:
    """Return about how many tokens an example has, a faulty half's included."""
    texts = [one.prompt + one.completion for one in data.examples]
    texts += [one.prompt + one.rejected for one in data.examples if one.rejected and objective.uses_pairs]
    return max(1, round(sum(map(len, texts)) / CHARACTERS / len(data.examples)))


def checks(problem: Problem) -> str:
    """Tell a problem's checks from none at all: a program that is only run is another step."""
    return "none" if problem.checks == () else "checks"


def forecast(command: Command, benchmarks: Sequence[Benchmark]) -> list[Forecast]:
    """Return what each job of the command would do, the untrained student's first."""
    run = command.run
    evaluation = Counter[str]()
    for benchmark in benchmarks:
        count = len(benchmark.problems) * (1 if benchmark.choice else run.decode.samples * run.decode.steps)
        evaluation.update({"scores": 2 * count} if benchmark.choice else {"samples": count, "verdicts": count})
    base = Counter({"checkpoint": -(-run.world.base_examples // BATCH)} if run.student in SIZES else {})
    pools: dict[int, tuple[Problem, ...]] = {}  # by seed: recipes share them
    base_s = UNIT_S["checkpoint"] * base["checkpoint"]
    found = [Forecast("untrained", dict(base + evaluation), Spent(), base_s=base_s)]
    for cell in command.cells:
        try:
            new = cell.seed not in pools
            if new:
                pools[cell.seed] = pool(command, cell, list(benchmarks), lambda event: None)[0]
            units, spent, calls = rehearse(command, cell, pools[cell.seed], list(benchmarks))
            units["problems"] += len(pools[cell.seed]) if new and run.problems == SOURCE else 0
        except (Exception, SystemExit) as err:  # a stand-in may be all that it cannot bear; the real run will tell
            found.append(Forecast(cell.name, {}, Spent(), unknown=f"{type(err).__name__}: {err}"))
            continue
        for _ in range(run.cycles):
            units.update(evaluation)
        found.append(Forecast(cell.name, dict(units), spent, calls=calls))
    return found


def rehearse(
    command: Command, cell: Cell, problems: tuple[Problem, ...], benchmarks: list[Benchmark]
) -> tuple[Counter[str], Spent, dict[str, Asked]]:
    recipe = catalog.find(cell.recipe)
    engine = Rehearsal()
    student = Student(command.run.student, "rehearsal")
    teacher = teacher_of(command.run, cell.recipe)

    def logits() -> Student:
        if logits_source(command.run, teacher) == EMBEDDED:
            engine.record("checkpoint", "teacher with logits", -(-command.run.world.teacher_examples // BATCH))
        return Student("teacher", "rehearsal's teacher")

    index = index_of(benchmarks)
    lab = Lab(engine, terms(command.run), student, problems, teacher, index, cell.seed, logits=logits)
    for _ in recipe.train(lab, build(type(recipe.config), dict(cell.config), [])):
        pass
    return engine.units, lab.spent, engine.questions
