"""Losses against hand-made numbers, their limits, and what must not change them."""

from __future__ import annotations

import math

import pytest
import torch

from harness.training.losses import margin, mean_logp, nll, sequence_logp

LOGP = torch.tensor([[-1.0, -2.0, -3.0], [-0.5, -4.0, -9.0]])
MASK = torch.tensor([[False, True, True], [True, True, False]])
EXACT = {"rtol": 0, "atol": 0}
FLOAT32 = {"rtol": 1e-6, "atol": 0}  # sums of a few float32 numbers in another order


def test_sequence_logp_sums_the_masked_labels() -> None:
    assert sequence_logp(LOGP, MASK).tolist() == [-5.0, -4.5]


def test_mean_logp_is_nats_per_token() -> None:
    assert mean_logp(LOGP, MASK).tolist() == [-2.5, -2.25]


def test_nll_is_the_weighted_sum_and_the_count_of_tokens_that_weigh() -> None:
    total, count = nll(LOGP, MASK, torch.tensor([1.0, 2.0]))
    assert (total.item(), count.item()) == (14.0, 4)


def test_nll_of_a_row_of_weight_zero_is_that_of_a_missing_row() -> None:
    weighted = nll(LOGP, MASK, torch.tensor([1.0, 0.0]))
    missing = nll(LOGP[:1], MASK[:1], torch.tensor([1.0]))
    assert [value.item() for value in weighted] == [value.item() for value in missing] == [5.0, 2]


def test_nll_with_every_weight_one_is_the_stock_cross_entropy() -> None:
    logits = torch.randn(4, 7, 11, generator=torch.Generator().manual_seed(0))
    labels = torch.randint(0, 11, (4, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.rand(4, 7, generator=torch.Generator().manual_seed(2)) < 0.6
    logp = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0]
    total, count = nll(logp, mask, torch.ones(4))
    stock = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels.masked_fill(~mask, -100))
    torch.testing.assert_close(total / count, stock, **FLOAT32)


def test_everything_masked_gives_zero_sum_zero_count_and_finite_means() -> None:
    nothing = torch.zeros_like(MASK)
    total, count = nll(LOGP, nothing, torch.ones(2))
    assert (total.item(), count.item()) == (0.0, 0)
    assert mean_logp(LOGP, nothing).tolist() == [0.0, 0.0]


def test_what_stands_outside_the_mask_is_never_looked_at() -> None:
    padded = LOGP.masked_fill(~MASK, math.nan)
    assert torch.equal(sequence_logp(padded, MASK), sequence_logp(LOGP, MASK))
    assert torch.equal(nll(padded, MASK, torch.ones(2))[0], nll(LOGP, MASK, torch.ones(2))[0])


def test_a_token_at_the_mean_leaves_the_mean_and_changes_the_sum() -> None:
    longer = torch.cat([LOGP, torch.tensor([[-2.5], [-2.25]])], dim=1)
    wider = torch.cat([MASK, torch.ones(2, 1, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(mean_logp(longer, wider), mean_logp(LOGP, MASK), **FLOAT32)
    assert not torch.allclose(sequence_logp(longer, wider), sequence_logp(LOGP, MASK))


def test_sums_and_counts_add_up_over_micro_batches() -> None:
    weights = torch.tensor([0.5, 2.0])
    whole = nll(LOGP, MASK, weights)
    parts = [nll(LOGP[row : row + 1], MASK[row : row + 1], weights[row : row + 1]) for row in (0, 1)]
    assert [sum(part[k].item() for part in parts) for k in (0, 1)] == [whole[0].item(), whole[1].item()]


def test_margin_loss_has_its_golden_value() -> None:
    total, count = margin(torch.tensor([-0.5]), torch.tensor([-0.6]), 0.2)
    assert (total.item(), count) == (pytest.approx(0.1, abs=1e-7), 1)


def test_margin_loss_of_equal_sequences_is_the_margin_without_gradient() -> None:
    logp = LOGP.clone().requires_grad_()
    s = mean_logp(logp, MASK)
    total, _ = margin(s, s, 0.25)
    total.backward()
    assert total.item() == 0.5
    torch.testing.assert_close(logp.grad, torch.zeros_like(logp), **EXACT)


@pytest.mark.parametrize("lead", [0.25, 0.5, 3.0])
def test_margin_loss_is_zero_once_satisfied(lead: float) -> None:
    s_pos = torch.tensor([-1.0], requires_grad=True)
    total, _ = margin(s_pos, torch.tensor([-1.0 - lead]), 0.25)
    total.backward()
    assert total.item() == 0.0 and s_pos.grad is not None and s_pos.grad.item() == 0.0


def test_margin_loss_falls_as_the_lead_grows() -> None:
    values = [margin(torch.tensor([-1.0]), torch.tensor([-1.0 - lead]), 0.2)[0].item() for lead in (-1, 0, 0.1, 0.2, 1)]
    assert values == sorted(values, reverse=True) and values[0] > values[2] > values[3] == 0.0


def test_margin_loss_does_not_depend_on_the_order_of_pairs() -> None:
    s_pos, s_neg = torch.tensor([-1.0, -2.0, -0.5]), torch.tensor([-1.5, -1.0, -0.25])
    order = torch.tensor([2, 0, 1])
    one, other = margin(s_pos, s_neg, 1.0)[0], margin(s_pos[order], s_neg[order], 1.0)[0]
    torch.testing.assert_close(one, other, **FLOAT32)


def test_margin_zero_is_the_plain_ranking_hinge() -> None:
    s_pos, s_neg = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0])
    assert torch.equal(margin(s_pos, s_neg, 0.0)[0], (s_neg - s_pos).relu().sum())
