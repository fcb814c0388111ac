"""Lion and the control `uniform` against a scripted engine: which problems seed new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from baselines import uniform
from baselines.lion import Config, train
from harness.types import Check, Problem
from tests.fakes import Scripted, lab_of

ANSWER = "    first = x\n    return first + 1\n"


def problem(name: str, words: str) -> Problem:
    return Problem(name, f'def f(x):\n    """{words}"""\n', "f", (Check((1,), 2),), "")


POOL = tuple(problem(f"p{place}", " ".join(f"w{place}x{word}" for word in range(6))) for place in range(8))
HARD = {"p0", "p1", "p2"}


def referee(request: Any, lead: float = 2.0, favour: float = 1.0) -> Any:
    """A teacher that leads at HARD by `lead` points and always favours the first answer."""
    if request.kind == "rate":
        teacher_first = request.first.endswith(ANSWER)
        gap = lead if request.problem.id in HARD else 0.0
        marks = (5.0 + gap, 5.0) if teacher_first else (5.0, 5.0 + gap)
        return (marks[0] + favour, marks[1])
    if request.kind == "pose":
        return problem(f"new{request.index}", " ".join(f"n{request.index}y{word}" for word in range(6)))
    return request.problem.prompt + ANSWER


def run(teacher: Any = referee, cfg: Config | None = None, cycles: int = 2) -> Any:
    engine = Scripted(teacher, lambda key, prompt, index: "    return x\n")
    lab = lab_of(engine, POOL, cycles)
    list(train(lab, cfg or Config()))
    return engine, lab


def test_hard_is_where_the_teacher_leads_by_the_gap_whichever_answer_stands_first():
    _, lab = run()
    assert (lab.notes["cycle 1 hard"], lab.notes["cycle 1 easy"]) == (3, 5)
    _, lab = run(lambda request: referee(request, lead=0.9, favour=3.0))
    assert lab.notes["cycle 1 hard"] == 0


def test_both_answers_are_rated_in_both_orders():
    engine, _ = run()
    asked = [(one.problem.id, one.first.endswith(ANSWER), one.second.endswith(ANSWER)) for one in engine.asked("rate")]
    assert sorted(asked) == sorted((one.id, first, not first) for one in POOL for first in (True, False))


def test_new_problems_follow_hard_and_easy_ones_one_to_one():
    engine, lab = run()
    modes = [(one.mode, one.like.id in HARD) for one in engine.asked("pose")]
    assert sorted(modes) == [("rarer", False)] * 2 + [("similar", True)] * 2
    assert lab.notes["new problems kept"] == 4


@pytest.mark.parametrize("lead", [0.0, 2.0])
def test_an_empty_side_leaves_its_share_to_the_other(lead):
    everywhere = {one.id for one in POOL}
    hard = everywhere if lead else set[str]()

    def teacher(request: Any) -> Any:
        if request.kind == "rate":
            teacher_first = request.first.endswith(ANSWER)
            gap = 2.0 if request.problem.id in hard else 0.0
            return (5.0 + gap, 5.0) if teacher_first else (5.0, 5.0 + gap)
        return referee(request)

    engine, _ = run(teacher)
    assert {one.mode for one in engine.asked("pose")} == ({"similar"} if lead else {"rarer"})
    assert len(engine.asked("pose")) == 4


def test_a_problem_without_ratings_is_easy_and_told():
    _, lab = run(lambda request: (None, 5.0) if request.kind == "rate" else referee(request))
    assert lab.notes["problems without ratings"] == 8 and lab.notes["cycle 1 hard"] == 0


def test_a_teacher_that_repeats_a_problem_leaves_a_pool_of_replay():
    engine, lab = run(lambda request: POOL[0] if request.kind == "pose" else referee(request))
    assert lab.notes["new problems kept"] == 0 and lab.notes["new problems asked for"] == 4 * Config().tries
    assert {one.prompt for one in engine.trained[1]} == {one.prompt for one in POOL}


def test_the_teachers_answers_are_learned_unverified():
    engine, lab = run()
    assert engine.judged == [] and lab.spent.programs == 0
    assert {one.completion for one in engine.trained[0]} == {ANSWER}


# --- the sources of the control ---------------------------------------------------------------------------------------


def posed(source: Any) -> list[Any]:
    engine = Scripted(referee)
    list(uniform.train(lab_of(engine, POOL), uniform.Config(source=source)))
    return engine.asked("pose")


def test_a_harder_version_is_asked_of_problems_seen_before():
    found = posed("evolve")
    assert {one.mode for one in found} == {"harder"} and {one.like.id for one in found} <= {one.id for one in POOL}


def test_a_snippet_is_lines_of_an_earlier_answer():
    found = posed("snippet")
    assert {one.mode for one in found} == {"inspired"}
    assert all(one.snippet and one.snippet in ANSWER for one in found)
    assert len({one.snippet for one in found}) > 1


def test_without_answers_to_take_a_snippet_from_any_problem_is_asked_for():
    engine = Scripted(lambda request: None if request.kind == "solve" else referee(request))
    list(uniform.train(lab_of(engine, POOL), uniform.Config(source="snippet")))
    assert {one.mode for one in engine.asked("pose")} == {"uniform"}


def test_the_sources_differ_in_their_requests_alone():
    kinds = [[one.index for one in posed(source)] for source in ("uniform", "evolve", "snippet")]
    assert kinds[0] == kinds[1] == kinds[2]


def test_a_snippet_has_at_most_fifteen_lines():
    assert uniform.snippet("x = 1\n" * 40, 0.0).count("\n") == 15 and uniform.snippet("a\nb\n", 0.99) == "b\n"


def test_configurations_that_cannot_be_are_refused():
    for settings in ({"fresh": 1.5}, {"tries": 0}, {"rouge": -1.0}):
        with pytest.raises(ValueError, match="expected"):
            replace(Config(), **settings)
