"""A teacher's next-token distributions, read from itself or from a cache; it must have the student's tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ConfigError, TrainingError
from harness.students.checkpoint import read_model, read_tokenizer
from harness.students.logp import Score, label_states
from harness.students.tokens import PROBE, encode_texts, special
from harness.training import divergences
from harness.training.divergences import TopK
from harness.training.objective import Objective, Soft
from harness.training.packing import Feed, Lead

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def read_teacher(folder: Path | None, tokenizer: PreTrainedTokenizerBase, device: str) -> PreTrainedModel:
    """Return the frozen teacher; an error unless it splits text into the student's tokens."""
    if folder is None:
        raise TrainingError("kd needs a teacher with logits, and none was given; use a recipe of teacher texts (seqkd)")
    demand_same_tokens(str(folder), read_tokenizer(folder), tokenizer)
    return read_model(folder, device).eval().requires_grad_(False)


def lead_of(objective: Objective, tokenizer: PreTrainedTokenizerBase, *, packing: bool) -> Lead | None:
    """Return what the teacher alone reads before every prompt, if anything."""
    demand_lead(objective, packing=packing)
    if objective.soft is None or not objective.uses_teacher or not objective.soft.lead:
        return None
    [ids] = encode_texts(tokenizer, [objective.soft.lead])
    return Lead(tuple(ids), 0 if special(tokenizer, "bos_token_id") is None else 1)


def demand_lead(objective: Objective, *, packing: bool) -> None:
    """Raise TrainingError where a teacher would read something before a prompt and rows hold several sequences."""
    if packing and objective.live and objective.soft is not None and objective.soft.lead:
        raise TrainingError("kd: a teacher that reads examples before a prompt needs train.packing=false")


def live_divergence(soft: Soft, teacher: PreTrainedModel, front: Feed) -> Score:
    """Return the divergence [n] at some labels from a teacher that reads the completions along."""
    import torch

    with torch.no_grad():
        states, head = label_states(teacher, front.ids, front.mask, front.positions)

    def apart(logits: Tensor, at: slice) -> Tensor:
        # a teacher computes in its own format, also where its head is called from within the student's forward pass
        with torch.no_grad(), torch.autocast(states.device.type, enabled=False):
            theirs = head(states[at])  # fewer than logits where rejected texts follow
        own = logits[: len(theirs)]
        return divergences.from_logits(soft.divergence, theirs, own, tau=soft.tau, parameter=soft.parameter)

    return apart


def cached_divergence(soft: Soft, cached: TopK, vocabulary: int) -> Score:
    """Return the divergence [n] at some labels from what is kept of a teacher's distributions over a vocabulary."""

    def apart(logits: Tensor, at: slice) -> Tensor:
        theirs = TopK(cached.ids[at], cached.logp[at], cached.tail[at])
        own = logits[: len(theirs.tail), :vocabulary]
        return divergences.from_top_k(soft.divergence, theirs, own, tau=soft.tau, parameter=soft.parameter)

    return apart


def demand_same_tokens(name: str, theirs: PreTrainedTokenizerBase, ours: PreTrainedTokenizerBase) -> None:
    """Raise ConfigError unless the two agree on every token of their common part and split a text alike.

    One of them may have more at its end, as families pad their heads and add special tokens.
    """
    their_words, our_words = theirs.get_vocab(), ours.get_vocab()
    width = min(max(their_words.values()), max(our_words.values()))
    apart = {text for text, place in their_words.items() ^ our_words.items() if place <= width}
    said = f"{len(apart)} different tokens, for instance {min(apart)!r}" if apart else "different tokens for one text"
    if apart or encode_texts(theirs, [PROBE]) != encode_texts(ours, [PROBE]):
        raise ConfigError(
            f"logits={name}: teacher and student have {said}; "
            "distributions over different vocabularies cannot be compared. Take a teacher of the student's family, or "
            "a recipe of teacher texts (seqkd)."
        )
