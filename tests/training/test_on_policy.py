"""Distillation on the student's own texts: which updates, what is drawn, what is counted, and that it resumes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.training import distiller
from harness.training.objective import Objective, Soft
from harness.training.on_policy import OwnTexts, own_updates
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet(tuple(Example(f"def f{n}(x):\n", f"    return x + {n}\n") for n in range(8)), "as_given")
SCHEDULE = Schedule(updates=6, batch=4, warmup=1)
GKD = Soft("jsd", alpha=1.0, on_policy=0.5, max_new_tokens=12)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"), lively=True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("teacher"), seed=1, hidden=32, layers=1)


def train(student: Path, teacher: Path, out: Path, soft: Soft = GKD, **named: Any) -> list[Mark]:
    data, progress = named.pop("data", DATA), named.pop("progress", None)
    kept = {name: named.pop(name) for name in ("work", "save_every_s") if name in named}
    schedule = replace(SCHEDULE, **named)
    objective = Objective(soft=soft)
    return fit(student, data, objective, schedule, 5, lambda n: out / str(n), progress, teacher_folder=teacher, **kept)


def weights(mark: Mark) -> bytes:
    return (mark.folder / "model.safetensors").read_bytes()


def texts_seen(monkeypatch: pytest.MonkeyPatch) -> list[list[list[int]]]:
    """Record the token ids of every batch that goes forward, padding removed."""
    seen: list[list[list[int]]] = []
    true_scores = distiller.label_scores

    def recording(model: Any, ids: torch.Tensor, *rest: Any, **named: Any) -> torch.Tensor:
        seen.append([[token for token in row if token != 0] for row in ids.tolist()])
        return true_scores(model, ids, *rest, **named)

    monkeypatch.setattr(distiller, "label_scores", recording)
    return seen


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.3, 3), (0.55, 5), (0.7, 7), (1.0, 10)])
def test_a_share_is_never_exceeded(share: float, expected: int) -> None:
    assert own_updates(10, share) == expected
    assert len(OwnTexts(10, share, 0.9, 8, 64, seed=1).places) == expected


def test_the_seed_draws_which_updates() -> None:
    draws = [OwnTexts(20, 0.5, 0.9, 8, 64, seed=seed).places for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_no_share_is_the_divergence_on_the_data_bit_for_bit(student: Path, teacher: Path, tmp_path: Path) -> None:
    [plain] = train(student, teacher, tmp_path / "plain", Soft("jsd", alpha=1.0))
    [none] = train(student, teacher, tmp_path / "none", replace(GKD, on_policy=0.0))
    assert weights(plain) == weights(none) and (none.own_texts, none.own_tokens) == (0, 0)


def test_the_whole_share_never_reads_a_completion(student: Path, teacher: Path, tmp_path: Path) -> None:
    other = TrainingSet(tuple(replace(one, completion="    pass\n") for one in DATA.examples), "as_given")
    always = replace(GKD, on_policy=1.0)
    marks = [train(student, teacher, tmp_path / str(n), always, data=data)[0] for n, data in enumerate((DATA, other))]
    assert weights(marks[0]) == weights(marks[1]) and set(marks[0].losses) == {"kd_own"}


def test_half_a_share_trains_on_both_and_tells_them_apart(
    student: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = texts_seen(monkeypatch)
    [mark] = train(student, teacher, tmp_path)
    ours = OwnTexts(6, 0.5, 0.9, 12, 256, seed=5)
    given = [list(f"def f{n}(x):\n    return x + {n}\n".encode()) for n in range(8)]
    of_data = [len(batch[0]) == len(given[0]) + 2 for batch in seen]
    assert of_data == [not ours.due(update) for update in range(6)]
    assert set(mark.losses) == {"nll", "kd", "kd_own"} and mark.own_texts == 3 * 4
    assert mark.own_tokens <= 12 * mark.own_texts


def test_what_is_drawn_is_the_students_answer_to_the_prompt(
    student: Path, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.students.decoding import Decoding
    from harness.students.engine import generate, load
    from harness.students.tokens import encode_prompts

    seen = texts_seen(monkeypatch)
    greedy = replace(GKD, on_policy=1.0, temperature=0.0)
    train(student, teacher, tmp_path, greedy, updates=1)
    loaded = load(student)
    prompts = [one.prompt for one in DATA.examples[:4]]
    answers = generate(loaded, prompts, Decoding(max_new_tokens=12), [0] * 4)
    begun = encode_prompts(loaded.tokenizer, prompts)
    assert [len(row) for row in seen[0]] == [len(a) + b.tokens for a, b in zip(begun, answers, strict=True)]


def test_the_divergence_on_own_texts_falls(student: Path, teacher: Path, tmp_path: Path) -> None:
    reverse = replace(GKD, divergence="reverse", on_policy=1.0)
    first, _, last = train(student, teacher, tmp_path, reverse, updates=40, marks=(1, 36, 40), learning_rate=1e-2)
    assert first.losses["kd_own"] > 1.5 * last.losses["kd_own"] > 0


def test_splitting_an_update_draws_the_same_texts(student: Path, teacher: Path, tmp_path: Path) -> None:
    always = replace(GKD, on_policy=1.0)
    whole, split = (train(student, teacher, tmp_path / str(n), always, updates=1, micro_batches=n)[0] for n in (1, 2))
    assert whole.losses == pytest.approx(split.losses, rel=1e-5)
    assert (whole.own_tokens, whole.tokens) == (split.own_tokens, split.tokens)


@pytest.mark.parametrize("kill_at", [2, 4])
def test_a_killed_fit_draws_what_an_uninterrupted_one_does(
    student: Path, teacher: Path, tmp_path: Path, kill_at: int
) -> None:
    def kill(done: int, updates: int) -> None:
        if done == kill_at:
            raise KeyboardInterrupt

    named: dict[str, Any] = {"marks": (1, 6), "save_every_s": 0.0}
    whole = train(student, teacher, tmp_path / "a", work=tmp_path / "a", **named)
    with pytest.raises(KeyboardInterrupt):
        train(student, teacher, tmp_path / "b", work=tmp_path / "b", progress=kill, **named)
    again = train(student, teacher, tmp_path / "b", work=tmp_path / "b", **named)
    assert [weights(one) for one in whole] == [weights(one) for one in again]
    assert [{**vars(one), "folder": ""} for one in whole] == [{**vars(one), "folder": ""} for one in again]
