"""A teacher that reads solved examples before every prompt: the same labels, other distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.errors import TrainingError
from harness.students.checkpoint import read_model
from harness.students.tokens import encode_completions, encode_prompts
from harness.training.objective import Objective, Soft
from harness.training.packing import Feed, Lead
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import byte_tokenizer, tiny_student

ROWS = tuple(Example(f"def f{number}(x):\n", f"    return x + {'1' * number}\n") for number in range(1, 5))
LEAD = "def g(x):\n    return x - 1\n\n\n"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return (
        tiny_student(tmp_path_factory.mktemp("student")),
        tiny_student(tmp_path_factory.mktemp("teacher"), seed=1, lively=True),
    )


def first_loss(models: tuple[Path, Path], out: Path, lead: str, packing: bool = False) -> float:
    objective = Objective(soft=Soft("forward", alpha=1.0, lead=lead))
    schedule = Schedule(updates=1, batch=4, warmup=1, packing=packing)
    data = TrainingSet(ROWS, "as_given")
    [mark] = fit(models[0], data, objective, schedule, 0, lambda update: out / str(update), teacher_folder=models[1])
    return mark.losses["kd"]


def by_hand(models: tuple[Path, Path], lead: str) -> float:
    """Return the forward KL per completion token, row by row, the teacher reading lead + prompt + completion."""
    import torch

    tokenizer: Any = byte_tokenizer()
    student, teacher = (read_model(folder, "cpu").eval() for folder in models)
    total, count = 0.0, 0
    for row in ROWS:
        [[prompt], [told], [text]] = (
            encode_prompts(tokenizer, [row.prompt]),
            encode_prompts(tokenizer, [lead + row.prompt]),
            encode_completions(tokenizer, [row.completion]),
        )
        with torch.no_grad():
            own = student(torch.tensor([prompt + text])).logits[0, len(prompt) - 1 : -1].log_softmax(1)
            theirs = teacher(torch.tensor([told + text])).logits[0, len(told) - 1 : -1].log_softmax(1)
        total += float((theirs.exp() * (theirs - own)).sum())
        count += len(text)
    return total / count


@pytest.mark.parametrize("lead", ["", LEAD])
def test_the_divergence_is_that_of_a_teacher_that_reads_the_lead_and_a_student_that_does_not(models, tmp_path, lead):
    assert first_loss(models, tmp_path, lead) == pytest.approx(by_hand(models, lead), rel=1e-4)


def test_a_lead_changes_what_the_teacher_says(models):
    assert by_hand(models, LEAD) != pytest.approx(by_hand(models, ""), rel=1e-3)


def test_a_lead_and_packing_do_not_go_together(models, tmp_path):
    with pytest.raises(TrainingError, match=r"train\.packing=false"):
        first_loss(models, tmp_path, LEAD, packing=True)


def test_a_lead_stands_behind_the_begin_token_and_moves_every_label_by_its_length():
    import torch

    ids = torch.tensor([[1, 5, 6, 7]])
    mask = torch.tensor([[False, True, True]])
    moved = Feed(ids, mask, None, 1).behind(Lead((8, 9), begins=1))
    assert moved.ids.tolist() == [[1, 8, 9, 5, 6, 7]]
    assert moved.ids[:, 1:][moved.mask].tolist() == ids[:, 1:][mask].tolist()
