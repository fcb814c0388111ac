"""Holds our verdicts against the official evaluators' on published completions, and lists every difference.

    python bench/parity.py --data DATA [--quick] [--json]

DATA holds completions/NAME.samples.jsonl.gz and NAME.BENCHMARK.verdicts.jsonl.gz. `--quick` takes the sets of up to
200 samples. Only benchmarks of this project are compared: HumanEval and MBPP.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.benchmarks.base import Benchmark
from harness.benchmarks.registry import load
from harness.sandbox import Limits, Program, Sandbox

BENCHMARKS = {"humaneval": "humaneval", "mbpp": "mbpp:all"}
LIMIT_S = 10.0  # as the recorded evaluators were run


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def sets(
    folder: Path, largest: int | None
) -> Iterator[tuple[str, str, list[dict[str, Any]], dict[tuple[str, int], bool]]]:
    """Yield (set, benchmark, samples, recorded verdicts by problem and index)."""
    for path in sorted(folder.glob("*.verdicts.jsonl.gz")):
        name, benchmark = path.name.removesuffix(".verdicts.jsonl.gz").rsplit(".", 1)
        if benchmark in BENCHMARKS:
            samples = lines(folder / f"{name}.samples.jsonl.gz")
            if largest is None or len(samples) <= largest:
                recorded = {(str(one["task_id"]), one["idx"]): one["passed"] for one in lines(path)}
                yield name, benchmark, samples, recorded


def program(benchmark: Benchmark, sample: dict[str, Any]) -> Program:
    """Return what the official evaluator runs: HumanEval's prompt and completion; MBPP's text as it stands."""
    by_id = {one.id: one for one in benchmark.problems}
    key = str(sample["task_id"])
    problem = by_id[key if key in by_id else f"Mbpp/{key}"]
    head = problem.prompt if benchmark.name == "humaneval" else ""
    return Program(head + sample["completion"], problem.entry_point, problem.checks, head, key)


def differences(
    benchmark: Benchmark, samples: list[dict[str, Any]], recorded: dict[tuple[str, int], bool], sandbox: Sandbox
) -> list[str]:
    """Return a line for each sample whose verdict is not the recorded one."""
    found: list[str] = []
    for place, verdict in sandbox.judge(program(benchmark, sample) for sample in samples):
        key = (str(samples[place]["task_id"]), samples[place]["idx"])
        if verdict.passed != recorded[key]:
            official = "passed" if recorded[key] else "failed"
            found.append(
                f"{key[0]} sample {key[1]}: official {official}, ours {verdict.status} ({verdict.reason[:60]})"
            )
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="only sets of up to 200 samples")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    table: dict[str, dict[str, Any]] = {}
    with Sandbox(workers=2, limits=Limits(cpu_s=LIMIT_S, wall_s=6 * LIMIT_S)) as sandbox:
        for name, key, samples, recorded in sets(options.data / "completions", 200 if options.quick else None):
            found = differences(load(BENCHMARKS[key], data=options.data), samples, recorded, sandbox)
            table[f"{name} {key}"] = {"samples": len(samples), "passed": sum(recorded.values()), "differences": found}
            if not options.json:
                print(
                    f"{name:<38}{key:<11}{len(samples):>6}{sum(recorded.values()):>8} passed{len(found):>4} differ",
                    flush=True,
                )
                for line in found:
                    print(f"    {line}")
    if options.json:
        print(json.dumps(table))


if __name__ == "__main__":
    main()
