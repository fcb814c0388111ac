"""A fit that is killed, or runs out of memory, or meets a loss that is no number: what it keeps, and how it goes on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import TrainingError
from harness.training import distiller
from harness.training.objective import Margin, Objective
from harness.training.resume import SEAL, Checkpoints
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet(
    tuple(Example(f"def f{n}(x):\n", f"    return x + {n}\n", rejected=f"    return {n}\n") for n in range(7)),
    "shuffled",
)
SCHEDULE = Schedule(updates=6, batch=4, warmup=1, marks=(2, 6))
CONTRAST = Objective(Margin(0.5, 0.5))


class Killed(BaseException):
    """Stands for a signal: nothing in a fit may catch it."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def train(student: Path, folder: Path, kill_at: int = 0, schedule: Schedule = SCHEDULE, **named: Any) -> list[Mark]:
    def progress(done: int, updates: int) -> None:
        if done == kill_at:
            raise Killed

    out = named.pop("out", folder / "marks")
    named = {"work": folder, "save_every_s": 0.0, **named}
    return fit(student, DATA, CONTRAST, schedule, 5, lambda update: out / str(update), progress, **named)


def comparable(marks: list[Mark]) -> list[tuple[bytes, dict[str, Any]]]:
    return [
        ((mark.folder / "model.safetensors").read_bytes(), {**vars(mark), "folder": mark.folder.name}) for mark in marks
    ]


@pytest.fixture(scope="module")
def whole(student: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[bytes, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("whole")
    return comparable(train(student, folder, work=None))


@pytest.mark.parametrize("kill_at", [1, 2, 3, 6])
def test_a_killed_fit_goes_on_to_the_same_bytes_and_measurements(
    student: Path, tmp_path: Path, whole: list[Any], kill_at: int
) -> None:
    with pytest.raises(Killed):
        train(student, tmp_path, kill_at)
    assert comparable(train(student, tmp_path)) == whole


def test_a_fit_killed_twice_starts_no_update_again_that_was_kept(
    student: Path, tmp_path: Path, whole: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    true_step = distiller.Watcher.on_step_end

    def counting(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seen.append(state.global_step)
        true_step(self, args, state, control, **kwargs)

    monkeypatch.setattr(distiller.Watcher, "on_step_end", counting)
    for kill_at in (3, 5):
        with pytest.raises(Killed):
            train(student, tmp_path, kill_at)
    assert comparable(train(student, tmp_path)) == whole
    assert seen == [1, 2, 3, 3, 4, 5, 5, 6]


def test_a_checkpoint_that_was_cut_short_is_not_read(student: Path, tmp_path: Path, whole: list[Any]) -> None:
    with pytest.raises(Killed):
        train(student, tmp_path, kill_at=4)
    (tmp_path / "checkpoint-3" / SEAL).unlink()
    (tmp_path / "checkpoint-3" / "model.safetensors").write_bytes(b"half")
    assert Checkpoints(tmp_path).last() is None
    assert comparable(train(student, tmp_path)) == whole


def test_a_checkpoint_whose_marks_have_been_stored_away_is_not_read(student: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(student, tmp_path, kill_at=4)
    (tmp_path / "marks" / "2").rename(tmp_path / "adopted")
    assert Checkpoints(tmp_path).last() is None
    (tmp_path / "marks" / "2").mkdir()  # as the next fit begins to write it, and is killed
    assert Checkpoints(tmp_path).last() is None


def test_only_the_newest_checkpoint_is_kept(student: Path, tmp_path: Path) -> None:
    train(student, tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-5"]


def test_a_short_fit_makes_no_checkpoint(student: Path, tmp_path: Path) -> None:
    train(student, tmp_path, save_every_s=600.0)
    assert [path.name for path in tmp_path.iterdir()] == ["marks"]


def test_checkpoints_cost_a_fiftieth_of_the_time_and_come_every_ten_minutes_at_least() -> None:
    assert distiller.wait_for(0.01, 600.0) == distiller.SAVE_AFTER_S
    assert distiller.wait_for(1.0, 600.0) == 50.0
    assert distiller.wait_for(120.0, 600.0) == 600.0
    assert distiller.wait_for(0.01, 0.0) == 0.0 and distiller.wait_for(0.01, math.inf) == math.inf


def test_a_batch_too_large_for_memory_is_split_until_it_fits(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    true_scores, largest = distiller.label_scores, []

    def cramped(model: Any, ids: torch.Tensor, mask: torch.Tensor, score: Any) -> torch.Tensor:
        if len(ids) > 2:
            raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")
        largest.append(len(ids))
        return true_scores(model, ids, mask, score)

    monkeypatch.setattr(distiller, "label_scores", cramped)
    marks = train(student, tmp_path, out=tmp_path / "split")
    assert "out of memory: an update is now split into 4 forward passes" in caplog.text
    assert [mark.micro_batches for mark in marks] == [4, 4] and max(
        largest
    ) == 2  # one completion and its rejected text
    monkeypatch.undo()
    asked = train(student, tmp_path / "asked", schedule=replace(SCHEDULE, micro_batches=4))
    assert comparable(marks) == comparable(asked)


def test_a_row_too_large_for_memory_is_an_error_with_remedies(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(model: Any, ids: torch.Tensor, mask: torch.Tensor, score: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    monkeypatch.setattr(distiller, "label_scores", full)
    with pytest.raises(TrainingError, match=r"one example in a forward pass .*2\.00 GiB.*max_tokens"):
        train(student, tmp_path)


def test_a_loss_that_is_no_number_stops_and_leaves_its_batch(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_scores, calls = distiller.label_scores, []

    def breaking(model: Any, ids: torch.Tensor, mask: torch.Tensor, score: Any) -> torch.Tensor:
        calls.append(ids)
        return true_scores(model, ids, mask, score) * (math.nan if len(calls) == 3 else 1.0)

    monkeypatch.setattr(distiller, "label_scores", breaking)
    with pytest.raises(TrainingError, match=r"nan in update 3.*broken-batch\.jsonl"):
        train(student, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "broken-batch.jsonl").read_text().splitlines()]
    assert len(rows) == 4 and all(row["prompt"].startswith("def f") and row["rejected"] for row in rows)
