"""What the oracle answers to each kind of request."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from harness.codec import answer_from_json, answer_to_json
from harness.errors import TeacherError
from harness.teachers.base import Teacher
from harness.teachers.oracle import Oracle
from harness.teachers.requests import (
    FAULTS,
    KINDS,
    Answer,
    Corrupt,
    Judge,
    Mode,
    Pose,
    Refine,
    Request,
    Solve,
    request_key,
    rubric_total,
)
from harness.types import Check, Problem
from harness.world import pool
from harness.world.checks import edits
from harness.world.grammar import body, parse, render

PROBLEMS = pool.draw(80, seed=3, split="train")
EVEN_ADD = render(parse("pipelines/l_even>l_add:3"), visible=True)
FOREIGN = Problem("toy/1", "def f(n):\n", "f", (Check((1,), 2),), "    return n + 1\n")


def ask(request: Request, seed: int = 0) -> Answer:
    [(position, answer)] = Oracle().answer([request], seed)
    assert position == 0
    return answer


def outcome(program: str, problem: Problem) -> str:
    """Judge a program of this world's own grammar in process."""
    assert isinstance(problem.checks, tuple)
    space: dict[str, Any] = {}
    try:
        exec(program, space)
        for check in problem.checks:
            got = space["f"](*check.args)
            if (type(got), got) != (type(check.expected), check.expected):
                return "wrong"
    except (SyntaxError, NameError, TypeError) as err:
        return type(err).__name__
    return "passed"


def correct(problem: Problem) -> str:
    return problem.prompt + problem.reference


def test_the_oracle_is_a_teacher_that_serves_every_kind_of_request() -> None:
    teacher: Teacher = Oracle()
    assert teacher.capabilities == set(KINDS) and teacher.name == "oracle"


def test_a_solution_is_the_reference_and_costs_tokens() -> None:
    answer = ask(Solve(EVEN_ADD))
    assert answer.code == correct(EVEN_ADD) and outcome(answer.code, EVEN_ADD) == "passed"
    assert answer.tokens_in == 24 and answer.tokens_out > answer.tokens_in and answer.usd == 0


def test_answers_depend_on_seed_and_request_alone_not_on_the_batch() -> None:
    requests: list[Request] = [Corrupt(one, correct(one), "logic") for one in PROBLEMS[:8]]
    requests += [Pose(PROBLEMS[0], "rarer", index) for index in range(8)]
    whole = dict(Oracle().answer(requests, 1))
    assert {len(requests) - 1 - at: answer for at, answer in Oracle().answer(requests[::-1], 1)} == whole
    assert [ask(request, 1) for request in requests] == [whole[at] for at in range(len(requests))]
    assert dict(Oracle().answer(requests, 2)) != whole


def test_a_logic_fault_is_one_wrong_step_that_the_checks_show() -> None:
    answers = [ask(Corrupt(one, correct(one), "logic")) for one in PROBLEMS]
    made = [(one, answer.code) for one, answer in zip(PROBLEMS, answers, strict=True) if answer.code is not None]
    assert len(made) >= 0.95 * len(PROBLEMS)
    for problem, code in made:
        assert outcome(code, problem) == "wrong"
        steps = parse(problem.id).steps
        near = difflib.SequenceMatcher(None, code, correct(problem), autojunk=False).ratio()
        assert near > 0.5 or len(steps) == 1
    assert all(answer.reason == "no fault possible" for answer in answers if answer.code is None)


def test_a_fault_keeps_the_spelling_of_the_correct_program() -> None:
    program = EVEN_ADD.prompt + (
        "    evens = list(filter(lambda x: x % 2 == 0, xs))\n"
        "    more = list(map(lambda x: x + 3, evens))\n"
        "    return more\n"
    )
    codes = {ask(Corrupt(EVEN_ADD, program, "logic", index)).code or "" for index in range(20)}
    assert len(codes) > 5
    assert all("lambda" in code and " for x in " not in code for code in codes)


@pytest.mark.parametrize(("fault", "shown"), [("syntax", "SyntaxError"), ("type", "TypeError"), ("name", "NameError")])
def test_other_faults_give_the_error_of_their_type(fault: Any, shown: str) -> None:
    for problem in PROBLEMS:
        code = ask(Corrupt(problem, correct(problem), fault)).code
        assert code is not None and code.startswith(problem.prompt)
        assert outcome(code, problem) == shown, code


def test_a_timeout_fault_never_returns() -> None:
    code = ask(Corrupt(EVEN_ADD, correct(EVEN_ADD), "timeout")).code
    assert code is not None and "while True:\n        pass\n" in code


@pytest.mark.parametrize("fault", FAULTS)
def test_a_new_index_may_give_a_new_fault(fault: Any) -> None:
    codes = {ask(Corrupt(EVEN_ADD, correct(EVEN_ADD), fault, index)).code for index in range(12)}
    assert len(codes) > 1 or fault == "timeout"


def test_repairs_pass() -> None:
    for problem in PROBLEMS:
        steps = parse(problem.id).steps
        for _, edit in list(edits(steps))[::7]:
            attempt = body(edit, [True] * len(edit), kind=steps[0].of.source)
            code = ask(Refine(problem, attempt, "")).code
            assert code is not None and outcome(code, problem) == "passed", code


def test_a_repair_changes_only_what_is_wrong() -> None:
    attempt = (
        "    ys=list(filter(lambda x: x % 2 == 0, xs))  # evens\n"
        "    ys = list(map(lambda x: x + 4, ys))\n"
        "    return ys\n"
    )
    code = ask(Refine(EVEN_ADD, EVEN_ADD.prompt + attempt, "got 4")).code
    assert code == EVEN_ADD.prompt + attempt.replace("x + 4", "x + 3")


def test_a_repair_puts_steps_in_order_and_drops_what_is_too_much() -> None:
    attempt = "    xs = list(map(lambda x: x + 3, xs))\n    xs = sorted(xs)\n    return [x for x in xs if x % 2 == 0]\n"
    code = ask(Refine(EVEN_ADD, attempt, "")).code
    assert code is not None and outcome(code, EVEN_ADD) == "passed" and "sorted" not in code
    assert "lambda x: x + 3" in code


def test_a_repair_of_nonsense_is_the_reference() -> None:
    for attempt in ("", "    ((((\n", "    return xs\n    return 3", "I cannot.", "def f(xs):\n    x = \x00\n"):
        code = ask(Refine(EVEN_ADD, attempt, "")).code
        assert code is not None and outcome(code, EVEN_ADD) == "passed"
    assert ask(Refine(EVEN_ADD, "    ((((\n", "")).code == correct(EVEN_ADD)


def test_a_repair_keeps_no_name_that_hides_a_built_in() -> None:
    attempt = "    sorted = [x for x in xs if x % 2 == 1]\n    return sorted\n"
    problem = render(parse("pipelines/l_even>l_sort"))
    code = ask(Refine(problem, attempt, "")).code
    assert code is not None and outcome(code, problem) == "passed"


def test_repairs_are_nearer_the_attempt_than_the_direct_answer() -> None:
    gains: list[float] = []
    for problem in PROBLEMS:
        steps = parse(problem.id).steps
        kind, wrong = next(iter(edits(steps)), ("none", steps))
        attempt = problem.prompt + body(wrong, [True] * len(wrong), kind=steps[0].of.source)
        code = ask(Refine(problem, attempt, "")).code
        assert code is not None, kind
        gains.append(ratio(attempt, code) - ratio(attempt, correct(problem)))
    assert sum(gains) / len(gains) > 0.01


def ratio(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


@pytest.mark.parametrize("mode", ["rarer", "similar", "uniform"])
def test_posed_problems_are_sound_new_and_of_the_training_split(mode: Mode) -> None:
    for index, like in enumerate(PROBLEMS[:40]):
        problem = ask(Pose(like, mode, index)).problem
        if problem is None:
            continue
        assert problem.id != like.id and problem == render(parse(problem.id), visible=True)
        print_ = pool.fingerprint(parse(problem.id))
        assert print_ is not None and not pool.held_out(print_)


def test_a_rarer_problem_has_the_same_argument_and_no_operation_in_common() -> None:
    for like in PROBLEMS[:30]:
        problem = ask(Pose(like, "rarer")).problem
        assert problem is not None and problem.level == like.level
        old, new = parse(like.id).steps, parse(problem.id).steps
        assert old[0].of.source == new[0].of.source
        assert {one.operation for one in old}.isdisjoint(one.operation for one in new)


def test_rarer_problems_use_operations_that_the_pool_has_seldom() -> None:
    weights = pool.skew()

    def mean(mode: Mode) -> float:
        posed = [ask(Pose(PROBLEMS[0], mode, index)).problem for index in range(60)]
        used = [step.operation for one in posed if one is not None for step in parse(one.id).steps]
        return sum(weights[one] for one in used) / len(used)

    assert mean("rarer") < 0.5 * mean("uniform")


def test_a_similar_problem_differs_in_constants_one_operation_or_wording() -> None:
    for like in PROBLEMS[:30]:
        problem = ask(Pose(like, "similar")).problem
        if problem is not None:
            old, new = parse(like.id).steps, parse(problem.id).steps
            assert len(old) == len(new)
            assert sum(a.operation != b.operation for a, b in zip(old, new, strict=True)) <= 1


def test_uniform_problems_come_at_every_level_without_a_problem_to_start_from() -> None:
    posed = [ask(Pose(None, "uniform", index)).problem for index in range(80)]
    assert set(Counter(one.level for one in posed if one is not None)) == {1, 2, 3, 4}
    assert len({one.id for one in posed if one is not None}) > 70


def test_the_reference_gets_full_marks_in_either_spelling() -> None:
    for problem in PROBLEMS:
        steps = parse(problem.id).steps
        for attempt in (problem.reference, problem.prompt + body(steps, [True] * len(steps))):
            assert rubric_total(ask(Judge(problem, attempt)).scores) == 6.0


def test_worse_attempts_get_lower_marks() -> None:
    attempts = (
        EVEN_ADD.reference,
        "    xs = [x for x in xs if x % 2 == 0]\n    return [x + 4 for x in xs]\n",
        "    return sorted(xs)\n",
        "    return ((\n",
    )
    totals = [rubric_total(ask(Judge(EVEN_ADD, one)).scores) for one in attempts]
    assert totals == [6.0, 4.0, 2.0, 0.0]


def test_a_missing_rule_leaves_no_total() -> None:
    assert rubric_total((2.0, 1.0, None, 1.0, 1.0)) is None is rubric_total(None)
    assert rubric_total((3.0, 1.0, 0.5, -1.0, 1.0)) == 4.5


def test_problems_of_elsewhere_are_served_from_their_own_data() -> None:
    assert ask(Solve(FOREIGN)).code == correct(FOREIGN) == ask(Refine(FOREIGN, "    return n\n", "")).code
    faulty = ask(Corrupt(FOREIGN, correct(FOREIGN), "logic")).code
    assert faulty is not None and faulty != correct(FOREIGN)
    assert ask(Solve(replace(FOREIGN, reference=""))).code is None
    assert ask(Judge(FOREIGN, "    return n\n")).scores == (None,) * 5


def test_posing_like_a_problem_of_elsewhere_is_a_teacher_error() -> None:
    with pytest.raises(TeacherError, match="toy/1"):
        ask(Pose(FOREIGN, "similar"))
    with pytest.raises(TeacherError, match="like"):
        ask(Pose(None, "similar"))


def test_every_field_of_a_request_is_in_its_key() -> None:
    program = correct(EVEN_ADD)
    requests: list[Request] = [
        Solve(EVEN_ADD), Solve(EVEN_ADD, 1), Solve(EVEN_ADD, 0, 0.8), Solve(FOREIGN),
        Corrupt(EVEN_ADD, program, "logic"), Corrupt(EVEN_ADD, program, "type"), Corrupt(EVEN_ADD, "x", "logic"),
        Corrupt(EVEN_ADD, program, "logic", 1),
        Refine(EVEN_ADD, "a", "b"), Refine(EVEN_ADD, "b", "b"), Refine(EVEN_ADD, "a", "a"),
        Refine(EVEN_ADD, "a", "b", "c"), Refine(EVEN_ADD, "a", "b", index=1),
        Pose(None, "uniform"), Pose(EVEN_ADD, "uniform"), Pose(EVEN_ADD, "rarer"), Pose(EVEN_ADD, "rarer", 1),
        Judge(EVEN_ADD, "a"), Judge(EVEN_ADD, "b"), Judge(EVEN_ADD, "a", 1),
    ]  # fmt: skip
    assert len({repr(request_key(one)) for one in requests}) == len(requests)
    assert request_key(Solve(EVEN_ADD)) == request_key(Solve(replace(EVEN_ADD)))


def test_answers_survive_the_store() -> None:
    for request in (Solve(EVEN_ADD), Pose(EVEN_ADD, "rarer"), Judge(EVEN_ADD, "")):
        answer = ask(request)
        assert answer_from_json(answer_to_json(answer)) == answer
