"""Which server ran is known before it runs: from the environment of its command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.students.served import drawn_by, server_version


def environment(folder: Path, version: str, first: str = "#!{folder}/python3") -> str:
    """Return the command of a made-up environment whose interpreter tells that version of vLLM."""
    folder.mkdir()
    (folder / "python3").write_text(f'#!/bin/sh\ncase "$2" in *vllm*) echo {version};; esac\n')
    (folder / "vllm").write_text(first.format(folder=folder) + "\nprint('never run')\n")
    for name in ("python3", "vllm"):
        (folder / name).chmod(0o755)
    return f"{folder / 'vllm'} serve"


def test_the_version_is_that_of_the_commands_own_environment(tmp_path: Path) -> None:
    found = [drawn_by("vllm", environment(tmp_path / one, one)) for one in ("0.33.0", "0.34.1")]
    assert found == ["vllm 0.33.0", "vllm 0.34.1"]


def test_other_backends_have_the_version_of_the_libraries_in_their_key(tmp_path: Path) -> None:
    command = environment(tmp_path / "vllm", "0.33.0")
    assert [drawn_by(one, command) for one in ("transformers", "continuous")] == ["transformers", "continuous"]


@pytest.mark.parametrize("command", ["no-such-program serve", "/bin/sh run.sh", f"{sys.executable} -m some.server"])
def test_a_server_that_cannot_be_told_has_no_version(command: str) -> None:
    assert server_version(command) == "" and drawn_by("vllm", command) == "vllm"
