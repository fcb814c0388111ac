"""The sandbox's waiting done in asyncio's way; loaded by the asynchronous calls alone, as asyncio is slow to import.

It uses no thread: the judges' channels are descriptors that the event loop watches. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from harness.sandbox.job import Program
from harness.sandbox.rounds import Round
from harness.sandbox.worker import Steps, Wait, run

T = TypeVar("T")


async def pause(wait: Wait, others: Iterable[asyncio.Future[Any]] = ()) -> set[int]:
    """Wait, for one of `others` too; return the descriptors that are ready."""
    loop = asyncio.get_running_loop()
    found: set[int] = set()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(fd: int) -> None:
        found.add(fd)
        if not woken.done():
            woken.set_result(None)

    for fd in wait.read:
        loop.add_reader(fd, wake, fd)
    for fd in wait.write:
        loop.add_writer(fd, wake, fd)
    try:
        await asyncio.wait({woken, *others}, timeout=wait.timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for fd in wait.read:
            loop.remove_reader(fd)
        for fd in wait.write:
            loop.remove_writer(fd)
    return found


async def run_async(steps: Steps[T]) -> T:
    """Take steps to their end while other tasks run; a cancelled task takes the rest of them at once."""
    ready: set[int] | None = None
    while True:
        try:
            wait = next(steps) if ready is None else steps.send(ready)
        except StopIteration as end:
            return end.value
        try:
            ready = await pause(wait)
        except asyncio.CancelledError:
            run(steps)
            raise


async def yield_to_others() -> None:
    """Let every other task go on by a step."""
    await asyncio.sleep(0)


class Arrivals:
    """The caller's programs as they come."""

    def __init__(self, programs: Iterable[Program] | AsyncIterable[Program]) -> None:
        self.slow = aiter(programs) if isinstance(programs, AsyncIterable) else None
        self.quick = iter(()) if isinstance(programs, AsyncIterable) else iter(programs)
        self.coming: set[asyncio.Future[Program | None]] = set()  # the program that has been asked for, if any

    def fill(self, current: Round) -> None:
        """Give the round what has come, and ask for the next if it wants one."""
        if self.slow is None:
            current.fill(self.quick)
            return
        if any(future.done() for future in self.coming):
            current.offer(self.coming.pop().result())
        if not self.coming and current.wants():
            self.coming.add(asyncio.ensure_future(next_of(self.slow)))


async def next_of(source: AsyncIterable[Program]) -> Program | None:
    return await anext(aiter(source), None)


@asynccontextmanager
async def arriving(programs: Iterable[Program] | AsyncIterable[Program]) -> AsyncGenerator[Arrivals, None]:
    """Lend arrivals; a program still asked for at the end is asked for no longer."""
    arrivals = Arrivals(programs)
    try:
        yield arrivals
    finally:
        for future in arrivals.coming:
            future.cancel()
        if arrivals.coming:
            await asyncio.wait(arrivals.coming)
