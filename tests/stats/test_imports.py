"""What statistics and reports may load."""

from __future__ import annotations

import subprocess
import sys


def loaded(modules: str) -> set[str]:
    code = f"import sys, {modules}; print(*(name for name in sys.modules if '.' not in name))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_statistics_and_reports_load_neither_torch_nor_scipy() -> None:
    stats = "harness.stats.passk, harness.stats.paired, harness.stats.seeds, harness.stats.power"
    found = loaded(f"{stats}, reports.table, reports.render, reports.card, reports.export")
    assert "reports" in found
    assert not found & {"torch", "transformers", "ray", "scipy"}
