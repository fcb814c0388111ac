"""An Inspect task that asks our problems and calls our judge.

    inspect eval examples/inspect/judged.py --model openai/gpt-5-mini -T benchmark=humaneval
    inspect eval examples/inspect/judged.py --model vllm/MODEL -T benchmark=mbpp:test

A model's text runs in the sandbox of this project, never in Inspect's process, and needs no docker. Data, where a
benchmark needs any, is below HARNESS_DATA.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState, generate

from harness.benchmarks.base import Benchmark, Style
from harness.benchmarks.registry import load
from harness.errors import SandboxError
from harness.sandbox import Limits, Program, Sandbox
from harness.steps.engine import program_of
from harness.types import Verdict


@task
def judged(benchmark: str = "humaneval", style: Style = "instruct", errata: str = "keep") -> Task:
    """Ask every problem of a benchmark once."""
    found = load(benchmark, style=style, errata="exclude" if errata == "exclude" else "keep")
    samples = [Sample(id=one.id, input=found.prompt(one), target=one.reference) for one in found.problems]
    conditions = {"digest": found.digest, "style": found.style, "extractor": found.extractor, "rule": found.rule}
    return Task(
        dataset=MemoryDataset(samples, name=found.name),
        solver=generate(),
        scorer=by_judge(found),
        version=found.version,
        metadata=conditions,
    )


@scorer(metrics=[accuracy(), stderr()])
def by_judge(benchmark: Benchmark) -> Scorer:
    """Score by the verdict on the program that is found in an answer."""
    by_id = {one.id: one for one in benchmark.problems}
    judge = Judge()

    async def score(state: TaskState, target: Target) -> Score:
        del target
        text = state.output.completion
        problem, program = benchmark.judged(by_id[str(state.sample_id)], text)
        verdict = await judge.verdict(program_of(problem, program, Limits.cpu_s))
        value = CORRECT if verdict.passed else INCORRECT
        told: dict[str, Any] = {"status": verdict.status, "cpu_s": verdict.cpu_s, "isolation": verdict.level}
        return Score(value=value, answer=program, explanation=verdict.reason or verdict.status, metadata=told)

    return score


class Judge:
    """Judges one program at a time for each core; Inspect scores more than that at once."""

    def __init__(self) -> None:
        self.room = asyncio.Semaphore(os.cpu_count() or 1)

    async def verdict(self, program: Program) -> Verdict:
        async with self.room, Sandbox() as sandbox:  # opened for each: a tenth of a second beside a model's answer
            [found] = [verdict async for _, verdict in sandbox.judge_async([program])]
        if found.status == "infrastructure":
            raise SandboxError(f"{program.id}: {found.reason}. Run harness doctor.")
        return found
