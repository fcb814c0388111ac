"""How text becomes tokens, the same in training, scoring and generation; it knows no model.

Prompt and completion are encoded apart. Encoded as one text, newline and indentation would merge across the border
between them, and the student would be trained on tokens that it never sees when it answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.errors import ConfigError, UsageError

PROBE = 'def f(xs):\n    """Keep the even numbers."""\n    return [x for x in xs if x % 2 == 0]  # 10 or more\n'

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def special(tokenizer: PreTrainedTokenizerBase, name: str) -> int | None:
    """Return the id of a special token by the library's name for it, such as `eos_token_id`; None if there is none."""
    token = getattr(tokenizer, name, None)
    return token if isinstance(token, int) else None


def padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return what to pad with. Which token it is changes nothing: padding is never attended to and never a label."""
    for name in ("pad_token_id", "eos_token_id"):
        token = special(tokenizer, name)
        if token is not None:
            return token
    return 0


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Encode texts as they stand, without special tokens."""
    if not texts:
        return []
    encoded = tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False)
    return [list(ids) for ids in encoded["input_ids"]]


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Encode prompts: the begin token, where the tokenizer has one, then the text."""
    bos = special(tokenizer, "bos_token_id")
    begin = [] if bos is None else [bos]
    encoded = [[*begin, *ids] for ids in encode_texts(tokenizer, prompts)]
    if not all(encoded):
        raise UsageError(f"prompt {encoded.index([])} is empty and the tokenizer has no begin token to start from")
    return encoded


def demand_known_tokens(name: str, tokenizer: PreTrainedTokenizerBase, width: int) -> None:
    """Raise ConfigError for a tokenizer that has more tokens than the `width` of its model's embeddings."""
    highest = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if highest[1] >= width:
        raise ConfigError(
            f"{name}: its tokenizer numbers tokens up to {highest[1]} ({highest[0]!r}), its model knows {width}. Take "
            "the tokenizer that belongs to it, or resize the model's embeddings (resize_token_embeddings)."
        )


def demand_whole_texts(name: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise ConfigError for a tokenizer whose student could not be trained: it has no end token, or loses code."""
    if special(tokenizer, "eos_token_id") is None:
        raise ConfigError(f"{name}: its tokenizer has no end token; set eos_token in its tokenizer_config.json.")
    [ids] = encode_texts(tokenizer, [PROBE])
    back = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    if back != PROBE:
        raise ConfigError(
            f"{name}: its tokenizer loses a part of what it is given: of {PROBE!r} comes back {back!r}. Take another "
            "student, or mend its tokenizer."
        )


def encode_completions(tokenizer: PreTrainedTokenizerBase, completions: Sequence[str]) -> list[list[int]]:
    """Encode completions: the text, then the end token, which the student has to learn to say."""
    end = special(tokenizer, "eos_token_id")
    if end is None:
        raise UsageError("the student's tokenizer has no end token; set eos_token in its tokenizer_config.json")
    return [[*ids, end] for ids in encode_texts(tokenizer, completions)]
