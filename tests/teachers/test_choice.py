"""What a teacher is left to choose or to add: the kind of a fault, and the mistakes of an attempt in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.teachers.model import fields
from harness.teachers.oracle import Oracle
from harness.teachers.prompts import Prompts
from harness.teachers.requests import FAULTS, Corrupt, Refine, request_key
from harness.world.pool import draw

PROBLEMS = draw(24, seed=5, split="train")
PERSD = Path(__file__).parents[2] / "baselines" / "prompts" / "persd"
REPAIR = Refine(PROBLEMS[0], "    return 1\n", "wrong")


def test_the_oracle_draws_the_kind_of_a_fault_that_it_may_choose() -> None:
    requests = [Corrupt(one, one.prompt + one.reference, "any") for one in PROBLEMS]
    codes = [answer.code for _, answer in Oracle().answer(requests, 0)]
    parsing = sum(parses(code) for code in codes if code)
    assert 0 < parsing < len(codes)  # syntax errors among them, and others
    assert all(code != one.correct for code, one in zip(codes, requests, strict=True))


def parses(code: str) -> bool:
    try:
        compile(code, "<fault>", "exec")
    except SyntaxError:
        return False
    return True


def test_a_teacher_that_may_choose_is_told_of_every_kind() -> None:
    [_, (_, text)] = Prompts([]).template("corrupt").render(fields(Corrupt(PROBLEMS[0], "", "any")))
    assert all(word in text for word in ("syntax", "logic", "type", "name", "endless loop"))
    assert "any" not in FAULTS  # a type that is drawn is one of the five


@pytest.mark.parametrize("folders", [[], [PERSD]])
def test_a_repair_is_asked_for_with_its_mistakes_in_words_only_where_that_is_wanted(folders: list[Path]) -> None:
    template = Prompts(folders).template("refine")
    plain, explained = (
        template.render(fields(Refine(REPAIR.problem, REPAIR.attempt, REPAIR.feedback, explain=explain)))
        for explain in (False, True)
    )
    assert "list the mistakes" in explained[-1][1]
    assert explained[-1][1].startswith(plain[-1][1]) and explained[:-1] == plain[:-1]


def test_a_repair_without_words_keeps_the_key_that_it_had() -> None:
    assert "explain" not in request_key(REPAIR)
    assert request_key(Refine(REPAIR.problem, REPAIR.attempt, REPAIR.feedback, explain=True)) == {
        **request_key(REPAIR),
        "explain": True,
    }
