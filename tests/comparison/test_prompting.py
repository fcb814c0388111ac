"""How problems are put to a student: the chat template of its tokenizer, and what does not fit it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.benchmarks.registry import load
from harness.comparison.prompting import NOT_USED, RAW_CHAT, asked, prompts_of, style_warning, template_told
from harness.errors import ConfigError
from harness.settings.config import Run
from harness.students.chat import Chat, has_template
from harness.students.checkpoint import read_tokenizer
from tests.command import run
from tests.fakes import tiny_student

TEMPLATE = "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"


@pytest.fixture
def chat_student(tmp_path: Path) -> Path:
    folder = tiny_student(tmp_path / "chat")
    tokenizer = read_tokenizer(folder)
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


def test_a_template_is_seen_in_the_files_of_a_student(chat_student: Path, tmp_path: Path) -> None:
    assert has_template(chat_student)
    assert not has_template(tiny_student(tmp_path / "plain"))


def test_a_template_within_the_tokenizers_configuration_counts(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert has_template(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": None}))
    assert not has_template(tmp_path)


def test_instruct_prompts_are_the_request_within_the_template_and_begin_once(chat_student: Path) -> None:
    benchmark = load("humaneval", style="instruct")
    request = benchmark.prompt(benchmark.problems[0])
    assert prompts_of(benchmark, chat_student)[0] == ("HumanEval/0", f"<user>{request}</><assistant>")
    tokenizer = Chat(chat_student).tokenizer
    assert tokenizer.bos_token is None or not Chat(chat_student).filled("x").startswith(tokenizer.bos_token)


def test_other_styles_leave_the_template_alone(chat_student: Path) -> None:
    benchmark = load("humaneval", style="completion")
    assert prompts_of(benchmark, chat_student)[0][1] == benchmark.problems[0].prompt


def test_a_rows_key_tells_which_template_was_used_or_that_none_was(chat_student: Path, tmp_path: Path) -> None:
    instruct, completion = (load("humaneval", style=style) for style in ("instruct", "completion"))
    used = template_told(instruct, chat_student)["template"]
    assert len(used) == 12 and template_told(completion, chat_student) == {"template": NOT_USED}
    assert template_told(completion, tiny_student(tmp_path / "plain")) == {}


def test_a_chat_model_given_raw_prompts_is_warned_about(chat_student: Path) -> None:
    assert style_warning(Run(style="completion"), chat_student) == RAW_CHAT
    assert style_warning(Run(style="instruct"), chat_student) == ""
    assert style_warning(Run(style="completion"), None) == ""


def test_a_model_without_template_cannot_be_asked_for_instruct(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"style=instruct: .* no chat template"):
        style_warning(Run(style="instruct"), tiny_student(tmp_path / "plain"))


def test_errata_and_extractor_of_the_run_reach_the_benchmark() -> None:
    keep = Run(errata="keep", extractor="none")
    assert asked("humaneval", keep, size=1).extractor == "none"
    assert len(asked("humaneval", replace(keep, errata="exclude"), size=1).problems) == 160


@pytest.mark.compare
@pytest.mark.parametrize("word", ["rule=human-eval", "workers=2"])
def test_a_key_of_eval_is_refused_by_a_comparison(tmp_path: Path, word: str) -> None:
    out = run("compare", "recipe=standard_kd", word, folder=tmp_path, code=2)
    assert "it belongs to harness eval" in out and list(tmp_path.iterdir()) == []


@pytest.mark.compare
def test_instruct_for_the_embedded_student_is_refused_before_anything_is_spent(tmp_path: Path) -> None:
    out = run("compare", "recipe=standard_kd", "style=instruct", folder=tmp_path, code=2)
    assert "no chat template" in out and list(tmp_path.iterdir()) == []
