"""A fit as processes of its own: it equals one process, keeps order, goes on after a kill, and fails in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from harness.errors import TrainingError
from harness.training.objective import Margin, Objective, Soft
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

EXAMPLES = tuple(
    Example(f"def f{n}(x):\n", f"    return x + {n}\n", rejected="    return 0\n" if n % 3 else None, weight=0.5 + n)
    for n in range(10)
)
SCHEDULE = Schedule(updates=3, batch=8, warmup=1, clip=1e9, marks=(2, 3))
CONTRAST = Objective(Margin(0.5, 0.5))

pytestmark = pytest.mark.slow  # two interpreters load torch


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def train(student: Path, out: Path, objective: Objective = CONTRAST, **named: Any) -> list[Mark]:
    kept = {name: named.pop(name) for name in ("work", "save_every_s", "teacher_folder") if name in named}
    progress = named.pop("progress", None)
    data, schedule = TrainingSet(EXAMPLES, "as_given"), replace(SCHEDULE, **named)
    return fit(student, data, objective, schedule, 3, lambda update: out / str(update), progress, **kept)


def apart(one: Path, other: Path, start: Path) -> float:
    a, b, before = (load_file(folder / "model.safetensors") for folder in (one, other, start))
    moved = max(float((a[name] - before[name]).abs().max()) for name in a)
    return max(float((a[name] - b[name]).abs().max()) for name in a) / moved


@pytest.fixture
def sgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by plain gradients, here and in the processes: Adam's near-zero gradients may flip their signs."""
    import torch

    monkeypatch.setattr("harness.training.launch.WORKER", "tests.training.sgd_worker")
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, lr, **_: torch.optim.SGD(groups, lr=lr))


def test_two_processes_equal_one(student: Path, tmp_path: Path, sgd: None) -> None:
    one = train(student, tmp_path / "one")
    two = train(student, tmp_path / "two", processes=2, micro_batches=2)
    assert [apart(a.folder, b.folder, student) < 1e-4 for a, b in zip(one, two, strict=True)] == [True, True]
    for a, b in zip(one, two, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-5)
        assert (a.update, a.tokens, a.examples) == (b.update, b.tokens, b.examples)


def test_two_processes_draw_the_students_own_texts_of_one(student: Path, tmp_path: Path, sgd: None) -> None:
    teacher = tiny_student(tmp_path / "teacher", seed=1)
    lively = tiny_student(tmp_path / "lively", lively=True)
    gkd = Objective(soft=Soft("jsd", alpha=1.0, on_policy=0.4, max_new_tokens=10))  # one update of three
    one, two = (
        train(lively, tmp_path / str(count), gkd, processes=count, teacher_folder=teacher, marks=(3,))[0]
        for count in (1, 2)
    )
    assert apart(one.folder, two.folder, lively) < 1e-3 and one.losses == pytest.approx(two.losses, rel=1e-3)
    assert (one.own_texts, one.own_tokens, one.tokens) == (two.own_texts, two.own_tokens, two.tokens) and one.own_texts


def test_a_configuration_of_accelerate_says_how_many_processes(student: Path, tmp_path: Path) -> None:
    file = tmp_path / "two.yaml"
    lines = ("compute_environment: LOCAL_MACHINE", "distributed_type: MULTI_GPU", "num_machines: 1", "num_processes: 2")
    file.write_text("\n".join((*lines, "main_process_port: 0", "machine_rank: 0", "mixed_precision: 'no'")))
    told: list[int] = []
    work = tmp_path / "work"
    [*_, mark] = train(
        student, tmp_path / "out", accelerate=str(file), work=work, progress=lambda done, due: told.append(done)
    )
    assert mark.folder.is_dir() and told == [1, 2, 3]


def test_killed_processes_leave_a_checkpoint_to_go_on_from(student: Path, tmp_path: Path, sgd: None) -> None:
    def kill(done: int, due: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    named: dict[str, Any] = {"processes": 2, "save_every_s": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train(student, tmp_path / "killed", work=tmp_path / "b", progress=kill, **named)
    told: list[int] = []
    again = train(
        student, tmp_path / "killed", work=tmp_path / "b", progress=lambda done, due: told.append(done), **named
    )
    assert told[0] > 1  # nothing that was kept is trained again
    whole = train(student, tmp_path / "whole")
    assert [apart(a.folder, b.folder, student) < 1e-4 for a, b in zip(whole, again, strict=True)] == [True, True]
    for a, b in zip(whole, again, strict=True):
        assert a.losses == pytest.approx(b.losses, rel=1e-5)


def test_an_error_of_a_process_is_told_in_its_own_words(student: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"longer than 20 tokens"):
        train(student, tmp_path / "out", processes=2, max_tokens=20)
    assert not (tmp_path / "out").exists()
