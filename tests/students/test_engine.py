"""Answers and scores of a tiny student, held against plain loops over the bare model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import ConfigError, UsageError
from harness.students import engine
from harness.students.checkpoint import read_model, read_tokenizer, write
from harness.students.decoding import Decoding, Generation
from harness.students.engine import Loaded, generate, load, score
from harness.students.tokens import encode_completions, encode_prompts
from tests.fakes import tiny_student

PROMPTS = ["def f(x):\n", "def g(text, n):\n", "a", "def long(one, two, three, four, five):\n", "b c", "x = 1\n"]
GREEDY = Decoding(max_new_tokens=24)
SAMPLED = Decoding(temperature=1.0, max_new_tokens=24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"), lively=True)


@pytest.fixture(scope="module")
def student(folder: Path) -> Loaded:
    return load(folder)


def naive(student: Loaded, prompt: str, limit: int) -> list[int]:
    """Greedy decoding of one prompt without cache, padding or batch."""
    ids = encode_prompts(student.tokenizer, [prompt])[0]
    drawn: list[int] = []
    while len(drawn) < limit and (not drawn or drawn[-1] not in student.ends):
        with torch.no_grad():
            logits = student.model(input_ids=torch.tensor([ids + drawn])).logits
        drawn.append(int(logits[0, -1].argmax()))
    return drawn


def test_greedy_answers_equal_a_naive_loop_one_at_a_time(student: Loaded) -> None:
    for prompt, answer in zip(PROMPTS, generate(student, PROMPTS, GREEDY, range(6)), strict=True):
        drawn = naive(student, prompt, 24)
        assert answer.tokens == len(drawn)
        assert answer.text == student.tokenizer.decode(drawn, skip_special_tokens=True)
        assert answer.finish_reason == ("stop" if drawn[-1] in student.ends else "length")


def test_the_naive_loops_answers_differ_and_end_at_different_lengths(student: Loaded) -> None:
    drawn = [naive(student, prompt, 24) for prompt in PROMPTS]
    assert len({tuple(ids) for ids in drawn}) == len(PROMPTS) and len({len(ids) for ids in drawn}) > 1


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED, replace(SAMPLED, top_p=0.8)])
def test_a_rows_text_does_not_change_with_its_neighbours(student: Loaded, decoding: Decoding) -> None:
    together = generate(student, PROMPTS, decoding, range(6))
    alone = [generate(student, [prompt], decoding, [seed])[0] for seed, prompt in enumerate(PROMPTS)]
    assert together == alone


def test_taking_finished_rows_out_changes_no_answer(student: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[list[Generation]] = []
    for share in (0.0, 1.0):
        monkeypatch.setattr(engine, "COMPACT_BELOW", share)
        answers.append(generate(student, PROMPTS, SAMPLED, range(6)))
    assert answers[0] == answers[1] and len({answer.tokens for answer in answers[0]}) > 1


def test_a_seed_gives_its_sample_again_and_another_seed_another(student: Loaded) -> None:
    first, again, other = (generate(student, ["def f(x):\n"], SAMPLED, [seed])[0].text for seed in (7, 7, 8))
    assert first == again != other


def test_sampling_follows_the_models_probabilities() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]]).expand(4000, 4)
    draws = [engine.Draw([], 1, seed) for seed in range(4000)]
    warm = Decoding(temperature=2.0)
    counts = torch.bincount(engine.choose(logits, warm, draws), minlength=4) / 4000
    expected = torch.softmax(logits[0] / 2.0, dim=-1)
    assert (counts - expected).abs().max() < 0.03  # four standard errors of 4,000 draws


def test_top_p_draws_only_from_the_smallest_set_that_holds_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().expand(500, 4)
    draws = [engine.Draw([], 1, seed) for seed in range(500)]
    chosen = engine.choose(logits, Decoding(temperature=1.0, top_p=0.7), draws)
    assert set(chosen.tolist()) == {0, 1}


def test_a_very_small_top_p_is_greedy(student: Loaded) -> None:
    narrow = generate(student, PROMPTS, replace(SAMPLED, top_p=1e-9), range(6))
    assert narrow == generate(student, PROMPTS, GREEDY, range(6))


def test_an_answer_ends_before_the_first_stop_string(student: Loaded) -> None:
    (free,) = generate(student, PROMPTS[:1], GREEDY, [0])
    stop = free.text[4:7]  # three characters, so it arrives over several tokens
    (cut,) = generate(student, PROMPTS[:1], replace(GREEDY, stop=("never in there", stop)), [0])
    assert cut.text == free.text[: free.text.find(stop)]
    assert cut.finish_reason == "stop" and cut.tokens < free.tokens


def test_max_new_tokens_is_kept_and_called_length(student: Loaded) -> None:
    answers = generate(student, PROMPTS, replace(GREEDY, max_new_tokens=2), range(6))
    assert all(answer.tokens <= 2 for answer in answers)
    assert "length" in {answer.finish_reason for answer in answers}


def test_a_prompt_without_room_is_answered_with_context_and_harms_no_other(student: Loaded) -> None:
    answers = generate(student, ["x" * 400, PROMPTS[0], "y" * 255], GREEDY, [0, 1, 2])
    assert answers[0] == Generation("", "context", 0, 401)
    assert answers[1] == generate(student, PROMPTS[:1], GREEDY, [1])[0]
    assert answers[2].finish_reason == "context" and answers[2].prompt_tokens == student.positions


def test_an_answer_never_outgrows_the_positions(student: Loaded) -> None:
    (answer,) = generate(student, ["y" * 250], Decoding(temperature=5.0, max_new_tokens=96), [3])
    assert (answer.prompt_tokens, answer.tokens, answer.finish_reason) == (251, 5, "length")


def test_no_prompts_give_no_answers(student: Loaded) -> None:
    assert generate(student, [], GREEDY, []) == []


def test_scores_equal_the_bare_models_log_probabilities(student: Loaded) -> None:
    pairs = [("def f(x):\n", "    return x\n"), ("a", "b"), ("long prompt here", "c")]
    for (prompt, completion), scored in zip(pairs, score(student, pairs), strict=True):
        begin = encode_prompts(student.tokenizer, [prompt])[0]
        answer = encode_completions(student.tokenizer, [completion])[0]
        with torch.no_grad():
            logp = student.model(input_ids=torch.tensor([begin + answer])).logits[0].log_softmax(-1)
        expected = [logp[len(begin) - 1 + place, token].item() for place, token in enumerate(answer)]
        assert scored == pytest.approx(expected, abs=1e-5)


def test_a_pair_too_long_to_score_is_refused(student: Loaded) -> None:
    with pytest.raises(UsageError, match="pair 1 has 303 tokens; the student holds 256"):
        score(student, [("a", "b"), ("p", "x" * 300)])


def test_a_folder_without_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    with pytest.raises(UsageError, match="no weights"):
        load(tmp_path)


@pytest.mark.parametrize(("place", "named"), [("nowhere", "no such folder"), (".", "no config.json")])
def test_a_folder_that_is_no_student_is_refused(tmp_path: Path, place: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        load(tmp_path / place)


def without(folder: Path, out: Path, *tokens: str) -> Path:
    """Copy a student whose tokenizer lacks some special tokens."""
    model: Any = read_model(folder, "cpu")
    tokenizer: Any = read_tokenizer(folder)
    for token in tokens:
        setattr(tokenizer, token, None)
        setattr(model.generation_config, f"{token}_id", None)
    write(model, tokenizer, out)
    return out


def test_a_student_without_pad_token_pads_with_its_end_token_and_says_so(folder: Path, tmp_path: Path) -> None:
    loaded = load(without(folder, tmp_path, "pad_token"))
    assert loaded.notes == ("no pad token; padding with token 2",)
    assert generate(loaded, PROMPTS, GREEDY, range(6)) == generate(load(folder), PROMPTS, GREEDY, range(6))


def test_a_student_that_could_never_end_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no end token"):
        load(without(folder, tmp_path, "eos_token"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temperature": -1.0}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"n": 4}, "n=4 at temperature=0"),
        ({"stop": ("",)}, "stop"),
    ],
)
def test_a_wrong_decoding_is_refused_by_name(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        Decoding(**changes)


def test_prompts_and_seeds_must_match(student: Loaded) -> None:
    with pytest.raises(UsageError, match="2 prompts and 1 seeds"):
        generate(student, ["a", "b"], GREEDY, [0])
