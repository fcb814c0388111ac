"""What a fit does about memory: it lets go of its own, and knows that it lacks some by whatever the lack is called."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any
from weakref import WeakSet

import pytest
import torch

from harness.students import compute
from harness.training import trainer
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet((Example("def f(x):\n", "    return x\n"),))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (torch.AcceleratorError("CUDA error: out of memory", 2), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_a_lack_of_memory_is_known_by_whatever_it_is_called(error: RuntimeError, expected: bool) -> None:
    assert trainer.out_of_memory(error) is expected


def test_another_error_of_the_library_is_not_taken_for_a_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.training import distiller

    def failing(*arguments: object, **named: object) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(distiller, "label_scores", failing)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trainer.fit(tiny_student(tmp_path), DATA, Objective(), Schedule(1, batch=4), 0, lambda _: tmp_path / "out")


def test_nothing_but_the_collector_keeps_a_finished_fits_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU the model and twice its size of optimiser would otherwise stay beside what comes next."""
    seen: WeakSet[torch.nn.Module] = WeakSet()
    read = trainer.read_model

    def watched(*arguments: Any, **named: Any) -> Any:
        model = read(*arguments, **named)
        seen.add(model)
        return model

    monkeypatch.setattr(trainer, "read_model", watched)
    trainer.fit(tiny_student(tmp_path), DATA, Objective(), Schedule(2, batch=4), 0, lambda _: tmp_path / "out")
    gc.collect()
    assert list(seen) == []


def test_a_gpus_memory_is_given_back_and_a_cpu_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("cache"))
    monkeypatch.setattr(gc, "collect", lambda: emptied.append("garbage"))
    compute.release("cpu")
    assert emptied == []
    compute.release("cuda")
    assert emptied == ["garbage", "cache"]
