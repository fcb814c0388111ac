"""Number formats and reports: what a forward pass computes in, what services are told, and that nobody else is."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from harness.training import distiller
from harness.training.objective import Dpo, Margin, Objective
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet(tuple(Example(f"def f{n}(x):\n", f"    return {n}\n", rejected="    pass\n") for n in range(4)))
SCHEDULE = Schedule(updates=12, batch=4, warmup=1)
FORMATS: list[tuple[Any, Any]] = [("cpu", "auto"), ("cuda", "auto"), ("cuda", "float32")]


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def train(student: Path, out: Path, report_to: tuple[str, ...] = (), **named: Any) -> Mark:
    schedule = replace(SCHEDULE, **named)
    [mark] = fit(student, DATA, Objective(Margin(0.5, 0.5)), schedule, 0, lambda _: out, report_to=report_to)
    return mark


def test_bfloat16_computes_otherwise_and_leaves_the_weights_in_float32(student: Path, tmp_path: Path) -> None:
    full, half = (train(student, tmp_path / one, precision=one) for one in ("float32", "bfloat16"))
    assert half.losses["nll"] != full.losses["nll"] and half.losses["nll"] == pytest.approx(
        full.losses["nll"], rel=0.02
    )
    weights = load_file(half.folder / "model.safetensors")
    assert {str(one.dtype) for one in weights.values()} == {"torch.float32"}


@pytest.mark.parametrize(
    ("precision", "device", "expected"),
    [("auto", "cpu", False), ("auto", "cuda", True), ("float32", "cuda", False), ("bfloat16", "cpu", True)],
)
def test_a_gpu_computes_in_bfloat16_unless_told_otherwise(precision: Any, device: str, expected: bool) -> None:
    assert Schedule(updates=1, precision=precision, device=device).bf16 is expected


def test_a_service_is_told_each_terms_mean_and_changes_nothing(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    told: list[dict[str, float]] = []

    class Service(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **kwargs: Any) -> None:
            told.append(logs)

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "trackio", Service)
    plain = train(student, tmp_path / "plain")
    seen = train(student, tmp_path / "seen", ("trackio",))
    assert (plain.folder / "model.safetensors").read_bytes() == (seen.folder / "model.safetensors").read_bytes()
    assert {"nll", "margin", "learning_rate"} <= set(told[0]) and plain.losses == seen.losses


def test_telemetry_is_off_unless_the_user_says_otherwise(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_DISABLE_TELEMETRY")
    train(student, tmp_path)
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"


def test_a_reference_in_bfloat16_agrees_with_the_student_before_the_first_update(student: Path, tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, updates=1, precision="bfloat16")
    [mark] = fit(student, DATA, Objective(Dpo(beta=50.0)), schedule, 0, lambda _: tmp_path)
    assert mark.losses["dpo"] == pytest.approx(math.log(2.0), abs=1e-6)


def test_the_half_precision_of_a_gpu_stands_in_a_fits_key() -> None:
    keys = [Schedule(updates=1, device=device, precision=precision).key() for device, precision in FORMATS]
    assert ["half" in key for key in keys] == [False, True, False]


def test_the_trainer_makes_its_optimiser_itself_so_that_weights_may_be_shared_out_first(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library refuses an optimiser that is made before FSDP has cut the weights."""
    given: list[Any] = []
    made = distiller.Distiller.__init__

    def watching(self: Any, *arguments: Any, **named: Any) -> None:
        made(self, *arguments, **named)
        given.append((self.optimizer, self.lr_scheduler))

    monkeypatch.setattr(distiller.Distiller, "__init__", watching)
    train(student, tmp_path)
    assert given == [(None, None)]
