"""Multi-step inference: a student repairs its own failed answers, told what running them on the shown checks said.

An answer that passes the feedback checks is copied to the next step byte for byte; any other is answered anew under the
prompt that `persd-refine` trains on. What counts is judged elsewhere, on all checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.benchmarks.base import Benchmark
from harness.settings.config import Run
from harness.steps.engine import Engine
from harness.store.database import Record
from harness.store.keys import digest
from harness.students.decoding import Decoding
from harness.teachers.feedback import feedback, repair_prompt, shown
from harness.types import Problem, Sample, Student, Text, Verdict

Answers = list[list[Sample]]  # of each problem, in the benchmark's order


@dataclass(frozen=True)
class Step:
    """The answers of one step and what they cost: samples, and runs on the feedback checks."""

    answers: Answers
    records: list[Record]


def can_repair(benchmark: Benchmark) -> bool:
    """Tell whether there are programs to repair, as continuations of a header; text, chat answers, choices are not."""
    written = benchmark.style != "instruct" and not benchmark.choice
    return written and not any(isinstance(one.checks, Text) for one in benchmark.problems)


def repaired(
    engine: Engine,
    run: Run,
    student: Student,
    benchmark: Benchmark,
    answers: Answers,
    verdicts: Sequence[Verdict],
    decoding: Decoding,
    seed: int,
) -> Step:
    """Return the next step's answers; `verdicts` are of these on all checks, in order, told only if the run says so."""
    flat = [(place, one) for place, own in enumerate(answers) for one in own]
    told, records = list(verdicts), list[Record]()
    if run.decode.feedback == "seen":
        seen = [shown(problem) for problem in benchmark.problems]
        pairs = [(seen[place], benchmark.program(seen[place], one.completion)) for place, one in flat]
        told, records = engine.judge(pairs, run.sandbox.cpu_s)
    failed = [row for row, verdict in enumerate(told) if not verdict.passed]
    found = [list(own) for own in answers]
    for index in range(decoding.n):  # each of a problem's samples is drawn apart, from a seed of its own
        rows = [row for row in failed if flat[row][1].index == index]
        prompts = [prompt(benchmark, benchmark.problems[flat[row][0]], flat[row][1], told[row]) for row in rows]
        own = int(digest(["repair", seed, index])[:8], 16)
        samples, drawn = engine.sample(student, prompts, replace(decoding, n=1), own, run.decode.batch)
        records += drawn
        for row, [sample] in zip(rows, samples, strict=True):
            found[flat[row][0]][index] = replace(sample, index=index)
    return Step(found, records)


def prompt(benchmark: Benchmark, problem: Problem, sample: Sample, verdict: Verdict) -> tuple[str, str]:
    """Return (problem id, text to continue) of one repair."""
    fail = verdict.first_fail
    open_fail = None if fail is None else replace(fail, visible=True)  # what is told here, the run lets be told
    text = repair_prompt(problem, sample.completion, feedback(replace(verdict, first_fail=open_fail)))
    return problem.id, benchmark.lead + text
