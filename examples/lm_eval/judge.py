"""What the lm-evaluation-harness tasks in this folder call: our problems as their documents, our judge as their filter.

    lm_eval --model hf --model_args pretrained=MODEL --include_path examples/lm_eval --tasks humaneval_judged

All answers are judged in one call, side by side on the cores there are, in the sandbox; nothing of a model's text runs
in lm-evaluation-harness's process, so the tasks need no `--confirm_run_unsafe_code`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from datasets import Dataset, DatasetDict

from harness.benchmarks.base import Benchmark
from harness.benchmarks.registry import load
from harness.errors import SandboxError
from harness.sandbox import Limits, Program, Sandbox
from harness.steps.engine import program_of


@cache
def benchmark(name: str) -> Benchmark:
    """Load one of `harness benchmarks`; data=, if it needs any, is named by HARNESS_DATA."""
    return replace(load(name), extractor="auto")


def documents(benchmark_name: str = "humaneval", **_: Any) -> DatasetDict:
    """Return a benchmark's problems as documents; `benchmark_name` is the task's metadata."""
    found = benchmark(benchmark_name)
    rows = [{"benchmark": benchmark_name, "task_id": one.id, "prompt": found.prompt(one)} for one in found.problems]
    return DatasetDict({"test": Dataset.from_list(rows)})


def judged(answers: Sequence[Sequence[str]], documents: Iterable[Mapping[str, str]]) -> list[list[bool]]:
    """Return for each answer to each document whether its program passes: lm-evaluation-harness's custom filter."""
    asked = [(number, document, text) for number, document in enumerate(documents) for text in answers[number]]

    def programs() -> Iterator[Program]:
        for _, document, text in asked:
            found = benchmark(document["benchmark"])
            problem = next(one for one in found.problems if one.id == document["task_id"])
            yield program_of(*found.judged(problem, text), Limits.cpu_s)

    passed: list[bool] = [False] * len(asked)
    with Sandbox(os.cpu_count() or 1) as sandbox:
        for place, verdict in sandbox.judge(programs()):
            if verdict.status == "infrastructure":
                raise SandboxError(f"{asked[place][1]['task_id']}: {verdict.reason}. Run harness doctor.")
            passed[place] = verdict.passed
    found: list[list[bool]] = [[] for _ in answers]
    for (number, _, _), verdict in zip(asked, passed, strict=True):
        found[number].append(verdict)
    return found


def scores(document: Mapping[str, str], results: Sequence[Sequence[bool]]) -> dict[str, float]:
    """Return pass@1 of one document, the mean over its answers."""
    del document
    verdicts = results[0]
    return {"pass_at_1": sum(verdicts) / len(verdicts)}
