"""Log-probabilities of given tokens under a model: what is behind every loss and every score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def token_logp(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return log q(ids[:, t+1] | ids[:, :t+1]) in nats where `mask` is true, and 0 elsewhere.

    `ids` [S, L] are padded on the right, `mask` [S, L-1] chooses labels; the result is [S, L-1].
    """
    return chosen_logp(label_logits(model, ids, mask), ids, mask)


def label_logits(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the logits [N, V] from which the N chosen labels are predicted, row after row.

    Padding on the right is invisible to real tokens under causal attention, so no attention mask is built. Only the
    chosen positions are projected onto the vocabulary, which saves most of the head's time and memory. `model` may be
    wrapped (DDP and the like).
    """
    logits: Tensor = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=mask).logits
    return logits


def chosen_logp(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Return the log-probability of each label under its logits [N, V], 0 where `mask` is false. Shape: [S, L-1]."""
    import torch
    from torch.nn import functional

    chosen = -functional.cross_entropy(logits.float(), ids[:, 1:][mask], reduction="none")  # [N]
    empty = torch.zeros(mask.shape, dtype=chosen.dtype, device=chosen.device)
    return empty.masked_scatter(mask, chosen)
