"""Fits with every contrast and with a teacher's distributions: what they lower, their limits, what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from harness.errors import ConfigError, TrainingError
from harness.training.batches import outside_alignment
from harness.training.divergences import Kind
from harness.training.objective import CONTRASTS, Contrast, Dpo, Infonce, Objective, Simpo, Soft, Unlikelihood
from harness.training.schedule import Mark, Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import byte_tokenizer, tiny_student

PAIRS = tuple(
    Example(f"def f{number}(x):\n", f"    return x + {number}\n", rejected=f"    return x - {number}\n")
    for number in range(8)
)
SHORT = Schedule(updates=4, batch=4, warmup=1)


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("teacher"), seed=1, hidden=32, layers=1)


def train(student: Path, out: Path, objective: Objective, teacher: Path | None = None, **changes: Any) -> list[Mark]:
    data = TrainingSet(changes.pop("examples", PAIRS), "as_given")
    schedule = replace(SHORT, **changes)
    return fit(student, data, objective, schedule, 0, lambda update: out / str(update), teacher_folder=teacher)


def with_tokens(folder: Path, copy: Path, *merges: tuple[str, str]) -> Path:
    """Copy a student, with a tokenizer that has these tokens at its end."""
    copy.mkdir()
    for file in folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    byte_tokenizer(merges).save_pretrained(copy)
    return copy


def weights(mark: Mark) -> bytes:
    return (mark.folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", [name for name in CONTRASTS if name != "unlikelihood"])
def test_a_contrast_falls_as_it_is_trained(student: Path, tmp_path: Path, name: str) -> None:
    contrast: Contrast = CONTRASTS[name](weight=2.0)
    marks = train(student, tmp_path, Objective(contrast), updates=24, marks=(1, 24))
    assert marks[0].losses[name] > marks[1].losses[name]
    assert set(marks[1].losses) == {"nll", name}


def test_unlikelihood_keeps_a_wrong_token_from_rising_with_the_rest(student: Path, tmp_path: Path) -> None:
    free, held = (
        train(student, tmp_path / str(weight), Objective(Unlikelihood(weight)), updates=24)[0].losses["unlikelihood"]
        for weight in (1e-9, 20.0)
    )
    assert held < 0.7 * free


@pytest.mark.parametrize("name", list(CONTRASTS))
def test_a_contrast_of_weight_zero_is_plain_likelihood_bit_for_bit(student: Path, tmp_path: Path, name: str) -> None:
    [plain] = train(student, tmp_path / "plain", Objective())
    [muted] = train(student, tmp_path / "muted", Objective(CONTRASTS[name](weight=0.0)))
    assert weights(plain) == weights(muted) and plain.tokens == muted.tokens


def test_dpo_starts_at_log_two_as_student_and_reference_agree(student: Path, tmp_path: Path) -> None:
    [mark] = train(student, tmp_path, Objective(Dpo()), updates=1)
    assert mark.losses["dpo"] == pytest.approx(math.log(2.0), abs=1e-4)


def test_infonce_and_its_simpo_train_the_same_weights(student: Path, tmp_path: Path) -> None:
    [one] = train(student, tmp_path / "one", Objective(Infonce(0.5, 1.0)))
    [two] = train(student, tmp_path / "two", Objective(Simpo(2.0, 0.0, 1.0)))
    assert weights(one) == weights(two)


def test_unlikelihood_of_equal_texts_is_zero(student: Path, tmp_path: Path) -> None:
    same = tuple(replace(one, rejected=one.completion) for one in PAIRS)
    [mark] = train(student, tmp_path, Objective(Unlikelihood()), examples=same)
    assert mark.losses["unlikelihood"] == 0.0


def test_each_terms_share_of_the_gradient_is_told(student: Path, tmp_path: Path) -> None:
    small, large = (
        train(student, tmp_path / str(weight), Objective(Simpo(weight=weight)))[0].shares for weight in (0.1, 10.0)
    )
    assert sum(small.values()) == pytest.approx(1.0) and set(small) == {"nll", "simpo"}
    assert small["simpo"] < 0.2 < 0.8 < large["simpo"]


def test_one_term_has_no_shares(student: Path, tmp_path: Path) -> None:
    assert train(student, tmp_path, Objective())[0].shares == {}


@pytest.mark.parametrize(
    ("text", "other", "changed"),
    [
        ("abc", "abc", ""),
        ("abXc", "abc", "X"),
        ("abc", "abXc", ""),
        ("abc", "", "abc"),
        ("", "abc", ""),
        ("aXbYc", "abZc", "XY"),
        ("aab", "ab", "a"),
        ("XaYbZ", "ab", "XYZ"),
    ],
)
def test_what_lies_outside_the_longest_alignment(text: str, other: str, changed: str) -> None:
    found = outside_alignment([ord(one) for one in text], [ord(one) for one in other])
    assert "".join(one for one, new in zip(text, found, strict=True) if new) == changed


# --- a teacher's distributions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("divergence", get_args(Kind))
def test_a_divergence_falls_as_it_is_trained(student: Path, teacher: Path, tmp_path: Path, divergence: Any) -> None:
    soft = Objective(soft=Soft(divergence, alpha=1.0, tau=2.0))
    marks = train(student, tmp_path, soft, teacher, updates=24, marks=(1, 24))
    assert marks[0].losses["kd"] > 2 * marks[1].losses["kd"] > 0


def test_a_student_that_is_its_teacher_starts_at_zero(student: Path, tmp_path: Path) -> None:
    [mark] = train(student, tmp_path, Objective(soft=Soft()), student, updates=1)
    assert mark.losses["kd"] == pytest.approx(0.0, abs=1e-6)


def test_an_examples_weight_holds_for_its_teacher_too(student: Path, teacher: Path, tmp_path: Path) -> None:
    half = tuple(replace(one, weight=0.5) for one in PAIRS)
    soft = Objective(soft=Soft(alpha=1.0))
    [whole] = train(student, tmp_path / "whole", soft, teacher, updates=1)
    [light] = train(student, tmp_path / "light", soft, teacher, updates=1, examples=half)
    assert light.losses["kd"] == pytest.approx(0.5 * whole.losses["kd"], rel=1e-5)


def test_alpha_zero_is_plain_likelihood_bit_for_bit_and_reads_no_teacher(student: Path, tmp_path: Path) -> None:
    [plain] = train(student, tmp_path / "plain", Objective())
    [muted] = train(student, tmp_path / "muted", Objective(soft=Soft(alpha=0.0)), tmp_path / "no such teacher")
    assert weights(plain) == weights(muted)


def test_a_teacher_that_is_missing_is_told_before_anything_is_written(student: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="seqkd"):
        train(student, tmp_path / "out", Objective(soft=Soft()))
    assert not (tmp_path / "out").exists()


def test_a_teacher_of_other_tokens_is_refused(student: Path, teacher: Path, tmp_path: Path) -> None:
    other = with_tokens(teacher, tmp_path / "other", ("c", "d"))
    [mark] = train(student, tmp_path / "wider", Objective(soft=Soft()), other)  # one more token at the end: one family
    assert mark.losses["kd"] > 0
    with pytest.raises(ConfigError, match="different tokens"):
        train(with_tokens(student, tmp_path / "mine", ("a", "b")), tmp_path / "out", Objective(soft=Soft()), other)


@pytest.mark.parametrize("broken", [{"divergence": "forwards"}, {"alpha": 1.5}, {"tau": 0.0}, {"parameter": 1.0}])
def test_a_setting_out_of_range_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="kd"):
        Soft(**broken)
