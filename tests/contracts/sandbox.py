"""The suite that any sandbox must pass: `check_sandbox(open_sandbox)`, a function that opens one as a context."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from harness.sandbox import Program
from harness.types import Check, Script, Status, Verdict

CHECKS = (Check((1,), 2), Check((41,), 42))
SCRIPT = Script("def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(41) == 42\n", "check")

EXPECTED: dict[str, Status] = {
    "def f(x):\n    return x + 1\n": "passed",
    "def f(x):\n    return True + x\n": "passed",
    "def f(x):\n    return x\n": "wrong",
    "def f(x):\n    return {}[x]\n": "exception",
    "def f(x)\n    return x\n": "exception",
    "def f(x):\n    while True:\n        pass\n": "timeout",
    "import os\ndef f(x):\n    os._exit(0)\n": "crashed",
    "def f(x):\n    return [0] * 10**12\n": "memory",
    "def g(x):\n    return x + 1\n": "refused",
    "class Any(int):\n    def __eq__(self, other):\n        return True\n\ndef f(x):\n    return Any(0)\n": "wrong",
}


class Judging(Protocol):
    def judge(self, programs: Iterable[Program], /) -> Iterator[tuple[int, Verdict]]: ...


def check_sandbox(open_sandbox: Callable[[], AbstractContextManager[Judging]]) -> None:
    """Raise AssertionError, saying what is missing, unless the sandbox keeps the contract."""
    sources = list(EXPECTED)
    programs = [Program(source, "f", checks, cpu_s=0.3) for source in sources for checks in (CHECKS, SCRIPT)]
    with open_sandbox() as sandbox:
        found = dict(sandbox.judge(iter(programs)))
    assert sorted(found) == list(range(len(programs))), "a program has no verdict, or two"
    for place, verdict in found.items():
        source = sources[place // 2]
        assert verdict.status == EXPECTED[source], f"{verdict.status} ({verdict.reason}) for\n{source}"
        assert verdict.passed or verdict.reason or verdict.first_fail, f"no reason given for\n{source}"
