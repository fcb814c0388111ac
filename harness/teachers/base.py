"""What a teacher is: something that answers typed requests. Caching and budgets are not its concern."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from harness.teachers.requests import Answer, Request


class Teacher(Protocol):
    """A source of answers. The same request and seed give the same answer, whatever else is asked with it."""

    @property
    def name(self) -> str:
        """The name on the command line and in every key."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever an answer to some request changes."""
        ...

    @property
    def capabilities(self) -> frozenset[str]:
        """The kinds of request that it can serve, and `logits` where it has them."""
        ...

    def serves(self, source: str) -> frozenset[str]:
        """Return the kinds of request that it can serve for problems of a source (`pipelines`, `mbpp:train`, …)."""
        ...

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        """Yield (position, answer) for every request, in any order.

        Raises TeacherError for a request that this teacher can never serve.
        """
        ...
