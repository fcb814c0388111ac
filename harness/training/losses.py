"""Losses as pure functions of log-probabilities, masks and plain numbers; they know no model, optimiser or recipe.

Notation. `logp` [B, T] holds log q(y_t | x, y_<t) in nats at each label position; what stands outside the mask is
never looked at. `mask` [B, T] is true on the labels that count. A loss that is averaged returns its sum and its count
apart, so that the trainer can divide by the count of the whole optimiser step: gradient accumulation changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the functions use tensor methods only, so that naming a loss costs nobody an import of torch
    from torch import Tensor


def sequence_logp(logp: Tensor, mask: Tensor) -> Tensor:
    """S_i = Σ_t m_it · logp_it, the log-probability of a whole sequence.

    Mask: the labels that belong to the sequence. Unit: nats. Shape: [B, T], [B, T] → [B]. A row without labels gives 0.
    Source: methods' notation, S(y).
    """
    return logp.masked_fill(~mask, 0.0).sum(dim=1)


def mean_logp(logp: Tensor, mask: Tensor) -> Tensor:
    """s_i = S_i / Σ_t m_it, the log-probability of a sequence per token.

    Mask: as `sequence_logp`. Unit: nats per token. Shape: [B, T], [B, T] → [B]. A row without labels gives 0.
    Source: methods' notation, s(y); SimPO (arXiv 2405.14734) calls it the length-normalised reward.
    """
    return sequence_logp(logp, mask) / mask.sum(dim=1).clamp(min=1)


def nll(logp: Tensor, mask: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """L_SFT = Σ_i w_i Σ_t m_it · (−logp_it)  /  Σ_{i: w_i > 0} Σ_t m_it, returned as (sum, count).

    Mask: completion labels, the end token included; prompt and padding 0. Unit: nats (the quotient: nats per token).
    Shape: [B, T], [B, T], [B] → scalar, scalar. A row of weight 0 counts for nothing, as if it were missing; all
    weights 1 is the stock cross-entropy. Source: maximum likelihood, with example weights w_i.
    """
    total = -(sequence_logp(logp, mask) * weights).sum()
    count = (mask.sum(dim=1) * (weights > 0)).sum()
    return total, count


def margin(s_pos: Tensor, s_neg: Tensor, margin: float) -> tuple[Tensor, int]:
    """L = Σ_i max(0, m − (s⁺_i − s⁻_i)) / n, a hinge on length-normalised log-probabilities, returned as (sum, count).

    Mask: none, see `mean_logp`. Unit: nats per token, the margin m too. Shape: [n], [n] → scalar, n. Bounded gradient,
    no reference model; zero, and no gradient, once s⁺ − s⁻ ≥ m. Source: RRHF's ranking hinge (arXiv 2304.05302) is
    the case m = 0.
    """
    assert s_pos.shape == s_neg.shape, f"pairs must match: {tuple(s_pos.shape)} and {tuple(s_neg.shape)}"
    return (margin - (s_pos - s_neg)).relu().sum(), s_pos.shape[0]
