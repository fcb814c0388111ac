"""Several texts in one row of a forward pass: what stays as it was, and models that cannot do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import TrainingError
from harness.students.checkpoint import read_model
from harness.training import distiller, trainer
from harness.training.batches import TokenRow, collate
from harness.training.objective import Margin, Objective, Soft
from harness.training.packing import demand_packing, packed
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.training.whitebox import read_teacher
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

# lengths, weights and pairs are all unequal
EXAMPLES = tuple(
    Example(
        f"def f{n}(x):\n",
        "    return x" + " + 1" * (n * n % 7 * 4) + "\n",
        rejected="    return 0\n" if n % 3 else None,
        weight=0.5 + n,
    )
    for n in range(8)
)
SCHEDULE = Schedule(updates=4, batch=8, warmup=1, clip=1e9)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(autouse=True)
def sgd(monkeypatch: pytest.MonkeyPatch) -> None:
    """With Adam a near-zero gradient may flip its sign and move a weight a whole step."""
    monkeypatch.setattr(torch.optim, "AdamW", lambda groups, lr, **_: torch.optim.SGD(groups, lr=lr))


def train(student: Path, out: Path, order: Literal["as_given", "shuffled"] = "as_given", **named: Any) -> list[Mark]:
    objective, teacher = named.pop("objective", Objective(Margin(0.5, 0.5))), named.pop("teacher", None)
    data, schedule = TrainingSet(EXAMPLES, order), replace(SCHEDULE, **named)
    return fit(student, data, objective, schedule, 3, lambda update: out / str(update), teacher_folder=teacher)


def moved_apart(one: Mark, other: Mark, start: Path) -> float:
    """Return the largest difference of two students' weights, in units of the largest that training moved one."""
    a, b, before = (load_file(folder / "model.safetensors") for folder in (one.folder, other.folder, start))
    moved = max(float((a[name] - before[name]).abs().max()) for name in a)
    return max(float((a[name] - b[name]).abs().max()) for name in a) / moved


@pytest.mark.parametrize("order", ["as_given", "shuffled"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_packed_equals_unpacked_with_weights_pairs_and_order(
    student: Path, tmp_path: Path, order: Literal["as_given", "shuffled"], micro_batches: int
) -> None:
    plain = train(student, tmp_path / "plain", order)
    tight = train(student, tmp_path / "packed", order, packing=True, micro_batches=micro_batches)
    assert moved_apart(plain[0], tight[0], student) < 1e-4  # float32 sums in another order
    assert tight[0].losses == pytest.approx(plain[0].losses, rel=1e-5) and tight[0].tokens == plain[0].tokens


def test_a_teachers_distributions_are_packed_like_the_students(student: Path, tmp_path: Path) -> None:
    teacher = tiny_student(tmp_path / "teacher", seed=1)
    objective = Objective(Margin(0.5, 0.5), Soft("reverse", tau=2.0))
    plain, tight = (
        train(student, tmp_path / str(one), objective=objective, teacher=teacher, packing=one)[0]
        for one in (False, True)
    )
    assert moved_apart(plain, tight, student) < 1e-4 and plain.losses == pytest.approx(tight.losses, rel=1e-5)


def test_packing_takes_fewer_positions(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    true_scores = distiller.label_scores

    def watching(model: Any, ids: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        sizes.append(ids[:, 1:].numel())
        return true_scores(model, ids, *rest, **named)

    monkeypatch.setattr(distiller, "label_scores", watching)
    for packing in (False, True):
        train(student, tmp_path / str(packing), packing=packing, updates=1)
    assert sizes[1] < 0.8 * sizes[0]


def test_packed_rows_keep_the_order_and_say_where_each_token_stands() -> None:
    rows = [
        TokenRow(0, [1], [5, 6, 2], None, 1.0),
        TokenRow(1, [1], [7, 2], [8, 2], 1.0),
        TokenRow(2, [1, 9], [3, 2], None, 1.0),
    ]
    feed = packed(collate(rows, pad=0))  # 3 + 2 + 3 tokens of completions go forward, 2 of a rejected text
    assert feed.positions is not None
    assert [row.tolist() for row in feed.ids[:, :-1]] == [[1, 5, 6], [1, 7, 1], [1, 9, 3], [1, 8, 1]]
    assert feed.mask.tolist() == [[True] * 3, [True, True, False], [False, True, True], [True, True, False]]
    assert feed.positions.tolist() == [[0, 1, 2], [0, 1, 0], [0, 1, 2], [0, 1, 0]]
    assert feed.completions == 3


def test_a_teacher_that_mixes_packed_texts_is_refused_before_anything_is_written(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mixing(*given: Any) -> Any:
        model: Any = read_teacher(*given)
        true_forward = model.forward
        monkeypatch.setattr(model, "forward", lambda position_ids=None, **named: true_forward(**named))
        return model

    monkeypatch.setattr(trainer, "read_teacher", mixing)
    named: dict[str, Any] = {"objective": Objective(soft=Soft()), "teacher": student}
    with pytest.raises(TrainingError, match=r"mixes texts.*packing=false"):
        train(student, tmp_path / "out", packing=True, **named)
    assert not (tmp_path / "out").exists()
    train(student, tmp_path / "out", **named)


def test_a_model_that_mixes_packed_texts_is_refused(student: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = read_model(student, "cpu")
    demand_packing(model)
    true_forward = model.forward
    monkeypatch.setattr(model, "forward", lambda position_ids=None, **named: true_forward(**named))
    with pytest.raises(TrainingError, match=r"mixes texts.*packing=false"):
        demand_packing(model)
