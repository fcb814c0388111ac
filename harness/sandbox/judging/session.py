"""The judge's side of the conversation with one child: send the program, receive answers, keep the deadlines.

Everything a child sends is hostile until decoded. How a program ends is an exception of this module, derived from
BaseException so that no test script can swallow it by catching Exception.
"""

from __future__ import annotations

import ast
import builtins
import marshal
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from types import CodeType
from typing import Any

from harness.sandbox.jail.child import DONE, GONE, NO_PROCESSES, PROCESSES, STOPPED, THREADS
from harness.sandbox.jail.launch import Zygote, ZygoteGone
from harness.sandbox.judging.starvation import starved_s
from harness.sandbox.limits import Limits
from harness.sandbox.values import Damaged, from_text

RECEIVE_BYTES = 1 << 18
# without one of these words in its text a program starts no thread, unless by a name that it has put together
THREAD_WORDS = ("thread", "Thread", "concurrent", "asyncio", "multiprocessing", "importlib", "__import__", "server")
FAILED = (b'["x"', b'["none"')  # how the answer begins that a program could not be executed, or lacks the entry point
PIPE_READ_BYTES = 1 << 16  # all that a pipe holds
FIRST_GLANCE_S, LAST_GLANCE_S = 0.01, 0.25
PATIENCE = 10  # times its wall limit that a program may stay, at most, however long others kept it from a core


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

    def __init__(
        self, zygote: Zygote, limits: Limits, cpu_s: float, wall_s: float, extended: Callable[[], None]
    ) -> None:
        self.zygote = zygote
        self.limits = limits
        self.cpu_limit_s = cpu_s
        self.channel, theirs = socket.socketpair()
        self.pipe, pipe = os.pipe()
        os.set_blocking(self.pipe, False)
        self.buffer = b""
        self.lines: list[bytes] = []
        self.gone = False  # the child has ended
        self.silent = False  # the child has hung up; what it had said may still be read
        self.glance_s = math.inf  # how long to wait for a batch's end before looking at what has been answered
        self.began = time.monotonic()
        self.wall_s = wall_s
        self.deadline = self.began + wall_s
        self.heard_out = False  # what it had said by the deadline has been read
        self.extended = extended  # called when the deadline has been moved
        self.next_look = self.began + cpu_s
        try:
            zygote.start(theirs, pipe)
        except ZygoteGone:
            self.close()
            raise
        finally:
            theirs.close()
            os.close(pipe)

    def close(self) -> None:
        self.channel.close()
        os.close(self.pipe)

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

    def send_program(self, code: CodeType | str, program: dict[str, Any], calls: bytes | None) -> None:
        """Send the program, and calls to answer at once: a marshalled list of (arguments, whether changes matter)."""
        if calls is not None:
            self.glance_s = FIRST_GLANCE_S
        # The kernel's limit counts whole ticks: beside processes that come and go it has taken 2.0 s for 3 s. It must
        # never come before the judge's own clock, which is exact.
        backstop_s = math.ceil(3 * self.cpu_limit_s) + 1
        rest = (program["entry_point"], calls, backstop_s, may_start(program["source"]))
        try:
            frame = marshal.dumps((code, *rest))
        except ValueError:  # functions in functions, a thousand deep: the child compiles them itself
            frame = marshal.dumps((program["source"], *rest))
        self.send(frame)

    def patience(self) -> float:
        """Seconds until the next clock has to be looked at."""
        return min(max(min(self.next_look, self.deadline) - time.monotonic(), 0.001), self.glance_s)

    def look_at_clocks(self) -> None:
        """End the program if it has used up its CPU time or its wall time."""
        now = time.monotonic()
        if now < self.next_look and now < self.deadline:
            return
        used_s = self.zygote.cpu_s()
        if used_s == GONE:  # though a process of the program's may hold the channel open
            self.gone, self.next_look = True, now
            return
        if used_s == STOPPED:
            raise Ended("crashed", "stopped itself by a signal")
        if used_s >= self.cpu_limit_s:
            raise Ended("timeout", f"CPU limit of {self.cpu_limit_s:g} s")
        if now >= self.deadline:
            self.at_deadline(now, used_s)
        self.next_look = now + max(self.cpu_limit_s - used_s, 0.01)

    def at_deadline(self, now: float, used_s: float) -> None:
        """End the program, unless it was not given its time: the wall clock stands while others hold its core."""
        if not self.heard_out:  # its answer may be here, and only we came late
            self.heard_out = True
            return
        starved = starved_s(self.zygote.launcher, self.began)
        end = self.began + min(self.wall_s + starved, PATIENCE * self.wall_s)
        if end - now < max(self.wall_s / 20, 0.05):  # less is not worth another look
            told = f", others on its core: {starved:.0f} s" if starved >= 1 else ""
            raise Ended("timeout", f"wall limit of {self.wall_s:g} s (CPU used: {used_s:.2f} s{told})", doubtful=True)
        self.deadline, self.heard_out = end, False
        self.extended()

    def answer(self) -> list[Any]:
        """Return the next answer of the child, as an undecoded list; raise Ended if the program could not be loaded."""
        return self.parsed(self.line())

    def line(self) -> bytes:
        """Return the next answer as it was sent."""
        while not self.lines:
            self.receive()
        return self.lines.pop()

    def parsed(self, line: bytes) -> list[Any]:
        try:
            answer = from_text(line.decode("ascii"))
        except (ValueError, RecursionError) as error:
            raise Ended("crashed", f"broke the protocol: {type(error).__name__}") from error
        if type(answer) is not list or not answer:
            raise Ended("crashed", "broke the protocol: not an answer")
        if answer[0] == "x" and len(answer) == 4:
            raise self.failed(answer)
        if answer[0] == "none":
            raise Ended("refused", "the program does not define the entry point")
        return answer

    def receive(self) -> None:
        """Wait for something: an answer, the end of a batch, a clock."""
        if self.silent:
            raise HungUp
        self.look_at_clocks()  # a program that says a little all the time never lets us wait
        self.channel.settimeout(self.patience())
        try:
            chunk = self.channel.recv(RECEIVE_BYTES)
        except TimeoutError:
            self.drain()
            self.glance_s = min(2 * self.glance_s, LAST_GLANCE_S)
            if self.gone and not self.lines:
                raise HungUp from None
            return
        except OSError:
            chunk = b""
        self.drain()  # before what the socket brought: a child turns to the socket when the pipe is full
        if chunk:
            self.take(chunk)
        else:
            self.silent = True

    def drain(self) -> None:
        """Take what the pipe holds."""
        try:
            if chunk := os.read(self.pipe, PIPE_READ_BYTES):
                self.take(chunk)
        except BlockingIOError:
            pass  # empty, and a writer is alive

    def take(self, chunk: bytes) -> None:
        """Cut what has arrived into lines."""
        *lines, self.buffer = (self.buffer + chunk).split(b"\n")
        self.lines = lines[::-1] + self.lines  # popped from the end
        # JSON's escapes and tags make text at most some times longer than the cap that honest children keep
        if len(self.buffer) > 8 * self.limits.result_bytes:
            raise Ended("output_limit", f"an answer is larger than {self.limits.result_bytes} bytes")

    def completed(self) -> None:
        """Wait for the end of a batch whose answers have all been read: a child that cannot say so is not believed."""
        if self.line() != DONE:
            raise Ended("crashed", "broke the protocol: too many answers")

    def loaded(self, batch: bool) -> None:
        """Wait until the program has been executed; with a batch, its first answer says so."""
        if batch:
            line = self.line()
            if line.startswith(FAILED):
                self.parsed(line)
            self.lines.append(line)
        elif self.answer()[0] != "ok":
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

    def rebuilt(self, answer: list[Any], names_stop: bool) -> Exception:
        """Return an exception to raise in a test script for one that the candidate raised.

        Unless the script names them (`names_stop`), those that end a loop lose that power: `all(map(candidate, xs))`
        would hold of a candidate that raises one at once.
        """
        found = getattr(builtins, str(answer[1]), None)
        ends_loops = not names_stop and found in (StopIteration, StopAsyncIteration)
        if isinstance(found, type) and issubclass(found, Exception) and not ends_loops:
            text = str(answer[3])[:300]
            with suppress(TypeError):
                return found(key_of(text) if found is KeyError else text)
            with suppress(TypeError):  # a UnicodeDecodeError wants more than a message; a group even to exist
                return found.__new__(found)
        return CandidateRaised(f"{answer[2]}: {answer[3]}"[:300])

    def finish(self, hung_up: bool) -> tuple[Ended | None, float, int, bool]:
        """End the child; return how it ended if `hung_up`, CPU seconds, peak bytes, whether the jail is clean."""
        self.close()
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


def key_of(text: str) -> Any:
    """Return the key that a KeyError's message shows, or the message where it shows none that is plain data."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def undamaged(error: Damaged) -> Ended:
    return Ended("crashed", f"broke the protocol: {error}"[:300])


def may_start(source: str) -> int:
    """Say what a program may start: threads cost a filter, so only what reads as if it used them may have them."""
    if "fork" in source:
        return PROCESSES
    return THREADS if any(word in source for word in THREAD_WORDS) else NO_PROCESSES
