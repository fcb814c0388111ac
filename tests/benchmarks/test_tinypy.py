"""The TinyPy benchmarks: what is asked, what counts, and what training may not show."""

import json

import pytest

from harness.benchmarks.registry import load
from harness.comparison.compare import terms
from harness.comparison.evaluation import cut_short, similarity
from harness.comparison.problems import load_pool
from harness.decontaminate import index_of
from harness.errors import ConfigError, DataError
from harness.sandbox.judging.answers import compared
from harness.scoring.samples import check, found_at
from harness.settings.config import Run
from harness.source.programs import assemble
from harness.types import Sample, Text
from harness.world import tinypy

NAMES = ("tinypy-execution", "tinypy-completion:token", "tinypy-completion:line")


@pytest.mark.parametrize("name", NAMES)
def test_the_default_set_is_the_pinned_one(name):
    assert len(load(name).problems) == 400  # DataError if it is another


def test_the_bare_name_is_the_token_level():
    assert load("tinypy-completion", size=5) == load("tinypy-completion:token", size=5)


def test_execution_asks_for_the_output_of_a_program():
    found = load("tinypy-execution", size=12)
    assert [one.level for one in found.problems] == [1, 1, 2, 2, 3, 3] * 2
    for one in found.problems:
        assert isinstance(one.checks, Text)
        assert one.prompt.endswith("# output\n") and len(one.reference) <= found.max_new_tokens
    assert found.stop == ("\n\n",)


def test_a_chat_model_is_asked_for_the_printed_lines():
    found = load("tinypy-execution", size=6, style="instruct")
    text = found.prompt(found.problems[0])
    assert found.problems[0].prompt in text and "printed lines" in text and "function" not in text
    assert found.program(found.problems[0], "It prints: 3") == "It prints: 3"


def test_completion_is_no_request():
    with pytest.raises(ConfigError, match="style=completion"):
        load("tinypy-completion:line", style="instruct")


@pytest.mark.parametrize("split", ["token", "line"])
def test_completions_continue_texts_of_the_test_split(split):
    found = load(f"tinypy-completion:{split}", size=50)
    whole = {one.text for one in tinypy.draw(50, seed="completion", split="test")}
    for one in found.problems:
        end = "\n" if split == "line" else ""
        assert any(text.startswith(one.prompt + one.reference + end) for text in whole)
        assert len(one.reference) == 1 if split == "token" else one.prompt.endswith("\n")


def test_the_first_characters_of_an_answer_count():
    for one in load("tinypy-completion:token", size=20).problems:
        assert isinstance(one.checks, Text)
        assert compared(one.checks, one.reference + "xyz", "full").passed
        assert not compared(one.checks, "?" + one.reference, "full").passed


def test_training_programs_are_none_of_the_tests_and_none_is_dropped():
    index = index_of([load(name) for name in NAMES])
    kept, dropped = index.clean(tinypy.pool(600, seed=0))
    assert len(kept) == 600 and not dropped
    tested = [one for one in load("tinypy-execution").problems if index.hits(one)]
    assert len(tested) == 400


def test_a_program_is_no_answer(tmp_path):
    benchmark = load("tinypy-execution", size=1)
    path = tmp_path / "samples.jsonl"
    path.write_text(json.dumps({"task_id": benchmark.problems[0].id, "solution": "print(1)"}))
    with pytest.raises(DataError, match="answered by text"):
        check(found_at(path)[0], {one.id: one for one in benchmark.problems}, allow_missing=False)


def test_an_answer_is_judged_without_its_prompt():
    one = load("tinypy-execution", size=1).problems[0]
    assert assemble(one, one.reference) == one.reference


def test_edit_similarity_is_told_where_lines_are_compared():
    lines, tokens = load("tinypy-completion:line", size=4), load("tinypy-completion:token", size=4)
    for benchmark, expected in ((lines, 1.0), (tokens, None), (load("tinypy-execution", size=4), None)):
        verdicts = [compared(one.checks, one.reference, "full") for one in benchmark.problems]
        assert similarity(benchmark, verdicts) == expected
    verdicts = [compared(one.checks, one.reference[:-1], "full") for one in lines.problems]
    shares = [(len(one.reference) - 1) / len(one.reference) for one in lines.problems]
    assert similarity(lines, verdicts) == pytest.approx(sum(shares) / 4)


def test_an_answer_with_as_many_characters_as_are_compared_is_not_cut_short():
    [one] = load("tinypy-completion:line", size=1).problems
    assert not cut_short(Sample(one.id, 0, "x" * len(one.reference), "length", 30), one)
    assert cut_short(Sample(one.id, 0, "x", "length", 30), one) and not cut_short(
        Sample(one.id, 0, "x", "stop", 2), one
    )
    [other] = load("tinypy-execution", size=1).problems
    assert cut_short(Sample(other.id, 0, "# 3", "length", 30), other)


def test_the_pool_is_had_by_name_and_its_attempts_end_at_a_blank_line():
    assert load_pool("tinypy", size=6, seed=1) == tinypy.pool(6, seed=1)
    with pytest.raises(ConfigError, match="did you mean tinypy"):
        load_pool("tinipy")
    assert terms(Run(problems="tinypy")).stop == ("\n\n",) != terms(Run()).stop
