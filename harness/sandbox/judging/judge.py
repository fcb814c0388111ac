"""The judge: a process of its own that holds tests and expected values, and decides every verdict.

It never executes a candidate's code (it compiles it, and sends it to a child in the jail) and never believes a child:
`passed` comes only from its own control flow. Run by the pool as `main(config)`.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import marshal
import os
import resource
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import CodeType, FrameType
from typing import Any, NoReturn

from harness.sandbox.jail.launch import LEVELS, LayerRefused, Level, Zygote, ZygoteGone, start_best
from harness.sandbox.judging.batches import Batches
from harness.sandbox.judging.outcome import Outcome
from harness.sandbox.judging.rules import cut
from harness.sandbox.judging.scripts import Diverged, Foreseen, Scripts
from harness.sandbox.judging.session import Ended, HungUp, Session, undamaged
from harness.sandbox.limits import SOURCE_BYTES, Limits
from harness.sandbox.values import Damaged

F_SETSIG = 10
JUDGE_BYTES = 4 << 30
WATCHDOG_S = 2.0  # least CPU seconds that the judge itself may spend on one program
KILL_S = 1.0  # and how much later the kernel ends it, if it is held in C where no handler runs


WATCHED = tuple(work.__code__ for work in (Batches.run, Scripts.run, Scripts.foresee))


class Watchdog(BaseException):
    """The judge's own work on one program took too long: hostile data, or a test that does not end."""


class Judge:
    """Judges one program after another with one zygote, which it replaces when it dies."""

    def __init__(
        self,
        limits: Limits,
        wanted: tuple[Level, ...],
        witness: int,
        numpy: tuple[str, ...],
        extended: Callable[[], None],
    ) -> None:
        self.limits = limits
        self.extended = extended  # called when a program was given more wall time
        self.witness = witness
        self.numpy = numpy  # its folders, if it is installed
        self.with_numpy: Zygote | None = None  # started when it is first needed
        self.zygote, self.missing = start_best(wanted, limits, witness)
        self.level: Level = self.zygote.level
        self.healed = 0  # zygotes that died, of this program's
        self.scripts = Scripts()
        self.batches = Batches()

    def judge(self, program: dict[str, Any]) -> dict[str, Any]:
        """Return the verdict on one program; a dead zygote is replaced and the program run once more."""
        began = time.monotonic()
        trouble = ""
        self.healed = 0
        for _ in range(2):
            # a compiler or a set of colliding numbers can hold us for minutes; the harness knows what this death means
            signal.setitimer(signal.ITIMER_VIRTUAL, max(WATCHDOG_S, program["cpu_s"]) + KILL_S)
            try:
                return self.foreseen(program, began)
            except ZygoteGone as error:
                trouble = str(error)
                self.healed += 1
                self.restart()
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        outcome = Outcome(0)
        outcome.fail("infrastructure", f"the sandbox failed twice: {trouble}")
        return self.verdict(outcome, began, 0.0, 0)

    def zygote_for(self, program: dict[str, Any]) -> Zygote:
        """Return the zygote that forks a program: one that holds numpy, which makes each fork dearer, if it asks."""
        if not (self.numpy and "numpy" in program["source"]):
            return self.zygote
        if self.with_numpy is None:
            try:
                self.with_numpy = Zygote(self.level, self.limits, self.witness, self.numpy)
            except LayerRefused as error:
                raise ZygoteGone(f"numpy could not be loaded: {error}") from error
        return self.with_numpy

    def restart(self) -> None:
        """Replace a zygote that is not as it should be; one that holds numpy, when it is next needed."""
        self.close()
        self.zygote = start_best((self.level,), self.limits, self.witness)[0]

    def close(self) -> None:
        self.zygote.close()
        if self.with_numpy is not None:
            self.with_numpy.close()
            self.with_numpy = None

    def foreseen(self, program: dict[str, Any], began: float) -> dict[str, Any]:
        """Judge with all calls sent ahead where they are known; if they come otherwise, again with none sent ahead."""
        if isinstance(program["checks"], dict):
            try:
                signal.setitimer(signal.ITIMER_PROF, WATCHDOG_S)
                calls = self.scripts.foresee(program)
            except (Watchdog, Ended):  # a script that cannot be compiled, or does not end, will say so when it is run
                calls = None
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
            if calls is not None:
                with suppress(Diverged):
                    return self.attempt(program, began, calls)
        return self.attempt(program, began)

    def attempt(self, program: dict[str, Any], began: float, foreseen: Foreseen | None = None) -> dict[str, Any]:
        checks = program["checks"]
        is_script = isinstance(checks, dict)
        outcome = Outcome(self.scripts.count(checks) if is_script else len(self.batches.batch(checks).checks))
        try:
            code = compiled(program)
        except Ended as ended:
            outcome.fail(ended.status, ended.reason)
            return self.verdict(outcome, began, 0.0, 0)
        zygote = self.zygote_for(program)
        session = Session(zygote, self.limits, program["cpu_s"], program["wall_s"], self.extended)
        hung_up = False
        try:
            signal.setitimer(signal.ITIMER_PROF, max(WATCHDOG_S, program["cpu_s"]), 0.2)
            if is_script:
                session.send_program(code, program, foreseen.batch if foreseen is not None else None)
                self.scripts.run(session, program, outcome, foreseen)
            else:
                self.batches.run(session, code, program, outcome)
        except HungUp:
            hung_up = True
        except Ended as ended:
            self.stopped(outcome, ended)
        except Damaged as error:
            self.stopped(outcome, undamaged(error))
        except Watchdog:
            self.stopped(outcome, Ended("timeout", "its data or its tests kept the judge busy for too long"))
        except Diverged:
            if not session.finish(hung_up=False)[3]:
                self.restart()
            raise
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        ended, cpu_s, peak_bytes, clean = session.finish(hung_up)
        if ended is not None:
            self.stopped(outcome, ended)
        if outcome.status == "passed" and cpu_s > program["cpu_s"]:  # between two looks, or in processes of its own
            self.stopped(outcome, Ended("timeout", f"CPU limit of {program['cpu_s']:g} s"))
        if not clean:
            self.restart()
        return self.verdict(outcome, began, cpu_s, peak_bytes)

    def stopped(self, outcome: Outcome, ended: Ended) -> None:
        """The whole program came to an end: that is its status, whatever single checks said before."""
        outcome.status, outcome.reason, outcome.doubtful = ended.status, cut(ended.reason), ended.doubtful

    def verdict(self, outcome: Outcome, began: float, cpu_s: float, peak_bytes: int) -> dict[str, Any]:
        return {
            "status": outcome.status,
            "reason": outcome.reason,
            "first_fail": outcome.first_fail
            and [cut(text) if isinstance(text, str) else text for text in outcome.first_fail],
            "n_passed": outcome.n_passed,
            "n_checks": outcome.n_checks,
            "cpu_s": cpu_s,
            "wall_s": time.monotonic() - began,
            "peak_bytes": peak_bytes,
            "level": self.level,
            "doubtful": outcome.doubtful,
            "healed": self.healed,
            "in_process": outcome.in_process,
        }


def compiled(program: dict[str, Any]) -> CodeType | str:
    """Compile here, where it is hot; a program that once broke a judge is compiled by its own child instead."""
    source: str = program["source"]
    if len(source) > SOURCE_BYTES:
        raise Ended("refused", f"the program is longer than {SOURCE_BYTES} characters")
    if program["careful"]:
        return source
    try:
        return compile(source, "<program>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Ended("exception", f"{type(error).__name__}: {error}") from error
    except (ValueError, UnicodeError) as error:  # null bytes, lone surrogates
        raise Ended("exception", f"SyntaxError: {error}") from error
    except (RecursionError, MemoryError, OverflowError) as error:
        raise Ended("exception", f"{type(error).__name__} while compiling: {error}") from error


def read_exactly(channel: socket.socket, size: int) -> bytes:
    chunks: list[bytes] = []
    while size:
        chunk = channel.recv(min(size, 1 << 20))
        if not chunk:
            raise EOFError("the harness is gone or done")
        chunks.append(chunk)
        size -= len(chunk)
    return b"".join(chunks)


def die_with(lifeline: int) -> None:
    """Have the kernel kill this process when the harness dies, even in the middle of a long computation.

    PR_SET_PDEATHSIG would fire when the *thread* that started us ends; a signal on the hang-up of a pipe does not.
    """
    if sys.platform == "linux":
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def close_memory(level: Level) -> None:
    """Have the kernel show our memory, with the expected values in it, to no process of the same user.

    Only at level process-only can a program look for it.
    """
    if level == "process-only" and sys.platform == "linux":
        kernel = importlib.import_module("harness.sandbox.jail.kernel")
        kernel.Kernel().prctl(kernel.PR_SET_DUMPABLE, 0)


def limit_own_memory(memory_bytes: int) -> None:
    """Keep hostile data, or tests that multiply it, from taking the machine's memory through the judge."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = max(JUDGE_BYTES, 2 * memory_bytes)  # the zygote inherits it and must be able to set its own
    if sys.platform == "linux" and (hard == resource.RLIM_INFINITY or hard > wanted):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))


def on_watchdog(number: int, frame: FrameType | None) -> None:
    """Stop what is being done for one program, unless that would leave a question to the zygote half asked.

    The timer comes again soon, so a moment that is not good may pass.
    """
    working = False
    while frame is not None:
        if frame.f_code is Zygote.ask.__code__:
            return
        working = working or frame.f_code in WATCHED
        frame = frame.f_back
    if working:
        raise Watchdog


def reply(channel: socket.socket, message: Any) -> None:
    data = json.dumps(message).encode()
    channel.sendall(len(data).to_bytes(4, "little") + data)


def main(text: str) -> NoReturn:
    """Start a zygote, report the level, then judge what the harness sends until it hangs up."""
    config = json.loads(text)
    for descriptor in (config["channel"], config["lifeline"], config["witness"]):
        os.set_inheritable(descriptor, False)  # or every candidate would hold the channel that verdicts travel on
    die_with(config["lifeline"])
    if config["core"] is not None:
        with suppress(OSError):  # taken from us meanwhile: any other core will do
            os.sched_setaffinity(0, {config["core"]})
    channel = socket.socket(fileno=config["channel"])
    limits = Limits(**config["limits"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_own_memory(limits.memory_bytes)
    warnings.simplefilter("ignore")  # compile() warns about candidates' escapes
    signal.signal(signal.SIGPROF, on_watchdog)
    wanted: tuple[Level, ...] = tuple(level for level in LEVELS if level in config["levels"])
    try:
        extended = partial(reply, channel, {"extended": True})
        judge = Judge(limits, wanted, config["witness"], tuple(config["numpy"]), extended)
    except LayerRefused as error:
        reply(channel, {"refused": str(error)})
        os._exit(1)
    close_memory(judge.level)
    reply(channel, {"level": judge.level, "missing": judge.missing})
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            size = int.from_bytes(read_exactly(channel, 4), "little")
            program = marshal.loads(read_exactly(channel, size))
            verdict = judge.judge(program)
            verdict["ticket"] = program["ticket"]
            reply(channel, verdict)
    judge.close()
    os._exit(0)
