"""Loads a student, draws its answers and scores given ones, one batch at a time; the caller chunks and orders.

Rows do not know their neighbours: sampling draws each row's numbers from its own seed. (A row's arithmetic can differ
in the last bit with the shape of its batch, which could flip a tie; the same batches always give the same answers.)
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.students.checkpoint import load_libraries, positions, read_model, read_tokenizer
from harness.students.compute import computing
from harness.students.decoding import Decoding, Generation
from harness.students.logp import token_logp
from harness.students.tokens import encode_completions, encode_prompts, padding, special

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

COMPACT_BELOW = 0.8
"""Finished rows leave the batch once fewer than this share of its rows are alive: taking them out copies the cache."""


@dataclass(frozen=True)
class Loaded:
    """A student ready to answer. `notes` tells what had to be assumed about its folder."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    device: str
    threads: int
    positions: int
    ends: frozenset[int]  # tokens that end an answer
    pad: int
    notes: tuple[str, ...] = ()


def load(folder: Path, device: str = "cpu", threads: int = 1) -> Loaded:
    """Load a student's folder for answering and scoring."""
    load_libraries()
    tokenizer = read_tokenizer(folder)
    with computing(device, threads):
        model = read_model(folder, device).eval()
    ends = end_tokens(model, tokenizer)
    if not ends:
        raise UsageError(f"student {folder}: no end token in tokenizer or generation_config; answers would never end")
    pad = padding(tokenizer)
    notes = (f"no pad token; padding with token {pad}",) if special(tokenizer, "pad_token_id") is None else ()
    return Loaded(model, tokenizer, device, threads, positions(model), ends, pad, notes)


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return every token that ends an answer: the tokenizer's, and those of the model's generation settings."""
    configured: Any = getattr(model.generation_config, "eos_token_id", None)
    candidates: list[Any] = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*candidates, special(tokenizer, "eos_token_id")] if isinstance(token, int))


class Draw:
    """The answer of one row while it is drawn."""

    def __init__(self, prompt: list[int], room: int, seed: int) -> None:
        self.prompt, self.room = prompt, room  # room: tokens it may still get
        self.ids: list[int] = []
        self.rng = random.Random(seed)
        self.ended = False


def generate(loaded: Loaded, prompts: Sequence[str], decoding: Decoding, seeds: Sequence[int]) -> list[Generation]:
    """Answer one batch of prompts, each with its own seed (greedy decoding ignores the seeds)."""
    import torch

    if len(prompts) != len(seeds):
        raise UsageError(f"{len(prompts)} prompts and {len(seeds)} seeds; one seed for each row is needed")
    encoded = encode_prompts(loaded.tokenizer, prompts)
    draws = [
        Draw(ids, min(decoding.max_new_tokens, loaded.positions - len(ids)), seed)
        for ids, seed in zip(encoded, seeds, strict=True)
    ]
    alive = [draw for draw in draws if draw.room > 0]
    if alive:
        with computing(loaded.device, loaded.threads), torch.inference_mode():
            run(loaded, alive, decoding)
    return [finish(loaded, draw, decoding) for draw in draws]


def run(loaded: Loaded, alive: list[Draw], decoding: Decoding) -> None:
    """Draw until every row has ended or is full."""
    import torch
    from transformers.cache_utils import DynamicCache

    longest = max(len(draw.prompt) for draw in alive)
    room = longest + max(draw.room for draw in alive)
    ids, seen = pad_left(alive, longest, room, loaded.pad)
    ids, seen = ids.to(loaded.device), seen.to(loaded.device)  # [B, P], [B, room]
    place = (seen[:, :longest].cumsum(dim=1) - 1).clamp(min=0)  # [B, P] position of each token in its own row
    cache = DynamicCache(config=loaded.model.config)
    filled = longest
    while True:
        logits = loaded.model(
            input_ids=ids,
            attention_mask=seen[:, :filled],
            position_ids=place,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]  # [B, V]
        chosen = choose(logits, decoding, alive)  # [B]
        for draw, token in zip(alive, chosen.tolist(), strict=True):
            if not draw.ended:
                draw.ids.append(token)
                draw.ended = token in loaded.ends or len(draw.ids) >= draw.room
        if decoding.stop:
            end_at_stops(loaded, alive, decoding.stop)
        left = [row for row, draw in enumerate(alive) if not draw.ended]
        if not left:
            return
        ids, place = chosen[:, None], place[:, -1:] + 1
        if len(left) < COMPACT_BELOW * len(alive):
            rows = torch.tensor(left, device=loaded.device)
            cache.batch_select_indices(rows)
            ids, place, seen = ids[rows], place[rows], seen[rows]
            alive = [alive[row] for row in left]
        filled += 1


def pad_left(draws: Sequence[Draw], longest: int, room: int, pad: int) -> tuple[Tensor, Tensor]:
    """Return prompts padded on the left [B, P] and what may be attended to [B, room], the room to come included."""
    import torch

    ids = torch.full((len(draws), longest), pad, dtype=torch.long)
    seen = torch.ones((len(draws), room), dtype=torch.long)
    for row, draw in enumerate(draws):
        ids[row, longest - len(draw.prompt) :] = torch.tensor(draw.prompt)
        seen[row, : longest - len(draw.prompt)] = 0
    return ids, seen


def choose(logits: Tensor, decoding: Decoding, alive: Sequence[Draw]) -> Tensor:
    """Choose the next token of each row from `logits` [B, V]: the best, or one drawn with the row's own generator."""
    import torch

    if decoding.temperature == 0:
        return logits.argmax(dim=-1)
    share = torch.softmax(logits.double() / decoding.temperature, dim=-1)  # [B, V]
    if decoding.top_p < 1:
        ordered, order = share.sort(dim=-1, descending=True, stable=True)
        outside = ordered.cumsum(dim=-1) - ordered >= decoding.top_p  # the most probable token is never outside
        share = share.masked_fill(outside.scatter(-1, order, outside), 0.0)
    below = share.cumsum(dim=-1)  # [B, V]
    drawn = torch.tensor([draw.rng.random() for draw in alive], dtype=below.dtype, device=below.device)  # [B]
    target = (drawn * below[:, -1])[:, None]
    return torch.searchsorted(below, target, right=True)[:, 0].clamp(max=logits.shape[-1] - 1)


def end_at_stops(loaded: Loaded, alive: Sequence[Draw], stop: Sequence[str]) -> None:
    """End the rows whose text now holds a stop string, looking only as far back as one can reach."""
    reach = max(len(text.encode()) for text in stop) + 4  # tokens hold a byte or more; 4 for a torn character
    open_rows = [draw for draw in alive if not draw.ended]
    if not open_rows:
        return
    tails = loaded.tokenizer.batch_decode(
        [draw.ids[-reach:] for draw in open_rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    for draw, tail in zip(open_rows, tails, strict=True):
        draw.ended = any(text in tail for text in stop)


def finish(loaded: Loaded, draw: Draw, decoding: Decoding) -> Generation:
    """Turn the drawn tokens into an answer."""
    if draw.room <= 0:
        return Generation("", "context", 0, len(draw.prompt))
    ended = draw.ids[-1] in loaded.ends
    ids = draw.ids[:-1] if ended else draw.ids
    text = str(loaded.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
    cut = min((place for place in (text.find(stop) for stop in decoding.stop) if place >= 0), default=None)
    stopped = ended or cut is not None
    return Generation(text[:cut], "stop" if stopped else "length", len(draw.ids), len(draw.prompt))


def score(loaded: Loaded, pairs: Sequence[tuple[str, str]]) -> list[list[float]]:
    """Return log q (nats) of every token of each completion, its end token last, given its prompt; one batch."""
    import torch

    if not pairs:
        return []
    prompts = encode_prompts(loaded.tokenizer, [prompt for prompt, _ in pairs])
    completions = encode_completions(loaded.tokenizer, [completion for _, completion in pairs])
    lengths = [len(prompt) + len(completion) for prompt, completion in zip(prompts, completions, strict=True)]
    for index, length in enumerate(lengths):
        if length > loaded.positions:
            raise UsageError(f"pair {index} has {length} tokens; the student holds {loaded.positions}")
    ids = torch.full((len(pairs), max(lengths)), loaded.pad, dtype=torch.long)  # [B, L]
    mask = torch.zeros((len(pairs), max(lengths) - 1), dtype=torch.bool)  # [B, L-1]
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        ids[row, : lengths[row]] = torch.tensor(prompt + completion)
        mask[row, len(prompt) - 1 : lengths[row] - 1] = True
    with computing(loaded.device, loaded.threads), torch.inference_mode():
        logp = token_logp(loaded.model, ids.to(loaded.device), mask.to(loaded.device)).cpu()
    return [logp[row][mask[row]].tolist() for row in range(len(pairs))]
