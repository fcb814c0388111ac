"""Runs jobs as batch jobs of Slurm through submitit, which is loaded when it is asked for.

A batch job appends its job's events to a file of the run's folder, which all nodes see; whoever waits reads them there.
One that ends without its job's exit (preempted, out of time, its node lost) is submitted again.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from harness.errors import ConfigError
from harness.executors import local
from harness.executors.local import Events, Job, event_of

POLL_S = 0.2  # between two looks at the files of events
STOP_S = 10.0  # in which cancelled jobs have ended
LOST = 75  # exit code of a job that was lost too often
FINAL = {  # states after which another batch job would fare no better, and what to do
    "OUT_OF_MEMORY": "Raise slurm.memory_gb",
    "CANCELLED": "Somebody cancelled it, as with scancel; the same command goes on from its last step",
}


@dataclass(frozen=True)
class Queue:
    """Where batch jobs are sent, and what each may take."""

    cluster: str  # slurm, or local: submitit's own executor
    folder: Path  # of their files
    partition: str
    minutes: int
    memory_gb: int  # 0: as the partition has it
    restarts: int


def executor(queue: Queue) -> Any:
    """Return submitit's executor. Raises ConfigError if it is not installed, or Slurm is not here."""
    try:
        submitit = importlib.import_module("submitit")
    except ImportError as err:
        raise ConfigError("executor=slurm: needs the extra `slurm`: pip install 'distil-harness[slurm]'.") from err
    try:
        return submitit.AutoExecutor(folder=queue.folder, cluster=queue.cluster)
    except RuntimeError as err:
        raise ConfigError(
            f"slurm.cluster={queue.cluster}: {err}. Type the command where sbatch and srun are, or say "
            "slurm.cluster=local to try it on this machine."
        ) from err


def carry(job: Job, environment: Mapping[str, str | None], events: Path) -> None:
    """Run a job and append its events to a file: what the batch job does."""
    os.chdir(job.folder)
    for number in (signal.SIGTERM, signal.SIGUSR2):  # cancelled; preempted or out of time, as submitit has it
        signal.signal(number, interrupt)
    with events.open("a", encoding="utf-8", buffering=1) as stream, closing(local.run([job], 1, environment)) as found:
        stream.write(json.dumps({"event": "placed", "host": platform.node(), "process": os.getpid()}) + "\n")
        for _, event in found:
            stream.write(json.dumps(event) + "\n")


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@dataclass
class Submitted:
    """A job in the queue, and how far its events were read."""

    batch: Any  # submitit's job
    events: Path
    read: int = 0
    exited: bool = False
    found: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def look(self) -> list[dict[str, Any]]:
        """Return the events since the last look; the last line may be half written."""
        with suppress(FileNotFoundError), self.events.open("rb") as stream:
            stream.seek(self.read)
            text = stream.read()
            whole = text[: text.rfind(b"\n") + 1]
            self.read += len(whole)
            lines = whole.decode("utf-8", errors="replace").splitlines()
            events = [json.loads(line) if '"exit"' in line else event_of(line) for line in lines]
            self.exited = any(event is not None and event["event"] == "exit" for event in events)
            return [event for event in events if event is not None]
        return []


def run(jobs: Sequence[Job], workers: int, environment: Mapping[str, str | None], queue: Queue) -> Events:
    """Yield (job's index, event) as the local executor does, and {"event": "placed"} where a job runs.

    {"event": "again"} says that a job was lost and is submitted again: what it has reported is void.
    """
    batches = executor(queue)
    waiting, losses = deque(range(len(jobs))), Counter[int]()
    running: dict[int, Submitted] = {}
    ending: list[Any] = []  # batch jobs whose job has ended
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                index = waiting.popleft()
                running[index] = submit(batches, jobs[index], environment, queue, f"{index}-{losses[index]}")
            for index, one in list(running.items()):
                over = ended(one.batch)  # asked first: what it wrote is there then
                events = one.look()
                if one.exited or over:
                    running.pop(index)
                    ending.append(one.batch)
                if over and not one.exited:
                    losses[index] += 1
                    told = lost(one, losses[index], queue.restarts)
                    events += told
                    if told[0]["event"] == "again":
                        waiting.append(index)
                yield from ((index, event) for event in events)
            time.sleep(POLL_S)
    finally:
        cancel([one.batch for one in running.values()], ending)


def ended(batch: Any) -> bool:
    """Tell whether a batch job is over; submitit waits for a preempted one, which Slurm is told not to run again."""
    return bool(batch.done()) or str(batch.state).upper() == "PREEMPTED"


def submit(batches: Any, job: Job, environment: Mapping[str, str | None], queue: Queue, name: str) -> Submitted:
    events = queue.folder / f"{name}.events.jsonl"
    events.unlink(missing_ok=True)  # of an earlier command
    options: dict[str, Any] = {"timeout_min": queue.minutes, "cpus_per_task": job.cpus, "gpus_per_node": job.gpus}
    options |= {"mem_gb": queue.memory_gb} if queue.memory_gb else {}
    options |= {"slurm_partition": queue.partition} if queue.partition else {}
    # Or Slurm itself would begin a lost one again, whose events nobody would know to be void; we submit it again.
    options |= {"slurm_additional_parameters": {"no-requeue": True}}
    batches.update_parameters(name="harness-cell", **options)
    return Submitted(batches.submit(carry, job, dict(environment), events.resolve()), events)


def lost(one: Submitted, times: int, restarts: int) -> list[dict[str, Any]]:
    """Return what is told of a batch job that ended without its job's exit."""
    state = str(one.batch.state).upper()
    why = f"batch job {one.batch.job_id} ended as {one.batch.state}"
    remedy = next((what for final, what in FINAL.items() if state.startswith(final)), "")  # "CANCELLED by 1000"
    if times <= restarts and not remedy:
        return [{"event": "again", "text": f"{why}; it is submitted again and goes on from its last step"}]
    text = f"{why}. {remedy}; see" if remedy else f"{why}, for the {times}. time; see"
    text = f"{text} {one.batch.paths.stderr}"
    return [{"event": "error", "text": text, "usage": False}, {"event": "exit", "code": LOST}]


def cancel(batches: Sequence[Any], ending: Sequence[Any]) -> None:
    """Cancel batch jobs, and wait a little until they and those that were ending have ended."""
    for batch in batches:
        with suppress(OSError):
            batch.cancel(check=False)
    deadline = time.monotonic() + STOP_S
    while time.monotonic() < deadline and not all(ended(batch) for batch in (*batches, *ending)):
        time.sleep(POLL_S / 4)
