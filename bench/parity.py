"""Holds our verdicts against the official evaluators' on published completions, and lists every difference.

    python bench/parity.py --data DATA [--quick] [--only NAME] [--workers N] [--json]

DATA holds completions/NAME.samples.jsonl.gz and, beside it, NAME.BENCHMARK.verdicts.jsonl.gz for each benchmark that
the samples answer. Completions are judged as `harness eval` judges them by default (extractor=none), with the recorded
evaluators' limit of ten seconds, here of CPU time. `--quick` takes sets of up to 200 samples. What each difference
comes from is told in docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.benchmarks.base import Benchmark
from harness.benchmarks.registry import load
from harness.sandbox import Limits, Program, Sandbox
from harness.scoring.samples import problem_id
from harness.types import Problem

WHOLE = {"mbpp": "mbpp:all"}  # the recorded evaluators know no splits
LIMIT_S = 10.0
QUICK = 200


@dataclass(frozen=True)
class Difference:
    """A sample whose verdict is not the recorded one."""

    problem: str
    sample: int
    official: str
    ours: str

    def __str__(self) -> str:
        return f"{self.problem} sample {self.sample}: official {self.official}; ours {self.ours}"


@dataclass(frozen=True)
class Set:
    """Samples of one source on one benchmark, and what was recorded of them."""

    name: str
    benchmark: str
    samples: list[dict[str, Any]]
    recorded: dict[tuple[str, int], dict[str, Any]]  # by problem and index


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def sets(folder: Path, largest: int | None, only: str) -> Iterator[Set]:
    for path in sorted(folder.glob("*.verdicts.jsonl.gz")):
        stem = path.name.removesuffix(".verdicts.jsonl.gz")
        name = next(
            one.name.removesuffix(".samples.jsonl.gz")
            for one in sorted(folder.glob("*.samples.jsonl.gz"), key=lambda one: -len(one.name))
            if stem.startswith(one.name.removesuffix("samples.jsonl.gz"))
        )
        samples = lines(folder / f"{name}.samples.jsonl.gz")
        if only in stem and (largest is None or len(samples) <= largest):
            recorded = {(str(one["task_id"]), one["idx"]): one for one in lines(path)}
            yield Set(name, stem.removeprefix(f"{name}."), samples, recorded)


@cache
def benchmark_of(name: str, data: Path) -> tuple[Benchmark, dict[str, Problem]]:
    benchmark = load(WHOLE.get(name, name), data=data, extractor="none")
    return benchmark, {one.id: one for one in benchmark.problems}


def compared(one: Set, data: Path, sandbox: Sandbox) -> tuple[int, list[Difference]]:
    """Return how many samples pass here, and those whose verdict is not the recorded one."""
    benchmark, by_id = benchmark_of(one.benchmark, data)
    names = [problem_id(sample["task_id"], by_id) for sample in one.samples]
    texts = (sample["completion"] for sample in one.samples)
    pairs = (benchmark.judged(by_id[str(name)], text) for name, text in zip(names, texts, strict=True))
    programs = (Program(source, one.entry_point, one.checks, one.prompt, one.id, LIMIT_S) for one, source in pairs)
    passed, found = 0, list[Difference]()
    for place, verdict in sandbox.judge(programs):
        sample = one.samples[place]
        key = (str(sample["task_id"]), sample["idx"])
        passed += verdict.passed
        if verdict.passed != one.recorded[key]["passed"]:
            ours = f"{verdict.status} {verdict.reason}".strip()
            if verdict.first_fail:
                ours += (
                    f" ({verdict.first_fail.input} gave {verdict.first_fail.got}, not {verdict.first_fail.expected})"
                )
            found.append(Difference(*key, str(one.recorded[key]["result"])[:80], ours[:300]))
    return passed, sorted(found, key=lambda one: (one.problem, one.sample))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help=f"only sets of up to {QUICK} samples")
    parser.add_argument("--only", default="", help="only sets whose file name holds this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    table: dict[str, dict[str, Any]] = {}
    totals = [0, 0]
    with Sandbox(workers=options.workers, limits=Limits(cpu_s=LIMIT_S, wall_s=6 * LIMIT_S)) as sandbox:
        for one in sets(options.data / "completions", QUICK if options.quick else None, options.only):
            passed, found = compared(one, options.data, sandbox)
            official = sum(row["passed"] for row in one.recorded.values())
            totals = [totals[0] + len(one.samples), totals[1] + len(found)]
            table[f"{one.name} {one.benchmark}"] = {
                "samples": len(one.samples),
                "official": official,
                "ours": passed,
                "differences": [asdict(each) for each in found],
            }
            if not options.json:
                counts = f"{len(one.samples):>6} samples{official:>6} passed officially{passed:>6} here"
                print(f"{one.name:<38}{one.benchmark:<16}{counts}{len(found):>4} differ", flush=True)
                for each in found:
                    print(f"    {each}")
    print(json.dumps(table) if options.json else f"{totals[0]} samples, {totals[1]} verdicts differ")


if __name__ == "__main__":
    main()
