"""A fit's job on its way to processes of its own, and the configurations that they cannot be launched by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.comparison.driver import check, check_device
from harness.errors import ConfigError, TrainingError
from harness.settings.resolve import resolve
from harness.training import launch
from harness.training.job import Job, from_json, to_json
from harness.training.objective import Dpo, Margin, Objective, Soft
from harness.training.schedule import Lora, Schedule
from harness.types import Example, TrainingSet

EXAMPLES = (Example("a", "b", rejected="c", weight=0.5), Example("d", "e"))
SCHEDULE = Schedule(updates=3, batch=8, warmup=1, marks=(2, 3))


@pytest.mark.parametrize("objective", [Objective(), Objective(Dpo(0.3)), Objective(Margin(0.1, 2.0), Soft("jsd"))])
def test_a_job_survives_its_way_to_a_process(tmp_path: Path, objective: Objective) -> None:
    schedule = replace(SCHEDULE, lora=Lora(4, 8, ("q_proj", "v_proj")))
    job = Job(tmp_path, TrainingSet(EXAMPLES, "as_given"), objective, schedule, 5, lambda n: tmp_path / str(n))
    job = replace(job, labels=(tmp_path / "labels",))
    back = from_json(json.loads(json.dumps(to_json(job))), lambda done, due: None)
    for name in ("model_folder", "data", "objective", "schedule", "seed", "labels"):
        assert getattr(back, name) == getattr(job, name)
    assert back.out(2) == job.out(2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("distributed_type: DEEPSPEED\nnum_processes: 2\n", r"it needs deepspeed\. Install it"),
        ("distributed_type: FSDP\nnum_processes: 2\n", r"weights are shared out \(FSDP\) on GPUs alone"),
        ("num_processes: 2\n", r"no distributed_type; expected a file that `accelerate config` wrote"),
        ("a: [", r"it cannot be read"),
    ],
)
def test_a_configuration_that_cannot_be_launched_by_is_told_before_anything_is_spent(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"train\.accelerate=.*mine\.yaml: {said}"):
        check(resolve(["recipe=seqkd", f"train.accelerate={tmp_path / 'mine.yaml'}"]))


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_an_adapter_is_refused_where_no_process_holds_all_weights(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "find_spec", str)  # whatever is asked for is there
    (tmp_path / "mine.yaml").write_text(f"distributed_type: {kind}\n")
    with pytest.raises(TrainingError, match=rf"{kind} shares the weights out.*train\.lora\.rank=0"):
        launch.demand_configuration(str(tmp_path / "mine.yaml"), "cuda", adapter=True)


@pytest.mark.parametrize(
    ("changes", "objective", "said"),
    [
        ({"lora": Lora()}, Objective(), r"written from whole ones\. Say train\.lora\.rank=0"),
        ({}, Objective(soft=Soft(on_policy=0.5)), r"own texts are drawn from whole ones\. Take a recipe without them"),
    ],
)
def test_what_needs_whole_weights_is_refused_before_processes_are_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], objective: Objective, said: str
) -> None:
    monkeypatch.delattr(launch, "run_once")
    (tmp_path / "mine.yaml").write_text("distributed_type: FSDP\n")
    schedule = replace(SCHEDULE, device="cuda", accelerate=str(tmp_path / "mine.yaml"), **changes)
    job = Job(tmp_path, TrainingSet(EXAMPLES), objective, schedule, 0, lambda n: tmp_path / str(n))
    with pytest.raises(TrainingError, match=rf"mine\.yaml: FSDP shares the weights out.*{said}.*MULTI_GPU"):
        launch.launched(job, tmp_path / "work", 1.0)


@pytest.mark.parametrize(
    ("found", "more", "said"),
    [
        (0, [], "torch sees no CUDA device"),
        (4, [], "4 GPUs are visible here and a fit takes one"),
        (2, ["train.processes=4"], "train.processes=4: each takes a GPU, and 2 are visible"),
    ],
)
def test_gpus_that_do_not_fit_the_command_are_told_before_anything_is_spent(
    monkeypatch: pytest.MonkeyPatch, found: int, more: list[str], said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: found)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: found > 0)
    with pytest.raises(ConfigError, match=said):
        check_device(resolve(["recipe=seqkd", "device=cuda", *more]).run)
