"""TinyPy: programs of the levels, their outputs, their splits, and the blank students that read them."""

from typing import Any

import pytest

from harness.errors import DataError
from harness.sandbox import Check, Program, Sandbox
from harness.store.keys import digest
from harness.world.tinypy import (
    CHARACTERS,
    LEVELS,
    LONGEST,
    LONGEST_OUTPUT,
    TINYPY_VERSION,
    draw,
    pool,
    split_of,
)
from harness.world.tinypy_run import printed
from harness.world.tinypy_student import SCRATCH, create, tokenizer

SNIPPETS = draw(300, seed=5, split="train")
GOLDEN = {1: "0de7fd946f837b06cad35b3107be478118b586ca2867bf142e65f554025507af"}


def test_the_programs_are_the_pinned_ones():
    found = digest([[one.level, one.program, one.output] for one in SNIPPETS])
    assert found == GOLDEN[TINYPY_VERSION], "programs changed: raise TINYPY_VERSION and pin the new digest"


def test_outputs_are_what_python_prints():
    """The one place where TinyPy programs are executed: in the sandbox."""
    programs = []
    for one in SNIPPETS:
        body = "".join(f"    {line}\n" for line in one.program.splitlines())
        source = (
            f"def f():\n    lines = []\n    print = lambda value: lines.append(str(value))\n{body}    return lines\n"
        )
        programs.append(Program(source, "f", (Check((), printed(one.program)),), id=one.program))
    with Sandbox() as sandbox:
        wrong = [programs[at].id for at, verdict in sandbox.judge(programs) if not verdict.passed]
    assert wrong == []


@pytest.mark.parametrize(
    "program",
    ["import os\n", "a = __import__('os')\n", "print([1])\n", "a = 'x'\n", "a = 1 ** 2\n", "while 1 :\n\tprint(1)\n"],
)
def test_nothing_outside_the_grammar_runs(program):
    with pytest.raises(DataError, match="outside the grammar"):
        printed(program)


@pytest.mark.parametrize("program", ["print(1 / 0)\n", "print(a)\n", "for i in range(9999) :\n\tprint(i)\n"])
def test_a_program_that_fails_or_leaves_the_bounds_prints_nothing_fair(program):
    assert printed(program) is None


def test_the_interpreter_carries_values_through_loops():
    assert printed("s = 0\nfor i in range(0, 4) :\n    s = s + i\nprint(s)\n") == ["6"]


def test_levels_take_turns_and_hold_what_they_say():
    assert [one.level for one in SNIPPETS[:6]] == list(LEVELS)
    for one in SNIPPETS:
        assert ("if " in one.program) == (one.level[0] == "2") and ("for " in one.program) == (one.level[0] == "3")
    advanced = "".join(one.program for one in SNIPPETS if one.level == "2.2")
    assert " and " in advanced and " or " in advanced and "not (" in advanced


def test_an_example_is_of_the_papers_characters_and_fits_its_context():
    assert len(CHARACTERS) == len(set(CHARACTERS)) == 53
    for one in SNIPPETS:
        assert set(one.text) <= set(CHARACTERS) and len(one.text) <= LONGEST and len(one.output) <= LONGEST_OUTPUT


def test_a_program_that_prints_nothing_has_an_empty_line():
    silent = [one for one in SNIPPETS if printed(one.program) == []]
    assert silent and {one.output for one in silent} == {"# \n"}


def test_no_program_is_drawn_twice_and_splits_share_none():
    own = {split: {one.program for one in draw(120, seed=1, split=split)} for split in ("train", "validation", "test")}
    assert [len(one) for one in own.values()] == [120, 120, 120]
    assert all(split_of(one) == split for split, programs in own.items() for one in programs)


def test_pools_of_other_seeds_differ():
    assert pool(30, seed=1) == pool(30, seed=1) != pool(30, seed=2)


def test_any_text_of_the_world_survives_the_tokenizer():
    words = tokenizer()
    for one in SNIPPETS[:20]:
        assert words.decode(words(one.text).input_ids, skip_special_tokens=True) == one.text
    assert words("é").input_ids == [words.bos_token_id, words.unk_token_id]


def test_a_blank_student_has_the_papers_shape(tmp_path):
    pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    create("tinypy-1M", tmp_path / "a", seed=0)
    create("tinypy-1M", tmp_path / "b", seed=0)
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    size = sum(weights.numel() for weights in model.parameters())
    assert size == 1_090_800 and abs(size / 1_082_573 - 1) < 0.01  # the paper's
    assert model.get_input_embeddings().weight is not model.get_output_embeddings().weight
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    assert set(SCRATCH) == {"tinypy-0.1M", "tinypy-1M"}
