"""Replays of recorded runs: every kind of request is answered by whoever answered it then."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from bench.stub_server import KEY, Behaviour, Server
from harness.errors import ConfigError
from harness.store.database import Store
from harness.teachers.composed import Composed
from harness.teachers.model import ModelTeacher
from harness.teachers.opening import Terms, members, open_teacher
from harness.teachers.replay import ReplayBackend, ReplayedOracle
from harness.teachers.requests import Answer, Judge, Request, Solve
from harness.teachers.settings import Teaching
from harness.terminal.asking import recorder
from harness.types import Problem

PROBLEM = Problem("toy/1", 'def f(x):\n    """Return x."""\n', "f", (), "")
REQUESTS: list[Request] = [Solve(PROBLEM), Judge(PROBLEM, "    return x\n")]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def scores(question: str, body: dict[str, Any]) -> str:
    return "R1: 2\nR2: 1\nR3: 1\nR4: 1\nR5: 0.5"


def write_run(folder: Path, settings: Teaching) -> Path:
    """Write what a replay reads of a run beside its store."""
    run = folder / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"run": {"teacher": dataclasses.asdict(settings)}}))
    (run / "run.json").write_text(json.dumps({"store": str(folder / "store")}))
    return run


def ask(place: Path, settings: Teaching) -> list[Answer]:
    with Store(place) as store:
        teacher = open_teacher(settings, Terms(allow_unpriced=True))
        assert isinstance(teacher, Composed)

        def one(member: Any, requests: Any) -> Any:
            assert isinstance(member, ModelTeacher)
            return member.ask(recorder(store), requests, 0)

        answers, _ = teacher.ask(REQUESTS, one)
        teacher.close()
        return answers


def test_a_composed_teacher_is_replayed_by_each_of_its_members(tmp_path: Path) -> None:
    with Server() as large, Server(Behaviour(model="small", say=scores)) as small:
        settings = Teaching(name=f"openai:stub@{large.url}", judge=f"openai:small@{small.url}")
        recorded = ask(tmp_path / "store", settings)
    run = write_run(tmp_path, settings)
    assert recorded[1].scores == (2.0, 1.0, 1.0, 1.0, 0.5)
    assert ask(tmp_path / "other", Teaching(name=f"replay:{run}")) == recorded
    # and one kind alone, beside a teacher that is asked
    with Server() as large:
        mixed = Teaching(name=f"openai:stub@{large.url}", judge=f"replay:{run}")
        assert ask(tmp_path / "third", mixed)[1] == recorded[1]
        assert large.served == 1


def test_a_member_that_was_the_oracle_is_replayed_as_one(tmp_path: Path) -> None:
    with Store(tmp_path / "store"):
        pass
    run = write_run(tmp_path, Teaching(name="openai:stub@http://localhost:1/v1", judge="oracle"))
    main, judge = members(open_teacher(Teaching(name=f"replay:{run}"), Terms()))
    assert isinstance(main, ModelTeacher) and isinstance(main.backend, ReplayBackend)
    assert isinstance(judge, ReplayedOracle)


def test_a_member_that_was_a_replay_is_refused_at_once(tmp_path: Path) -> None:
    with Store(tmp_path / "store"):
        pass
    run = write_run(tmp_path, Teaching(judge="replay:elsewhere"))
    with pytest.raises(ConfigError, match="was a replay itself"):
        open_teacher(Teaching(name=f"replay:{run}"), Terms())
