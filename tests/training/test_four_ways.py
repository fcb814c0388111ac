"""Every loss over logits made a few labels at a time, and over nothing: what its own file cannot ask of it alone.

The hand-made numbers and the limits in which a loss is a simpler one stand in test_losses, test_contrasts,
test_divergences and test_objectives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch

from harness.students.checkpoint import read_model
from harness.students.logp import chosen_logp, label_scores, label_states, scattered
from harness.training.batches import MicroBatch, TokenRow, collate
from harness.training.divergences import Kind, TopK
from harness.training.objective import CONTRASTS, Objective, Soft
from harness.training.packing import padded
from harness.training.terms import Term, objective_terms
from harness.training.whitebox import cached_divergence, live_divergence
from tests.fakes import tiny_student

WIDTH = 259
ROWS = [
    TokenRow(0, [1, 70, 71], [80, 81, 82, 2], [80, 90, 82, 2], 0.5, [False, True, False, False], (-20.0, -22.0)),
    TokenRow(1, [1, 90], [91, 92, 2], None, 2.0),
    TokenRow(2, [1, 60, 61, 62], [100] * 7 + [2], [101] * 5 + [2], 1.0, [True] * 5 + [False], (-40.0, -31.0)),
]
OBJECTIVES = {
    **{name: Objective(kind(weight=0.7)) for name, kind in CONTRASTS.items()},
    **{kind: Objective(soft=Soft(kind)) for kind in get_args(Kind)},
    **{f"{kind} of top 8": Objective(soft=Soft(kind, top_k=8)) for kind in get_args(Kind)},
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folders = [tiny_student(tmp_path_factory.mktemp(str(seed)), seed=seed, lively=True) for seed in (0, 1)]
    return read_model(folders[0], "cpu").train(), read_model(folders[1], "cpu").eval().requires_grad_(False)


def batch_of(objective: Objective) -> MicroBatch:
    rows = ROWS if objective.uses_pairs else [replace(row, rejected=None, changed=None) for row in ROWS]
    return collate(rows, pad=0)


def terms_of(models: tuple[Any, Any], objective: Objective, batch: MicroBatch, labels_at_once: int) -> dict[str, Term]:
    """Return an objective's terms, the logits of so many labels held at a time."""
    student, teacher = models
    logp = chosen_logp(batch.ids[:, 1:][batch.mask])
    divergence = None
    if objective.soft is not None and objective.soft.top_k:
        with torch.no_grad():
            states, head = label_states(teacher, batch.ids, batch.mask)
            kept = head(states).log_softmax(dim=1).topk(objective.soft.top_k, dim=1)
        tail = (1 - kept.values.exp().sum(dim=1)).log()
        divergence = cached_divergence(objective.soft, TopK(kept.indices, kept.values, tail), WIDTH)
    elif objective.soft is not None:
        divergence = live_divergence(objective.soft, teacher, padded(batch))

    def score(logits: torch.Tensor, at: slice) -> torch.Tensor:
        own = logp(logits, at)
        return own if divergence is None else torch.cat([own, divergence(logits, at)[:, None]], dim=1)

    scores = label_scores(student, batch.ids, batch.mask, score, chunk_elements=labels_at_once * WIDTH)
    apart = scores[:, 1] if divergence is not None else None
    return objective_terms(objective, scattered(scores[:, 0], batch.mask), batch, apart)


def gradient(models: tuple[Any, Any], term: Term) -> torch.Tensor:
    weights = list(models[0].parameters())
    if not term.total.requires_grad:
        return torch.zeros(1)
    found = torch.autograd.grad(term.total, weights, retain_graph=True, allow_unused=True)
    return torch.cat(
        [torch.zeros_like(w).flatten() if g is None else g.flatten() for g, w in zip(found, weights, strict=True)]
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_few_labels_at_a_time_give_the_loss_and_gradient_of_all_at_once(models: tuple[Any, Any], name: str) -> None:
    objective = OBJECTIVES[name]
    whole, parts = (terms_of(models, objective, batch_of(objective), size) for size in (1000, 4))
    assert whole.keys() == parts.keys() and len(whole) == 2
    for one, other in zip(whole.values(), parts.values(), strict=True):
        torch.testing.assert_close(one.total, other.total, rtol=1e-5, atol=1e-6)
        assert one.count == other.count and gradient(models, one).any()
        torch.testing.assert_close(gradient(models, one), gradient(models, other), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_everything_masked_pulls_nowhere(models: tuple[Any, Any], name: str) -> None:
    objective = OBJECTIVES[name]
    batch = batch_of(objective)
    nothing = replace(batch, mask=torch.zeros_like(batch.mask), changed=torch.zeros_like(batch.changed))
    for term in terms_of(models, objective, nothing, 1000).values():
        assert term.total.isfinite()
        assert not gradient(models, term).any()
