"""The embedded student: its corpus, its tokenizer, and an untrained model folder; it trains and samples nothing.

A prompt is encoded with special tokens (`<bos>` comes first), its completion apart and without them (`<eos>` is put
behind it by whoever trains): encoded together, a newline and an indent would merge across the border.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, suggest
from harness.types import Example
from harness.world.grammar import Pipeline, body, prompt
from harness.world.operations import TABLE, Form
from harness.world.pool import pipelines, skew

BASE_LEVELS = {1: 0.55, 2: 0.30, 3: 0.10, 4: 0.05}
# Of a base student's steps, the shares in its own spelling, in the teacher's, and in any.
OWN, TEACHERS, ANY = 0.85, 0.1, 0.05
# How likely a form becomes the own spelling of an operation, by the base student's seed; the teacher's never does.
STYLES: tuple[dict[Form, float], ...] = (
    {"functional": 8, "statement": 4, "loop": 1, "expression": 1},
    {"functional": 1, "statement": 8, "loop": 4, "expression": 1},
    {"functional": 1, "statement": 4, "loop": 8, "expression": 1},
)
VOCABULARY = 512
SPECIAL = ("<pad>", "<bos>", "<eos>")
TOKENIZER_PROBLEMS = 4000
POSITIONS = 2048

# Newlines with the indent behind them, words, runs of digits, runs of other signs, other white space. A byte-level
# alphabet holds whatever else a text has.
PRE_TOKENS = r"\n[ \t\n]*| ?[A-Za-z_]+| ?[0-9]+| ?[^\sA-Za-z_0-9]+|[^\S\n]+"


@dataclass(frozen=True)
class Size:
    """The shape of an embedded student."""

    hidden: int
    layers: int
    heads: int
    intermediate: int


SIZES: dict[str, Size] = {
    "tiny-0.3M": Size(80, 3, 4, 216),
    "tiny-0.5M": Size(96, 4, 4, 256),
    "tiny-1M": Size(144, 4, 4, 384),
    "tiny-3M": Size(224, 5, 7, 608),
}


def corpus(n: int, seed: int) -> tuple[Example, ...]:
    """Return what the base student is trained on: mostly easy problems of few operations, in a style of its own.

    Only training behaviours occur; easy problems repeat.
    """
    own, rng = habits(seed), random.Random(f"style {seed}")
    drawn = pipelines(n, f"corpus {seed}", split="train", level_weights=BASE_LEVELS, operation_weights=skew())
    return tuple(
        Example(prompt(one), styled(one, own, rng), level=one.level, origin="pipelines/corpus") for one in drawn
    )


def habits(seed: int) -> dict[str, int]:
    """Return the own spelling that a base student has for each operation, drawn by its form."""
    rng, style = random.Random(f"habits {seed}"), STYLES[seed % len(STYLES)]
    weights = {one.id: [style[way.form] for way in one.spellings[1:]] for one in TABLE}
    return {id: rng.choices(range(1, len(forms) + 1), forms)[0] for id, forms in weights.items()}


def styled(pipeline: Pipeline, own: Mapping[str, int], rng: random.Random) -> str:
    """Return a solution in the own spellings of a student, in part."""
    ways = [
        rng.choices((own[one.operation], 0, rng.randrange(len(one.of.spellings))), (OWN, TEACHERS, ANY))[0]
        for one in pipeline.steps
    ]
    return body(pipeline.steps, ways)


def teacher_corpus(n: int, seed: int) -> tuple[Example, ...]:
    """Return what the embedded teacher with logits is trained on: all levels and operations alike, the oracle's style.

    Only training behaviours occur.
    """
    drawn = pipelines(n, f"teacher {seed}", split="train")
    return tuple(Example(prompt(one), body(one.steps), level=one.level, origin="pipelines/teacher") for one in drawn)


@functools.cache
def tokenizer_text() -> str:
    """Return the trained tokenizer as its JSON text; it takes about half a second."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.decoders import ByteLevel as ByteLevelDecoder
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
    from tokenizers.processors import TemplateProcessing
    from tokenizers.trainers import BpeTrainer

    rng = random.Random("tokenizer")
    texts: list[str] = []
    for one in pipelines(TOKENIZER_PROBLEMS, "tokenizer", split="train"):
        ways = [rng.choice((0, rng.randrange(len(step.of.spellings)))) for step in one.steps]
        texts += [prompt(one), body(one.steps, ways)]
    made: Any = Tokenizer(BPE())
    made.pre_tokenizer = Sequence(
        [Split(Regex(PRE_TOKENS), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    made.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    made.post_processor = TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", made.token_to_id("<bos>"))])
    return made.to_str()


def tokenizer() -> Any:
    """Return the tokenizer of every embedded student: byte-level BPE of 512 tokens that writes any text.

    It is a transformers `PreTrainedTokenizerFast`, a class whose import takes seconds and so waits until here.
    """
    from tokenizers import Tokenizer

    return wrapped(Tokenizer.from_str(tokenizer_text()), POSITIONS)


def wrapped(made: Any, positions: int, **more: str) -> Any:
    """Return a tokenizer with the special tokens as transformers reads it."""
    from transformers import PreTrainedTokenizerFast

    pad, bos, eos = SPECIAL
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        padding_side="left",
        model_max_length=positions,
        clean_up_tokenization_spaces=False,
        **more,
    )


def create(name: str, folder: Path, seed: int) -> None:
    """Write a student with random weights to `folder`, as `from_pretrained` opens it; the same seed, the same bytes."""
    if name not in SIZES:
        raise ConfigError(
            f"student={name}: no such embedded student{suggest(name, SIZES)}. There are {', '.join(SIZES)}."
        )
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size, words = SIZES[name], tokenizer()
    ids: dict[str, Any] = {
        "pad_token_id": words.pad_token_id,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
    }
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.intermediate,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        initializer_range=0.05,
        architectures=["LlamaForCausalLM"],
        dtype="float32",
        **ids,
    )
    with torch.random.fork_rng(devices=[]):  # the initialisation draws from the global generator: leave it as it was
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    write_blank(model, words, folder)


def write_blank(model: Any, words: Any, folder: Path) -> None:
    """Write a model with random weights, its tokenizer and its settings of generation."""
    from safetensors.torch import save_file
    from transformers import GenerationConfig

    # Written by hand: save_pretrained draws a progress bar over the command's own display.
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.float().contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    names = ("pad_token_id", "bos_token_id", "eos_token_id")
    GenerationConfig(do_sample=False, **{one: getattr(words, one) for one in names}).save_pretrained(folder)
    words.save_pretrained(folder)
