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


def simpo(s_pos: Tensor, s_neg: Tensor, beta: float, gamma: float) -> tuple[Tensor, int]:
    """L = Σ_i −log σ(β·(s⁺_i − s⁻_i) − γ) / n, returned as (sum, count).

    Mask: none, see `mean_logp`. Unit: nats; β has no unit, γ is the target lead in units of β·nats. Shape: [n], [n] →
    scalar, n. No reference model. Source: SimPO (arXiv 2405.14734), equation 6.
    """
    return logistic(beta * s_pos - beta * s_neg - gamma).sum(), s_pos.shape[0]


def infonce(s_pos: Tensor, s_neg: Tensor, tau: float) -> tuple[Tensor, int]:
    """L = Σ_i −log( e^{s⁺_i/τ} / (e^{s⁺_i/τ} + Σ_j e^{s⁻_ij/τ}) ) / n, returned as (sum, count).

    Mask: none, see `mean_logp`. Unit: nats; τ is a temperature. Shape: [n], [n, J] → scalar, n, J negatives a row.
    Source: InfoNCE (arXiv 1807.03748), equation 4; with J = 1 it is `simpo` with β = 1/τ, γ = 0.
    """
    return logistic(s_pos / tau - (s_neg / tau).logsumexp(dim=1)).sum(), s_pos.shape[0]


def dpo(s_pos: Tensor, s_neg: Tensor, ref_pos: Tensor, ref_neg: Tensor, beta: float) -> tuple[Tensor, int]:
    """L = Σ_i −log σ(β·[(S⁺_i − S⁺_ref,i) − (S⁻_i − S⁻_ref,i)]) / n, returned as (sum, count).

    Arguments are whole-sequence log-probabilities (`sequence_logp`) of the student and of the frozen reference.
    Mask: none. Unit: nats. Shape: [n] four times → scalar, n. Where student and reference agree it is log 2 for every
    pair. Source: DPO (arXiv 2305.18290), equation 7.
    """
    return logistic(beta * ((s_pos - ref_pos) - (s_neg - ref_neg))).sum(), s_pos.shape[0]


def orpo(s_pos: Tensor, s_neg: Tensor) -> tuple[Tensor, int]:
    """L = Σ_i −log σ( log odds(s⁺_i) − log odds(s⁻_i) ) / n, log odds(s) = s − log(1 − e^s); as (sum, count).

    Mask: none, see `mean_logp`. Unit: nats. Shape: [n], [n] → scalar, n. No reference model. Source: ORPO (arXiv
    2403.07691), equation 7; its likelihood term is the objective's own.
    """
    odds_pos, odds_neg = s_pos - log_complement(s_pos), s_neg - log_complement(s_neg)
    return logistic(odds_pos - odds_neg).sum(), s_pos.shape[0]


def unlikelihood(logp: Tensor, mask: Tensor) -> tuple[Tensor, int]:
    """L = Σ_i mean_{t: m_it} −log(1 − q(y⁻_it)) / n, returned as (sum, count).

    `logp` are the rejected texts'. Mask: the tokens of y⁻ that are to become less likely, here those outside the
    longest alignment with y⁺; a row without any gives 0. Unit: nats. Shape: [n, T], [n, T] → scalar, n. Source:
    unlikelihood training (arXiv 1908.04319), equation 4; the choice of tokens is ours.
    """
    per_token = -log_complement(logp.masked_fill(~mask, -1.0))
    return mean_logp(per_token, mask).sum(), logp.shape[0]


def logistic(x: Tensor) -> Tensor:
    """Return −log σ(x), without overflow for any finite x."""
    return (-x).relu() + (-x.abs()).exp().log1p()


LARGEST_LOGP = -1e-6  # a probability of one has no finite log-odds


def log_complement(logp: Tensor) -> Tensor:
    """Return log(1 − e^logp) for log-probabilities; one nearer to 0 than −1e-6 is taken for that."""
    return (-logp.clamp(max=LARGEST_LOGP).expm1()).log()
