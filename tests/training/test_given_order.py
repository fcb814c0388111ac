"""A given order reaches the model row by row, and an optimiser that starts afresh does so at its update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import TrainingError
from harness.training import distiller
from harness.training.objective import Objective
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

NAMES = "hgfedcbaabcdefgh"  # repeats, and no order that sorting or shuffling would give
DATA = TrainingSet(tuple(Example("", f"{name} = {len(name * ord(name))}\n") for name in NAMES), "as_given")
SCHEDULE = Schedule(updates=4, batch=4, warmup=1, marks=(2, 4), learning_rate=1e-2)


class Killed(BaseException):
    """Stands for a signal."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def train(student: Path, folder: Path, schedule: Schedule = SCHEDULE, kill_at: int = 0) -> list[Mark]:
    def progress(done: int, updates: int) -> None:
        if done == kill_at:
            raise Killed

    out = lambda update: folder / "marks" / str(update)  # noqa: E731
    return fit(student, DATA, Objective(), schedule, 5, out, progress, work=folder, save_every_s=0.0)


def weights(mark: Mark) -> bytes:
    return (mark.folder / "model.safetensors").read_bytes()


@pytest.fixture
def consumed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The examples that went through the model, in order."""
    seen: list[int] = []
    true_loss = distiller.Distiller.compute_loss

    def counting(self: Any, model: Any, inputs: dict[str, Any], *more: Any, **named: Any) -> Any:
        seen.extend(inputs["examples"])
        return true_loss(self, model, inputs, *more, **named)

    monkeypatch.setattr(distiller.Distiller, "compute_loss", counting)
    return seen


@pytest.mark.parametrize("micro_batches", [1, 2])
def test_the_model_sees_the_examples_in_the_given_order(
    student: Path, tmp_path: Path, consumed: list[int], micro_batches: int
) -> None:
    schedule = Schedule(updates=4, batch=4, warmup=1, micro_batches=micro_batches)
    train(student, tmp_path, schedule)
    assert consumed == list(range(16))


def test_a_killed_fit_goes_on_in_the_given_order(student: Path, tmp_path: Path, consumed: list[int]) -> None:
    with pytest.raises(Killed):
        train(student, tmp_path, kill_at=3)
    before = len(consumed)
    train(student, tmp_path)
    assert consumed[:before] == list(range(12)) and consumed[before:] == list(range(8, 16))


def test_a_restart_equals_two_fits_one_after_the_other(student: Path, tmp_path: Path) -> None:
    """With two fits the optimiser starts afresh by itself: the same rows, rates and bytes."""
    whole = train(student, tmp_path / "whole", Schedule(**{**vars(SCHEDULE), "restarts": (2,)}))
    half = Schedule(**{**vars(SCHEDULE), "updates": 2, "marks": (2,)})
    folder, marks = student, []
    for part in (0, 1):
        data = TrainingSet(DATA.examples[8 * part : 8 * part + 8], "as_given")
        marks += fit(folder, data, Objective(), half, 5, lambda update, part=part: tmp_path / f"part {part}")
        folder = marks[-1].folder
    assert [weights(mark) for mark in whole] == [weights(mark) for mark in marks]
    assert weights(whole[1]) != weights(train(student, tmp_path / "plain")[1])


def test_a_fit_killed_at_a_restart_goes_on_to_the_same_bytes(student: Path, tmp_path: Path) -> None:
    schedule = Schedule(**{**vars(SCHEDULE), "restarts": (2,)})
    for kill_at in (2, 3):
        folder = tmp_path / str(kill_at)
        with pytest.raises(Killed):
            train(student, folder, schedule, kill_at)
        found = train(student, folder, schedule)
        assert weights(found[1]) == weights(train(student, tmp_path / f"whole {kill_at}", schedule)[1])


@pytest.mark.parametrize("restarts", [(0,), (4,), (3, 2)])
def test_restarts_lie_within_the_updates(restarts: tuple[int, ...]) -> None:
    with pytest.raises(TrainingError, match=r"restarts=[0-9,]+: expected .* below 4 .*lab\.fit_through"):
        Schedule(updates=4, restarts=restarts)
