"""Divergences against hand-made numbers, against each other, and against a loop that knows nothing of tensors."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch

from harness.errors import TrainingError
from harness.training.divergences import DIVERGENCES, Kind, TopK, from_logits, from_top_k

P, Q = torch.tensor([[0.7, 0.2, 0.1]]).log(), torch.tensor([[0.5, 0.3, 0.2]]).log()
KINDS: tuple[Kind, ...] = get_args(Kind)

GOLDEN = [
    ("forward", 0.5, 0.0851228),
    ("reverse", 0.5, 0.0920329),
    ("jsd", 0.5, 0.0219012),
    ("jsd", 0.1, 0.0076947),
    ("skew_forward", 0.1, 0.0695780),
    ("skew_reverse", 0.1, 0.0728275),
    ("tvd", 0.5, 0.2),
]


def drawn(seed: int, rows: int = 5, width: int = 12, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def top_k(logits: torch.Tensor, k: int) -> TopK:
    logp = logits.log_softmax(dim=1)
    kept = logp.topk(k, dim=1)
    return TopK(kept.indices, kept.values, (1 - kept.values.exp().sum(dim=1)).clamp(min=0).log())


@pytest.mark.parametrize(("kind", "parameter", "value"), GOLDEN)
def test_divergence_has_its_golden_value(kind: Kind, parameter: float, value: float) -> None:
    assert from_logits(kind, P, Q, parameter=parameter).tolist() == [pytest.approx(value, abs=2e-7)]


def test_temperature_enters_both_sides_and_its_square_the_size() -> None:
    assert from_logits("forward", P, Q, tau=2.0).sum().item() == pytest.approx(0.0982972, abs=2e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_divergence_equals_a_plain_loop(kind: Kind) -> None:
    teacher, student, a = drawn(1), drawn(2), 0.3

    def kl(p: list[float], q: list[float]) -> float:
        return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))

    def mix(p: list[float], q: list[float], share: float) -> list[float]:
        return [share * x + (1 - share) * y for x, y in zip(p, q, strict=True)]

    total = 0.0
    for z_t, z_s in zip(teacher.double(), student.double(), strict=True):
        p, q = z_t.softmax(0).tolist(), z_s.softmax(0).tolist()
        total += {
            "forward": kl(p, q),
            "reverse": kl(q, p),
            "jsd": a * kl(p, mix(p, q, a)) + (1 - a) * kl(q, mix(p, q, a)),
            "skew_forward": kl(p, mix(p, q, a)),
            "skew_reverse": kl(q, mix(p, q, 1 - a)),
            "tvd": sum(abs(x - y) for x, y in zip(p, q, strict=True)) / 2,
        }[kind]
    assert from_logits(kind, teacher, student, parameter=a).sum().item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_distributions_are_at_zero_without_gradient(kind: Kind) -> None:
    student = drawn(3).requires_grad_()
    total = from_logits(kind, student.detach(), student, tau=2.0).sum()
    total.backward()
    assert total.item() == pytest.approx(0.0, abs=1e-5) and student.grad is not None
    assert student.grad.abs().max().item() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_constant_added_to_all_logits_of_a_position_changes_nothing(kind: Kind) -> None:
    moved = from_logits(kind, drawn(1) + 7.0, drawn(2) - 3.0).sum()
    torch.testing.assert_close(moved, from_logits(kind, drawn(1), drawn(2)).sum(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_add_up_over_chunks(kind: Kind) -> None:
    whole = from_logits(kind, drawn(1), drawn(2)).sum().item()
    parts = [from_logits(kind, drawn(1)[at : at + 2], drawn(2)[at : at + 2]).sum().item() for at in (0, 2, 4)]
    assert whole == pytest.approx(sum(parts), rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_no_positions_have_no_divergences(kind: Kind) -> None:
    assert from_logits(kind, drawn(1)[:0], drawn(2)[:0]).shape == (0,)


def test_forward_and_reverse_swap_with_their_arguments() -> None:
    there, back = from_logits("forward", drawn(1), drawn(2)).sum(), from_logits("reverse", drawn(2), drawn(1)).sum()
    assert there.item() == back.item()


def test_jsd_of_a_half_is_symmetric() -> None:
    there, back = from_logits("jsd", drawn(1), drawn(2)).sum(), from_logits("jsd", drawn(2), drawn(1)).sum()
    assert there.item() == pytest.approx(back.item(), rel=1e-6)


def test_jsd_near_its_ends_is_the_one_sided_divergence_times_the_share() -> None:
    forward, reverse = (from_logits(kind, drawn(1), drawn(2)).sum().item() for kind in ("forward", "reverse"))
    share = 1e-3
    assert from_logits("jsd", drawn(1), drawn(2), parameter=share).sum().item() / share == pytest.approx(
        forward, rel=0.05
    )
    assert from_logits("jsd", drawn(1), drawn(2), parameter=1 - share).sum().item() / share == pytest.approx(
        reverse, rel=0.05
    )


def test_total_variation_is_one_where_the_two_share_nothing() -> None:
    teacher, student = torch.tensor([[50.0, -50.0]]), torch.tensor([[-50.0, 50.0]])
    assert from_logits("tvd", teacher, student).item() == pytest.approx(1.0)


def test_a_certain_teacher_is_the_cross_entropy_of_its_token() -> None:
    certain, student = torch.full((2, 12), -math.inf), drawn(2, rows=2)
    certain[0, 3] = certain[1, 7] = 0.0
    stock = torch.nn.functional.cross_entropy(student, torch.tensor([3, 7]), reduction="sum")
    torch.testing.assert_close(from_logits("forward", certain, student).sum(), stock, rtol=1e-6, atol=0)


def test_heads_padded_differently_are_cut_to_the_common_part() -> None:
    wide = torch.cat([drawn(1), torch.full((5, 4), 50.0)], dim=1)
    assert (
        from_logits("forward", wide, drawn(2)).sum().item() == from_logits("forward", drawn(1), drawn(2)).sum().item()
    )


# --- cached top-k ----------------------------------------------------------------------------------------------------


def test_top_k_with_its_tail_has_its_golden_value() -> None:
    cached = TopK(torch.tensor([[0]]), torch.tensor([[0.7]]).log(), torch.tensor([0.3]).log())
    assert from_top_k("forward", cached, Q).sum().item() == pytest.approx(0.0822829, abs=2e-7)


@pytest.mark.parametrize("kind", ["forward", "reverse", "jsd"])
def test_top_k_never_exceeds_the_whole_and_grows_with_k(kind: Kind) -> None:
    values = [from_top_k(kind, top_k(drawn(1), k), drawn(2)).sum().item() for k in (1, 2, 4, 8, 12)]
    whole = from_logits(kind, drawn(1), drawn(2)).sum().item()
    assert values == sorted(values) and 0 <= values[0] < values[-1]
    assert values[-1] == pytest.approx(whole, rel=1e-4)


def test_the_retained_mass_is_that_of_the_tokens_kept() -> None:
    cached = top_k(P, 2)
    assert cached.retained.item() == pytest.approx(0.9, abs=1e-6)
    assert cached.retained.item() + cached.tail.exp().item() == pytest.approx(1.0, abs=1e-6)


def test_a_tail_of_nothing_leaves_loss_and_gradient_finite() -> None:
    student = (50.0 * drawn(2)).requires_grad_()
    total = from_top_k("reverse", top_k(50.0 * drawn(2), 3), student).sum()
    total.backward()
    assert math.isfinite(total.item()) and student.grad is not None and bool(student.grad.isfinite().all())


def test_a_top_k_cache_at_another_temperature_is_refused() -> None:
    with pytest.raises(TrainingError, match="expected 1"):
        from_top_k("forward", top_k(drawn(1), 3), drawn(2), tau=2.0)


def test_every_named_divergence_is_listed() -> None:
    assert set(DIVERGENCES) == set(KINDS)
