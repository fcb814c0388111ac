"""What runs in the process of one program: execute it, answer calls, leave; the judge trusts none of it.

The child knows inputs only: no expected value, no test, no way to say "passed"; its exit status means nothing.
Every page that it touches costs a fault, so it calls few functions and makes few objects of its own.
"""

from __future__ import annotations

import builtins
import marshal
from collections.abc import Callable
from os import _exit, read, write
from resource import RLIMIT_AS, RLIMIT_CPU, RLIMIT_NPROC, getrlimit, setrlimit
from types import CodeType, ModuleType
from typing import Any, NoReturn

from harness.sandbox.digests import digest_of
from harness.sandbox.values import Decoder, Encoder, TooLarge, from_text, to_text

CALL, GET, SET = 0, 1, 2
NO_PROCESSES, THREADS, PROCESSES = 0, 1, 2  # what a program may start beside its first thread
FORKS = 3  # processes at a time of a program that forks; they share its memory limit
OURS = 3  # zygote, child, and the launcher where it has the same user
STOPPED, GONE = -1.0, -2.0  # what the zygote says of a child in place of its CPU seconds
DONE = b"."  # the line behind the last answer of a batch
SHORT = 1 << 60  # an int below it needs no care
PIPE_BYTES = 48 << 10  # of answers that fit into a pipe which nobody reads, with room to spare


class Child:
    """One program's side of the conversation; made by the zygote, used once by each process forked from it."""

    def __init__(self, result_bytes: int) -> None:
        self.objects: list[Any] = []
        self.encoder = Encoder(self.objects, result_bytes)
        self.decoder = Decoder(lambda handle, name: self.objects[handle])
        self.program = ModuleType("program")

    def live(self, fd: int, pipe: int, narrow: Callable[[], None] | None, alone: bool) -> NoReturn:
        """Serve one program on `fd`, then leave without running any exit handler.

        `narrow` enters the filter that forbids processes and allows threads. In a pid namespace of our own a limit of
        no further process or thread does the same at a tenth of its cost, and most programs start no thread.
        """
        try:
            chunk = read(fd, 65536)
            if len(chunk) > 4:
                size = int.from_bytes(chunk[:4], "little") + 4
                frame = chunk[4:] if len(chunk) == size else self.rest(fd, chunk, size)
                code, entry_point, calls, cpu_limit_s, may_start = marshal.loads(frame)
                setrlimit(RLIMIT_CPU, (cpu_limit_s, cpu_limit_s))
                if alone and may_start == NO_PROCESSES:
                    setrlimit(RLIMIT_NPROC, (0, 0))
                elif alone and may_start == PROCESSES:
                    share = getrlimit(RLIMIT_AS)[0] // (2 + FORKS)  # one more where the launcher is another user
                    setrlimit(RLIMIT_AS, (share, share))
                    setrlimit(RLIMIT_NPROC, (OURS + FORKS, OURS + FORKS))
                elif narrow is not None:
                    narrow()
                self.run(fd, pipe, code, entry_point, calls)
        finally:
            _exit(0)

    def run(self, fd: int, pipe: int, code: CodeType | str, entry_point: str, calls: bytes | None) -> None:
        """Execute the program; answer the calls that came along with it, or else those that the judge asks for."""
        names = self.program.__dict__
        out = fd if calls is None else pipe
        try:
            if isinstance(code, str):
                code = compile(code, "<program>", "exec", dont_inherit=True)
            exec(code, names)  # noqa: S102  the one place where a candidate's program runs
        except BaseException as error:  # noqa: BLE001
            self.say(out, ["x", *self.failure(error)[1:]])
            return
        if entry_point not in names:
            self.say(out, ["none"])
        elif calls is None:
            write(fd, b'["ok"]\n')
            self.serve(fd, names)
        else:
            self.batch(fd, pipe, names[entry_point], marshal.loads(calls))

    def batch(self, fd: int, pipe: int, function: Any, calls: list[Any]) -> None:
        """Answer all calls that came along with the program.

        Each answer is written at once, since one held back would be lost when a later call hangs or dies; but into a
        pipe, since whoever waits on the socket would be woken by each. What the pipe cannot hold goes to the socket.
        """
        loads, room, short = marshal.loads, PIPE_BYTES, min(PIPE_BYTES, self.encoder.result_bytes)
        for raw, watched in calls:
            line, answer = b"", None
            try:
                if watched:
                    answer = self.answer(function, raw)
                else:
                    args, kwargs, *digest = loads(raw)
                    value = function(*args, **kwargs)
                    kind = type(value)
                    if digest:
                        answer = ["v", digested(value)]
                    elif kind is bool:
                        line = b'["v", true]\n' if value else b'["v", false]\n'
                    elif kind is int and -SHORT < value < SHORT:
                        line = b'["v", %d]\n' % value
                    elif kind is str and len(value) < short:
                        answer = ["v", value]
                    else:
                        answer = ["v", self.encoder.encode(value)]
            except BaseException as error:  # noqa: BLE001  the program may raise anything
                answer = self.failure(error)
            if not line:
                line = to_text(answer).encode() + b"\n"
            room -= len(line)
            if room < 0:
                pipe = fd
            while line:
                line = line[write(pipe, line) :]
        write(fd, DONE + b"\n")

    def serve(self, fd: int, names: dict[str, Any]) -> None:
        """Answer single requests until the judge hangs up."""
        while chunk := read(fd, 65536):
            size = int.from_bytes(chunk[:4], "little") + 4
            frame = chunk[4:] if len(chunk) == size else self.rest(fd, chunk, size)
            operation, target, detail, raw = marshal.loads(frame)
            try:
                owner = self.objects[target] if isinstance(target, int) else names.get(target)
                if operation == CALL:
                    answer = self.answer(owner, raw)
                elif operation == GET:
                    answer = ["v", self.encoder.encode(getattr(owner, detail))]
                else:
                    setattr(owner, detail, self.fresh(raw)[0][0])
                    answer = ["v", None]
            except BaseException as error:  # noqa: BLE001
                answer = self.failure(error)
            self.say(fd, answer)

    def rest(self, fd: int, chunk: bytes, size: int) -> bytes:
        """Return a frame of which only the first bytes have been read."""
        while len(chunk) < 4:
            chunk += read(fd, 65536) or _exit(0)
        size = int.from_bytes(chunk[:4], "little") + 4
        chunks, have = [chunk], len(chunk)
        while have < size:
            chunk = read(fd, 1 << 20) or _exit(0)
            chunks.append(chunk)
            have += len(chunk)
        return b"".join(chunks)[4:size]

    def say(self, fd: int, answer: Any) -> None:
        data = to_text(answer).encode() + b"\n"
        while data:
            data = data[write(fd, data) :]

    def failure(self, error: BaseException) -> list[Any]:
        """Return the answer that tells of an exception: nearest builtin class, its own name, message."""
        if isinstance(error, TooLarge):
            return ["large", str(error)]
        kind = type(error)
        near = "Exception"
        for base in kind.__mro__:
            if getattr(builtins, base.__name__, None) is base:
                near = base.__name__
                break
        try:
            message = str(error)[:300]
        except BaseException as second:  # noqa: BLE001  a candidate's __str__ may raise anything
            message = f"(its message could not be made: {type(second).__name__})"
        return ["e", near, str(kind.__name__)[:80], str(message)]

    def answer(self, function: Any, raw: bytes | str) -> list[Any]:
        """Call `function` with a fresh copy of the arguments; arguments that it changed in place go back too."""
        try:
            args, kwargs = self.fresh(raw)
            value = function(*args, **kwargs)
            out = ["v", self.encoder.encode(value)]
            before, _ = self.fresh(raw)
            if before != args:
                out.append([self.encoder.encode(argument) for argument in args])
            return out
        except BaseException as error:  # noqa: BLE001  the program may raise anything; it is told, not judged, here
            return self.failure(error)

    def fresh(self, raw: bytes | str) -> Any:
        if isinstance(raw, bytes):
            return marshal.loads(raw)
        return self.decoder.decode(from_text(raw))


def digested(value: Any) -> str | None:
    try:
        return digest_of(value)
    except TypeError:
        return None  # not plain data: equal to no digest
