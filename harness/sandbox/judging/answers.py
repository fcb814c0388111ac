"""Compares an answer that is text with the expected text; it runs nothing and parses nothing as code. Pure.

`numbers`: the numbers before the first blank line are the expected ones, in order and number; what else stands there
does not count. `prefix`: the first characters, as many as are expected, are the expected ones; the verdict's `n_passed`
says how many of them match in order (difflib's matching blocks), so `n_passed / n_checks` is the two's edit similarity.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from harness.sandbox.jail.launch import Level
from harness.sandbox.judging.rules import show
from harness.sandbox.limits import SOURCE_BYTES
from harness.types import Failure, Text, Verdict

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def numbers(text: str) -> list[float]:
    """Return the numbers of a text up to its first blank line."""
    return [float(found) for found in NUMBER.findall(text.partition("\n\n")[0])]


def compared(text: Text, answer: str, level: Level) -> Verdict:
    """Return the verdict on an answer; `level` is the sandbox's, which this verdict does not need."""
    if len(answer) > SOURCE_BYTES:
        reason = f"the answer is longer than {SOURCE_BYTES} characters"
        return Verdict("refused", reason, None, 0, 1, 0.0, 0.0, 0, level)
    if text.rule == "numbers":
        got, expected = numbers(answer), numbers(text.expected)
        right, shown, wanted, counts = got == expected, show(got), show(expected), (int(got == expected), 1)
    else:
        start = answer[: len(text.expected)]
        right, shown, wanted = start == text.expected, show(start), show(text.expected)
        counts = (matching(start, text.expected), len(text.expected))
    failure = None if right else Failure("", shown, wanted, visible=False)
    return Verdict("passed" if right else "wrong", "", failure, *counts, 0.0, 0.0, 0, level)


def matching(got: str, expected: str) -> int:
    """Return how many characters of the expected text stand in the answer too, in order."""
    return sum(block.size for block in SequenceMatcher(None, got, expected, autojunk=False).get_matching_blocks())
