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
        return self.state != "PREEMPTED"  # submitit takes a preempted job for one that Slurm will run again

    def cancel(self, check: bool) -> None:
        self.state = "COMPLETED"


@dataclass
class Batches:
    """Slurm whose batch jobs end in the given states, one after another; a completed one's job has ended."""

    states: list[str]
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def update_parameters(self, **options: Any) -> None:
        self.options = options

    def submit(self, carry: Any, job: Job, environment: dict[str, str], events: Path) -> Batch:
        state = self.states.pop(0)
        if state == "COMPLETED":
            events.write_text(json.dumps({"event": "exit", "code": 0}) + "\n")
        return Batch(state)


def events_of(batches: Batches, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    queue = Queue("slurm", folder, partition="", minutes=5, memory_gb=0, restarts=1)
    monkeypatch.setattr(slurm, "executor", {queue: batches}.__getitem__)
    return [event for _, event in slurm.run([Job("any", {}, folder / "errors.log")], 1, {}, queue)]


@pytest.mark.parametrize("state", ["PREEMPTED", "TIMEOUT", "NODE_FAIL"])
def test_a_job_that_slurm_ended_is_submitted_again_by_us_alone(
    state: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    batches = Batches([state, "COMPLETED"])
    found = events_of(batches, tmp_path, monkeypatch)
    assert [event["event"] for event in found] == ["again", "exit"] and state in found[0]["text"]
    assert batches.options["slurm_additional_parameters"] == {"no-requeue": True}


@pytest.mark.parametrize(
    ("state", "remedy"), [("OUT_OF_MEMORY", "Raise slurm.memory_gb"), ("CANCELLED by 1000", "Somebody cancelled it")]
)
def test_a_job_that_would_fare_no_better_ends_the_command_with_what_to_do(
    state: str, remedy: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    error, end = events_of(Batches([state]), tmp_path, monkeypatch)
    assert remedy in error["text"] and not error["usage"]
    assert end == {"event": "exit", "code": slurm.LOST}
