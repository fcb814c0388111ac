"""The terms of an objective over one micro-batch, from the log-probabilities that went forward; knows no trainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.training import losses
from harness.training.objective import Contrast, Dpo, Infonce, Margin, Objective, Orpo, Simpo, Unlikelihood

if TYPE_CHECKING:
    from torch import Tensor

    from harness.training.batches import MicroBatch

NLL = "nll"


@dataclass(frozen=True)
class Term:
    """One term of the objective over a micro-batch."""

    total: Tensor
    count: int  # tokens or pairs that `total` sums over
    weight: float
    per: str  # "tokens" or "pairs": by which count of the optimiser step it is divided


def objective_terms(
    objective: Objective, logp: Tensor, batch: MicroBatch, apart: Tensor | None = None
) -> dict[str, Term]:
    """Return every term by name.

    `logp` [S, L-1] is of the batch's sequences; `apart` [N] are the divergences from the teacher at the completions'
    labels, where the objective uses one.
    """
    rows = batch.weights.shape[0]  # B
    total, count = losses.nll(logp[:rows], batch.mask[:rows], batch.weights)
    terms = {NLL: Term(total, int(count), objective.likelihood, "tokens")}
    contrast = objective.contrast
    if contrast is not None and len(batch.paired) > 0:
        total, count = contrast_loss(contrast, logp, batch)
        terms[contrast.name] = Term(total, count, contrast.weight, "pairs")
    if objective.soft is not None and apart is not None:
        weights = batch.weights.repeat_interleave(batch.mask[:rows].sum(dim=1))  # [N], each label its example's
        terms[objective.soft.name] = Term((apart * weights).sum(), len(apart), objective.soft.alpha, "tokens")
    return terms


def own_terms(objective: Objective, batch: MicroBatch, apart: Tensor) -> dict[str, Term]:
    """Return the one term of a micro-batch of the student's own texts: `apart` [N], as in `objective_terms`."""
    assert objective.soft is not None
    weights = batch.weights.repeat_interleave(batch.mask.sum(dim=1))  # [N]
    return {objective.soft.own: Term((apart * weights).sum(), len(apart), objective.soft.alpha, "tokens")}


def contrast_loss(contrast: Contrast, logp: Tensor, batch: MicroBatch) -> tuple[Tensor, int]:
    """Return the sum and count of a contrast over the batch's pairs, each pair's completion going forward once."""
    rows = batch.weights.shape[0]  # B
    mask = batch.mask if contrast.tokens == "all" else batch.mask & ~batch.ends
    if isinstance(contrast, Unlikelihood):
        return losses.unlikelihood(logp[rows:], batch.changed & mask[rows:])
    if isinstance(contrast, Dpo):
        total = losses.sequence_logp(logp, mask)  # [S]
        pos, neg = total[:rows][batch.paired], total[rows:]
        return losses.dpo(pos, neg, batch.reference[:, 0], batch.reference[:, 1], contrast.beta)
    per_token = isinstance(contrast, Orpo) or contrast.per_token
    s = (losses.mean_logp if per_token else losses.sequence_logp)(logp, mask)  # [S]
    pos, neg = s[:rows][batch.paired], s[rows:]
    match contrast:
        case Margin():
            return losses.margin(pos, neg, contrast.margin)
        case Simpo():
            return losses.simpo(pos, neg, contrast.beta, contrast.gamma)
        case Infonce():
            return losses.infonce(pos, neg[:, None], contrast.tau)
        case Orpo():
            return losses.orpo(pos, neg)
