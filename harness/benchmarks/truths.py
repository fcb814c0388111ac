"""Expected values of inputs that come without them: what the pinned reference solutions return. It judges nothing.

EvalPlus publishes inputs and reference solutions, and its evaluator computes the expected values on first use; so it is
here. The references are data pinned by hash, hence trusted; they run in child processes all the same, with a fixed hash
seed, and what they return is kept in the user's cache folder under a key of all that it depends on.
"""

from __future__ import annotations

import copy
import hashlib
import marshal
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.sandbox.digests import digest_of
from harness.sandbox.judging.oracles import is_floats
from harness.sandbox.values import Decoder, Encoder
from harness.store.cache import cache_folder
from harness.types import Plain

VERSION = 1  # of what is computed here; another one computes anew
WHOLE_BYTES = 1 << 16  # a larger value is kept, and compared, as its digest
FLAT = 2  # marshal's version without references: its length is the size of the value, its bytes depend on nothing else
CHUNK = 8  # references per child: a hundred short children keep all cores busy to the end
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Question:
    """A reference solution and the arguments to call it with."""

    source: str
    entry_point: str
    inputs: tuple[tuple[Plain, ...], ...]
    given: bool = False  # only whether it returns something counts


@dataclass(frozen=True)
class Truth:
    """What a reference returned: the value, or the digest of one that is too large to be sent about."""

    value: Plain
    digest: bool = False


def truths(name: str, questions: Sequence[Question]) -> tuple[list[list[Truth]], str]:
    """Return the values for each question's inputs, and the SHA-256 of them all.

    The first call takes as long as the references do; what they return is kept under `name` and a hash of all this.
    """
    python = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    asked = marshal.dumps([VERSION, python, *map(plain, questions)], FLAT)
    path = cache_folder() / f"{name}-{hashlib.sha256(asked).hexdigest()[:16]}.truths"
    data = kept(path)
    if data is None:
        chunks = [questions[at : at + CHUNK] for at in range(0, len(questions), CHUNK)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            found = list(chain.from_iterable(threads.map(ask, chunks)))
        data = marshal.dumps(found, FLAT)
        keep(path, data)
    return [[Truth(*one) for one in own] for own in marshal.loads(data)], hashlib.sha256(data).hexdigest()


def plain(question: Question) -> tuple[Any, ...]:
    return question.source, question.entry_point, question.inputs, question.given  # astuple would copy every input


# --- the cache ----------------------------------------------------------------------------------------------------


def kept(path: Path) -> bytes | None:
    """Return what was kept, if it is there and whole."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    data = content[32:]
    return data if hashlib.sha256(data).digest() == content[:32] else None


def keep(path: Path, data: bytes) -> None:
    """Keep data with its checksum; a cache that cannot be written to costs time, nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".truths-")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(hashlib.sha256(data).digest() + data)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


# --- the child ----------------------------------------------------------------------------------------------------


def ask(questions: Sequence[Question]) -> list[list[tuple[Plain, bool]]]:
    """Have a child answer some questions."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from harness.benchmarks.truths import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=marshal.dumps([plain(one) for one in questions]),
        capture_output=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=False,
    )
    if done.returncode:
        names = ", ".join(one.entry_point for one in questions)
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise HarnessError(f"the references of {names} could not be run (exit status {done.returncode}): {said}")
    found: list[list[tuple[Plain, bool]]] = marshal.loads(done.stdout)
    return found


def main() -> None:
    """Answer the questions on standard input; what the references print is lost."""
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.set_int_max_str_digits(0)
    found = [[astuple(one) for one in answers(Question(*question))] for question in marshal.load(sys.stdin.buffer)]
    with os.fdopen(out, "wb") as stream:
        marshal.dump(found, stream)


def answers(question: Question) -> list[Truth]:
    """Return what the reference returns for each input, each call with a copy of its own."""
    names: dict[str, Any] = {}
    exec(compile(question.source, "<reference>", "exec", dont_inherit=True), names)  # noqa: S102  pinned by hash
    return [truth(names[question.entry_point](*copy.deepcopy(args)), question.given) for args in question.inputs]


def truth(value: Any, given: bool) -> Truth:
    if given:
        return Truth(value is not None)
    try:
        size = len(marshal.dumps(value, FLAT))
    except ValueError:  # a subclass of a builtin type: as it would come from a candidate
        return Truth(Decoder(lambda number, name: None, plain=True).decode(Encoder([], 1 << 30).encode(value)))
    large = size > WHOLE_BYTES and not is_floats(value)  # floats have a tolerance, which a digest has not
    return Truth(digest_of(value), digest=True) if large else Truth(value)
