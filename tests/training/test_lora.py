"""Adapters: what stays, what is written out, and how a next fit goes on from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import TrainingError
from harness.store.artifacts import hash_folder
from harness.students.checkpoint import read_model
from harness.training.objective import Margin, Objective
from harness.training.schedule import ADAPTER, Lora, Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet(
    tuple(Example(f"def f{n}(x):\n", f"    return x + {n}\n", rejected=f"    return {n}\n") for n in range(8)),
    "as_given",
)
SCHEDULE = Schedule(updates=6, batch=4, warmup=1, learning_rate=1e-2, lora=Lora(rank=4, alpha=8))


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def train(student: Path, out: Path, bases: dict[str, Path] | None = None, **changes: Any) -> list[Mark]:
    objective = changes.pop("objective", Objective(Margin(0.5, 0.5)))
    schedule = replace(SCHEDULE, **changes)
    where = (bases or {}).__getitem__
    return fit(student, DATA, objective, schedule, 5, lambda update: out / str(update), bases=where)


def logits(folder: Path) -> torch.Tensor:
    model = read_model(folder, "cpu", dtype="float32")
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 30)[None]).logits


def test_what_is_written_out_is_a_whole_student_with_the_adapter_merged(student: Path, tmp_path: Path) -> None:
    import peft

    [mark] = train(student, tmp_path)
    assert read_model(mark.folder, "cpu").num_parameters() == read_model(student, "cpu").num_parameters()
    adapted = peft.PeftModel.from_pretrained(read_model(student, "cpu", dtype="float32"), str(mark.folder / "adapter"))
    with torch.no_grad():
        expected = adapted(input_ids=torch.arange(3, 30)[None]).logits
    torch.testing.assert_close(logits(mark.folder), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits(mark.folder), logits(student), atol=1e-2)


def test_an_adapter_lowers_the_loss(student: Path, tmp_path: Path) -> None:
    first, last = train(student, tmp_path, updates=30, marks=(1, 30))
    assert last.losses["nll"] < 0.9 * first.losses["nll"]


def test_marks_on_the_way_change_nothing(student: Path, tmp_path: Path) -> None:
    [plain] = train(student, tmp_path / "plain")
    marked = train(student, tmp_path / "marked", marks=(1, 2, 6))
    assert hash_folder(plain.folder) == hash_folder(marked[-1].folder)


def test_the_next_cycle_goes_on_with_the_same_adapter_on_the_same_weights(student: Path, tmp_path: Path) -> None:
    [first] = train(student, tmp_path / "first")
    [second] = train(first.folder, tmp_path / "second", {hash_folder(student): student})
    import peft

    adapted = peft.PeftModel.from_pretrained(
        read_model(student, "cpu", dtype="float32"), str(second.folder / "adapter")
    )
    with torch.no_grad():
        expected = adapted(input_ids=torch.arange(3, 30)[None]).logits
    torch.testing.assert_close(logits(second.folder), expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_of_other_settings_is_put_on_the_merged_weights(student: Path, tmp_path: Path) -> None:
    [first] = train(student, tmp_path / "first")
    [second] = train(first.folder, tmp_path / "second", lora=Lora(rank=2))
    assert hash_folder(first.folder) in (second.folder / "adapter" / "base.json").read_text()


def test_targets_that_name_no_layer_are_told_before_anything_is_written(student: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"targets=no_such_layer"):
        train(student, tmp_path / "out", lora=Lora(targets=("no_such_layer",)))
    assert not (tmp_path / "out").exists()


def test_a_killed_fit_of_an_adapter_goes_on_to_the_same_bytes(student: Path, tmp_path: Path) -> None:
    def kill(done: int, updates: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    def train_in(work: Path, progress: Any = None) -> list[Mark]:
        out = work / "marks"
        return fit(student, DATA, Objective(), SCHEDULE, 5, lambda _: out, progress, work=work, save_every_s=0.0)

    with pytest.raises(KeyboardInterrupt):
        train_in(tmp_path / "killed", kill)
    assert hash_folder(train_in(tmp_path / "killed")[0].folder) == hash_folder(train_in(tmp_path / "whole")[0].folder)


def drawn(student: Path, out: Path, seed: int) -> list[torch.Tensor]:
    """Return the matrices A of an adapter that is written out after one update of next to no size."""
    import safetensors.torch

    schedule = replace(SCHEDULE, updates=1, warmup=0, learning_rate=1e-12)
    [mark] = fit(student, DATA, Objective(), schedule, seed, lambda update: out / str(update))
    weights = safetensors.torch.load_file(mark.folder / "adapter" / "adapter_model.safetensors")
    return [weights[name] for name in sorted(weights) if "lora_A" in name]


def test_an_adapter_begins_at_what_the_fits_seed_draws(student: Path, tmp_path: Path) -> None:
    first = drawn(student, tmp_path / "first", 1)
    with torch.random.fork_rng(devices=[]):
        torch.rand(7)  # whatever the process has drawn before
        again = drawn(student, tmp_path / "again", 1)
    other = drawn(student, tmp_path / "other", 2)
    assert first and all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.allclose(one, two, atol=1e-3) for one, two in zip(first, other, strict=True))


def test_an_adapter_leaves_the_callers_randomness_as_it_found_it(student: Path, tmp_path: Path) -> None:
    before = torch.get_rng_state().tolist()
    drawn(student, tmp_path, 1)
    assert torch.get_rng_state().tolist() == before


def test_only_a_fit_of_an_adapter_has_the_adapters_version_in_its_key() -> None:
    said: Any = SCHEDULE.key()["lora"]
    assert said["version"] == ADAPTER and "version" not in str(replace(SCHEDULE, lora=None).key())


def test_recomputing_activations_trains_the_same_weights(student: Path, tmp_path: Path) -> None:
    [plain] = train(student, tmp_path / "plain", lora=None)
    [thrifty] = train(student, tmp_path / "thrifty", lora=None, recompute=True)
    torch.testing.assert_close(logits(thrifty.folder), logits(plain.folder), rtol=1e-4, atol=1e-4)


def test_switches_at_rest_leave_a_schedules_key_as_it_was() -> None:
    assert "lora" not in Schedule(updates=3).key() and "recompute" not in Schedule(updates=3).key()
    assert "lora" in SCHEDULE.key() and "recompute" in replace(SCHEDULE, recompute=True).key()
