"""Sends calls side by side and gets every one answered: pace, pauses, retries, outages, quarantine. Knows no protocol.

What went wrong is told by the exchange as one of five words (`Trouble.kind`), and each has one remedy:

    limited     the endpoint is asked too fast: everybody pauses as long as it says; costs the call nothing
    down        nobody answers: the run pauses, one call at a time looks whether it is back, up to `patience_s`
    broken      this call failed: again with a growing pause, then into quarantine if others are answered meanwhile
    rejected    this call can never be answered: into quarantine at once
    unusable    no call can be answered (key, model, address): the run stops

Quarantined calls are answers without a text; more questions of them than `TOLERATED` stop the run instead, unrecorded.

Draws of the same question go together, as one exchange. Those that it leaves unanswered, and all of them where it is
refused, are asked one by one. So is everything after that where the endpoint does not honour `n`: it gave fewer
answers, refused `n` by name, or answers alone what it refused together.

The calls live in a loop of a thread of its own, so that they go on while their replies are committed: a store that has
to wait for its lock neither slows them down nor lets them run out of time.
"""

from __future__ import annotations

import asyncio
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, TypeVar

from harness.errors import BudgetError, TeacherError
from harness.teachers.calls import Call, Reply, together
from harness.teachers.pace import Pace
from harness.teachers.purse import Purse
from harness.teachers.settings import Teaching

FIRST_S, LONGEST_S = 0.5, 30.0  # pauses between tries
JITTER = 0.25  # share of a pause that is drawn at random, so that many clients do not come back together
SUSPICIOUS = 6  # failures in a row, of any calls, before the endpoint itself is doubted
SEVERAL = 3  # refusals in a row: within a known limit, a single one holds back its own call only
TOLERATED, TOLERATED_SHARE = 3, 0.05  # questions that are quarantined, in whatever number of draws
LAG_S = 0.02  # how often it is seen whether who takes the replies has caught up

Result = TypeVar("Result")
Found = queue.SimpleQueue["tuple[int, Reply] | None"]  # replies with their positions; None ends them


@dataclass
class Trouble(Exception):
    """Why an exchange gave no reply."""

    kind: Literal["limited", "down", "broken", "rejected", "unusable"]
    text: str  # without secrets
    wait_s: float | None = None  # as the endpoint asks
    status: int = 0  # of HTTP, where there was one
    several: bool = False  # what is refused is that several answers are asked for at once


@dataclass(frozen=True)
class Exchanged:
    """The replies, not more than were asked for, and the headers that came with them."""

    replies: list[Reply]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class Exchange(Protocol):
    """One try of one call, or of several draws of one question."""

    async def __call__(self, calls: Sequence[Call]) -> Exchanged:
        """Return the replies. Raises Trouble."""
        ...


@dataclass(frozen=True)
class Answered:
    """What came of calls that went together."""

    found: list[tuple[int, Reply]]  # with their positions
    left: Sequence[int] = ()  # positions of those that have to be asked by themselves


class Dispatcher:
    """The calls of one process to one endpoint."""

    def __init__(self, exchange: Exchange, settings: Teaching, pace: Pace, purse: Purse, canary: Call) -> None:
        self.exchange, self.settings, self.pace, self.purse, self.canary = exchange, settings, pace, purse, canary
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="teacher", daemon=True)
        self.thread.start()
        self.door = asyncio.Lock()  # through which one call at a time looks whether the endpoint is back
        self.down_since: float | None = None
        self.limited_since: float | None = None
        self.doubt = ""  # why the endpoint is thought to be down
        self.reached = False  # it answers, with errors
        self.looks = 0  # since it went down
        self.row = self.refusals = 0  # failures, calls too many, since the last answer
        self.answered = 0
        self.quarantined: set[Call] = set()  # questions
        self.single = settings.several == 1  # whether every draw goes by itself
        self.apart: set[Call] = set()  # draws that were refused together and are now asked one by one
        self.sending: set[asyncio.Task[Answered]] = set()  # tasks whose call is with the endpoint
        self.rng = random.Random(time.monotonic_ns())  # jitter only: no result depends on it

    def close(self) -> None:
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def run(self, asked: Coroutine[Any, Any, Result]) -> Result:
        """Run something in the loop, and wait for what comes of it."""
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result()

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        """Yield (position, reply) as calls are answered, quarantined ones last.

        Raises TeacherError or BudgetError once what is in flight has been answered.
        """
        found: Found = queue.SimpleQueue()
        driving = self.run(self.begin(calls, found))
        try:
            while (one := found.get()) is not None:
                yield one
        finally:
            self.run(self.end(driving))
        driving.result()

    async def begin(self, calls: Sequence[Call], found: Found) -> asyncio.Task[None]:
        return self.loop.create_task(self.drive(calls, found))

    async def end(self, driving: asyncio.Task[None]) -> None:
        """Wait for the calls to have ended; they are given up where nobody takes their replies any more."""
        driving.cancel()
        await asyncio.wait([driving])

    async def drive(self, calls: Sequence[Call], found: Found) -> None:
        """Have every call answered, as many at a time as allowed, and not more ahead of who takes the replies."""
        waiting = deque(together(calls, 1 if self.single else self.settings.several))
        running: set[asyncio.Task[Answered]] = set()
        held: list[tuple[int, Reply]] = []
        failure: BaseException | None = None
        most = self.settings.concurrency
        try:
            while True:
                while waiting and failure is None and len(running) < most and found.qsize() < most:
                    running.add(self.start(calls, waiting))
                if not running and (failure is not None or not waiting):
                    break
                lagging = bool(waiting) and failure is None and len(running) < most
                if not running:
                    await asyncio.sleep(LAG_S)
                    continue
                done, running = await asyncio.wait(
                    running, timeout=LAG_S if lagging else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    self.sending.discard(task)
                    if task.cancelled():
                        continue
                    if (problem := task.exception()) is not None:
                        failure = failure or problem
                        continue
                    waiting.extendleft([place] for place in task.result().left)
                    for place, reply in task.result().found:
                        if reply.finish == "quarantined":
                            held.append((place, reply))
                            failure = failure or self.too_many(calls[place], reply)
                        else:
                            found.put((place, reply))
                if failure is not None:
                    for task in running - self.sending:
                        task.cancel()
            if failure is not None:
                raise failure
            for one in held:
                found.put(one)
        finally:
            left: set[asyncio.Task[Any]] = {*running, *self.purse.tasks()}
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)
            self.purse.flush()
            found.put(None)

    def start(self, calls: Sequence[Call], waiting: deque[list[int]]) -> asyncio.Task[Answered]:
        """Start the next call, or the next draws that go together."""
        places = waiting.popleft()
        if self.single:
            waiting.extendleft([place] for place in reversed(places[1:]))
            places = places[:1]
        return self.loop.create_task(self.group(places, [calls[place] for place in places]))

    def too_many(self, call: Call, reply: Reply) -> TeacherError | None:
        """Count a quarantined call and return an error where there are more than one can put down to single calls."""
        self.quarantined.add(call.question)
        if len(self.quarantined) <= max(TOLERATED, TOLERATED_SHARE * self.answered):
            return None
        return TeacherError(
            f"{self.purse.who[2] or self.settings.label}: {len(self.quarantined)} calls were refused and "
            f"{self.answered} answered, so it is not single calls that are wrong. The last one: {reply.reason}. Mend "
            "this and run the same command again; the refused ones are not recorded."
        )

    async def group(self, places: Sequence[int], calls: Sequence[Call]) -> Answered:
        """Get a call answered, or several draws of one question."""
        try:
            await self.purse.reserve(calls)
        except BudgetError:
            if len(calls) == 1:
                raise
            return Answered([], places)  # there may be room for fewer
        tries = failures = 0
        seen = -1  # answers of others when this call failed last
        while True:
            tries += 1
            try:
                return self.settled(places, calls, await self.passage(calls), tries)
            except Trouble as trouble:
                if trouble.kind == "unusable":
                    self.purse.given_up(calls, tries)
                    raise TeacherError(trouble.text) from None
                self.bear(trouble)
                if trouble.kind == "broken" and self.answered > seen:
                    failures, seen = failures + 1, self.answered
                if trouble.kind == "rejected" or failures >= self.settings.tries:
                    if len(calls) > 1:
                        return self.parted(places, calls, trouble, tries)
                    text = f"{trouble.text} ({tries} tries)" if tries > 1 else trouble.text
                    refusal = Reply("", "quarantined", 0, 0, 0, 0.0, calls[0].max_tokens, reason=text)
                    return self.settled(places, calls, [refusal], tries)
                if trouble.kind == "broken":
                    await asyncio.sleep(self.backoff(failures))
                elif trouble.kind == "limited":
                    await asyncio.sleep(trouble.wait_s or 0.0)
            except TeacherError:
                self.purse.given_up(calls, tries)
                raise

    def settled(self, places: Sequence[int], calls: Sequence[Call], replies: Sequence[Reply], tries: int) -> Answered:
        """Account for the replies; calls without one have to be asked by themselves."""
        count = len(replies)
        if count < len(calls):
            self.single = True
            self.purse.given_up(calls[count:], 0 if count else tries)
        if calls[0] in self.apart:
            self.apart.discard(calls[0])
            self.single = self.single or replies[0].finish != "quarantined"
        told = [replace(reply, tries=0 if at else tries) for at, reply in enumerate(replies)]
        for call, reply in zip(calls, told, strict=False):
            self.purse.answered(call, reply)
        return Answered(list(zip(places, told, strict=False)), places[count:])

    def parted(self, places: Sequence[int], calls: Sequence[Call], trouble: Trouble, tries: int) -> Answered:
        """Have draws asked one by one that were refused together: it may be their number, or what they ask."""
        self.single = self.single or trouble.several
        self.apart.update(calls)
        self.purse.given_up(calls, tries)
        return Answered([], places)

    def bear(self, trouble: Trouble) -> None:
        """Raise TeacherError where an endpoint refuses calls for longer than the user has patience."""
        now = asyncio.get_running_loop().time()
        since = self.limited_since if trouble.kind == "limited" else None
        if since is not None and max(now, self.pace.paused_until) - since > self.settings.patience_s:
            raise TeacherError(
                f"{self.purse.who[2] or self.settings.label}: calls have been refused for {now - since:.0f} s, and it "
                f"asks to wait {max(0.0, self.pace.paused_until - now):.0f} s more "
                f"(teacher.patience_s={self.settings.patience_s:g}): {trouble.text}. Run the same command later: "
                "what is answered is not asked again."
            )

    def down(self) -> bool:
        return self.down_since is not None

    async def passage(self, calls: Sequence[Call]) -> list[Reply]:
        """Try once, when the turn has come and the endpoint is there."""
        if self.down():
            async with self.door:
                if self.down():  # nobody before us found it back
                    await self.look()
                    return await self.attempt(calls)
        loop = asyncio.get_running_loop()
        tokens = calls[0].most_tokens_in // 4 + len(calls) * calls[0].max_tokens // 2
        turn = self.pace.slot(tokens, loop.time())
        while (now := loop.time()) < (turn := max(turn, self.pace.paused_until)):
            await asyncio.sleep(turn - now)
        return await self.attempt(calls)

    async def attempt(self, calls: Sequence[Call]) -> list[Reply]:
        """Make one exchange and draw the conclusions that concern every call."""
        task = asyncio.current_task()
        assert task is not None  # `group` made it
        self.sending.add(task)
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                found = await self.exchange(calls)
        except TimeoutError:
            trouble = Trouble("broken", f"no answer within teacher.timeout_s={self.settings.timeout_s:g} s")
            self.failed(trouble, now())
            raise trouble from None
        except Trouble as trouble:
            self.failed(trouble, now())
            raise
        finally:
            self.sending.discard(task)
        self.row, self.down_since, self.looks = 0, None, 0
        self.refusals, self.limited_since = 0, None
        self.answered += 1
        self.pace.answered(found.headers, now())
        return found.replies

    def failed(self, trouble: Trouble, now: float) -> None:
        """Pause everybody where the trouble is not this call's alone."""
        if trouble.kind == "rejected":
            self.row, self.down_since, self.looks = 0, None, 0  # it is there, and it answers
        elif trouble.kind == "limited":
            self.limited_since = now if self.limited_since is None else self.limited_since
            self.refusals += 1
            trouble.wait_s = trouble.wait_s if trouble.wait_s is not None else self.backoff(self.refusals)
            self.pace.refused(trouble.wait_s + 0.01, now, alone=self.refusals < SEVERAL)
        elif trouble.kind in ("down", "broken"):
            self.row += 1
            self.reached = trouble.kind == "broken"
            if trouble.kind == "down" or self.row >= SUSPICIOUS:
                self.doubt = trouble.text
                self.down_since = now if self.down_since is None else self.down_since

    async def look(self) -> None:
        """Wait a growing while, then see with a harmless call whether the endpoint is back.

        Raises TeacherError when that has lasted too long, and Trouble if it is still away.
        """
        assert self.down_since is not None
        loop = asyncio.get_running_loop()
        away = loop.time() - self.down_since
        if away > self.settings.patience_s:
            raise TeacherError(
                f"teacher.base_url={self.settings.base_url}: no answer for {away:.0f} s "
                f"(teacher.patience_s={self.settings.patience_s:g}); the last trouble: {self.doubt}. Run the same "
                "command again when it is back: what is answered is not asked again."
            )
        self.looks += 1
        rest = self.settings.patience_s - away + 0.01
        await asyncio.sleep(min(self.backoff(self.looks), rest))
        if self.reached:  # something is there: is it only this call that fails?
            [reply] = await self.attempt([self.canary])
            self.purse.extra(reply)

    def backoff(self, failures: int) -> float:
        """Return the pause after so many failures in a row, in seconds."""
        whole = min(LONGEST_S, FIRST_S * 2 ** min(max(0, failures - 1), 10))
        return whole * (1 - JITTER * self.rng.random())
