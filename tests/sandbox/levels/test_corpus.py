"""The corpus of attacks where a plain user runs the harness, as most do: the jail's processes are theirs then."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.sandbox.levels.machine import START, USER, machine_of

CODE = (
    START
    + """
from tests.sandbox.attacks import GROUPS, HARMLESS
named = json.loads(sys.argv[1])
wanted = [one for group in named for one in GROUPS[group] if not one.waits and not one.ends_judge and one.cpu_s <= 0.2]
programs = [Program(one.source, "f", one.tests[0], cpu_s=one.cpu_s) for one in wanted]
with Sandbox(limits=LIMITS, cache=False) as sandbox:
    wrong = [
        [wanted[place].name, told(verdict)]
        for place, verdict in sandbox.judge(programs)
        if verdict.status in ("passed", "infrastructure")
    ]
    if sandbox.level == "full":
        honest = [Program(one.source, "f", one.tests[0]) for one in HARMLESS]
        wrong += [[HARMLESS[at].name, told(verdict)] for at, verdict in sandbox.judge(honest) if not verdict.passed]
    print(json.dumps({"level": sandbox.level, "wrong": wrong, "healed": sandbox.healed, "judged": len(programs)}))
"""
)
WALLS = ("early exit", "lying values", "sabotage", "reading the answers", "writing the verdict", "resources", "escapes")


@pytest.mark.attacks
def test_no_attack_of_a_users_passes_or_ends_a_judge(public_copy: Path, public_interpreter: str) -> None:
    machine = machine_of("direct", USER if os.geteuid() == 0 else 0, public_copy, public_interpreter)
    done = machine.run(CODE, json.dumps(WALLS), timeout_s=280.0)
    assert done["level"] == machine.level and done["judged"] > 200
    assert (done["wrong"], done["healed"]) == ([], 0)
