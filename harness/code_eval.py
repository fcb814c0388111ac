"""A drop-in for Hugging Face `evaluate`'s `code_eval` that judges in the sandbox and needs neither hub nor network.

    from harness.code_eval import CodeEval
    pass_at_k, results = CodeEval().compute(predictions=[["def add(a, b): return a + b"]],
                                            references=["assert add(2, 3) == 5"], k=[1])

Arguments and results are those of `code_eval`; `HF_ALLOW_CODE_EVAL` is not asked for, because a prediction cannot reach
the machine nor its own tests: references run in the judge, where a prediction's functions are called by proxy. It does
not give tests what it cannot give them safely: they may import the standard library alone.
"""

from __future__ import annotations

import ast
import builtins
import math
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from harness.errors import DataError, SandboxError
from harness.sandbox import Level, Limits, Program, Sandbox, Script
from harness.sandbox.judging.prepared import free_names
from harness.scoring.journal import result_of
from harness.stats.passk import pass_at_k

try:
    import datasets
    import evaluate
except ImportError as error:
    raise ImportError(
        "harness.code_eval needs the package `evaluate`: pip install 'distil-harness[code-eval]'"
    ) from error

WALL = 6.0  # times the CPU limit; a busy machine changes no verdict
LEAST: Level = "seatbelt" if sys.platform == "darwin" else "no-namespaces"  # of the levels that hold more than limits
NOTHING = "__doc__"  # an entry point that every program has, for a reference that calls none

Result = dict[str, Any]  # task_id, completion_id, passed, result

DESCRIPTION = "Estimates pass@k of generated programs, judged in a sandbox that they cannot fool."

ARGUMENTS = """
Args:
    predictions: for each problem a list of programs
    references: for each problem its tests, a text that calls the program's functions by name
    k: the k of pass@k; one is left out where a problem has fewer predictions
    num_workers: judges that work side by side, at most as many as there are cores
    timeout: CPU seconds of one program; wall time is six times as much
    minimum: the weakest isolation that is accepted; without it, anything but process-only
Returns:
    pass_at_k: {"pass@1": …}
    results: for each problem a list of (completion_id, {task_id, passed, result, completion_id})
Examples:
    >>> pass_at_k, results = CodeEval().compute(
    ...     references=["assert add(2,3)==5"], predictions=[["def add(a,b): return a*b", "def add(a,b): return a+b"]],
    ...     k=[1, 2])
    >>> pass_at_k
    {'pass@1': 0.5, 'pass@2': 1.0}
"""


class CodeEval(evaluate.Metric):
    """`evaluate.load("code_eval")`, safely."""

    def _info(self) -> evaluate.MetricInfo:
        strings = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=ARGUMENTS,
            features=datasets.Features({"predictions": datasets.Sequence(strings), "references": strings}),
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]  every metric names its own arguments
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[str],
        k: Sequence[int] = (1, 10, 100),
        num_workers: int = 4,
        timeout: float = 3.0,
        minimum: Level = LEAST,
    ) -> tuple[dict[str, float], defaultdict[int, list[tuple[int, Result]]]]:
        places = [(task, number) for task, own in enumerate(predictions) for number in range(len(own))]
        scripts = [Script(text, "asserts") for text in references]
        for task, text in enumerate(references):
            names_read(text, task)  # all of them, before anything starts

        def programs() -> Iterator[Program]:
            for task, number in places:
                source = predictions[task][number]
                entry = entry_point(references[task], task, source)
                yield Program(source, entry, scripts[task], id=f"predictions[{task}][{number}]")

        results: defaultdict[int, list[tuple[int, Result]]] = defaultdict(list)
        found: dict[int, Result] = {}
        limits = Limits(cpu_s=timeout, wall_s=WALL * timeout)
        workers = max(1, min(num_workers, os.cpu_count() or 1, len(places)))
        with Sandbox(workers, minimum=minimum, limits=limits) as sandbox:
            for place, verdict in sandbox.judge(programs()):
                task, number = places[place]
                if verdict.status == "infrastructure":
                    raise SandboxError(
                        f"predictions[{task}][{number}] could not be judged ({verdict.reason}); no score is made. If "
                        f"references[{task}] is a test that Python can run on its own, run harness doctor."
                    )
                told = {"task_id": task, "passed": verdict.passed, "result": result_of(verdict)}
                found[place] = {**told, "completion_id": number}
        for place, (task, number) in enumerate(places):
            results[task].append((number, found[place]))
        return pass_at_ks(results, k), results


def pass_at_ks(results: dict[int, list[tuple[int, Result]]], ks: Sequence[int]) -> dict[str, float]:
    """Return mean pass@k over the problems that have predictions, for every k that each of them has enough for."""
    counts = [(len(own), sum(one["passed"] for _, one in own)) for own in results.values()]
    enough = [k for k in ks if counts and all(n >= k for n, _ in counts)]
    return {f"pass@{k}": math.fsum(pass_at_k(n, c, k) for n, c in counts) / len(counts) for k in enough}


def entry_point(reference: str, task: int, program: str) -> str:
    """Return the name that tests call and do not define; of several the first, the others are called all the same.

    A name of Python's own (`sum`) is meant where there is no other and the program defines it.
    """
    unknown, known = names_read(reference, task)
    own = [name for name in known if re.search(rf"^(?:def|class)\s+{name}\b|^{name}\s*=", program, re.MULTILINE)]
    return next(iter((*unknown, *own)), NOTHING)


@lru_cache(4096)
def names_read(reference: str, task: int) -> tuple[list[str], list[str]]:
    """Return the names that tests read and nowhere define, and those of Python's own that they read, called ones first.

    Raises DataError for tests that cannot run.
    """
    try:
        tree = ast.parse(reference)
    except (SyntaxError, ValueError) as error:
        raise DataError(
            f"references[{task}]: not Python: {error}. Expected a test, like `assert f(1) == 2`."
        ) from error
    for module in imported(tree):
        if module not in sys.stdlib_module_names:
            raise DataError(
                f"references[{task}]: it imports {module}. Tests run in the judge, which has the standard library "
                "alone; compare plain values instead."
            )
    called = [node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    read = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names = list(dict.fromkeys(called + read))
    free = free_names(tree) - sys.stdlib_module_names
    return [name for name in names if name in free], [name for name in names if hasattr(builtins, name)]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
