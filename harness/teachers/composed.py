"""A teacher made of several: one for each kind of request that is to go to another than the main one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from harness.store.database import Record
from harness.teachers.base import Teacher
from harness.teachers.requests import Answer, Request

Ask = Callable[[Teacher, Sequence[Request]], tuple[list[Answer], list[Record]]]


class Composed:
    """The main teacher, and others by kind of request. Each keeps its own name in the keys of its answers."""

    version = 1

    def __init__(self, main: Teacher, others: Mapping[str, Teacher]) -> None:
        self.main, self.others = main, dict(others)
        self.name = " ".join([main.name, *(f"{kind}={one.name}" for kind, one in self.others.items())])

    @property
    def logits(self) -> str:
        return str(getattr(self.main, "logits", ""))

    @property
    def capabilities(self) -> frozenset[str]:
        return self.kinds(lambda one: one.capabilities)

    def serves(self, source: str) -> frozenset[str]:
        return self.kinds(lambda one: one.serves(source))

    def kinds(self, of: Callable[[Teacher], frozenset[str]]) -> frozenset[str]:
        found = set(of(self.main)) - self.others.keys()
        return frozenset(found | {kind for kind, one in self.others.items() if kind in of(one)})

    def member(self, request: Request) -> Teacher:
        """Return who answers a request."""
        return self.others.get(request.kind, self.main)

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        for one in self.members():
            rows = [row for row, request in enumerate(requests) if self.member(request) is one]
            for position, answer in one.answer([requests[row] for row in rows], seed):
                yield rows[position], answer

    def ask(self, requests: Sequence[Request], ask: Ask) -> tuple[list[Answer], list[Record]]:
        """Have every member asked for its own requests; answers and records come in the order of all."""
        found: dict[int, tuple[Answer, Record]] = {}
        for one in self.members():
            rows = [row for row, request in enumerate(requests) if self.member(request) is one]
            if rows:
                answers, records = ask(one, [requests[row] for row in rows])
                found.update(zip(rows, zip(answers, records, strict=True), strict=True))
        return [found[row][0] for row in range(len(requests))], [found[row][1] for row in range(len(requests))]

    def members(self) -> list[Teacher]:
        """Return the teachers, each once."""
        return [self.main, *self.others.values()]

    def close(self) -> None:
        for one in self.members():
            getattr(one, "close", lambda: None)()
