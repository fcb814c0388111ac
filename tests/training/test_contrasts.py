"""The pairwise losses: golden values, their limits, what sums and what must not matter."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from harness.training.losses import dpo, infonce, log_complement, logistic, orpo, simpo, unlikelihood

POS, NEG = torch.tensor([-0.5]), torch.tensor([-0.6])
LOG_2 = pytest.approx(math.log(2.0), abs=1e-6)
Pairwise = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, int]]

PAIRWISE: dict[str, Pairwise] = {
    "simpo": lambda pos, neg: simpo(pos, neg, 2.0, 1.0),
    "infonce": lambda pos, neg: infonce(pos, neg[:, None], 0.5),
    "orpo": orpo,
    "dpo": lambda pos, neg: dpo(pos, neg, torch.full_like(pos, -1.0), torch.full_like(neg, -1.5), 0.1),
}


def test_simpo_has_its_golden_value() -> None:
    assert simpo(POS, NEG, 2.0, 1.0)[0].item() == pytest.approx(1.171101, abs=1e-6)


def test_infonce_has_its_golden_value() -> None:
    assert infonce(POS, NEG[:, None], 0.5)[0].item() == pytest.approx(0.598139, abs=1e-6)


def test_orpo_has_its_golden_value() -> None:
    assert orpo(POS, NEG)[0].item() == pytest.approx(0.581704, abs=1e-6)


def test_dpo_counts_the_lead_over_the_reference_only() -> None:
    total, count = dpo(*(torch.tensor([value]) for value in (-4.0, -9.0, -5.0, -7.0)), 0.5)
    assert (total.item(), count) == (pytest.approx(-math.log(1 / (1 + math.exp(-0.5 * 3.0))), abs=1e-6), 1)


def test_dpo_of_the_reference_itself_is_log_two_for_any_pair() -> None:
    assert dpo(POS, NEG, POS, NEG, 0.3)[0].item() == LOG_2


@pytest.mark.parametrize("name", ["infonce", "orpo"])
def test_equal_texts_cost_log_two(name: str) -> None:
    assert PAIRWISE[name](POS, POS)[0].item() == LOG_2


def test_simpo_without_target_lead_costs_log_two_for_equal_texts() -> None:
    assert simpo(POS, POS, 2.0, 0.0)[0].item() == LOG_2


def test_infonce_with_one_negative_is_simpo_bit_for_bit() -> None:
    pos, neg = -torch.rand(50, generator=torch.Generator().manual_seed(0)), -torch.rand(50)
    assert torch.equal(infonce(pos, neg[:, None], 0.5)[0], simpo(pos, neg, 2.0, 0.0)[0])


def test_a_negative_that_cannot_be_adds_nothing_to_infonce() -> None:
    one, two = infonce(POS, NEG[:, None], 0.5)[0], infonce(POS, torch.tensor([[-0.6, -1e9]]), 0.5)[0]
    assert one.item() == two.item()


@pytest.mark.parametrize("name", list(PAIRWISE))
def test_a_pairwise_loss_falls_as_the_lead_grows(name: str) -> None:
    values = [PAIRWISE[name](POS, POS - lead)[0].item() for lead in (-0.4, 0.0, 0.5, 2.0, 30.0)]
    assert values == sorted(values, reverse=True) and len(set(values)) == len(values)


@pytest.mark.parametrize("name", list(PAIRWISE))
def test_pairs_add_up_over_micro_batches(name: str) -> None:
    pos, neg = torch.tensor([-0.5, -1.0, -2.0]), torch.tensor([-0.25, -1.5, -2.5])
    whole, count = PAIRWISE[name](pos, neg)
    parts = [PAIRWISE[name](pos[place : place + 1], neg[place : place + 1]) for place in range(3)]
    assert whole.item() == pytest.approx(sum(part[0].item() for part in parts), rel=1e-6)
    assert count == sum(part[1] for part in parts) == 3


@pytest.mark.parametrize("name", list(PAIRWISE))
def test_no_pairs_are_a_sum_of_zero_over_none(name: str) -> None:
    total, count = PAIRWISE[name](torch.zeros(0), torch.zeros(0))
    assert (total.item(), count) == (0.0, 0)


@pytest.mark.parametrize("lead", [-200.0, 200.0])
@pytest.mark.parametrize("name", list(PAIRWISE))
def test_extreme_leads_give_finite_losses_and_gradients(name: str, lead: float) -> None:
    pos = torch.tensor([-250.0 + max(lead, 0.0)], requires_grad=True)
    total, _ = PAIRWISE[name](pos, pos.detach() - lead)
    total.backward()
    assert math.isfinite(total.item()) and pos.grad is not None and math.isfinite(pos.grad.item())


def test_orpo_bears_a_probability_of_one() -> None:
    certain = torch.zeros(1, requires_grad=True)
    total, _ = orpo(certain, NEG)
    total.backward()
    assert math.isfinite(total.item()) and certain.grad is not None and math.isfinite(certain.grad.item())


def test_logistic_is_minus_log_sigmoid() -> None:
    x = torch.linspace(-50, 50, 101, dtype=torch.float64)
    torch.testing.assert_close(logistic(x), -torch.nn.functional.logsigmoid(x), rtol=1e-12, atol=1e-300)


def test_log_complement_inverts_itself() -> None:
    logp = torch.tensor([-0.01, -0.7, -5.0], dtype=torch.float64)
    torch.testing.assert_close(log_complement(log_complement(logp)), logp)


# --- unlikelihood ----------------------------------------------------------------------------------------------------

LOGP = torch.tensor([[math.log(0.5), math.log(0.9), math.log(0.25)], [math.log(0.75), -3.0, -3.0]])
CHANGED = torch.tensor([[True, False, True], [True, False, False]])


def test_unlikelihood_is_the_mean_over_the_changed_tokens_of_each_text() -> None:
    total, count = unlikelihood(LOGP, CHANGED)
    by_hand = (-math.log(0.5) - math.log(0.75)) / 2 - math.log(0.25)
    assert (total.item(), count) == (pytest.approx(by_hand, rel=1e-6), 2)


def test_unlikelihood_without_changed_tokens_is_zero_and_pulls_nowhere() -> None:
    logp = LOGP.clone().requires_grad_()
    total, count = unlikelihood(logp, torch.zeros_like(CHANGED))
    total.backward()
    assert (total.item(), count) == (0.0, 2) and logp.grad is not None and not logp.grad.any()


def test_unlikelihood_never_looks_outside_the_mask() -> None:
    broken = LOGP.masked_fill(~CHANGED, math.nan)
    assert unlikelihood(broken, CHANGED)[0].item() == unlikelihood(LOGP, CHANGED)[0].item()
