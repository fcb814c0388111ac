"""The pytest plug-in, as a user's project runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.results import baseline
from tests.reports.folders import write_run
from tests.results.test_gate import BASE, GOOD, SAME, UNSURE, WORSE, trained

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("correct", "told"), [(SAME, "1 passed"), (WORSE, "1 failed"), (UNSURE, "1 skipped")])
def test_fixture_passes_fails_and_skips(tmp_path: Path, correct: list[int], told: str) -> None:
    baseline.write(baseline.of_run(write_run(tmp_path / "old", [BASE, trained(GOOD)])), tmp_path / "q.json")
    write_run(tmp_path / "new", [BASE, trained(correct)])
    (tmp_path / "pyproject.toml").write_text('[tool.harness.gate]\nbaseline = "q.json"\n')
    (tmp_path / "test_quality.py").write_text("def test_quality(harness_gate):\n    harness_gate.check('new')\n")
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "harness.results.pytest_gate", "test_quality.py"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert told in done.stdout, done.stdout + done.stderr
    if correct is WORSE:
        assert "gate: REGRESSED" in done.stdout and "pipelines/0" in done.stdout


def test_plug_in_loads_nothing_of_the_harness_until_a_test_asks() -> None:
    names = "n for n in sys.modules if n.startswith(('harness', 'reports'))"
    code = f"import sys, harness.results.pytest_gate; print(*({names}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(found) <= {"harness", "harness.results", "harness.results.pytest_gate"}
