"""Divergences between a teacher's and a student's next-token distributions; pure functions, without model or mask.

Notation. p is the teacher's distribution at one position, q the student's; both come as log-probabilities [N, V] in
nats over the same V outcomes (tokens, or the buckets of a top-k cache), and a divergence is [N]. Everything is
computed in float32: half precision loses the small terms that the reverse direction weighs most.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["forward", "reverse", "jsd", "skew_forward", "skew_reverse", "tvd"]
LEAST_TAIL = 1e-30  # of probability: what a top-k list leaves out may round to nothing


def kl(logp: Tensor, logq: Tensor) -> Tensor:
    """KL(p‖q) = Σ_v p_v (log p_v − log q_v), 0 where p_v = 0. Unit: nats. Shape: [N, V], [N, V] → [N].

    Source: Kullback and Leibler 1951; the teacher's entropy is kept, so that it is 0 where p = q.
    """
    return (logp.exp() * (logp - logq).masked_fill(logp.isneginf(), 0.0)).sum(dim=1)


def mixed(logp: Tensor, logq: Tensor, share: float) -> Tensor:
    """Return log(share·p + (1 − share)·q). Shape: [N, V], [N, V] → [N, V]."""
    from math import log

    return (logp + log(share)).logaddexp(logq + log(1.0 - share))


def forward(logp: Tensor, logq: Tensor, parameter: float) -> Tensor:
    """KL(p‖q), covering the teacher's mass; `parameter` is not used."""
    del parameter
    return kl(logp, logq)


def reverse(logp: Tensor, logq: Tensor, parameter: float) -> Tensor:
    """KL(q‖p), seeking the teacher's modes; `parameter` is not used. Source: MiniLLM (arXiv 2306.08543)."""
    del parameter
    return kl(logq, logp)


def jsd(logp: Tensor, logq: Tensor, beta: float) -> Tensor:
    """JSD_β = β·KL(p‖r) + (1−β)·KL(q‖r), r = β·p + (1−β)·q, 0 < β < 1. Unit: nats. Shape: [N, V] twice → [N].

    It tends to 0 at both ends of β; the one-sided divergences have names of their own. Source: GKD (arXiv 2306.13649),
    equation 1.
    """
    r = mixed(logp, logq, beta)
    return beta * kl(logp, r) + (1.0 - beta) * kl(logq, r)


def skew_forward(logp: Tensor, logq: Tensor, a: float) -> Tensor:
    """KL(p‖a·p + (1−a)·q): bounded by −log a where q misses p's mass. Source: DistiLLM (arXiv 2402.03898), eq. 4."""
    return kl(logp, mixed(logp, logq, a))


def skew_reverse(logp: Tensor, logq: Tensor, a: float) -> Tensor:
    """KL(q‖(1−a)·p + a·q). Source: DistiLLM (arXiv 2402.03898); its code mixes 0.1·p + 0.9·q in both directions."""
    return kl(logq, mixed(logp, logq, 1.0 - a))


def tvd(logp: Tensor, logq: Tensor, parameter: float) -> Tensor:
    """Total variation ½ Σ_v |p_v − q_v|, from 0 to 1; `parameter` is not used. Shape: [N, V], [N, V] → [N].

    Source: textbook.
    """
    del parameter
    return 0.5 * (logp.exp() - logq.exp()).abs().sum(dim=1)


DIVERGENCES: dict[Kind, Callable[[Tensor, Tensor, float], Tensor]] = {
    "forward": forward,
    "reverse": reverse,
    "jsd": jsd,
    "skew_forward": skew_forward,
    "skew_reverse": skew_reverse,
    "tvd": tvd,
}


@dataclass(frozen=True)
class TopK:
    """A teacher's cached distribution at N positions, recorded at temperature 1."""

    ids: Tensor  # [N, k], int64
    logp: Tensor  # [N, k], nats, of those tokens
    tail: Tensor  # [N], nats, log of the mass of all others

    @property
    def retained(self) -> Tensor:
        """The probability mass of the k tokens. Shape: [N]."""
        return self.logp.float().exp().sum(dim=1)


def from_logits(kind: Kind, teacher: Tensor, student: Tensor, *, tau: float = 1.0, parameter: float = 0.5) -> Tensor:
    """τ²·D(p_n, q_n) at every position, p = softmax(z_T/τ), q = softmax(z_S/τ).

    Only positions that count are given. Unit: nats. Shape: [N, V_T], [N, V_S] → [N]. Heads of one tokenizer may
    be padded to different widths: both are cut to the common part. τ² keeps the gradient's size independent of τ.
    Source: Hinton et al. (arXiv 1503.02531), section 2.
    """
    width = min(teacher.shape[1], student.shape[1])
    logp = (teacher[:, :width].float() / tau).log_softmax(dim=1)
    logq = (student[:, :width].float() / tau).log_softmax(dim=1)
    return tau**2 * DIVERGENCES[kind](logp, logq, parameter)


def from_top_k(kind: Kind, teacher: TopK, student: Tensor, *, tau: float = 1.0, parameter: float = 0.5) -> Tensor:
    """D over k + 1 buckets at every position, the cached tokens and the tail of all others.

    Unit: nats. Shape: k entries, [N, V] → [N]. Never above the divergence over the whole vocabulary (data
    processing inequality), and equal to it at k = V. Raises TrainingError for τ ≠ 1: a list of the k likeliest tokens
    at one temperature does not say what the others weigh at another. Source: ours.
    """
    if tau != 1.0:
        raise TrainingError(f"kd tau is {tau:g} with cached top-k labels; expected 1. Other temperatures need logits.")
    logq = student.float().log_softmax(dim=1).gather(1, teacher.ids)  # [N, k]
    rest = (1.0 - logq.exp().sum(dim=1)).clamp(min=LEAST_TAIL).log()  # [N]
    known = teacher.tail.float().clamp(min=-69.0)  # log of LEAST_TAIL: a tail of nothing must not be -inf
    p = _with_tail(teacher.logp.float(), known)
    return DIVERGENCES[kind](p, _with_tail(logq, rest), parameter)


def _with_tail(logp: Tensor, tail: Tensor) -> Tensor:
    """Append the tail as one more bucket. Shape: [N, k], [N] → [N, k + 1]."""
    import torch

    return torch.cat([logp, tail[:, None]], dim=1)
