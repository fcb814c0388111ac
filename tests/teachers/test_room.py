"""Whether prompts fit into a model's context: said before a call is sent, and only where it is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.teachers.estimate import Asked, asked
from harness.teachers.local import LocalBackend
from harness.teachers.model import ModelTeacher
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.requests import Solve
from harness.teachers.room import Room, crowding
from harness.teachers.settings import Teaching, one_teacher
from harness.types import Problem
from tests.fakes import tiny_student


def prompts(*sizes: int) -> list[Asked]:
    """Return the calls for problems whose texts have so many characters."""
    teacher = open_teacher(Teaching(name="openai:m@http://h/v1"), Terms(asks=False))
    problems = [
        Problem(f"p/{i}", f'def f(x):\n    """{"word " * (size // 5)}{i}"""\n', "f", (), "")
        for i, size in enumerate(sizes)
    ]
    return [one for problem in problems for one in asked(teacher, Solve(problem), 0).values()]


def test_nothing_is_told_of_prompts_that_fit_even_if_every_byte_is_a_token() -> None:
    calls = prompts(100, 100)
    most = max(one.most_tokens_in for one in calls)
    assert crowding("m", calls, Room(most + 50, 50)) == []


def test_prompts_that_may_not_fit_are_told_and_the_run_goes_on() -> None:
    [line] = crowding("m", prompts(100, 6000), Room(1500, 50))
    assert "1 of 2 prompts may not fit into the 1500 tokens that the model holds, 50 of them kept" in line


def test_a_few_prompts_that_cannot_fit_are_told_as_quarantined() -> None:
    [line] = crowding("m", prompts(*[100] * 20, 9000), Room(1000, 50))
    assert "1 of 21 prompts do not fit" in line
    assert "quarantined" in line


def test_many_prompts_that_cannot_fit_are_refused_with_what_to_change() -> None:
    with pytest.raises(ConfigError, match=r"10 of 10 prompts do not fit.*Lower teacher\.max_tokens, or take a model"):
        crowding("m", prompts(*[9000] * 10), Room(1000, 50))


def test_a_local_model_counts_its_own_tokens(tmp_path: Path) -> None:
    folder = tiny_student(tmp_path / "model", lively=True)
    teacher = open_teacher(one_teacher(Teaching(name=f"local:{folder}", style="completion")), Terms())
    assert isinstance(teacher, ModelTeacher) and isinstance(teacher.backend, LocalBackend)
    room, call = teacher.backend.room(), teacher.call(Solve(Problem("p/1", "def f(x):\n", "f", (), "")), 0)
    assert room.tokens == 256
    assert room.count is not None
    assert room.count(call) == dict(teacher.backend.send([call]))[0].tokens_in > 0
    teacher.close()
