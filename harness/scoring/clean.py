"""Leaves out of a file of training data what stands in a benchmark, and writes down what matched. It trains nothing.

A row is any JSON object: every text in it is checked, and what reads as a program in it (a text of its own, a fenced
block, a prompt with its completion).
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from harness.benchmarks.base import Benchmark
from harness.benchmarks.registry import available, load
from harness.decontaminate import Index, Match, index_of
from harness.errors import ConfigError, DataError
from harness.scoring.samples import numbered, object_of
from harness.settings.config import Run
from harness.source.programs import fenced

TRAINED_ON = (":train", ":prompt", ":all")  # splits
CHUNK = 500  # rows that a process checks at a time
AHEAD = 4  # chunks for each process that are read before the first of them is written
ANSWERS = ("completion", "canonical_solution", "solution", "code", "response", "output", "answer")
QUESTIONS = ("prompt", "instruction", "question", "text")

Found = tuple[int, tuple[Match, ...]]  # line, why it stands in a benchmark


@dataclass
class Cleaned:
    """What a file held: rows seen, rows left out, and why."""

    clean: Path
    hits: Path
    benchmarks: tuple[str, ...]
    absent: tuple[str, ...]  # benchmarks asked for by `all` whose data is not here
    seen: int = 0
    removed: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])  # rows by the kind of match; one row may have several
    sources: Counter[str] = field(default_factory=Counter[str])  # rows by the benchmark that matched first


def clean_file(path: Path, run: Run, progress: Callable[[int, int], None] | None = None) -> Cleaned:
    """Write `NAME.clean.jsonl` and `NAME.hits.jsonl` beside a file of JSON lines.

    Raises DataError for a file that cannot be read or written; nothing is left half-written then.
    """
    total = sum(1 for _ in numbered(path))
    if not total:
        raise DataError(f"{path}: no rows. Expected one JSON object per line.")
    benchmarks, absent = wanted(run)
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    found = Cleaned(
        path.with_name(f"{stem}.clean.jsonl"),
        path.with_name(f"{stem}.hits.jsonl"),
        tuple(one.name for one in benchmarks),
        absent,
    )
    drafts = [Path(f"{target}.{os.getpid()}.new") for target in (found.clean, found.hits)]
    try:
        with ExitStack() as stack:
            clean, hits = (stack.enter_context(opened(draft)) for draft in drafts)
            workers = run.workers or os.cpu_count() or 1
            for line, raw, matches in checked(path, index_of(benchmarks), workers):
                note(found, line, raw, matches, clean, hits)
                if progress:
                    progress(found.seen, total)
        for draft, target in zip(drafts, (found.clean, found.hits), strict=True):
            draft.replace(target)
    finally:
        for draft in drafts:
            with suppress(OSError):  # of a folder that cannot be written to
                draft.unlink(missing_ok=True)
    return found


def wanted(run: Run) -> tuple[list[Benchmark], tuple[str, ...]]:
    """Load the benchmarks of a run; `all` is every set to be measured on whose data is here, no split to train on."""
    data = Path(run.data) if run.data else None
    if run.benchmark != ("all",):
        if "all" in run.benchmark:
            raise ConfigError("benchmark=all: it means every benchmark. Say it alone.")
        return [load(name, size=run.world.test, data=data) for name in run.benchmark], ()
    here: list[Benchmark] = []
    absent: list[str] = []
    for name in measured(available()):
        try:
            here.append(load(name, size=run.world.test, data=data))
        except DataError:
            absent.append(name)
    return here, tuple(absent)


def measured(names: Sequence[str]) -> list[str]:
    """Return the names that nobody trains on: of a benchmark with splits those to be measured on."""
    split = {name.partition(":")[0] for name in names if ":" in name}
    return [name for name in names if name not in split and not name.endswith(TRAINED_ON)]


def opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", errors="surrogatepass")
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot be written ({error.strerror}). Copy the data to a folder of yours."
        ) from None


def note(found: Cleaned, line: int, raw: bytes, matches: Sequence[Match], clean: TextIO, hits: TextIO) -> None:
    """Count a row and write it to where it belongs."""
    found.seen += 1
    if not matches:
        clean.write(raw.decode("utf-8").rstrip("\n") + "\n")
        return
    found.removed += 1
    found.kinds.update({one.kind for one in matches})
    found.sources[matches[0].benchmark] += 1
    told = [{"kind": one.kind, "benchmark": one.benchmark, "problem": one.problem, "what": one.what} for one in matches]
    hits.write(json.dumps({"line": line, "matches": told}) + "\n")


# --- checking -----------------------------------------------------------------------------------------------------

INDEX: list[Index] = []  # of a worker process, set once when it starts


def hold(index: Index) -> None:
    INDEX[:] = [index]


def checked(path: Path, index: Index, workers: int) -> Iterator[tuple[int, bytes, tuple[Match, ...]]]:
    """Yield every line with its matches, in the file's order."""
    lines = numbered(path)
    if workers == 1:
        for number, raw in lines:
            yield number, raw, matches_of(place(path, number), raw, index)
        return
    with ProcessPoolExecutor(workers, initializer=hold, initargs=(index,)) as pool:
        waiting: list[tuple[list[tuple[int, bytes]], Any]] = []
        while True:
            chunk = list(islice(lines, CHUNK))
            if chunk:
                waiting.append((chunk, pool.submit(check_chunk, str(path), chunk)))
            if waiting and (not chunk or len(waiting) >= AHEAD * workers):
                rows, answer = waiting.pop(0)
                for (number, raw), matches in zip(rows, answer.result(), strict=True):
                    yield number, raw, matches
            if not chunk and not waiting:
                return


def check_chunk(path: str, chunk: list[tuple[int, bytes]]) -> list[tuple[Match, ...]]:
    return [matches_of(place(Path(path), number), raw, INDEX[0]) for number, raw in chunk]


def place(path: Path, number: int) -> str:
    return f"{path}:{number}"


def matches_of(where: str, raw: bytes, index: Index) -> tuple[Match, ...]:
    """Return why a row stands in a benchmark; DataError for a line that is no JSON object."""
    try:
        row = object_of(raw)
    except ValueError as error:
        raise DataError(f"{where}: {error}") from None
    texts = list(texts_of(row))
    return index.matches(texts, list(programs_of(row, texts)))


def texts_of(value: Any) -> Iterator[str]:
    """Yield every text of a row, whatever it is nested in."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts_of(one)


def programs_of(row: dict[str, Any], texts: Sequence[str]) -> Iterator[str]:
    """Yield what may be a program: each text, each fenced block, and a question with its answer behind it."""
    for text in texts:
        if "def " not in text:
            continue
        if "```" in text or "~~~" in text:
            yield from (block.program or "" for block in fenced(text))
        else:
            yield text
    for question in QUESTIONS:
        for answer in ANSWERS:
            head, body = row.get(question), row.get(answer)
            if isinstance(head, str) and isinstance(body, str) and "def " in head and body[:1].isspace():
                yield head + body
