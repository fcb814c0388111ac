"""The judge's side of the conversation with one child: send the program, receive answers, keep the deadlines.

Everything a child sends is hostile until decoded. How a program ends is an exception of this module, derived from
BaseException so that no test script can swallow it by catching Exception.
"""

from __future__ import annotations

import builtins
import marshal
import math
import signal
import socket
import time
from types import CodeType
from typing import Any

from harness.sandbox.launch import Zygote, ZygoteGone
from harness.sandbox.limits import Limits
from harness.sandbox.values import Damaged, from_text

RECEIVE_BYTES = 1 << 18


class Ended(BaseException):
    """The program cannot go on: status and reason of its verdict."""

    def __init__(self, status: str, reason: str, doubtful: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.doubtful = (
            doubtful  # it waited rather than computed, or was killed from outside: perhaps the machine's fault
        )


class HungUp(BaseException):
    """The child closed its channel: what it was says its exit status."""


class CandidateRaised(Exception):
    """Stands for an exception of the candidate that has no builtin class the judge can build."""


class Session:
    """One program in one child."""

    def __init__(self, zygote: Zygote, limits: Limits, cpu_s: float) -> None:
        self.zygote = zygote
        self.limits = limits
        self.cpu_limit_s = cpu_s
        self.channel, theirs = socket.socketpair()
        self.buffer = b""
        self.lines: list[bytes] = []
        self.began = time.monotonic()
        self.deadline = self.began + limits.wall_s
        self.next_look = self.began + cpu_s
        try:
            zygote.start(theirs)
        except ZygoteGone:
            self.channel.close()
            raise
        finally:
            theirs.close()

    def send(self, frame: bytes) -> None:
        """Send one frame; a child that does not read is held to the same deadlines."""
        data = memoryview(len(frame).to_bytes(4, "little") + frame)
        while data:
            self.channel.settimeout(self.patience())
            try:
                data = data[self.channel.send(data) :]
            except TimeoutError:
                self.look_at_clocks()
            except OSError:  # the answer that explains it, or the end of file, is still to be read
                return

    def send_program(self, code: CodeType | str, entry_point: str, calls: list[bytes] | None) -> None:
        backstop_s = math.ceil(self.cpu_limit_s) + 1  # the kernel's limit knows whole seconds only
        self.send(marshal.dumps((code, entry_point, calls, backstop_s)))

    def patience(self) -> float:
        """Seconds until the next clock has to be looked at."""
        return max(min(self.next_look, self.deadline) - time.monotonic(), 0.001)

    def look_at_clocks(self) -> None:
        """End the program if it has used up its CPU time or its wall time."""
        now = time.monotonic()
        if now < self.next_look and now < self.deadline:
            return
        used_s = self.zygote.cpu_s()
        if used_s < 0:
            raise Ended("crashed", "stopped itself by a signal")
        if used_s >= self.cpu_limit_s:
            raise Ended("timeout", f"CPU limit of {self.cpu_limit_s:g} s")
        if now >= self.deadline:
            raise Ended("timeout", f"wall limit of {self.limits.wall_s:g} s (CPU used: {used_s:.2f} s)", doubtful=True)
        self.next_look = now + max(self.cpu_limit_s - used_s, 0.01)

    def answer(self) -> list[Any]:
        """Return the next answer of the child, as an undecoded list."""
        while not self.lines:
            self.receive()
        try:
            answer = from_text(self.lines.pop().decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise Ended("crashed", f"broke the protocol: {type(error).__name__}") from error
        if type(answer) is not list or not answer:
            raise Ended("crashed", "broke the protocol: not an answer")
        return answer

    def receive(self) -> None:
        self.channel.settimeout(self.patience())
        try:
            chunk = self.channel.recv(RECEIVE_BYTES)
        except TimeoutError:
            self.look_at_clocks()
            return
        except OSError:
            chunk = b""
        if not chunk:
            raise HungUp
        if chunk[-1] == 10 and not self.buffer:
            self.lines = chunk[:-1].split(b"\n")
        else:
            self.buffer += chunk
            *self.lines, self.buffer = self.buffer.split(b"\n")
            # JSON's escapes and tags make text at most some times longer than the cap that honest children keep
            if len(self.buffer) > 8 * self.limits.result_bytes:
                raise Ended("output_limit", f"an answer is larger than {self.limits.result_bytes} bytes")
        self.lines.reverse()  # popped from the end

    def loaded(self) -> None:
        """Wait until the program has been executed."""
        answer = self.answer()
        kind = answer[0]
        if kind == "ok":
            return
        if kind == "none":
            raise Ended("refused", "the program does not define the entry point")
        if kind == "x" and len(answer) == 4:
            raise self.failed(answer)
        raise Ended("crashed", "broke the protocol: unexpected answer")

    def failed(self, answer: list[Any]) -> Ended:
        """Return how a program ends that lets an exception out."""
        near, name, message = (str(part)[:300] for part in answer[1:4])
        if near == "MemoryError":
            return Ended("memory", f"MemoryError: limit of {self.limits.memory_bytes >> 20} MiB")
        text = f"{name}: {message}" if message else name
        if near in ("SystemExit", "KeyboardInterrupt"):
            return Ended("crashed", f"exited early ({text})")
        return Ended("exception", text)

    def rebuilt(self, answer: list[Any]) -> Exception:
        """Return an exception to raise in a test script for one that the candidate raised."""
        found = getattr(builtins, str(answer[1]), None)
        if isinstance(found, type) and issubclass(found, Exception):
            try:
                return found(str(answer[3])[:300])
            except TypeError:  # UnicodeDecodeError and a few others want more than a message
                pass
        return CandidateRaised(f"{answer[2]}: {answer[3]}"[:300])

    def finish(self, hung_up: bool) -> tuple[Ended | None, float, int, bool]:
        """End the child; return how it ended if `hung_up`, CPU seconds, peak bytes, whether the jail is clean."""
        self.channel.close()
        status, cpu_s, peak_bytes, clean = self.zygote.finish()
        if not hung_up:
            return None, cpu_s, peak_bytes, clean
        if status == -1:
            raise ZygoteGone("the zygote could not fork")
        return self.describe(status, cpu_s, peak_bytes), cpu_s, peak_bytes, clean

    def describe(self, status: int, cpu_s: float, peak_bytes: int) -> Ended:
        if status & 0x7F == 0:
            return Ended("crashed", f"exited early with code {status >> 8 & 0xFF}")
        number = status & 0x7F
        if number == signal.SIGXCPU or (number == signal.SIGKILL and cpu_s >= self.cpu_limit_s):
            return Ended("timeout", f"CPU limit of {self.cpu_limit_s:g} s")
        if number == signal.SIGKILL and peak_bytes > 0.8 * self.limits.memory_bytes:
            return Ended("memory", f"killed at {peak_bytes >> 20} MiB")
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        if number == signal.SIGKILL:
            return Ended("crashed", "closed its channel or was killed", doubtful=True)
        return Ended("crashed", f"died of {name}")


def undamaged(error: Damaged) -> Ended:
    return Ended("crashed", f"broke the protocol: {error}"[:300])
