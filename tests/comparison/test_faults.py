"""A comparison that is harmed in every way of bench/faults.py, a few times each: nothing is lost or left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.command import ROOT


@pytest.mark.slow
@pytest.mark.compare
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="it adopts what a dead driver leaves")
def test_a_harmed_comparison_ends_with_the_same_rows_and_leaves_nothing() -> None:
    harms = "kill,term,twice,clock" + (",disk,readonly" if os.geteuid() == 0 else "")  # those need a mount
    done = subprocess.run(
        [sys.executable, "-P", "bench/faults.py", "--small", "--quick", "--json", "--harms", harms],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["rows equal"] and not found["left behind"]
    assert any(name.startswith("kill of") for name in found) and {"twice", "clock"} <= found.keys()
