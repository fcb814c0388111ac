"""Verdicts kept under what they depend on, so that equal programs are judged once; a bounded number of them.

It keeps what would come out the same again, and no more: never `infrastructure`, never what needed a second run
because the first may have ended by the machine's fault (a wall limit, a kill from outside).
"""

from __future__ import annotations

import marshal
from hashlib import blake2b
from typing import Any

from harness.sandbox.job import Program, not_plain
from harness.sandbox.recent import Recent
from harness.types import Check, Script, Text, Verdict

VERDICTS = 8192  # about 1 kB each; the samples of one problem mostly come together
PROBLEMS = 1024  # checks whose digest is kept; MBPP has 974 problems
PLAIN = 2  # of marshal's formats the one whose bytes depend on the value alone


class Cache:
    """What one sandbox has judged; its limits and its level are the same for all."""

    def __init__(self, size: int = VERDICTS) -> None:
        self.verdicts: Recent[bytes, Verdict] = Recent(size)
        self.digests: Recent[int, tuple[object, bytes]] = Recent(PROBLEMS)

    def key(self, program: Program, index: int) -> bytes:
        """Return a digest of all that the verdict depends on: program, entry point, checks, prompt, CPU limit."""
        own = (program.source, program.entry_point, program.prompt, program.cpu_s)
        return blake2b(marshal.dumps(own, PLAIN) + self.digest(program, index), digest_size=32).digest()

    def digest(self, program: Program, index: int) -> bytes:
        """Return a digest of the checks, made once for each checks object: a problem's samples share one."""
        checks = program.checks
        known = self.digests.recall(id(checks))
        if known is not None and known[0] is checks:  # kept alive here, so no other object can have its id
            return known[1]
        try:
            found = blake2b(marshal.dumps(plain(checks), PLAIN), digest_size=32).digest()
        except ValueError as error:
            raise not_plain(program, index, error) from error
        self.digests.keep(id(checks), (checks, found))
        return found


def plain(checks: tuple[Check, ...] | Script | Text) -> tuple[Any, ...]:
    assert not isinstance(checks, Text), "an answer that is text is compared, not judged"
    if isinstance(checks, Script):
        return (checks.text, checks.style, *plain(checks.visible))
    return tuple((check.args, check.expected, check.rule, check.visible) for check in checks)
