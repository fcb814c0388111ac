"""Each attack fails, and the programs judged right after it are untouched by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.sandbox import Program, Sandbox
from harness.types import Check, Script
from tests.sandbox.attacks import ATTACKS, HONEST, Attack

CHECKS = (Check((1,), 2), Check((41,), 42), Check((-1,), 0, rule="strict"))
SCRIPT = Script("def check(candidate):\n    for x in (1, 41, -1):\n        assert candidate(x) == x + 1\n", "check")
CANARY = Program(
    "import os\ndef f(x):\n    with open('/tmp/canary', 'x') as h: h.write('1')\n    os.remove('/tmp/canary')\n"
    "    return x + 1\n",
    "f",
    CHECKS,
)


@pytest.fixture(autouse=True)
def canary_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("CANARY_OF_THE_TEST", "1")
    yield


@pytest.mark.attacks
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_attack_fails_and_harms_no_later_program(full: Sandbox, attack: Attack) -> None:
    cpu_s = 0.3 if attack.kind == "resource" else None
    programs = [Program(attack.source, "f", checks, cpu_s=cpu_s) for checks in (CHECKS, SCRIPT)]
    verdicts = [verdict for program in programs for _, verdict in full.judge([program])]
    assert all(not verdict.passed and verdict.status != "infrastructure" for verdict in verdicts), verdicts
    canaries = [verdict for _, verdict in full.judge([CANARY, CANARY])]
    assert [verdict.status for verdict in canaries] == ["passed", "passed"], canaries


@pytest.mark.parametrize("name", HONEST)
def test_odd_but_honest_program_passes(full: Sandbox, name: str) -> None:
    for checks in (CHECKS, SCRIPT):
        [(_, verdict)] = full.judge([Program(HONEST[name], "f", checks)])
        assert verdict.passed, verdict
