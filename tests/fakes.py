"""Stand-ins that tests share: a tiny random student. (A scripted teacher and a clock belong here too.)"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.students.checkpoint import write

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = ("<pad>", "<bos>", "<eos>")


def byte_tokenizer(merges: tuple[tuple[str, str], ...] = ()) -> PreTrainedTokenizerBase:
    """Return a tokenizer of single bytes with three special tokens: 259 ids, nothing learned, any text encodable.

    `merges` adds tokens made of two, in the byte-level alphabet, where a blank is Ġ and a newline Ċ.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet, *map("".join, merges)])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=pad, bos_token=bos, eos_token=eos)


def tiny_student(
    folder: Path, *, seed: int = 0, hidden: int = 48, layers: int = 2, positions: int = 256, lively: bool = False
) -> Path:
    """Write a random Llama of some 60 thousand parameters with a byte tokenizer; a seed always gives the same bytes.

    An untrained model with tied embeddings repeats its last token for ever. A `lively` one answers every prompt
    differently and ends now and then, which is what tests of generation need; it trains badly.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    config = LlamaConfig(
        vocab_size=len(SPECIAL) + 256,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        intermediate_size=2 * hidden,
        max_position_embeddings=positions,
        tie_word_embeddings=not lively,
        initializer_range=0.4 if lively else 0.05,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    write(model, tokenizer, folder)
    return folder
