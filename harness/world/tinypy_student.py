"""Students of the curriculum paper's size that read characters, from random weights: it trains and samples nothing.

The paper's model has 6 layers of 6 heads, width 120, GELU of 480, learned positions, a context of 256, an untied head
and 53 characters: 1,082,573 weights. Here it is transformers' GPT-2 of that shape, which also has biases where theirs
has none, and four more tokens (padding, begin, end, unknown).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.world.student import SPECIAL, wrapped, write_blank
from harness.world.tinypy import CHARACTERS

UNKNOWN = "<unk>"
POSITIONS = 256


@dataclass(frozen=True)
class Shape:
    """The shape of a student of characters; its feed-forward layers are four times as wide."""

    width: int
    layers: int
    heads: int


SCRATCH: dict[str, Shape] = {"tinypy-0.1M": Shape(60, 2, 3), "tinypy-1M": Shape(120, 6, 6)}


def tokenizer() -> Any:
    """Return the tokenizer: one token a character, `<unk>` for any that TinyPy lacks."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors

    bos = SPECIAL[1]
    vocabulary = {token: number for number, token in enumerate((*SPECIAL, UNKNOWN, *sorted(CHARACTERS)))}
    made: Any = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    made.decoder = decoders.Fuse()
    made.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])])
    return wrapped(made, POSITIONS, unk_token=UNKNOWN)


def create(name: str, folder: Path, seed: int) -> None:
    """Write a student with random weights to `folder`, as `from_pretrained` opens it; the same seed, the same bytes."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    shape, words = SCRATCH[name], tokenizer()
    config = GPT2Config(
        vocab_size=len(words),
        n_positions=POSITIONS,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        activation_function="gelu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        architectures=["GPT2LMHeadModel"],
        dtype="float32",
        pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):  # the initialisation draws from the global generator: leave it as it was
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
    write_blank(model, words, folder)
