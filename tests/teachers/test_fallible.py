"""The oracle that errs at a rate and varies its spellings."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from harness.comparison.base import EMBEDDED, logits_source
from harness.sandbox import Program, Sandbox
from harness.settings.config import Run
from harness.source.syntax import normal_form
from harness.steps import codec
from harness.store.database import Store
from harness.store.keys import Json, digest
from harness.teachers.fallible import Fallible
from harness.teachers.opening import Terms, open_teacher
from harness.teachers.oracle import Oracle
from harness.teachers.requests import Answer, Corrupt, Judge, Pose, Rate, Refine, Request, Solve, rubric_total
from harness.teachers.settings import Teaching, check
from harness.terminal.texts import about
from harness.types import Check, Problem
from harness.world import pool, tinypy
from harness.world.grammar import parse, render
from tests.contracts.teacher import requests_for
from tests.teachers.test_oracle import correct, outcome
from tests.teachers.test_replay import write_run

PROBLEMS = pool.draw(200, seed=3, split="train")
WRONG = "    return 'nothing that anybody asked for'\n"
GOLDEN = {201: "1804b8d296080b4bafd741da6111e14bad303b832f8e383784e8169955db8387"}


def ask(requests: list[Request], errs: float, *, varies: bool = False, seed: int = 0) -> list[Answer]:
    return [answer for _, answer in Fallible(errs, varies).answer(requests, seed)]


def wrong(requests: list[Request], answers: list[Answer]) -> set[int]:
    found: set[int] = set()
    for at, (request, answer) in enumerate(zip(requests, answers, strict=True)):
        assert isinstance(request, Solve | Refine | Corrupt) and answer.code is not None
        found |= {at} if outcome(answer.code, request.problem) != "passed" else set()
    return found


def test_at_its_defaults_the_embedded_teacher_is_the_oracle_that_never_errs() -> None:
    assert type(open_teacher(Teaching(), Terms())) is Oracle
    requests = [request for one in PROBLEMS[:10] for request in requests_for(Oracle(), one)]
    assert ask(requests, 0.0) == [answer for _, answer in Oracle().answer(requests, 0)]


def test_every_setting_has_answers_of_its_own_in_the_store() -> None:
    settings = [Teaching(errs=errs, varies=varies) for errs in (0.0, 0.3, 0.31) for varies in (False, True)]
    names = [open_teacher(one, Terms()).name for one in settings]
    assert names == [one.label for one in settings] and len(set(names)) == len(names)
    assert (names[0], names[3]) == ("oracle", "oracle errs=0.3 varies=true")


def test_a_replay_looks_up_the_answers_of_the_teacher_that_gave_them(tmp_path: Path) -> None:
    with Store(tmp_path / "store"):
        pass
    run = write_run(tmp_path, Teaching(errs=0.3))
    replayed = open_teacher(Teaching(name=f"replay:{run}"), Terms())
    assert (replayed.name, replayed.version) == ("oracle errs=0.3", Fallible.version)


def test_tables_name_its_habits_and_recipes_still_find_the_embedded_distributions() -> None:
    run = Run(teacher=Teaching(errs=0.3))
    facts = {"teacher": dataclasses.asdict(run.teacher), "student": run.student, "problems": run.problems}
    assert about(facts)["teacher"] == "oracle errs=0.3"
    assert logits_source(run, open_teacher(run.teacher, Terms())) == EMBEDDED


def test_its_answers_are_those_of_its_version() -> None:
    teacher = Fallible(0.5, varies=True)
    requests = [request for one in PROBLEMS[:8] for request in (*requests_for(teacher, one), Solve(one, 1, 0.8))]
    content: list[Json] = [codec.answer_to_json(answer) for _, answer in teacher.answer(requests, 1)]
    assert digest(content) == GOLDEN[teacher.version]


@pytest.mark.parametrize("varies", [False, True])
def test_the_share_that_is_told_of_the_solutions_is_wrong(varies: bool) -> None:
    requests: list[Request] = [Solve(one, draw, 0.8) for one in PROBLEMS for draw in range(3)]
    share = len(wrong(requests, ask(requests, 0.3, varies=varies))) / len(requests)
    assert abs(share - 0.3) < 3 * math.sqrt(0.3 * 0.7 / len(requests))


def test_a_wrong_solution_has_a_wrong_step_and_no_other_kind_of_fault() -> None:
    requests: list[Request] = [Solve(one) for one in PROBLEMS]
    answers = ask(requests, 1.0)
    outcomes = [outcome(one.code or "", problem) for one, problem in zip(answers, PROBLEMS, strict=True)]
    assert set(outcomes) == {"wrong"}
    assert all((one.code or "").startswith(problem.prompt) for one, problem in zip(answers, PROBLEMS, strict=True))


def test_what_is_wrong_at_one_rate_is_wrong_at_a_higher_one_whether_or_not_draws_vary() -> None:
    requests: list[Request] = [Solve(one, 0, 0.8) for one in PROBLEMS]
    few, many = wrong(requests, ask(requests, 0.2)), wrong(requests, ask(requests, 0.4))
    assert few < many and few == wrong(requests, ask(requests, 0.2, varies=True))


def test_draws_and_seeds_err_by_themselves() -> None:
    draws = [[Solve(one, draw, 0.8) for one in PROBLEMS] for draw in range(2)]
    first, second = (wrong([*own], ask([*own], 0.5)) for own in draws)
    other = wrong([*draws[0]], ask([*draws[0]], 0.5, seed=1))
    assert first - second and second - first and first != other


def test_a_greedy_solution_is_spelt_as_the_oracle_spells_it_and_drawn_ones_differ() -> None:
    greedy, drawn = ask([Solve(one) for one in PROBLEMS], 0.0, varies=True), [Solve(one, 3, 0.8) for one in PROBLEMS]
    assert [one.code for one in greedy] == [correct(one) for one in PROBLEMS]
    answers = ask([*drawn], 0.0, varies=True)
    assert not wrong([*drawn], answers)
    assert sum(one.code != correct(problem) for one, problem in zip(answers, PROBLEMS, strict=True)) > 100


def test_a_higher_temperature_spells_more_differently() -> None:
    def forms(temperature: float) -> float:
        requests: list[Request] = [Solve(one, draw, temperature) for one in PROBLEMS[:40] for draw in range(8)]
        codes = [one.code or "" for one in ask(requests, 0.0, varies=True)]
        return sum(len({normal_form(code) for code in codes[at : at + 8]}) for at in range(0, len(codes), 8)) / 40

    assert 1 <= forms(0.1) < 1.5 < forms(0.6) < forms(1.0) < 8


def test_a_wrong_repair_is_the_right_one_but_for_a_step() -> None:
    requests: list[Request] = [Refine(one, WRONG, "") for one in PROBLEMS]
    assert len(wrong(requests, ask(requests, 1.0))) >= 0.97 * len(requests)
    assert not wrong(requests, ask(requests, 0.0))


def test_a_fault_that_is_none_passes() -> None:
    requests: list[Request] = [Corrupt(one, correct(one), "logic") for one in PROBLEMS[:60]]
    assert not wrong(requests, ask(requests, 1.0))


def test_scores_of_a_right_program_are_noise() -> None:
    requests: list[Request] = [Judge(one, one.reference) for one in PROBLEMS]
    totals = [rubric_total(one.scores) for one in ask(requests, 1.0)]
    assert None not in totals and 2.5 < sum(one or 0.0 for one in totals) / len(totals) < 3.5
    assert sum(rubric_total(one.scores) == 6.0 for one in ask(requests, 0.25)) > 140


def test_a_wrong_rating_is_the_other_way_round() -> None:
    request = Rate(PROBLEMS[0], PROBLEMS[0].reference, WRONG)
    [right], [swapped] = ask([request], 0.0), ask([request], 1.0)
    assert right.scores is not None
    best, worst = right.scores
    assert best is not None and worst is not None and best > worst
    assert swapped.scores == right.scores[::-1] and swapped.text.split() == right.text.split()[::-1]


def test_a_problem_that_was_not_asked_for_is_sound_and_of_the_training_split() -> None:
    likes = [one for one in PROBLEMS if one.level == 2][:40]
    found = [one.problem for one in ask([Pose(like, "similar") for like in likes], 1.0)]
    assert {one.level for one in found if one is not None} == {1, 2, 3, 4}
    for one in found:
        assert one is not None and one == render(parse(one.id), visible=True)
        print_ = pool.fingerprint(parse(one.id))
        assert print_ is not None and not pool.held_out(print_)


def test_a_wrong_output_of_a_program_is_no_answer_to_it() -> None:
    problems = tinypy.pool(120, seed=1)
    answers = ask([Solve(one) for one in problems], 1.0)
    programs = [
        Program((answer.code or "").removeprefix(one.prompt), "", one.checks)
        for one, answer in zip(problems, answers, strict=True)
    ]
    with Sandbox() as box:
        assert {verdict.status for _, verdict in box.judge(programs)} == {"wrong"}


def test_a_problem_of_elsewhere_gets_an_edit_of_its_reference_or_the_same_spelling() -> None:
    foreign = Problem("toy/1", "def f(n):\n", "f", (Check((1,), 2),), "    return n + 1\n")
    [edited] = ask([Solve(foreign)], 1.0)
    assert (
        edited.code is not None and edited.code not in ("", correct(foreign)) and edited.code.startswith(foreign.prompt)
    )
    assert ask([Solve(foreign, 1, 0.8)], 0.0, varies=True)[0].code == correct(foreign)
    assert ask([Judge(foreign, "")], 1.0)[0].scores == (None,) * 5


@pytest.mark.parametrize("errs", [-0.1, 1.5])
def test_a_rate_outside_0_to_1_is_refused(errs: float) -> None:
    [told] = check(Teaching(errs=errs))
    assert told == f"teacher.errs={errs}: expected a share from 0 to 1."


def test_errors_on_request_are_refused_where_the_embedded_teacher_is_not_asked() -> None:
    model = Teaching(name="openai:big", errs=0.2, varies=True)
    [told] = check(model)
    assert told.startswith("teacher.errs=0.2 teacher.varies=true: only the embedded teacher") and "openai:big" in told
    assert check(Teaching(name="openai:big", judge="oracle", errs=0.2)) == []


def test_only_the_member_that_is_the_oracle_errs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")
    teacher = open_teacher(Teaching(name="openai:big", judge="oracle", errs=0.2), Terms(allow_unpriced=True))
    assert teacher.name == "openai:big judge=oracle errs=0.2"
