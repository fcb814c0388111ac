"""A verdict in the making: what the judge has noted about one program so far."""

from __future__ import annotations

from typing import Any

from harness.sandbox.judging.rules import cut


class Outcome:
    """Status, reason and first failure; passed until something else is noted."""

    def __init__(self, n_checks: int) -> None:
        self.status = "passed"
        self.reason = ""
        self.n_passed = 0
        self.n_checks = n_checks
        self.first_fail: list[Any] | None = None  # input, got, expected, visible
        self.doubtful = False
        self.in_process = False

    def fail(self, status: str, reason: str, failure: list[Any] | None = None) -> None:
        """Note a failure; the first one decides, except that a later stop of the whole program outranks `wrong`."""
        if self.status == "passed":
            self.status, self.reason = status, cut(reason)
        if self.first_fail is None and failure is not None:
            self.first_fail = [cut(text) if isinstance(text, str) else text for text in failure]
