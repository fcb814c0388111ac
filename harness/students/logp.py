"""Log-probabilities of given tokens under a model: what is behind every loss and every score.

Logits of a large vocabulary are made for a few labels at a time and made again when gradients are due, so that a batch
never holds them all: 4,800 labels of a vocabulary of 150,000 would take 2.9 GB, several times over.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

CHUNK_ELEMENTS = 1 << 26  # logits held at once: 256 MB in float32

Score = Callable[["Tensor", slice], "Tensor"]
"""Maps the logits [n, V] of some labels, given by their places among all of them, to columns [n, C]."""

BARE: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()  # of models seen: whether logits are the head's plain output


def token_logp(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """Return log q(ids[:, t+1] | ids[:, :t+1]) in nats where `mask` is true, and 0 elsewhere.

    `ids` [S, L] are padded on the right, `mask` [S, L-1] chooses labels; the result is [S, L-1].
    """
    return scattered(label_scores(model, ids, mask, chosen_logp(ids[:, 1:][mask]))[:, 0], mask)


def chosen_logp(labels: Tensor) -> Score:
    """Return the score that is the log-probability of each of the labels [N]."""
    from torch.nn import functional

    return lambda logits, at: -functional.cross_entropy(logits.float(), labels[at], reduction="none")[:, None]


def scattered(values: Tensor, mask: Tensor) -> Tensor:
    """Put the labels' values [N] back to where `mask` [S, L-1] is true, with 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def label_scores(
    model: Any,
    ids: Tensor,
    mask: Tensor,
    score: Score,
    chunk_elements: int = CHUNK_ELEMENTS,
    positions: Tensor | None = None,
) -> Tensor:
    """Return `score` of the logits from which the N labels of `mask` are predicted, row after row. Shape: [N, C].

    Padding on the right is invisible to real tokens under causal attention, so no attention mask is built. Only the
    chosen positions are projected onto the vocabulary, which saves most of the head's time and memory. `model` may be
    wrapped (DDP and the like): it is always called as it is given. `positions` [S, L-1] say where each token stands in
    its own sequence, where several share a row.
    """
    body = getattr(model, "module", model)
    labels, width = int(mask.sum()), int(body.config.vocab_size)
    inputs = {"input_ids": ids[:, :-1], "use_cache": False, "logits_to_keep": mask} | placed(positions)
    if labels * width <= chunk_elements or not bare_head(body, ids):
        return score(model(**inputs).logits, slice(0, labels))
    size = max(1, chunk_elements // width)

    def in_chunks(head: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
        return chunked(head, hidden, score, size)

    with head_replaced(body.get_output_embeddings(), in_chunks):
        scores: Tensor = model(**inputs).logits
    return scores


def chunked(head: Callable[[Tensor], Tensor], hidden: Tensor, score: Score, size: int) -> Tensor:
    """Return `score(head(hidden))`, `size` labels at a time; logits are computed again for the gradient."""
    import torch
    from torch.utils.checkpoint import checkpoint

    def part(states: Tensor, at: slice) -> Tensor:
        return score(head(states), at)

    places = [slice(start, min(start + size, len(hidden))) for start in range(0, len(hidden), size)]
    return torch.cat([checkpoint(part, hidden[at], at, use_reentrant=False) for at in places])


def placed(positions: Tensor | None) -> dict[str, Tensor]:
    """Return positions as a model is told them; a model left alone counts from each row's beginning."""
    return {} if positions is None else {"position_ids": positions}


def label_states(
    model: Any, ids: Tensor, mask: Tensor, positions: Tensor | None = None
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Return the states [N, d] behind the labels of `mask`, and the function that makes their logits.

    Raises TrainingError for a model that changes its head's output afterwards.
    """
    head = model.get_output_embeddings()
    if not bare_head(model, ids):
        raise TrainingError(
            f"kd: the teacher, a {type(model).__name__}, changes the output of its head, which distributions are read "
            "from. Take another teacher, or a recipe of teacher texts (seqkd)."
        )
    with head_replaced(head, lambda plain, hidden: hidden):
        said = placed(positions)
        states: Tensor = model(input_ids=ids[:, :-1], use_cache=False, logits_to_keep=mask, **said).logits
    return states, head


def bare_head(model: Any, ids: Tensor) -> bool:
    """Tell whether a model's logits are its head's output as it is; some models cap or scale it afterwards.

    Asked of the model itself, once, on the first tokens at hand: a list of such models would always lack one.
    """
    import torch

    if model not in BARE:
        head, seen = model.get_output_embeddings(), []

        def keep(plain: Callable[[Tensor], Tensor], hidden: Tensor) -> Tensor:
            seen.append(plain(hidden))
            return seen[-1]

        with torch.no_grad(), head_replaced(head, keep):
            logits = model(input_ids=ids[:1, :2], use_cache=False).logits
        BARE[model] = bool(torch.equal(logits, seen[0]))
    return BARE[model]


@contextmanager
def head_replaced(head: Any, work: Callable[[Callable[[Tensor], Tensor], Tensor], Tensor]) -> Generator[None]:
    """Have a model's head do `work(head, hidden)` instead; its parameters keep their places and names."""
    plain = head.forward

    def forward(hidden: Tensor) -> Tensor:
        return work(plain, hidden)

    head.forward = forward
    try:
        yield
    finally:
        del head.forward


@contextmanager
def states_kept(model: Any) -> Generator[list[Tensor]]:
    """Collect the states [N, d] that a model's head is given, one tensor a forward pass."""
    seen: list[Tensor] = []

    def keep(head: Any, given: tuple[Tensor, ...]) -> None:
        seen.append(given[0])

    hook = getattr(model, "module", model).get_output_embeddings().register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        hook.remove()
