"""Runs a fit as processes of its own through `accelerate launch`: several CPUs, GPUs or machines. It trains nothing.

The processes are told everything by a file, report by another, and end with the process that launched them, whose end
closes their input. What libraries print goes to a log beside the two.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import TrainingError
from harness.training.job import Job, mark_from_json, write
from harness.training.on_policy import own_updates
from harness.training.resume import Checkpoints
from harness.training.schedule import Mark

WORKER = "harness.training.worker"
JOB, EVENTS, LOG, CONFIGURATION = "job.json", "events.jsonl", "launch.log", "accelerate.yaml"
LOOK_S = 0.1  # between two looks at what the processes report
WRITE_ONE = "Write one with `accelerate config --config_file FILE`."
SHARED_OUT = ("FSDP", "DEEPSPEED")  # kinds of launches in which no process holds all weights
TAIL = 1500  # characters of the log that an unforeseen end is told with


def launched(job: Job, work: Path, save_every_s: float) -> list[Mark]:
    """Train in processes of its own, from the last checkpoint in `work` on; out of memory splits the batch further."""
    if job.schedule.accelerate:
        own_texts = own_updates(job.schedule.updates, job.objective.own_texts) > 0
        adapter = job.schedule.lora is not None
        demand_configuration(job.schedule.accelerate, job.schedule.device, adapter=adapter, own_texts=own_texts)
    work.mkdir(parents=True, exist_ok=True)
    while True:
        ended = run_once(job, work, save_every_s)
        if ended["event"] == "marks":
            return [mark_from_json(one) for one in ended["marks"]]
        if ended["event"] == "memory":
            job = replace(job, schedule=replace(job.schedule, micro_batches=ended["micro_batches"]))
            continue
        raise TrainingError(ended["text"])


def demand_configuration(file: str, device: str, *, adapter: bool = False, own_texts: bool = False) -> None:
    """Raise TrainingError for a configuration of accelerate that nothing, or not this fit, can be trained by here."""
    import yaml

    try:
        said: Any = yaml.safe_load(Path(file).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise TrainingError(f"train.accelerate={file}: it cannot be read ({error}). {WRITE_ONE}") from error
    kind = str(said.get("distributed_type", "")) if isinstance(said, dict) else ""
    if not kind:
        raise TrainingError(
            f"train.accelerate={file}: no distributed_type; expected a file that `accelerate config` wrote. {WRITE_ONE}"
        )
    if kind == "DEEPSPEED" and find_spec("deepspeed") is None:
        raise TrainingError(f"train.accelerate={file}: it needs deepspeed. Install it: pip install deepspeed.")
    demand_whole(file, kind, adapter=adapter, own_texts=own_texts)
    if kind == "FSDP" and device == "cpu":  # accelerate 1.15 would run plain data-parallel processes and not say so
        raise TrainingError(
            f"train.accelerate={file}: weights are shared out (FSDP) on GPUs alone. Say device=cuda, or train with "
            "train.processes=2, whose processes each hold all weights."
        )


def demand_whole(file: str, kind: str, *, adapter: bool, own_texts: bool) -> None:
    """Raise TrainingError where no process holds all weights and the fit needs one that does."""
    needs = (
        (adapter, "an adapter is written from whole ones", "Say train.lora.rank=0"),
        (own_texts, "the student's own texts are drawn from whole ones", "Take a recipe without them (kd-fkl)"),
    )
    for needed, why, remedy in needs:
        if needed and kind in SHARED_OUT:
            raise TrainingError(
                f"train.accelerate={file}: {kind} shares the weights out, and {why}. {remedy}, or take a configuration "
                "with distributed_type MULTI_GPU."
            )


def run_once(job: Job, work: Path, save_every_s: float) -> dict[str, Any]:
    """Launch the processes and return the first event that ends a fit."""
    Checkpoints(work).last()  # clears away what was cut short, which only one process may do
    write(job, work / JOB, work=str(work.absolute()), save_every_s=save_every_s)
    (work / EVENTS).write_text("")
    ending: dict[str, Any] | None = None
    with (work / LOG).open("wb") as log:
        process = subprocess.Popen(
            command(job, work), stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment(job)
        )
        try:
            for event in events(work / EVENTS, process):
                if event["event"] == "progress" and job.progress is not None:
                    job.progress(event["done"], job.schedule.updates)
                elif event["event"] != "progress" and ending is None:
                    ending = event
        finally:
            assert process.stdin is not None
            process.stdin.close()  # whatever is left of them ends now
            process.wait()
    if ending is None:
        tail = (work / LOG).read_text(errors="replace")[-TAIL:]
        raise TrainingError(
            f"the processes of a fit ended with code {process.returncode} without a result; the end of "
            f"{work / LOG}:\n{tail}"
        )
    return ending


def events(path: Path, process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what the processes report until they have ended."""
    with path.open() as stream:
        running, rest = True, ""
        while running:
            running = process.poll() is None  # looked at before the file, so that the last lines are read
            rest += stream.read()
            *lines, rest = rest.split("\n")
            for line in lines:
                yield json.loads(line)
            if running:
                time.sleep(LOOK_S)


def command(job: Job, work: Path) -> list[str]:
    """Return the command of a launch, by the user's configuration of accelerate or by one of our own."""
    file = job.schedule.accelerate
    if not file:
        settings = {
            "compute_environment": "LOCAL_MACHINE",
            "distributed_type": "MULTI_GPU",  # what accelerate calls several processes; on a CPU they speak gloo
            "num_machines": 1,
            "num_processes": job.schedule.processes,
            "machine_rank": 0,
            "main_process_port": 0,
            "mixed_precision": "no",  # our own switch decides
        }
        file = str(work / CONFIGURATION)
        Path(file).write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in settings.items()))
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", file]
    return [*launch, "--module", WORKER, str(work / JOB)]


def environment(job: Job) -> dict[str, str]:
    """Return the environment of the processes: our packages are found, and threads are as the schedule says."""
    paths = [path or os.getcwd() for path in sys.path]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(job.schedule.threads)}
    if job.schedule.device == "cpu":
        found |= {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    return found
