"""Money on the way of a call: the ledger is told before a call is sent, when it is answered, when the store has it.

Many calls share one transaction of the ledger, so that hundreds a second can be written down before they go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import BudgetError, TeacherError
from harness.store.ledger import Entry, Ledger
from harness.teachers.calls import Call, Reply
from harness.teachers.prices import Price

POLL_S = 0.05  # how often a call that does not fit under the cap looks for room


@dataclass
class Wish:
    """Calls that wait to be written down, and go together."""

    rows: list[tuple[str, float]]  # key, and the most that it can cost
    granted: asyncio.Future[None]


class Purse:
    """What one cell may spend at one teacher. Without a ledger nothing is written down and nothing is capped."""

    def __init__(
        self,
        price: Price | None,
        ledger: Ledger | None = None,
        who: tuple[str, str, str] = ("", "", ""),
        cap: float = 0.0,
    ) -> None:
        self.price, self.ledger, self.who, self.cap = price, ledger, who, cap
        self.wishes: list[Wish] = []
        self.costs: list[tuple[str, float]] = []  # answered, not yet told to the ledger
        self.open: dict[str, Entry] = {}  # answered, not yet in the store
        self.early: list[Entry] = []  # extra ones, before there was a ledger
        self.writer: asyncio.Task[None] | None = None

    def most(self, call: Call, *, first: bool = True) -> float:
        """Return the most that a call can cost; a further draw of the same call does not pay the prompt again."""
        return self.price.usd(call.most_tokens_in if first else 0, 0, call.max_tokens) if self.price else 0.0

    async def reserve(self, calls: Sequence[Call]) -> None:
        """Return once calls that go together are written down as in flight.

        Raises BudgetError where the cap leaves no room for them.
        """
        if self.ledger is None:
            return
        rows = [(call.key, self.most(call, first=call is calls[0])) for call in calls]
        wish = Wish(rows, asyncio.get_running_loop().create_future())
        self.wishes.append(wish)
        if self.writer is None or self.writer.done():
            self.writer = asyncio.create_task(self.write())
        await wish.granted

    async def write(self) -> None:
        """Write down what waits, all in one transaction, until nothing waits any more."""
        assert self.ledger is not None
        loop = asyncio.get_running_loop()
        while self.wishes:
            wishes, self.wishes = self.wishes, []
            try:
                costs, self.costs = self.costs, []  # here, as calls are answered in this thread
                granted, others = await loop.run_in_executor(None, self.commit, wishes, costs)
            except BaseException as err:
                for wish in wishes:
                    if not wish.granted.done():
                        wish.granted.set_exception(err if isinstance(err, Exception) else TeacherError("interrupted"))
                raise
            left = [wish for wish in wishes if wish.rows[0][0] not in granted and not wish.granted.done()]
            for wish in wishes:
                if wish.rows[0][0] in granted and not wish.granted.done():
                    wish.granted.set_result(None)
            if left and not others and not self.costs:
                spent = await loop.run_in_executor(None, self.ledger.total, self.who[0])
                for wish in left:
                    wish.granted.set_exception(self.exhausted(spent, sum(usd for _, usd in wish.rows)))
            elif left:
                self.wishes += left
                await asyncio.sleep(POLL_S)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the writer, if it is at work."""
        return [] if self.writer is None or self.writer.done() else [self.writer]

    def commit(self, wishes: Sequence[Wish], costs: Sequence[tuple[str, float]]) -> tuple[set[str], bool]:
        assert self.ledger is not None
        if costs:
            self.ledger.answered(costs)
        return self.ledger.reserve(self.who, [wish.rows for wish in wishes], self.cap)

    def flush(self) -> None:
        """Tell the ledger what answered calls did cost."""
        costs, self.costs = self.costs, []
        if costs and self.ledger is not None:
            self.ledger.answered(costs)

    def exhausted(self, spent: float, most: float) -> BudgetError:
        return BudgetError(
            f"budget.teacher_usd={self.cap:g}: {spent:.4f} US dollars are spent or in flight, and the next call of "
            f"{self.who[2]} may cost up to {most:.4f}. Raise budget.teacher_usd and run the same command again: what "
            "is answered is not asked again."
        )

    def answered(self, call: Call, reply: Reply) -> None:
        """Note what a call did cost."""
        if self.ledger is not None:
            self.costs.append((call.key, reply.usd))
            self.open[call.key] = entry_of(call.key, reply)

    def committed(self, keys: Sequence[str]) -> None:
        """Be told that replies have reached the store."""
        if self.ledger is not None:
            self.ledger.settle(self.who, [self.open.pop(key) for key in keys if key in self.open])

    def extra(self, reply: Reply) -> None:
        """Count a reply that no request asked for; without a ledger, as soon as there is one."""
        self.early.append(entry_of("", reply))
        if self.ledger is not None:
            self.write_to(self.ledger)

    def write_to(self, ledger: Ledger) -> None:
        """Keep this ledger from now on, with what was spent before it was there."""
        self.ledger = ledger
        early, self.early = self.early, []
        ledger.settle(self.who, early)

    def given_up(self, calls: Sequence[Call], tries: int) -> None:
        """Take calls out of flight that got no answer."""
        if self.ledger is not None:
            self.ledger.give_up(self.who, [call.key for call in calls], tries)


def entry_of(key: str, reply: Reply) -> Entry:
    """Return what a reply adds to the account; a quarantined one cost nothing that a price would tell."""
    priced = bool(reply.prices) or reply.finish == "quarantined"
    return Entry(key, reply.tries, reply.tokens_in, reply.tokens_cached, reply.tokens_out, reply.usd, priced=priced)
