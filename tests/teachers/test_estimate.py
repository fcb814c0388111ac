"""What calls will cost: never more than the most that is told, whatever has to be drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.teachers import estimate
from harness.teachers.model import ModelTeacher
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.requests import Solve
from harness.teachers.settings import Teaching
from harness.types import Problem

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n + 1."""\n', "f", (), "")


def priced(folder: Path, **more: object) -> ModelTeacher:
    (folder / "prices.yaml").write_text("h: {m: {in: 1000, out: 2000, as_of: 2026-11-21}}\n")
    given: dict[str, object] = {"max_tokens": 100, "prices": str(folder / "prices.yaml"), **more}
    teacher = open_teacher(Teaching(name="openai:m@http://h/v1", **given), Terms(asks=False))  # type: ignore[arg-type]
    assert isinstance(teacher, ModelTeacher)
    return teacher


@pytest.mark.parametrize("retries", [0, 2])
def test_the_most_holds_every_draw_at_its_longest_and_every_byte_as_a_token(tmp_path: Path, retries: int) -> None:
    teacher = priced(tmp_path, parse_retries=retries)
    call = teacher.call(Solve(PROBLEM), 0)
    one = (call.most_tokens_in * 1000 + 100 * 2000) / 1_000_000
    found = estimate.money(estimate.asked(teacher, Solve(PROBLEM), 0).values(), {})
    assert found.calls == 1
    assert found.most_usd == pytest.approx((1 + retries) * one)


def test_answers_that_took_several_draws_are_expected_at_what_they_took(tmp_path: Path) -> None:
    teacher = priced(tmp_path)
    asked = estimate.asked(teacher, Solve(PROBLEM), 0)
    [group] = {one.group for one in asked.values()}
    once, thrice = (
        estimate.money(asked.values(), {group: estimate.Size(1.0, tokens)}).usd for tokens in (100.0, 250.0)
    )
    assert thrice - once == pytest.approx(150 * 2000 / 1_000_000)
