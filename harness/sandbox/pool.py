"""The harness's side of the sandbox: keeps the judges, takes programs, yields verdicts as they come.

It sees programs and verdicts only; nothing of a candidate's ever runs or is decoded in this process.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable
from contextlib import contextmanager
from types import TracebackType

from harness.errors import ConfigError, SandboxError
from harness.sandbox.cache import Cache
from harness.sandbox.jail.launch import LEVELS, Level
from harness.sandbox.job import Packed, Program
from harness.sandbox.limits import Limits
from harness.sandbox.remedies import facts, remedies
from harness.sandbox.rounds import Round
from harness.sandbox.worker import Steps, Worker, run, spread, stop_all
from harness.types import Verdict

STILLBORN = 3  # judges in a row that may die before they are ready

log = logging.getLogger("harness.sandbox")


class Sandbox:
    """Judges programs with `workers` judges at the strongest level the kernel grants, at least `minimum`.

    A context manager, plain or asynchronous. Equal programs are judged once, unless `cache` is off.
    """

    def __init__(
        self,
        workers: int = 1,
        minimum: Level = "process-only",
        limits: Limits | None = None,
        strongest: Level = "full",  # weaker only to see what a weaker machine would do
        cache: bool = True,
    ) -> None:
        if workers < 1 or minimum not in LEVELS or strongest not in LEVELS:
            raise ConfigError(
                f"workers={workers}, minimum={minimum!r}, strongest={strongest!r}: expected 1 or more workers, and "
                f"levels of {', '.join(LEVELS)}"
            )
        self.levels = LEVELS[LEVELS.index(strongest) :]
        self.minimum: Level = minimum
        self.limits = limits or Limits()
        self.cache = Cache() if cache else None
        self.packed = Packed()
        self.level: Level = "process-only"
        self.missing: tuple[str, ...] = ()
        self.healed = 0  # processes of the sandbox that died and were replaced
        self.reused = 0  # verdicts that were not judged anew, because an equal program's was known or under way
        self.cores = spread(workers)
        self.workers: list[Worker] = []
        self.round: Round | None = None
        self.stillborn = 0

    # --- open and close ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Sandbox:
        self.must_be_closed()
        try:
            run(self.opening())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Sandbox:
        from harness.sandbox.awaiting import run_async

        self.must_be_closed()
        try:
            await run_async(self.opening())
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        from harness.sandbox.awaiting import run_async

        await run_async(self.closing())

    def must_be_closed(self) -> None:
        if self.workers:
            raise SandboxError("this sandbox is open already: enter it once, or make another")

    def opening(self) -> Steps[None]:
        """Start the judges; done when the first is ready. The others become so while it works."""
        first = Worker(self.levels, self.limits, self.cores[0])
        self.workers.append(first)
        answer = yield from first.hello()
        if "refused" in answer:
            raise SandboxError(f"no level of isolation could be set up: {answer['refused']}")
        first.ready = True
        self.level, self.missing = answer["level"], tuple(answer["missing"])
        if LEVELS.index(self.level) > LEVELS.index(self.minimum):
            advice = " ".join(remedies(self.level, self.missing, facts()))
            raise SandboxError(
                f"isolation level is {self.level}, {self.minimum} is required. Refused: {'; '.join(self.missing)}. "
                f"Remedy: {advice or f'accept the weaker level, sandbox.level={self.level}.'}"
            )
        for core in self.cores[1:]:
            self.workers.append(Worker((self.level,), self.limits, core))

    def close(self) -> None:
        """End every process of the sandbox; returns when they are gone."""
        run(self.closing())

    def closing(self) -> Steps[None]:
        workers, self.workers = self.workers, []
        yield from stop_all([(worker, bool(worker.jobs) or not worker.ready) for worker in workers])

    # --- judge ------------------------------------------------------------------------------------------------------

    def judge(self, programs: Iterable[Program], *, fresh: bool = False) -> Generator[tuple[int, Verdict], None, None]:
        """Yield (index of the program, verdict) in any order of completion; few programs are taken ahead.

        Closing the generator ends what is under way. `fresh` judges what is known, too, and remembers nothing.
        """
        with self.lent(fresh) as current:
            source = iter(programs)
            while not current.done():
                current.fill(source)
                current.deal()
                if current.ready:
                    while current.ready:
                        yield current.ready.popleft()
                elif not current.idle():
                    current.collect(current.wait().block())

    async def judge_async(
        self, programs: Iterable[Program] | AsyncIterable[Program], *, fresh: bool = False
    ) -> AsyncGenerator[tuple[int, Verdict], None]:
        """As `judge`, for `async for`: waits in asyncio's way, without a thread, and takes an async iterable too."""
        from harness.sandbox.awaiting import arriving, pause, yield_to_others

        for _ in range(10):
            if self.round is not None:  # a stream left by `break` is closed by a task that has yet to run
                await yield_to_others()
        async with arriving(programs) as source:
            with self.lent(fresh) as current:
                while not current.done():
                    source.fill(current)
                    current.deal()
                    if current.ready:
                        while current.ready:
                            yield current.ready.popleft()
                        await yield_to_others()
                    elif source.coming or not current.idle():
                        current.collect(await pause(current.wait(), source.coming))

    def verdict(self, program: Program, *, fresh: bool = False) -> Verdict:
        """Return the verdict on one program."""
        [(_, verdict)] = self.judge([program], fresh=fresh)
        return verdict

    @contextmanager
    def lent(self, fresh: bool) -> Generator[Round, None, None]:
        """Lend the judges to one call; what is still under way at its end is ended, lest it answer the next caller."""
        if self.round is not None or not self.workers:
            raise SandboxError(
                "judge() needs an entered sandbox (`with Sandbox() as sandbox`) and one caller at a time: read the "
                "stream before it to its end, or close() it"
            )
        current = self.round = Round(self, None if fresh else self.cache)
        try:
            yield current
        finally:
            self.round = None
            left = [worker for worker in self.workers if worker.jobs]
            run(stop_all([(worker, True) for worker in left]))
            for worker in left:
                self.replace(worker)

    # --- healing ----------------------------------------------------------------------------------------------------

    def heal(self, worker: Worker, why: str) -> None:
        """Put a new judge in the place of a dead or hung one."""
        run(stop_all([(worker, True)]))
        self.stillborn = 0 if worker.ready else self.stillborn + 1
        self.tell(f"a judge {why} (exit status {worker.process.returncode}) and was replaced")
        if self.stillborn >= STILLBORN:
            raise SandboxError(f"{STILLBORN} judges in a row {why} before they were ready. Run harness doctor")
        self.replace(worker)

    def replace(self, worker: Worker) -> None:
        self.workers[self.workers.index(worker)] = Worker((self.level,), self.limits, worker.core)

    def tell(self, what: str, times: int = 1) -> None:
        self.healed += times
        log.warning("%s (%d so far)", what, self.healed)


def probe() -> tuple[Level, tuple[str, ...]]:
    """Return the level that this machine grants and what was refused above it, by making the complete set-up once."""
    with Sandbox() as sandbox:
        return sandbox.level, sandbox.missing
