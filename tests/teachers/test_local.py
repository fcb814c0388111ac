"""A transformers model on this machine as teacher: its texts, and what its distributions are named by."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.teachers.calls import Call
from harness.teachers.local import LocalBackend, LocalTeacher
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.requests import Solve
from harness.teachers.settings import Teaching, one_teacher
from harness.types import Problem
from tests.fakes import tiny_student

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n."""\n', "f", (), "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("teacher") / "model", lively=True)


def settings(folder: Path, **more: object) -> Teaching:
    given: dict[str, object] = {"style": "completion", "max_tokens": 12, **more}
    return one_teacher(Teaching(name=f"local:{folder}", **given))  # type: ignore[arg-type]


def calls() -> list[Call]:
    texts = ["def f(n):", "x = 1\n", "for i in range(3):\n", "a longer text than all the others"]
    greedy = [Call((("user", text),), 0.0, 1.0, None, 0, 12) for text in texts]
    return [*greedy, *(Call((("user", text),), 0.8, 0.9, 7, 0, 12) for text in texts)]


def test_an_answer_does_not_depend_on_what_else_is_asked(folder: Path) -> None:
    backend = LocalBackend(settings(folder))
    together = dict(backend.send(calls()))
    assert len({reply.text for reply in together.values()}) > 4
    for place, call in enumerate(calls()):
        assert dict(backend.send([call]))[0] == together[place]


@pytest.mark.slow
def test_a_process_of_its_own_answers_the_same(folder: Path) -> None:
    same = dict(LocalBackend(settings(folder)).send(calls()))
    own = LocalBackend(settings(folder, process="own"))
    assert dict(own.send(calls())) == same
    assert own.worker is not None
    process = own.worker.process
    own.close()
    assert not process.is_alive()


def test_a_local_teacher_gives_texts_and_names_its_distributions(folder: Path) -> None:
    teacher = open_teacher(settings(folder, parse_retries=0), Terms())
    assert isinstance(teacher, LocalTeacher)
    assert teacher.logits == str(folder)
    assert "logits" in teacher.capabilities
    [(_, answer)] = teacher.answer([Solve(PROBLEM)], 0)
    assert (answer.code is not None) or answer.reason
    assert answer.tokens_out > 0
    assert answer.usd == 0


def test_the_weights_and_not_the_folder_are_the_identity(folder: Path, tmp_path: Path) -> None:
    again = tiny_student(tmp_path / "again", lively=True)
    other = tiny_student(tmp_path / "other", lively=True, seed=1)
    first, second, third = (LocalBackend(settings(one)).identity for one in (folder, again, other))
    assert first == second != third


def test_a_prompt_that_leaves_no_room_is_quarantined_with_the_reason(folder: Path) -> None:
    [(_, reply)] = LocalBackend(settings(folder)).send([Call((("user", "x" * 400),), 0.0, 1.0, None, 0, 12)])
    assert reply.finish == "quarantined"
    assert "the model holds 256" in reply.reason


@pytest.mark.parametrize(
    ("more", "said"),
    [({"style": "chat"}, "no chat template"), ({"quantised": "int8"}, "need teacher.device=cuda")],
)
def test_what_a_model_cannot_do_is_told_at_once(folder: Path, more: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        LocalBackend(settings(folder, **more))


def test_a_template_that_is_named_but_not_there_is_none(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    file = tmp_path / "model" / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"chat_template": None}))
    with pytest.raises(ConfigError, match="no chat template"):
        LocalBackend(settings(tmp_path / "model", style="chat"))
