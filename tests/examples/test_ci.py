"""The ready workflows: their commands are ours, and actionlint has nothing to say where it is installed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli import parser

FOLDER = Path(__file__).parents[2] / "examples" / "ci"
GITHUB, GITLAB = FOLDER / "github-quality.yml", FOLDER / "gitlab-quality.yml"


def commands(content: Any) -> Iterator[list[str]]:
    """Yield the words of every `harness` command in a workflow."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for one in content:
            yield from commands(one)
    elif isinstance(content, str) and content.startswith("harness "):
        yield shlex.split(content.partition("||")[0])[1:]


@pytest.mark.parametrize("path", [GITHUB, GITLAB], ids=lambda path: path.stem)
def test_every_command_of_a_workflow_is_one_of_ours(path: Path) -> None:
    found = list(commands(yaml.safe_load(path.read_text())))
    assert {words[0] for words in found} >= {"compare", "gate"}
    for words in found:
        parser().parse_args(words)


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="needs actionlint on the path; it is no Python package")
def test_actionlint_accepts_the_github_workflow() -> None:
    done = subprocess.run(["actionlint", str(GITHUB)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
