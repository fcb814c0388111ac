"""How a student answers a benchmark of pairs: it takes the one of two given completions that it finds likelier.

Likelier is the higher mean log-probability of a token, the end token included, so that length decides nothing by
itself. What it takes is judged like an answer it wrote; a tie counts as the faulty one.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.benchmarks.base import Benchmark
from harness.steps.engine import StepEngine
from harness.store.database import Record
from harness.types import Sample, Student


def chosen(
    engine: StepEngine, student: Student, benchmark: Benchmark, prompts: Sequence[tuple[str, str]], batch: int
) -> tuple[list[list[Sample]], list[Record]]:
    """Return which completion the student takes of each problem's reference and fault, as its one sample."""
    both = [
        (prompt, text)
        for problem, (_, prompt) in zip(benchmark.problems, prompts, strict=True)
        for text in (problem.reference, problem.fault)
    ]
    scores, records = engine.score(student, both, batch)
    found: list[list[Sample]] = []
    for place, problem in enumerate(benchmark.problems):
        (right, right_tokens), (wrong, wrong_tokens) = scores[2 * place : 2 * place + 2]
        takes_right = right / right_tokens > wrong / wrong_tokens
        text, tokens = (problem.reference, right_tokens) if takes_right else (problem.fault, wrong_tokens)
        found.append([Sample(problem.id, 0, text, "stop", tokens)])
    return found, records
