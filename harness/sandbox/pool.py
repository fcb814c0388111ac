"""The harness's side of the sandbox: starts judges, deals programs out to them, yields verdicts as they come.

It sees programs and verdicts only; nothing of a candidate's ever runs or is decoded in this process.
"""

from __future__ import annotations

import json
import marshal
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any

from harness.errors import SandboxError
from harness.sandbox.launch import LEVELS, Level, clean_environment, command
from harness.sandbox.limits import Limits
from harness.types import Check, Failure, Script, Verdict

QUEUED = 2  # programs per worker: one running, one waiting, so that no worker idles for a round trip
SLACK_S = 15.0  # beyond the wall limit before a judge itself is taken for hung
CLOSE_S = 3.0
MESSAGE_BYTES = 1 << 16  # of a verdict: five texts of at most 300 characters

REMEDY = (
    "allow unprivileged user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu; a container "
    "needs a seccomp profile that permits unshare and mount), or accept a weaker level with minimum="
)


@dataclass(frozen=True)
class Program:
    """One program to judge."""

    source: str  # whole program text
    entry_point: str
    checks: tuple[Check, ...] | Script
    prompt: str = ""  # the problem's own text: what it defines beside the entry point is run in the judge
    id: str = ""
    cpu_s: float | None = None  # None: the sandbox's limit


@dataclass
class Job:
    """A program under way."""

    index: int
    program: Program
    crashes: int = 0  # judges that died with it
    alone: bool = False  # its second run, after an end that may have been the machine's fault
    sent: float = 0.0


@dataclass
class Worker:
    """One judge process and its channel."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    lifeline: int
    witness: int
    jobs: deque[Job] = field(default_factory=deque[Job])
    buffer: bytes = b""


def start_worker(levels: tuple[Level, ...], limits: Limits) -> Worker:
    """Start a judge in a process of its own; the harness is never forked."""
    ours, theirs = socket.socketpair()
    lifeline_read, lifeline = os.pipe()
    witness, witness_write = os.pipe()
    config = {
        "levels": levels,
        "limits": asdict(limits),
        "channel": theirs.fileno(),
        "lifeline": lifeline_read,
        "witness": witness_write,
    }
    process = subprocess.Popen(
        command("judge", json.dumps(config)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=clean_environment(),
        pass_fds=(theirs.fileno(), lifeline_read, witness_write),
        start_new_session=True,
    )
    theirs.close()
    os.close(lifeline_read)
    os.close(witness_write)
    return Worker(process, ours, lifeline, witness)


def stop_worker(worker: Worker, kill: bool = False) -> None:
    """End a judge and all below it; returns when they are gone."""
    worker.channel.close()
    if kill:
        worker.process.kill()
    try:
        worker.process.wait(CLOSE_S)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    os.close(worker.lifeline)
    # launcher and zygote hold the other end: end of file says that they have gone too
    select.select([worker.witness], [], [], CLOSE_S)
    os.close(worker.witness)


def message(job: Job, ticket: int, limits: Limits) -> bytes:
    """Return a program as its judge reads it. Arguments travel marshalled one by one: each call gets a fresh copy."""
    program = job.program
    checks: Any
    try:
        if isinstance(program.checks, Script):
            script = program.checks
            visible = [marshal.dumps(check.args, 0) for check in script.visible]
            checks = {"text": script.text, "style": script.style, "visible": visible}
        else:
            checks = [
                (marshal.dumps((check.args, {})), check.expected, check.rule, check.visible) for check in program.checks
            ]
        data = marshal.dumps(
            {
                "ticket": ticket,
                "source": program.source,
                "entry_point": program.entry_point,
                "checks": checks,
                "prompt": program.prompt,
                "cpu_s": float(limits.cpu_s if program.cpu_s is None else program.cpu_s),
                "wall_s": limits.wall_s,
                "careful": job.crashes > 0,
            }
        )
    except ValueError as error:
        name = program.id or f"program {job.index}"
        raise SandboxError(f"{name}: a check holds a value that is not plain data ({error})") from error
    return len(data).to_bytes(4, "little") + data


def receive(worker: Worker) -> list[dict[str, Any]] | None:
    """Return the messages that have arrived, or None when the judge is gone."""
    try:
        chunk = worker.channel.recv(1 << 20)
    except OSError:
        chunk = b""
    if not chunk:
        return None
    worker.buffer += chunk
    found: list[dict[str, Any]] = []
    while len(worker.buffer) >= 4:
        end = 4 + int.from_bytes(worker.buffer[:4], "little")
        if end > MESSAGE_BYTES:
            return None  # no judge says so much
        if len(worker.buffer) < end:
            break
        found.append(json.loads(worker.buffer[4:end]))
        worker.buffer = worker.buffer[end:]
    return found


def verdict_of(fields: dict[str, Any]) -> Verdict:
    failure = fields["first_fail"]
    return Verdict(
        status=fields["status"],
        reason=fields["reason"],
        first_fail=None if failure is None or fields["status"] == "passed" else Failure(*failure),
        n_passed=fields["n_passed"],
        n_checks=fields["n_checks"],
        cpu_s=fields["cpu_s"],
        wall_s=fields["wall_s"],
        peak_bytes=fields["peak_bytes"],
        level=fields["level"],
    )


class Sandbox:
    """Judges programs with `workers` judges at the strongest level the kernel grants, at least `minimum`."""

    def __init__(
        self,
        workers: int = 1,
        minimum: Level = "process-only",
        limits: Limits | None = None,
        strongest: Level = "full",  # weaker only to see what a weaker machine would do
    ) -> None:
        if workers < 1 or minimum not in LEVELS or strongest not in LEVELS:
            raise SandboxError(f"workers={workers}, minimum={minimum!r}: expected 1 or more, and one of {LEVELS}")
        self.levels = LEVELS[LEVELS.index(strongest) :]
        self.count = workers
        self.minimum: Level = minimum
        self.limits = limits or Limits()
        self.level: Level = "process-only"
        self.missing: tuple[str, ...] = ()
        self.workers: list[Worker] = []
        self.tickets = 0
        self.busy = False

    def __enter__(self) -> Sandbox:
        first = start_worker(self.levels, self.limits)
        self.workers = [first]
        try:
            answer = self.hello(first)
            if "refused" in answer:
                raise SandboxError(f"no level of isolation could be set up: {answer['refused']}")
            self.level, self.missing = answer["level"], tuple(answer["missing"])
            if LEVELS.index(self.level) > LEVELS.index(self.minimum):
                refused = "; ".join(self.missing)
                raise SandboxError(
                    f"isolation level is {self.level}, {self.minimum} is required. Refused: {refused}. "
                    f"Remedy: {REMEDY}{self.level}"
                )
            self.workers += [start_worker((self.level,), self.limits) for _ in range(self.count - 1)]
            for worker in self.workers[1:]:
                answer = self.hello(worker)
                if "refused" in answer:
                    raise SandboxError(f"a second worker was refused level {self.level}: {answer['refused']}")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the sandbox; returns when they are gone."""
        workers, self.workers = self.workers, []
        for worker in workers:
            stop_worker(worker, kill=bool(worker.jobs))

    def hello(self, worker: Worker) -> dict[str, Any]:
        """Wait until a judge is ready."""
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            if select.select([worker.channel], [], [], 1.0)[0]:
                messages = receive(worker)
                if messages is None:
                    break
                if messages:
                    return messages[0]
        raise SandboxError(f"a judge did not start ({sys.executable}, exit status {worker.process.poll()})")

    def judge(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
        """Yield (index of the program, verdict) in any order of completion; few programs are taken ahead."""
        if self.busy or not self.workers:
            raise SandboxError(
                "judge() needs an entered sandbox (`with Sandbox() as sandbox`) and one caller at a time"
            )
        self.busy = True
        try:
            yield from self.stream(iter(enumerate(programs)))
        finally:
            self.busy = False
            for place, worker in enumerate(self.workers):
                if worker.jobs:  # the caller stopped early: what is under way must not answer the next caller
                    self.replace(place)

    def stream(self, source: Iterator[tuple[int, Program]]) -> Iterator[tuple[int, Verdict]]:
        again: deque[Job] = deque()  # after a judge's death
        lone: deque[Job] = deque()  # second runs, each with the machine to itself
        exhausted = False
        while True:
            for worker in self.workers:
                while not exhausted and len(worker.jobs) < QUEUED:
                    job = again.popleft() if again else next((Job(*item) for item in source), None)
                    if job is None:
                        exhausted = True
                    else:
                        self.give(worker, job)
            while again and (free := [worker for worker in self.workers if len(worker.jobs) < QUEUED]):
                self.give(free[0], again.popleft())
            if exhausted and lone and not any(worker.jobs for worker in self.workers):
                self.give(self.workers[0], lone.popleft())
            if not any(worker.jobs for worker in self.workers):
                return
            for job, fields in self.collect(again):
                if fields.pop("doubtful", False) and not job.alone:
                    lone.append(Job(job.index, job.program, job.crashes, alone=True))
                else:
                    yield job.index, verdict_of(fields)

    def give(self, worker: Worker, job: Job) -> None:
        self.tickets += 1
        data = message(job, self.tickets, self.limits)
        job.sent = time.monotonic()
        worker.jobs.append(job)
        with suppress(OSError):  # a dead judge is noticed when its answer is waited for
            worker.channel.sendall(data)

    def collect(self, again: deque[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Wait for at least one event; yield finished jobs and put those of a dead judge into `again`."""
        waiting = {worker.channel: place for place, worker in enumerate(self.workers) if worker.jobs}
        ready = select.select(list(waiting), [], [], 1.0)[0]
        for channel in ready:
            place = waiting[channel]
            messages = receive(self.workers[place])
            if messages is None:
                yield from self.bury(place, again)
                continue
            for fields in messages:
                job = self.workers[place].jobs.popleft()
                if self.workers[place].jobs:
                    self.workers[place].jobs[0].sent = time.monotonic()
                yield job, fields
        now = time.monotonic()
        for place, worker in enumerate(self.workers):
            if worker.jobs and now - worker.jobs[0].sent > 2 * self.limits.wall_s + SLACK_S:
                yield from self.bury(place, again)

    def bury(self, place: int, again: deque[Job]) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Replace a dead or hung judge: its first program gets one more run, those behind it are innocent."""
        jobs = self.workers[place].jobs
        self.replace(place)
        if not jobs:
            return
        first = jobs.popleft()
        first.crashes += 1
        if first.crashes > 1:
            yield first, infrastructure("its judge died or hung twice", self.level)
        else:
            again.append(first)
        again.extend(jobs)

    def replace(self, place: int) -> None:
        stop_worker(self.workers[place], kill=True)
        worker = start_worker((self.level,), self.limits)
        self.workers[place] = worker
        answer = self.hello(worker)
        if "refused" in answer:
            raise SandboxError(f"a judge could not be restarted at level {self.level}: {answer['refused']}")


def infrastructure(reason: str, level: Level) -> dict[str, Any]:
    return {
        "status": "infrastructure",
        "reason": reason,
        "first_fail": None,
        "n_passed": 0,
        "n_checks": 0,
        "cpu_s": 0.0,
        "wall_s": 0.0,
        "peak_bytes": 0,
        "level": level,
    }


def probe() -> tuple[Level, tuple[str, ...]]:
    """Return the level that this machine grants and what was refused above it, by making the complete set-up once."""
    with Sandbox() as sandbox:
        return sandbox.level, sandbox.missing
