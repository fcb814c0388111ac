"""Distributions on disk: what is kept, that it comes back, how much of a divergence it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import StoreError
from harness.students.checkpoint import read_model
from harness.training.divergences import TopK, forward, from_top_k
from harness.training.logit_cache import Kept, LogitCache, LogitReader, LogitWriter, keep, key_of
from harness.training.packing import Lead
from harness.training.soft_labels import distributions
from tests.fakes import tiny_student

WIDTH = 259
TEXTS = [([1, 70, 71], [80, 81, 82, 2]), ([1, 90], [91, 2]), ([1, *range(60, 80)], [100] * 30)]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    return read_model(tiny_student(tmp_path_factory.mktemp("teacher"), lively=True), "cpu").eval()


def kept_of(teacher: torch.nn.Module, place: int, k: int, lead: Lead | None = None) -> Kept:
    return distributions(teacher, *TEXTS[place], lead, k, WIDTH)  # type: ignore[arg-type]


def direct(teacher: torch.nn.Module, prompt: list[int], completion: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits = teacher(input_ids=torch.tensor([prompt + completion])).logits[0]
    return logits[len(prompt) - 1 : -1].log_softmax(dim=-1)  # [T, V]


def as_top_k(kept: Kept) -> TopK:
    return TopK(torch.tensor(kept.ids).long(), torch.tensor(kept.logp), torch.tensor(kept.tail))


@pytest.mark.parametrize("place", range(3))
def test_what_is_kept_are_the_distributions_of_a_direct_forward_pass(teacher: torch.nn.Module, place: int) -> None:
    kept = as_top_k(kept_of(teacher, place, WIDTH))
    expected = direct(teacher, *TEXTS[place])
    found = torch.full_like(expected, -torch.inf).scatter(-1, kept.ids, kept.logp)
    torch.testing.assert_close(found, expected, rtol=6e-4, atol=1e-4)  # float16 on disk


def test_what_the_teacher_reads_before_a_prompt_counts(teacher: torch.nn.Module) -> None:
    prompt, completion = TEXTS[0]
    led = kept_of(teacher, 0, WIDTH, Lead((60, 61), begins=1))
    told = distributions(teacher, [1, 60, 61, *prompt[1:]], completion, None, WIDTH, WIDTH)  # type: ignore[arg-type]
    assert (led.logp == told.logp).all() and (led.logp != kept_of(teacher, 0, WIDTH).logp).any()


def test_a_cache_gives_back_what_was_written_from_all_its_folders(teacher: torch.nn.Module, tmp_path: Path) -> None:
    for number, places in enumerate(((0, 1), (2,))):
        (tmp_path / str(number)).mkdir()
        with LogitWriter(tmp_path / str(number), 8, WIDTH) as writer:
            for place in places:
                writer.add(key_of(*TEXTS[place]), kept_of(teacher, place, 8))
    cache = LogitCache([tmp_path / "0", tmp_path / "1"])
    for place, text in enumerate(TEXTS):
        found, kept = cache.get(*text), kept_of(teacher, place, 8)
        assert (found.ids == kept.ids).all() and (found.logp == kept.logp).all() and (found.tail == kept.tail).all()
        total = torch.tensor(found.logp).exp().sum(dim=1) + torch.tensor(found.tail).exp()
        torch.testing.assert_close(total, torch.ones_like(total))
    assert (tmp_path / "1/logp.bin").stat().st_size == 30 * 8 * 2


def test_a_text_that_was_not_kept_or_a_folder_that_is_damaged_is_told(teacher: torch.nn.Module, tmp_path: Path) -> None:
    with LogitWriter(tmp_path, 8, WIDTH) as writer:
        writer.add(key_of(*TEXTS[0]), kept_of(teacher, 0, 8))
    with pytest.raises(StoreError, match=r"no distributions of the teacher for the text .* Put the folder back"):
        LogitCache([tmp_path]).get(*TEXTS[1])
    with (tmp_path / "ids.bin").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(StoreError, match=r"ids\.bin: 132 bytes .*, expected 128"):
        LogitReader(tmp_path)
    with pytest.raises(StoreError, match="cannot be read"):
        LogitReader(tmp_path / "nowhere")


def test_more_kept_tokens_keep_more_mass_and_more_of_the_divergence(teacher: torch.nn.Module) -> None:
    """The divergence over kept tokens and tail never exceeds the whole one, and grows towards it with k."""
    whole = direct(teacher, *TEXTS[2])
    noise = torch.randn(whole.shape, generator=torch.Generator().manual_seed(0))
    student = (whole + 0.5 * noise).log_softmax(dim=-1)
    full = float(forward(whole, student, 0.0).mean())
    kept = [keep(whole, k) for k in (1, 8, 64, WIDTH)]
    masses = [one.mass for one in kept]
    shares = [float(from_top_k("forward", as_top_k(one), student).mean()) / full for one in kept]
    assert masses == sorted(masses) and shares == sorted(shares)
    assert 0 < shares[0] < shares[2] < shares[3] == pytest.approx(1.0, abs=0.02)
