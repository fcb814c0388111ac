"""What Slurm says of a batch job, as submitit hands it on; a real queue is not asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.executors import slurm
from harness.executors.local import Job
from harness.executors.slurm import Queue


@dataclass
class Batch:
    """A batch job as submitit tells of it."""

    state: str
    job_id: str = "7"
    paths: Any = field(default_factory=lambda: SimpleNamespace(stderr="err"))

    def done(self) -> bool:
        return self.state == "COMPLETED"  # submitit takes a preempted job for one that Slurm will run again

    def cancel(self, check: bool) -> None:
        self.state = "COMPLETED"


@dataclass
class Batches:
    """Slurm that preempts the first batch job and lets the second one end."""

    options: dict[str, Any] = field(default_factory=dict[str, Any])
    states: list[str] = field(default_factory=lambda: ["PREEMPTED", "COMPLETED"])

    def update_parameters(self, **options: Any) -> None:
        self.options = options

    def submit(self, carry: Any, job: Job, environment: dict[str, str], events: Path) -> Batch:
        state = self.states.pop(0)
        if state == "COMPLETED":
            events.write_text(json.dumps({"event": "exit", "code": 0}) + "\n")
        return Batch(state)


def test_a_job_that_slurm_calls_preempted_is_submitted_again_by_us_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    batches = Batches()
    monkeypatch.setattr(slurm, "executor", lambda queue: batches)
    queue = Queue("slurm", tmp_path, partition="", minutes=5, memory_gb=0, restarts=1)
    found = list(slurm.run([Job("any", {}, tmp_path / "errors.log")], 1, {}, queue))
    assert [event["event"] for _, event in found] == ["again", "exit"]
    assert "PREEMPTED" in found[0][1]["text"]
    assert batches.options["slurm_additional_parameters"] == {"no-requeue": True}
