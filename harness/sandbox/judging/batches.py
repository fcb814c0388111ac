"""Checks that are data: every call of a problem is sent along with the program, and the answers are compared here.

A problem's checks are read once for all its programs, and an answer that was accepted once is known again by its text:
what a right program says is compared, not decoded. It executes nothing and knows no test scripts (scripts.py).
"""

from __future__ import annotations

import marshal
from types import CodeType
from typing import Any

from harness.sandbox.judging.outcome import Outcome
from harness.sandbox.judging.rules import accepts, cut, show, show_call
from harness.sandbox.judging.session import Ended, HungUp, Session
from harness.sandbox.values import Decoder

CACHED = 1024  # problems' checks kept ready
CACHED_BYTES = 64 << 20  # of them all together, with the answers known
KNOWN_BYTES = 4096  # a longer answer is decoded each time


class Opaque:
    """Stands for a returned object that is not plain data, where a value is expected: equal to nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{self.name} object>"


class Batch:
    """The checks of one problem: calls as the child reads them, and for each an answer that was accepted."""

    def __init__(self, data: bytes) -> None:
        self.checks: list[tuple[bytes, Any, str, bool]] = marshal.loads(data)
        # without a call there is nothing to answer: the child then says when it has executed the program
        self.calls = marshal.dumps([(raw, False) for raw, _, _, _ in self.checks]) if self.checks else None
        self.known: list[bytes | None] = [None] * len(self.checks)  # None is no line: a child may send an empty one
        self.size = 2 * len(data)


class Batches:
    """The batches seen so far, and how one is judged."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Batch] = {}
        self.size = 0

    def batch(self, data: bytes) -> Batch:
        found = self.kept.get(data)
        if found is None:
            if len(self.kept) >= CACHED or self.size > CACHED_BYTES:
                self.kept.clear()
                self.size = 0
            found = self.kept[data] = Batch(data)
            self.size += found.size
        return found

    def run(self, session: Session, code: CodeType | str, program: dict[str, Any], outcome: Outcome) -> None:
        """Send every call along with the program and compare the answers as they come."""
        batch, entry_point = self.batch(program["checks"]), program["entry_point"]
        checks, known = batch.checks, batch.known
        session.send_program(code, program, batch.calls)
        decoder = Decoder(lambda handle, name: Opaque(name), plain=True)
        at = 0
        try:
            if not checks:
                session.loaded(batch=False)
            for at, (raw, expected, rule, visible) in enumerate(checks):
                line = session.line()
                if line == known[at]:
                    outcome.n_passed += 1
                    continue
                answer = session.parsed(line)
                if answer[0] == "v" and len(answer) >= 2:
                    got = decoder.decode(answer[1])
                    if accepts(rule, got, expected):
                        outcome.n_passed += 1
                        if len(line) <= KNOWN_BYTES:
                            self.size += len(line) - len(known[at] or b"")
                            known[at] = line
                        continue
                    text = show(got)
                    outcome.fail(
                        "wrong", "a call returned a wrong value", failure(entry_point, raw, text, expected, visible)
                    )
                elif answer[0] == "e" and len(answer) == 4:
                    ended = session.failed(answer)
                    if ended.status != "exception":
                        raise ended
                    text = ended.reason
                    outcome.fail("exception", text, failure(entry_point, raw, text, expected, visible))
                elif answer[0] == "large" and len(answer) == 2:
                    text = "too large"
                    outcome.fail("output_limit", str(answer[1]), failure(entry_point, raw, text, expected, visible))
                else:
                    raise Ended("crashed", "broke the protocol: unexpected answer")
            if checks:
                session.completed()
        except (Ended, HungUp) as stop:
            if outcome.first_fail is None and checks:
                raw, expected, _, visible = checks[at]
                got = stop.reason if isinstance(stop, Ended) else "no answer"
                outcome.first_fail = failure(entry_point, raw, cut(got), expected, visible)
            raise


def failure(entry_point: str, raw: bytes, got: str, expected: Any, visible: bool) -> list[Any]:
    args, *_ = marshal.loads(raw)
    return [show_call(entry_point, args), got, show(expected), visible]
