"""The pytest plug-in: `def test_quality(harness_gate): harness_gate.check("runs/NAME")`.

Loaded by pytest through its entry point; it imports nothing of the harness before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest


class HarnessGate:
    """Gates runs inside a test: a regression fails it, what is inconclusive skips it unless said otherwise."""

    def check(
        self,
        run: str | Path,
        baseline: str | Path | None = None,
        *,
        margin: float | None = None,
        words: Sequence[str] = (),
        rules: str | Path | None = None,
        inconclusive: Literal["skip", "fail", "pass"] = "skip",
    ) -> Any:
        """Hold a run against a baseline and return the gate's answer (`reports.verdict.Gate`).

        Rules not given come from `[tool.harness.gate]` of ./pyproject.toml. `words` pick the student of a run that
        holds several, as in `["recipe=iterkd", "seed=0"]`. What cannot be compared raises the harness's own error.
        """
        from harness.results import gate
        from reports.verdict import terminal

        chosen = gate.read_rules(
            Path(rules) if rules else None, margin=margin, baseline=Path(baseline) if baseline else None
        )
        answer = gate.check(Path(run), chosen, words)
        told = "\n".join(terminal(answer))
        if answer.verdict == "regressed" or (answer.verdict == "inconclusive" and inconclusive == "fail"):
            pytest.fail(told, pytrace=False)
        if answer.verdict == "inconclusive" and inconclusive == "skip":
            pytest.skip(told)
        return answer


@pytest.fixture
def harness_gate() -> HarnessGate:
    """Return the gate, for tests of a model's quality."""
    return HarnessGate()
