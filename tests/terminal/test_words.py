"""What people type: keys before and after options, files that are not there, folders that are no run."""

from __future__ import annotations

import json

import pytest

from harness.cli import main


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 2) -> str:
    assert main(list(words)) == code
    return capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("eval", "nowhere.jsonl", "--allow-missing", "benchmark=humaneval"),
        ("eval", "nowhere.jsonl", "benchmark=humaneval", "--allow-missing"),
        ("eval", "--allow-missing", "nowhere.jsonl", "benchmark=humaneval"),
    ],
)
def test_keys_stand_before_or_after_options(capsys, words):
    assert "nowhere.jsonl" in answer(capsys, *words)


@pytest.mark.parametrize("words", [("status", "runs", "--what"), ("doctor", "a", "b=c")])
def test_what_no_command_knows_is_refused(capsys, words):
    with pytest.raises(SystemExit) as end:
        main(list(words))
    assert end.value.code == 2 and "unrecognized arguments" in capsys.readouterr().err


def test_a_key_in_the_place_of_a_file_is_told(capsys):
    assert "it takes two files" in answer(capsys, "eval", "--compare", "a.jsonl", "benchmark=humaneval")


def test_an_attempt_that_is_not_there_is_told(capsys):
    words = ("teacher", "try", "def f(s):", "--kind", "judge", "--attempt", "nope.py", "teacher=oracle")
    assert "nope.py: cannot be read" in answer(capsys, *words)


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', '{"run": {"recipe'])
def test_a_damaged_run_is_not_taken_for_no_run(capsys, tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    said = answer(capsys, "report", str(tmp_path))
    assert "damaged" in said and "did you mean" not in said


def test_a_folder_of_runs_names_them(capsys, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "config.json").write_text(json.dumps({"run": {}}))
    assert "It holds the runs one." in answer(capsys, "report", str(tmp_path))
