"""What the command line prints."""

from __future__ import annotations

import sys

import pytest

from harness import cli

LONG = "student=" + "x" * 100 + ": no such folder. " + "Expected a folder that transformers wrote, or a name. " * 3


def test_an_error_is_wrapped_for_a_terminal_and_never_within_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    cli.tell(LONG)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == LONG.split()[0] and all(len(line) <= 80 for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == LONG.strip()


def test_a_log_keeps_an_error_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    cli.tell(LONG)
    assert capsys.readouterr().err == f"{LONG}\n"


def test_every_command_of_the_help_runs_something() -> None:
    for words in (["compare"], ["gate", "RUN"], ["store", "gc", "STORE"], ["teacher", "probe"], ["sandbox", "bench"]):
        assert callable(cli.parser().parse_args(words).run)
