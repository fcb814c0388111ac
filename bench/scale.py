"""Times what grows, each by factors of ten: the store, problems, samples, rows, cells; and on paper, a cluster.

    python bench/scale.py [--axis store,problems,samples,rows,cells,workers] [--quick] [--json]
    python bench/scale.py --axis store --steps 1000000 [--store URL --artifacts PLACE]
    python bench/scale.py --axis workers --ray       Ray beside local processes: as many, on a cluster of this machine
    python bench/scale.py --model                    100 recipes x 5 seeds x 3 cycles of a 7B student on 64 GPUs

`store`: synthetic answers of half a kilobyte under real keys; a lookup is of one key drawn at random, a batch is 100
new answers with their claims. `problems`: judged as text, once anew and once from the store. `samples`: per problem, of
100 problems, written as a cell writes them. `rows`: of 100 problems, written and read. `cells`: a sweep of seeds
resolved, and empty cells run. Each size is measured in a process of its own, so that its memory is its own; problems,
samples and rows are all that process's work and told in CPU time, which neighbours do not lengthen. `--model` measures
what it can in seconds, states what it assumes, and tells which resource is short first.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.comparison.driver import available_cores
from harness.executors import local
from harness.executors.local import Job
from harness.sandbox import Sandbox
from harness.sandbox.speed import measure as measure_sandbox
from harness.settings.config import Judging
from harness.settings.resolve import resolve
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.store.keys import Json, digest
from harness.store.rows import read_rows, row_to_json, write_lines
from harness.store.steps import Step, run
from harness.types import Problem, Row, Text

BATCH, LOOKUPS = 100, 200
STEP = Step("answers", 1, {"teacher": "synthetic"})
TEXT = "    return sorted(set(values))\n" * 16
EMPTY = "import sys\nsys.stdin.readline()\n"
SPIN = "import sys\nsys.stdin.readline()\nsum(number * number for number in range(12_000_000))\n"
Figures = dict[str, Any]


def filled(store: Store, have: int, wanted: int) -> None:
    """Add steps up to a number of them, many in a transaction."""
    for start in range(have, wanted, 5000):
        rows: list[tuple[str, str, dict[str, Json], float]] = [
            (STEP.key(number), STEP.kind, {"text": TEXT, "number": number}, 0.1)
            for number in range(start, min(start + 5000, wanted))
        ]
        store.put(rows)


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cpu_of(work: Callable[[], object]) -> float:
    """Return the CPU seconds of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


def memory_mib() -> float:
    """Return the most memory that this process had. Not ru_maxrss where /proc is: it counts the parent before exec."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024


def store_of(place: str, artifacts: str, steps: int, rng: random.Random) -> Figures:
    began = time.perf_counter()
    with Store(place, artifacts) as store:
        opened_s = time.perf_counter() - began
        keys = [STEP.key(rng.randrange(steps)) for _ in range(LOOKUPS)]
        lookups = [timed(lambda key=key: store.get([key])) for key in keys]
        counted_s = timed(store.count)
        batches: list[float] = []
        for turn in range(5):
            items: list[Json] = [digest([steps, turn, number]) for number in range(BATCH)]
            batches.append(
                timed(lambda items=items: run(store, STEP, items, lambda todo: ((one, {"text": TEXT}) for one in todo)))
            )
    size = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file()) if "://" not in place else 0
    return {
        "steps": steps,
        "open ms": 1e3 * opened_s,
        "lookup ms": 1e3 * statistics.median(lookups),
        "count ms": 1e3 * counted_s,
        f"{BATCH} new ms": 1e3 * statistics.median(batches),
        "disk MiB": size / 2**20,
        "memory MiB": memory_mib(),
    }


def problems_of(size: int, folder: Path) -> Figures:
    pairs = [
        (Problem(f"p/{one}", f"print({one})\n", "", Text(f"{one}\n", "numbers"), ""), f"{one}\n") for one in range(size)
    ]
    with Sandbox(workers=1) as sandbox:
        level = sandbox.level
    with Store(folder / "store") as store, StepEngine(store, Judging(), level) as engine:
        anew_s = cpu_of(lambda: engine.judge(pairs, 1.0))
        again_s = cpu_of(lambda: engine.judge(pairs, 1.0))
    return {
        "problems": size,
        "judged CPU s": anew_s,
        "again CPU s": again_s,
        "us each": 1e6 * anew_s / size,
        "again us": 1e6 * again_s / size,
        "memory MiB": memory_mib(),
    }


def samples_of(size: int, folder: Path) -> Figures:
    lines = (
        {"task_id": f"p/{problem}", "index": index, "completion": TEXT, "passed": True, "status": "passed"}
        for problem in range(100)
        for index in range(size)
    )
    took = cpu_of(lambda: write_lines(folder / "samples.jsonl", lines))
    return {"samples": size, "write CPU s": took, "us each": 1e4 * took / size, "memory MiB": memory_mib()}


def rows_of(size: int, folder: Path) -> Figures:
    one = Row("r", {}, 0, 1, "b", "h", {"rule": "strict"}, 100, 1, (1,) * 100, (), 0, {"passed": 100}, "w")
    wrote = cpu_of(lambda: write_lines(folder / "rows.jsonl", (row_to_json(one) for _ in range(size))))
    read = cpu_of(lambda: read_rows(folder / "rows.jsonl"))
    return {
        "rows": size,
        "write CPU s": wrote,
        "read CPU s": read,
        "write us": 1e6 * wrote / size,
        "read us": 1e6 * read / size,
        "memory MiB": memory_mib(),
    }


def jobs_of(count: int, body: str, folder: Path) -> list[Job]:
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "scale_job.py").write_text(body)
    return [Job("scale_job", {}, folder / "logs" / f"{one}.log", folder) for one in range(count)]


def ended_well(events: local.Events) -> None:
    """Run jobs to their end."""
    for _, event in events:
        assert event.get("code", 0) == 0, event


def cells_of(size: int, folder: Path) -> Figures:
    resolved_s = timed(lambda: resolve(["recipe=iterkd", f"seed=range(0,{size})"]))
    jobs = jobs_of(size, EMPTY, folder)
    ran_s = timed(lambda: ended_well(local.run(jobs, available_cores(), {"PYTHONPATH": str(folder)})))
    return {
        "cells": size,
        "resolved s": resolved_s,
        "empty cells s": ran_s,
        "ms a cell": 1e3 * (resolved_s + ran_s) / size,
        "memory MiB": memory_mib(),
    }


AXES: dict[str, tuple[Callable[[int, Path], Figures], tuple[int, ...]]] = {
    "problems": (problems_of, (100, 1_000, 10_000, 100_000)),
    "samples": (samples_of, (1, 10, 100, 1_000)),
    "rows": (rows_of, (100, 1_000, 10_000, 100_000)),
    "cells": (cells_of, (10, 100, 1_000)),
}
QUICK = {"problems": 3, "samples": 3, "rows": 3, "cells": 1}  # sizes of each axis with --quick


def alone(axis: str, size: int) -> Figures:
    """Measure one size in a process of its own."""
    # -P: this folder has a recipes.py of its own
    command = [sys.executable, "-P", __file__, "--size", axis, str(size)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def workers(folder: Path, with_ray: bool) -> list[Figures]:
    """Run the same busy jobs by one local process at a time, by two, and by two on a Ray cluster of this machine."""
    jobs, environment = jobs_of(4, SPIN, folder), {"PYTHONPATH": str(folder)}
    one_s = timed(lambda: ended_well(local.run(jobs, 1, environment)))
    two_s = timed(lambda: ended_well(local.run(jobs, 2, environment)))
    found: list[Figures] = [
        {"workers": "1 local", "seconds": one_s, "efficiency": 1.0},
        {"workers": "2 local", "seconds": two_s, "efficiency": one_s / (2 * two_s)},
    ]
    if with_ray:
        from harness.executors import ray

        ray.connect("local")
        ended_well(ray.run(jobs[:2], 2, environment, 0))  # starts Ray's own processes
        ray_s = timed(lambda: ended_well(ray.run(jobs, 2, environment, 0)))
        found.append({"workers": "2 on Ray", "seconds": ray_s, "efficiency": one_s / (2 * ray_s)})
    return found


def table(found: list[Figures], first: bool = True) -> None:
    if first:
        print("".join(f"{name:>14}" for name in found[0]))
    for one in found:
        values = [f"{v:,.2f}" if isinstance(v, float) else f"{v:,}" if isinstance(v, int) else v for v in one.values()]
        print("".join(f"{value:>14}" for value in values), flush=True)


def store_axis(options: argparse.Namespace) -> list[Figures]:
    most, rng = 10_000 if options.quick else options.steps, random.Random(0)
    found: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        place, have, steps = options.store or folder, 0, 1000
        while steps <= most:
            with Store(place, options.artifacts) as store:
                filled(store, have, steps)
            found.append(store_of(place, options.artifacts, steps, rng))
            have, steps = steps, 10 * steps
            if not options.json:
                table(found[-1:], first=len(found) == 1)
    return found


def axis_of(name: str, options: argparse.Namespace) -> list[Figures]:
    if not options.json:
        print(f"\n{name}")
    if name == "store":
        return store_axis(options)
    if name == "workers":
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            found = workers(Path(folder), options.ray)
        if not options.json:
            table(found)
        return found
    found = []
    for size in AXES[name][1][: QUICK[name] if options.quick else None]:
        found.append(alone(name, size))
        if not options.json:
            table(found[-1:], first=len(found) == 1)
    return found


def measured_costs() -> dict[str, float]:
    """Return what the model takes from this machine: seconds of a step's commit, of a program, of hashing; bytes."""
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        with Store(folder) as store:
            filled(store, 0, 10_000)
        figures = store_of(folder, "", 10_000, random.Random(0))
    block = bytes(64 << 20)
    return {
        "commit_s": figures[f"{BATCH} new ms"] / 1e3 / BATCH,
        "step_bytes": figures["disk MiB"] * 2**20 / 10_000,
        "program_s": 1 / measure_sandbox(1, 1.0).rates[1],
        "cell_s": alone("cells", 10)["ms a cell"] / 1e3,
        "hash_bytes_s": len(block) / timed(lambda: hashlib.sha256(block).digest()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axis", default="store,problems,samples,rows,cells,workers", help="which, by commas")
    parser.add_argument("--steps", type=int, default=1_000_000, help="the largest store")
    parser.add_argument("--store", default="", help="a postgresql:// URL in place of SQLite")
    parser.add_argument("--artifacts", default="", help="with --store")
    parser.add_argument("--ray", action="store_true", help="of workers: Ray too")
    parser.add_argument("--model", action="store_true", help="the paper model alone")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--size", nargs=2, metavar=("AXIS", "N"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = [*AXES, "store", "workers"]
    wrong = [name for name in options.axis.split(",") if name not in names]
    if wrong:
        parser.error(f"--axis {','.join(wrong)}: expected {', '.join(names)}")
    if options.size:
        with tempfile.TemporaryDirectory(prefix="scale-") as folder:
            print(json.dumps(AXES[options.size[0]][0](int(options.size[1]), Path(folder))))
    elif options.model:
        from paper_model import Plan, costs, shown

        found = costs(Plan(), measured_costs())
        print(json.dumps(found) if options.json else shown(Plan(), found))
    else:
        found = {name: axis_of(name, options) for name in options.axis.split(",")}
        if options.json:
            print(json.dumps(found))


if __name__ == "__main__":
    main()
