"""What naming a student or an objective costs: nothing heavy is loaded until a model is."""

from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = [
    "harness.students.engine",
    "harness.students.decoding",
    "harness.training.trainer",
    "harness.training.losses",
    "harness.training.objective",
    "harness.training.schedule",
    "harness.training.batches",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print(sorted(sys.modules.keys() & {{'torch', 'transformers', 'numpy', 'datasets'}}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"
