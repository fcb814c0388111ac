"""Log-probabilities of given tokens under a model: the one function behind every loss and every score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def token_logp(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return log q(ids[:, t+1] | ids[:, :t+1]) in nats where `mask` is true, and 0 elsewhere.

    `ids` [S, L] are padded on the right, `mask` [S, L-1] chooses labels. Padding on the right is invisible to real
    tokens under causal attention, so no attention mask is built. Only the chosen positions are projected onto the
    vocabulary, which saves most of the head's time and memory. `model` may be wrapped (DDP and the like).
    """
    import torch
    from torch.nn import functional

    logits = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=mask).logits  # [N, V], N chosen labels
    chosen = -functional.cross_entropy(logits.float(), ids[:, 1:][mask], reduction="none")  # [N]
    empty = torch.zeros(mask.shape, dtype=chosen.dtype, device=chosen.device)
    return empty.masked_scatter(mask, chosen)  # [S, L-1]
