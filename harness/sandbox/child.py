"""What runs in the process of one program: execute it, answer calls, leave; the judge trusts none of it.

The child knows inputs only: no expected value, no test, no way to say "passed"; its exit status means nothing.
"""

from __future__ import annotations

import builtins
import marshal
import resource
import sys
from os import _exit, read, write
from types import CodeType, ModuleType
from typing import Any, NoReturn

from harness.sandbox.values import Decoder, Encoder, TooLarge, from_text, to_text

CALL, GET, SET = 0, 1, 2


class Child:
    """One program's side of the conversation on the descriptor `fd`."""

    def __init__(self, fd: int, result_bytes: int) -> None:
        self.fd = fd
        self.objects: list[Any] = []
        self.encoder = Encoder(self.objects, result_bytes)
        self.decoder = Decoder(lambda handle, name: self.objects[handle])

    def read_frame(self) -> bytes | None:
        """Return the next length-prefixed frame, or None when the judge has hung up."""
        fd = self.fd
        chunk = read(fd, 65536)
        if not chunk:
            return None
        while len(chunk) < 4:
            chunk += read(fd, 65536)
        size = int.from_bytes(chunk[:4], "little") + 4
        if len(chunk) >= size:
            return chunk[4:size]
        chunks, have = [chunk], len(chunk)
        while have < size:
            chunk = read(fd, 1 << 20)
            if not chunk:
                return None
            chunks.append(chunk)
            have += len(chunk)
        return b"".join(chunks)[4:size]

    def say(self, answer: Any) -> None:
        """Send one answer at once: held back, it would be lost when the next call hangs or dies."""
        data = to_text(answer).encode() + b"\n"
        while data:
            data = data[write(self.fd, data) :]

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

    def run(self, code: CodeType | str, entry_point: str) -> dict[str, Any] | None:
        """Execute the program; return its names, or None when it failed (which has been told)."""
        program = ModuleType("program")
        sys.modules["program"] = program
        try:
            if isinstance(code, str):
                code = compile(code, "<program>", "exec", dont_inherit=True)
            exec(code, program.__dict__)  # noqa: S102  the one place where a candidate's program runs
        except BaseException as error:  # noqa: BLE001
            self.say(["x", *self.failure(error)[1:]])
            return None
        if entry_point not in program.__dict__:
            self.say(["none"])
            return None
        return program.__dict__

    def batch(self, function: Any, calls: list[bytes]) -> None:
        """Answer all calls of a list that came along with the program."""
        for raw in calls:
            try:
                args, kwargs = marshal.loads(raw)
                out = ["v", self.encoder.encode(function(*args, **kwargs))]
            except BaseException as error:  # noqa: BLE001
                out = self.failure(error)
            self.say(out)

    def serve(self, names: dict[str, Any]) -> None:
        """Answer single requests until the judge hangs up."""
        while (frame := self.read_frame()) is not None:
            operation, target, detail, raw = marshal.loads(frame)
            try:
                owner = self.objects[target] if isinstance(target, int) else names.get(target)
                if operation == CALL:
                    self.say(self.answer(owner, raw))
                elif operation == GET:
                    self.say(["v", self.encoder.encode(getattr(owner, detail))])
                else:
                    setattr(owner, detail, self.fresh(raw)[0][0])
                    self.say(["v", None])
            except BaseException as error:  # noqa: BLE001
                self.say(self.failure(error))


def live(fd: int, result_bytes: int) -> NoReturn:
    """Serve one program on `fd`, then leave without running any exit handler."""
    try:
        child = Child(fd, result_bytes)
        frame = child.read_frame()
        if frame is not None:
            code, entry_point, calls, cpu_limit_s = marshal.loads(frame)
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit_s, cpu_limit_s))
            names = child.run(code, entry_point)
            if names is not None:
                child.say(["ok"])
                if calls is None:
                    child.serve(names)
                else:
                    child.batch(names[entry_point], calls)
    finally:
        _exit(0)
