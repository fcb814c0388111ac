"""Prompt files: found, checked and rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

import baselines
import recipes
from harness.errors import ConfigError
from harness.store.keys import digest
from harness.teachers.model import fields
from harness.teachers.prompts import FIELDS, Prompts, common, folders_for, read_template
from harness.teachers.requests import FAULTS, KINDS, MODES, Corrupt, Judge, Pose, Rate, Refine, Request, Solve, Tests
from harness.types import Problem

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n + {{ 1 }}."""\n', "f", (), "    return n + 1\n")
OURS = [common(), *sorted(Path(recipes.__file__).parent.glob("prompts/*"))]
OURS += sorted(Path(baselines.__file__).parent.glob("prompts/*"))


def every_request() -> list[Request]:
    return [
        Solve(PROBLEM),
        Solve(PROBLEM, shots="# shots"),
        *(Corrupt(PROBLEM, "def f(n):\n    return n + 1\n", fault) for fault in FAULTS),
        Refine(PROBLEM, "    return n\n", "wrong value"),
        Refine(PROBLEM, "    return n\n", "wrong value", direct="def f(n):\n    return n + 1\n"),
        *(Pose(PROBLEM, mode, snippet="x = 1") for mode in MODES),
        Judge(PROBLEM, "    return n\n"),
        Rate(PROBLEM, "    return n\n", "    return 1\n"),
        Tests(PROBLEM),
    ]


@pytest.mark.parametrize("folder", OURS, ids=lambda folder: folder.name)
def test_our_prompts_render_every_request_without_a_place_left_over(folder: Path) -> None:
    for style in ("chat", "completion"):
        for request in every_request():
            messages = Prompts([folder]).template(request.kind).render({**fields(request), "style": style})
            assert messages[-1][0] == "user", request
            # a placeholder in the problem's own text stays what it is
            assert all("{{" not in text.replace("{{ 1 }}", "") for _, text in messages), request
            assert all(text.strip() for _, text in messages)


def test_a_request_never_shows_the_reference() -> None:
    shown = [
        text
        for request in every_request()
        if request.kind in ("solve", "pose", "judge", "tests")
        for _, text in Prompts([]).template(request.kind).render({**fields(request), "style": "chat"})
    ]
    assert not any("return n + 1\n" in text for text in shown)


def test_fields_are_what_prompts_may_use() -> None:
    for request in every_request():
        assert {*fields(request), "style"} == {*FIELDS[request.kind]}


def test_every_fault_and_mode_is_asked_for_in_its_own_words() -> None:
    faults = {Prompts([]).template("corrupt").render(fields(Corrupt(PROBLEM, "", fault))) for fault in FAULTS}
    modes = {Prompts([]).template("pose").render(fields(Pose(PROBLEM, mode))) for mode in MODES}
    assert len(faults) == len(FAULTS)
    assert len(modes) == len(MODES)


def test_the_wording_has_a_version_that_a_change_forces_up() -> None:
    texts = {
        f"{folder.name}/{path.name}": [read_template(path, path.stem).version, path.read_text()]  # type: ignore[arg-type]
        for folder in OURS
        for path in sorted(folder.glob("*.txt"))
    }
    assert all(version >= 1 for version, _ in texts.values())
    # A new wording is a new question, paid anew: raise the file's version, put the digest here, say so in CHANGELOG.md.
    assert digest(texts) == "b1ca1fa8e14b0331867650ec3989e1404e31281f42e953c3b4bd180236494c4b"


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_ones_own_file_wins_over_the_recipes_and_the_common_one(tmp_path: Path) -> None:
    own = write(tmp_path / "own", "solve.txt", "[user]\nmine {{ entry_point }}\n")
    write(own / "persd", "refine.txt", "[user]\nmine for persd\n")
    beside = Path(baselines.__file__).parent
    prompts = Prompts(folders_for("persd", beside, str(own)))
    assert prompts.template("solve").render(fields(Solve(PROBLEM))) == (("user", "mine f"),)
    assert prompts.template("refine").path.parent.name == "persd"
    assert prompts.template("refine").path.parent.parent == own
    assert Prompts(folders_for("persd", beside, "")).template("refine").path == beside / "prompts/persd/refine.txt"
    assert prompts.template("judge").path == common() / "judge.txt"


def test_sections_of_one_role_are_joined_and_empty_conditions_leave_them_out(tmp_path: Path) -> None:
    path = write(tmp_path, "refine.txt", "[user if direct]\na\n[assistant if direct]\nb\n[user]\nc\n[user]\nd\n")
    template = read_template(path / "refine.txt", "refine")
    assert template.render({"direct": ""}) == (("user", "c\n\nd"),)
    assert template.render({"direct": "x"}) == (("user", "a"), ("assistant", "b"), ("user", "c\n\nd"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[user]\n{{ promt }}", r"solve\.txt:2: unknown placeholder \{\{promt\}\} \(did you mean prompt\?\)"),
        ("[user if reference]\nx", r"solve\.txt:1: unknown placeholder"),
        ("[user]\n{{ }}", "unknown placeholder"),
        ("just text", r"no section\. Expected a line \[user\]"),
        ("[system]\nx", r"no \[user\] section"),
        ("[user]\nx\n[usr]\ny", r"solve\.txt:3: no such section \[usr\]"),
    ],
)
def test_a_wrong_prompt_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    folder = write(tmp_path, "solve.txt", text)
    with pytest.raises(ConfigError, match=said):
        Prompts(folders_for("", None, str(folder))).check()


def test_a_prompt_of_no_known_kind_is_told(tmp_path: Path) -> None:
    folder = write(tmp_path, "sovle.txt", "[user]\nx")
    with pytest.raises(ConfigError, match=r"sovle\.txt: no such prompt \(did you mean solve\.txt\?\)"):
        folders_for("", None, str(folder))


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_prompts_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"teacher\.prompts="):
        folders_for("", None, str(tmp_path / name))


def test_every_kind_has_a_common_prompt() -> None:
    assert {path.stem for path in common().glob("*.txt")} == {*KINDS}
