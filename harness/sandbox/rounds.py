"""One call of `judge`: which program goes to which judge, what runs again, which verdicts are ready to be handed out.

It never blocks and never asks for a program: its callers, one plain and one in asyncio, do both.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Set
from typing import Any, Protocol

from harness.errors import SandboxError
from harness.sandbox.cache import Cache
from harness.sandbox.jail.launch import Level
from harness.sandbox.job import Job, Packed, Program, infrastructure, message, overwork, verdict_of, wall_of
from harness.sandbox.judging.answers import compared
from harness.sandbox.limits import Limits
from harness.sandbox.worker import START_S, Wait, Worker
from harness.types import Text, Verdict

QUEUED = 2  # programs per worker: one running, one waiting, so that no worker idles for a round trip
FOLLOWERS = 256  # equal programs that may wait for the one under way before no more are taken
KNOWN = 64  # verdicts from memory in a row, after which those of judges are looked for
LONE = 16  # programs that wait for a run with the machine to themselves before the others make room
SLACK_S = 60.0  # beyond twice the wall limit, extended or not, before a judge itself is taken for hung


class Crew(Protocol):
    """What a round needs of the sandbox."""

    workers: list[Worker]
    limits: Limits
    level: Level
    packed: Packed
    reused: int

    def heal(self, worker: Worker, why: str) -> None: ...
    def tell(self, what: str, times: int = 1) -> None: ...


class Round:
    """The programs of one call."""

    def __init__(self, crew: Crew, cache: Cache | None) -> None:
        self.crew = crew
        self.cache = cache
        self.taken = 0
        self.exhausted = False  # the caller has no more programs
        self.tickets = 0
        self.ready: deque[tuple[int, Verdict]] = deque()
        self.again: deque[Job] = deque()  # after a judge's death
        self.lone: deque[Job] = deque()  # second runs, each with the machine to itself
        self.draining = False  # nothing more is taken until those have run
        self.leaders: dict[bytes, Job] = {}  # by key, while under way
        self.following = 0
        self.known = 0  # verdicts from memory since a judge was last listened to

    # --- programs in ------------------------------------------------------------------------------------------------

    def wants(self) -> bool:
        """Whether one more program should be taken. What is ready is handed out first: the next may depend on it."""
        if self.exhausted or self.ready or self.again or self.draining or self.following >= FOLLOWERS:
            return False
        return self.free() is not None

    def fill(self, source: Iterator[Program]) -> None:
        while self.wants():
            self.offer(next(source, None))

    def offer(self, program: Program | None) -> None:
        """Take one program, or None when there are no more."""
        if program is None:
            self.exhausted = True
            return
        if isinstance(program.checks, Text):  # nothing to run
            self.ready.append((self.taken, compared(program.checks, program.source, self.crew.level)))
            self.taken += 1
            return
        job = Job(self.taken, program)
        self.taken += 1
        if self.cache is not None:
            job.key = self.cache.key(program, job.index)
            known = self.cache.verdicts.recall(job.key)
            leader = self.leaders.setdefault(job.key, job)
            if known is not None or leader is not job:
                self.crew.reused += 1
            if known is not None:
                del self.leaders[job.key]
                self.ready.append((job.index, known))
                self.known += 1
                return
            if leader is not job:
                leader.followers.append(job.index)
                self.following += 1
                return
        self.give(job)

    def free(self) -> Worker | None:
        """Return the worker that has least to do, or None if all have enough."""
        least = min(self.crew.workers, key=lambda worker: len(worker.jobs), default=None)
        return least if least is not None and len(least.jobs) < QUEUED else None

    def give(self, job: Job) -> None:
        worker = self.free()
        assert worker is not None, "a program was taken without room for it"
        self.tickets += 1
        job.ticket, job.sent = self.tickets, time.monotonic()
        data = message(job, self.crew.limits, self.crew.packed)
        worker.jobs.append(job)
        worker.send(data)

    def deal(self) -> None:
        """Give out what must run again, where there is room."""
        if not self.crew.workers:
            raise SandboxError("the sandbox was closed before all programs were judged")
        if self.known >= KNOWN:
            self.collect()
        if self.lone and (self.exhausted or len(self.lone) >= LONE or self.following >= FOLLOWERS):
            self.draining = True
        while self.again and self.free() is not None:
            self.give(self.again.popleft())
        if self.draining and self.idle():
            if self.lone:
                self.give(self.lone.popleft())
            else:
                self.draining = False

    # --- verdicts out -----------------------------------------------------------------------------------------------

    def idle(self) -> bool:
        return not any(worker.jobs for worker in self.crew.workers)

    def done(self) -> bool:
        return self.exhausted and self.idle() and not (self.ready or self.again or self.lone)

    def wait(self) -> Wait:
        """Return what the next verdict is waited for with."""
        busy = [worker for worker in self.crew.workers if worker.jobs]
        writing = tuple(worker.channel.fileno() for worker in busy if worker.outgoing)
        return Wait(tuple(worker.channel.fileno() for worker in busy), writing)

    def collect(self, ready: Set[int] | None = None) -> None:
        """Take what has come on the `ready` descriptors (None: look at all), and look after judges that hang."""
        now = time.monotonic()
        self.known = 0
        for worker in list(self.crew.workers):
            if not worker.jobs:
                continue
            if ready is None or worker.channel.fileno() in ready:
                worker.flush()
                messages = worker.receive()
                if messages is None:
                    self.bury(worker, "died")
                    continue
                for fields in messages:
                    self.take(worker, fields)
            if self.overdue(worker, now):
                self.bury(worker, "hung")

    def overdue(self, worker: Worker, now: float) -> bool:
        if not worker.ready:
            return now - worker.began > START_S
        if not worker.jobs:
            return False
        first = worker.jobs[0]
        return now - first.sent > 2 * wall_of(first.program, self.crew.limits) + SLACK_S

    def take(self, worker: Worker, fields: dict[str, Any]) -> None:
        """Take one message of a judge: its greeting, or of the program that stands first in its queue the verdict.

        Or that this program was given more time: then the time after which the judge is taken for hung begins anew.
        """
        if "refused" in fields:
            raise SandboxError(f"a judge could not be started at level {self.crew.level}: {fields['refused']}")
        if not worker.ready:
            worker.ready = True
            if worker.jobs:
                worker.jobs[0].sent = time.monotonic()
            return
        if "extended" in fields:
            worker.jobs[0].sent = time.monotonic()
            return
        job = worker.jobs.popleft()
        assert fields.pop("ticket") == job.ticket, f"a judge answered out of turn: {fields}"
        if worker.jobs:
            worker.jobs[0].sent = time.monotonic()
        if healed := fields.pop("healed", 0):
            self.crew.tell("a zygote died and was replaced by its judge", healed)
        if fields.pop("doubtful", False) and not job.alone:
            job.alone = True
            self.lone.append(job)
        else:
            self.settle(job, verdict_of(fields))

    def settle(self, job: Job, verdict: Verdict) -> None:
        """Hand out a verdict, to the equal programs that waited for it too."""
        self.ready.append((job.index, verdict))
        self.ready.extend((index, verdict) for index in job.followers)
        self.following -= len(job.followers)
        if self.cache is not None and job.key is not None:
            del self.leaders[job.key]
            if verdict.status != "infrastructure" and not job.alone:
                self.cache.verdicts.keep(job.key, verdict)

    def bury(self, worker: Worker, why: str) -> None:
        """Replace a dead or hung judge: its first program gets one more run, those behind it are innocent."""
        jobs = worker.jobs
        overworked = worker.ended_by_watchdog()
        self.crew.heal(worker, why)
        first = jobs[0] if worker.ready else None
        if first is not None:
            first.crashes += 1
            if first.crashes > 1:
                jobs.popleft()
                self.settle(
                    first,
                    overwork(self.crew.level)
                    if overworked
                    else infrastructure(f"its judge {why}, and the one before it too", self.crew.level),
                )
        self.again.extend(jobs)
