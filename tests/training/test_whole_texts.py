"""A contrast of means that is told not to divide by length: what it sums, and that old fits keep their keys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from harness.training.objective import Infonce, Margin, Objective, Simpo
from harness.training.terms import contrast_loss

LOGP = torch.tensor([[-0.5, -0.5, -0.5, 0.0], [-0.2, 0.0, 0.0, 0.0]])  # a completion of 3 tokens, a rejected of 1


def loss(contrast: Any) -> float:
    batch: Any = SimpleNamespace(
        weights=torch.ones(1),
        mask=torch.tensor([[True, True, True, False], [True, False, False, False]]),
        ends=torch.zeros(2, 4, dtype=torch.bool),
        paired=torch.tensor([0]),
    )
    total, count = contrast_loss(contrast, LOGP, batch)
    assert count == 1
    return total.item()


def test_undivided_the_longer_text_of_a_pair_loses_by_its_length() -> None:
    assert loss(Margin(0.2)) == pytest.approx(0.2 - (-0.5 + 0.2))  # means: -0.5 and -0.2
    assert loss(Margin(0.2, per_token=False)) == pytest.approx(0.2 - (-1.5 + 0.2))  # sums: -1.5 and -0.2


@pytest.mark.parametrize("kind", [Margin, Simpo, Infonce])
def test_dividing_is_the_default_and_leaves_the_keys_of_old_fits_alone(kind: Any) -> None:
    assert loss(kind()) == loss(kind(per_token=True)) != loss(kind(per_token=False))
    key: Any = Objective(kind()).key()["contrast"]
    assert "per_token" not in key
    assert Objective(kind(per_token=False)).key()["contrast"] == {**key, "per_token": False}
