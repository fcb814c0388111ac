"""The judge: a process of its own that holds tests and expected values, and decides every verdict.

It never executes a candidate's code (it compiles it, and sends it to a child in the jail) and never believes a child:
`passed` comes only from its own control flow. Run by the pool as `main(config)`.
"""

from __future__ import annotations

import fcntl
import json
import marshal
import os
import resource
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from types import CodeType, FrameType
from typing import Any, NoReturn

from harness.sandbox.launch import LEVELS, LayerRefused, Level, ZygoteGone, start_best
from harness.sandbox.limits import SOURCE_BYTES, Limits
from harness.sandbox.rules import accepts, cut, show, show_call
from harness.sandbox.scripts import Scripts
from harness.sandbox.session import Ended, HungUp, Session, undamaged
from harness.sandbox.values import Damaged, Decoder

F_SETSIG = 10
JUDGE_BYTES = 4 << 30
WATCHDOG_S = 2.0  # least CPU seconds that the judge itself may spend on one program


class Watchdog(BaseException):
    """The judge's own work on one program took too long: hostile data, or a test that does not end."""


class Opaque:
    """Stands for a returned object that is not plain data, where a value is expected: equal to nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.name} object>"


class Outcome:
    """A verdict in the making."""

    def __init__(self, n_checks: int) -> None:
        self.status = "passed"
        self.reason = ""
        self.n_passed = 0
        self.n_checks = n_checks
        self.first_fail: list[Any] | None = None  # input, got, expected, visible
        self.doubtful = False

    def fail(self, status: str, reason: str, failure: list[Any] | None = None) -> None:
        """Note a failure; the first one decides, except that a later stop of the whole program outranks `wrong`."""
        if self.status in ("passed",):
            self.status, self.reason = status, cut(reason)
        if self.first_fail is None and failure is not None:
            self.first_fail = [cut(text) if isinstance(text, str) else text for text in failure]


class Judge:
    """Judges one program after another with one zygote, which it replaces when it dies."""

    def __init__(self, limits: Limits, wanted: tuple[Level, ...], witness: int) -> None:
        self.limits = limits
        self.witness = witness
        self.zygote, self.missing = start_best(wanted, limits, witness)
        self.level: Level = self.zygote.level
        self.scripts = Scripts()

    def judge(self, program: dict[str, Any]) -> dict[str, Any]:
        """Return the verdict on one program; a dead zygote is replaced and the program run once more."""
        began = time.monotonic()
        trouble = ""
        for _ in range(2):
            try:
                return self.attempt(program, began)
            except ZygoteGone as error:
                trouble = str(error)
                self.restart()
        outcome = Outcome(0)
        outcome.fail("infrastructure", f"the sandbox failed twice: {trouble}")
        return self.verdict(outcome, began, 0.0, 0)

    def restart(self) -> None:
        self.zygote.close()
        self.zygote = start_best((self.level,), self.limits, self.witness)[0]

    def attempt(self, program: dict[str, Any], began: float) -> dict[str, Any]:
        checks = program["checks"]
        outcome = Outcome(self.scripts.count(checks) if isinstance(checks, dict) else len(checks))
        try:
            code = compiled(program)
        except Ended as ended:
            outcome.fail(ended.status, ended.reason)
            return self.verdict(outcome, began, 0.0, 0)
        session = Session(self.zygote, replace(self.limits, wall_s=program["wall_s"]), program["cpu_s"])
        hung_up = False
        try:
            signal.setitimer(signal.ITIMER_PROF, max(WATCHDOG_S, program["cpu_s"]), 0.2)
            if isinstance(checks, dict):
                session.send_program(code, program["entry_point"], None)
                self.scripts.run(session, program, outcome)
            else:
                run_checks(session, code, program["entry_point"], checks, outcome)
        except HungUp:
            hung_up = True
        except Ended as ended:
            self.stopped(outcome, ended)
        except Damaged as error:
            self.stopped(outcome, undamaged(error))
        except Watchdog:
            self.stopped(outcome, Ended("timeout", "its data or its tests kept the judge busy for too long"))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        ended, cpu_s, peak_bytes, clean = session.finish(hung_up)
        if ended is not None:
            self.stopped(outcome, ended)
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
            "first_fail": outcome.first_fail,
            "n_passed": outcome.n_passed,
            "n_checks": outcome.n_checks,
            "cpu_s": cpu_s,
            "wall_s": time.monotonic() - began,
            "peak_bytes": peak_bytes,
            "level": self.level,
            "doubtful": outcome.doubtful,
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


def run_checks(session: Session, code: CodeType | str, entry_point: str, checks: list[Any], outcome: Outcome) -> None:
    """Send every call along with the program and compare the answers as they come."""
    session.send_program(code, entry_point, [raw for raw, _, _, _ in checks])
    decoder = Decoder(lambda handle, name: Opaque(name))
    at = 0
    try:
        session.loaded()
        for at, (raw, expected, rule, visible) in enumerate(checks):  # noqa: B007  read when it stops early
            answer = session.answer()
            if answer[0] == "v" and len(answer) >= 2:
                got = decoder.decode(answer[1])
                if accepts(rule, got, expected):
                    outcome.n_passed += 1
                    continue
                outcome.fail(
                    "wrong", "a call returned a wrong value", failure(entry_point, raw, show(got), expected, visible)
                )
            elif answer[0] == "e" and len(answer) == 4:
                ended = session.failed(answer)
                if ended.status != "exception":
                    raise ended
                outcome.fail("exception", ended.reason, failure(entry_point, raw, ended.reason, expected, visible))
            elif answer[0] == "large":
                outcome.fail("output_limit", str(answer[1]), failure(entry_point, raw, "too large", expected, visible))
            else:
                raise Ended("crashed", "broke the protocol: unexpected answer")
    except (Ended, HungUp) as stop:
        if outcome.first_fail is None and checks:
            raw, expected, _, visible = checks[at]
            got = stop.reason if isinstance(stop, Ended) else "no answer"
            outcome.first_fail = failure(entry_point, raw, cut(got), expected, visible)
        raise


def failure(entry_point: str, raw: bytes, got: str, expected: Any, visible: bool) -> list[Any]:
    args, _ = marshal.loads(raw)
    return [show_call(entry_point, args), got, show(expected), visible]


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


def limit_own_memory(memory_bytes: int) -> None:
    """Keep hostile data, or tests that multiply it, from taking the machine's memory through the judge."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = max(JUDGE_BYTES, 2 * memory_bytes)  # the zygote inherits it and must be able to set its own
    if sys.platform == "linux" and (hard == resource.RLIM_INFINITY or hard > wanted):
        resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))


def on_watchdog(number: int, frame: FrameType | None) -> NoReturn:
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
    channel = socket.socket(fileno=config["channel"])
    limits = Limits(**config["limits"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_own_memory(limits.memory_bytes)
    warnings.simplefilter("ignore")  # compile() warns about candidates' escapes
    signal.signal(signal.SIGPROF, on_watchdog)
    wanted: tuple[Level, ...] = tuple(level for level in LEVELS if level in config["levels"])
    try:
        judge = Judge(limits, wanted, config["witness"])
    except LayerRefused as error:
        reply(channel, {"refused": str(error)})
        os._exit(1)
    reply(channel, {"level": judge.level, "missing": judge.missing})
    with suppress(BrokenPipeError, ConnectionResetError, EOFError):
        while True:
            size = int.from_bytes(read_exactly(channel, 4), "little")
            program = marshal.loads(read_exactly(channel, size))
            verdict = judge.judge(program)
            verdict["ticket"] = program["ticket"]
            reply(channel, verdict)
    judge.zygote.close()
    os._exit(0)
