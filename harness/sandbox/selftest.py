"""Judges a fixed set of honest programs and known cheats, so that no score rests on a sandbox that cannot tell them.

A minute's work for a person, a fraction of a second here; the full corpus of attacks is in tests/sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import SandboxError
from harness.sandbox.pool import Program, Sandbox
from harness.types import Check, Script, Verdict

CHECKS = (Check((1,), 2, visible=True), Check((41,), 42), Check((-1,), 0, rule="strict"))
SCRIPT = Script("def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(41) == 42\n", "check")

HONEST: dict[str, str] = {
    "plain": "def f(x):\n    return x + 1\n",
    "prints a lot": "def f(x):\n    print('text ' * 10000)\n    return x + 1\n",
    "catches its exception": "def f(x):\n    try: return [][x]\n    except IndexError: return x + 1\n",
    "returns from a helper class": (
        "from collections import Counter\nclass A:\n    def __init__(self, x):\n        self.c = Counter([x])\n"
        "def f(x):\n    return next(iter(A(x).c)) + 1\n"
    ),
}

LIAR = "class T({base}):\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"

CHEATS: dict[str, str] = {
    "wrong answer": "def f(x):\n    return x\n",
    "os._exit(0)": "import os\ndef f(x):\n    os._exit(0)\n",
    "sys.exit at import": "import sys\nsys.exit(0)\n",
    "subclass of SystemExit": "class E(SystemExit):\n    code = 0\ndef f(x):\n    raise E(0)\n",
    "object that equals everything": LIAR.format(base="object") + "def f(x):\n    return T()\n",
    "int that equals everything": LIAR.format(base="int") + "    __hash__ = int.__hash__\ndef f(x):\n    return T(0)\n",
    "frames forged on every descriptor": (
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n"
        '            os.write(fd, b\'["ok"]\\n["passed"]\\n{"status": "passed"}\\n\' * 9)\n'
        "        except OSError:\n            pass\n    os._exit(0)\n"
    ),
    "an empty line for each answer": (
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, b'\\n\\n\\n.\\n')\n        except OSError:\n            pass\n    os._exit(0)\n"
    ),
    "answer of no known form": (
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n"
        "            os.write(fd, b'[\"large\"]\\n')\n        except OSError:\n            pass\n    os._exit(0)\n"
    ),
    "number that signals when compared": "from decimal import Decimal\ndef f(x):\n    return Decimal('sNaN')\n",
    "search of frames and heap": (
        "import gc, sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in frame.f_locals.values():\n            if value == {1: 2, 41: 42}.get(x):\n"
        "                return value\n        frame = frame.f_back\n"
        "    return [o for o in gc.get_objects() if isinstance(o, tuple) and 'expected' in o]\n"
    ),
    "patched builtins": (
        "import builtins\nbuiltins.AssertionError = Exception\nbuiltins.all = builtins.any = lambda *a: True\n"
        "def f(x):\n    return None\n"
    ),
    "replaced AssertionError": (
        "import builtins\nclass Quiet(AssertionError):\n    pass\nbuiltins.AssertionError = Quiet\n"
        "def f(x):\n    raise Quiet\n"
    ),
    "endless loop": "def f(x):\n    while True:\n        pass\n",
}
# cheats that only a test of a certain kind invites: source, script
INVITED: dict[str, tuple[str, str]] = {
    "argument emptied before it is compared with": (
        "def f(x):\n    x.clear()\n    return []\n",
        "x = [3, 1, 2]\nassert f(x) == sorted(x)\n",
    ),
    "exception that ends the tests' loop": (
        "def f(x):\n    raise StopIteration\n",
        "assert all(map(lambda x: f(x) == x + 1, (1, 41)))\n",
    ),
    "object whose type is named like the answer": (
        "def f(x):\n    return type('42', (), {})()\n",
        "assert '42' in str(f(41))\n",
    ),
    "exit where the tests forgive everything": (
        "import os\ndef f(x):\n    os._exit(0)\n",
        "try:\n    held = f(1) == 2\nexcept BaseException:\n    held = True\nassert held\n",
    ),
}
CHEATS_CPU_S = {"endless loop": 0.02}  # waited for by every run, so no longer than it takes to see it


@dataclass(frozen=True)
class Trial:
    """One program of the self-test and what came of it."""

    name: str
    kind: str  # calls, or script
    honest: bool
    verdict: Verdict

    @property
    def right(self) -> bool:
        return self.verdict.passed == self.honest and self.verdict.status != "infrastructure"


def trials(sandbox: Sandbox) -> list[Trial]:
    """Judge the honest programs, which must pass, and the cheats, of which none may; nothing is taken from memory."""
    programs: list[Program] = []
    names: list[tuple[str, str, bool]] = []
    for honest, group in ((True, HONEST), (False, CHEATS)):
        for name, source in group.items():
            for kind, checks in (("calls", CHECKS), ("script", SCRIPT)):
                names.append((name, kind, honest))
                programs.append(Program(source, "f", checks, id=name, cpu_s=CHEATS_CPU_S.get(name)))
    for name, (source, script) in INVITED.items():
        names.append((name, "script", False))
        programs.append(Program(source, "f", Script(script, "asserts"), id=name))
    verdicts = dict(sandbox.judge(programs, fresh=True))
    return [Trial(*names[place], verdicts[place]) for place in range(len(programs))]


def selftest(sandbox: Sandbox) -> None:
    """Raise SandboxError, naming what errs, unless honest programs pass and cheats fail."""
    wrong = [one for one in trials(sandbox) if not one.right]
    if wrong:
        told = sorted(f"{one.name} ({one.kind}): {one.verdict.status} ({one.verdict.reason})" for one in wrong)
        raise SandboxError(
            f"the sandbox (level {sandbox.level}) failed its self-test, so no score can rest on it: {'; '.join(told)}. "
            "Run the tests under tests/sandbox to see which wall is missing"
        )
