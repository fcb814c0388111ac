"""Prompts and completions as tokens."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.students.tokens import encode_completions, encode_prompts, encode_texts, padding
from tests.fakes import byte_tokenizer

BORDER = (("Ċ", "Ġ"),)  # newline and blank make one token


def test_no_token_reaches_across_the_border_of_prompt_and_completion() -> None:
    tokenizer = byte_tokenizer(BORDER)
    prompt, completion = "def f():\n", " return 1\n"
    apart = encode_prompts(tokenizer, [prompt])[0] + encode_completions(tokenizer, [completion])[0]
    joined = encode_texts(tokenizer, [prompt + completion])[0]
    assert len(joined) == len(prompt + completion) - 1  # encoded as one text, the border merges
    assert len(apart) == len(prompt + completion) + 2  # begin and end token, and no merge
    assert encode_prompts(tokenizer, [prompt])[0] == apart[: len(prompt) + 1]


def test_what_is_encoded_decodes_to_the_same_text() -> None:
    tokenizer = byte_tokenizer(BORDER)
    text = "x = 'é'  # ☃\n\treturn , .\n"
    ids = encode_completions(tokenizer, [text])[0]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False) == text


def test_a_tokenizer_without_begin_token_starts_with_the_text() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.bos_token = None
    assert encode_prompts(tokenizer, ["ab"]) == encode_texts(tokenizer, ["ab"])
    with pytest.raises(UsageError, match="prompt 1 is empty"):
        encode_prompts(tokenizer, ["ab", ""])


def test_a_tokenizer_without_end_token_is_refused() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(UsageError, match="no end token"):
        encode_completions(tokenizer, ["ab"])


def test_padding_falls_back_to_the_end_token() -> None:
    tokenizer = byte_tokenizer()
    tokenizer.pad_token = None
    assert padding(tokenizer) == tokenizer.eos_token_id
