"""What the oracle answers to each kind of request."""

from __future__ import annotations

import copy
import difflib
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from harness.errors import TeacherError
from harness.sandbox import Program, Sandbox
from harness.steps.codec import answer_from_json, answer_to_json
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
from harness.world.grammar import body, indented, parse, render
from harness.world.grammar import code as code_of

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
            got = space["f"](*copy.deepcopy(check.args))  # a spelling may change its argument
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


def test_off_by_one_and_a_wrong_default_for_empty_input_are_among_the_logic_faults() -> None:
    problem = render(parse("pipelines/l_gt:17>l_len"))
    codes = {ask(Corrupt(problem, correct(problem), "logic", index)).code or "" for index in range(80)}
    assert any("x >= 17" in code for code in codes)
    guarded = [code for code in codes if "if not xs:" in code]
    assert guarded and all(outcome(code, problem) == "wrong" for code in codes)


def test_a_cap_that_takes_its_bound_in_is_no_fault() -> None:
    problem = render(parse("pipelines/n_cap:9"))
    program = problem.prompt + "    if n > 9:\n        n = 9\n    return n\n"
    assert not any(">=" in (ask(Corrupt(problem, program, "logic", index)).code or "") for index in range(40))


@pytest.mark.parametrize("fault", FAULTS)
def test_programs_in_any_spelling_get_faults_of_every_type(fault: Any) -> None:
    rng = random.Random(0)
    shown = {"syntax": "SyntaxError", "type": "TypeError", "name": "NameError", "logic": "wrong"}
    for problem in PROBLEMS:
        steps = parse(problem.id).steps
        program = problem.prompt + body(steps, [rng.randrange(len(one.of.spellings)) for one in steps])
        code = ask(Corrupt(problem, program, fault)).code
        assert code is not None or fault == "logic"
        if code is not None and fault != "timeout":
            assert outcome(code, problem) == shown[fault], code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "statuses", "shown"),
    [
        ("syntax", {"exception"}, "SyntaxError"),
        ("name", {"exception"}, "NameError"),
        ("type", {"exception"}, "TypeError"),
        ("logic", {"wrong"}, "value"),
        ("timeout", {"timeout"}, ""),
    ],
)
def test_the_sandbox_gives_each_fault_the_verdict_of_its_type(fault: Any, statuses: set[str], shown: str) -> None:
    rng = random.Random(1)
    programs: list[Program] = []
    for problem in PROBLEMS[:20]:
        steps = parse(problem.id).steps
        right = problem.prompt + body(steps, [rng.randrange(len(one.of.spellings)) for one in steps])
        code = ask(Corrupt(problem, right, fault)).code
        programs += [Program(code, "f", problem.checks, cpu_s=0.2)] if code is not None else []
    with Sandbox(workers=1) as box:
        verdicts = dict(box.judge(programs))
    assert len(verdicts) >= 15 and {one.status for one in verdicts.values()} == statuses
    assert all(shown in one.reason for one in verdicts.values())


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
            attempt = body(edit, [-1] * len(edit), kind=steps[0].of.source)
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


def test_a_repair_keeps_a_loop_and_mends_its_constant() -> None:
    attempt = (
        "    kept = []\n    for x in xs:\n        if x % 2 == 0:\n            kept.append(x)\n"
        "    for i in range(len(kept)):\n        kept[i] = kept[i] + 4\n    return kept\n"
    )
    code = ask(Refine(EVEN_ADD, EVEN_ADD.prompt + attempt, "got 4")).code
    assert code == EVEN_ADD.prompt + attempt.replace("+ 4", "+ 3")


def test_a_wrong_operation_is_repaired_in_the_manner_of_its_line() -> None:
    attempt = (
        "    ys = []\n    for x in xs:\n        if x % 2 == 1:\n            ys.append(x)\n"
        "    return [x + 3 for x in ys]\n"
    )
    code = ask(Refine(EVEN_ADD, EVEN_ADD.prompt + attempt, "got []")).code
    assert code == EVEN_ADD.prompt + attempt.replace("== 1", "== 0")


def test_a_statement_that_is_right_stays() -> None:
    problem = render(parse("pipelines/l_sort>l_append:5"))
    attempt = "    xs.sort()\n    xs.append(6)\n    return xs\n"
    assert ask(Refine(problem, attempt, "")).code == problem.prompt + attempt.replace("6", "5")


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


def test_a_loop_never_fills_the_variable_that_it_reads() -> None:
    attempt = (
        "    s = ''.join('-' if c == 'e' else c for c in s)\n    n = ''.join('-' if c == 'b' else c for c in s)\n"
        "    n = 0\n    for c in n:\n        if c == 'd':\n            n += 1\n    return n\n"
    )
    problem = render(parse("pipelines/s_replace:e>s_replace:c>s_count:d"))
    code = ask(Refine(problem, attempt, "")).code
    assert code is not None and outcome(code, problem) == "passed"


def test_a_repair_of_any_names_and_spellings_is_the_right_chain() -> None:
    rng = random.Random(0)
    for problem in PROBLEMS:
        steps = parse(problem.id).steps
        for _, edit in list(edits(steps))[::5]:
            written, current = list[str](), steps[0].of.source
            for one in edit:
                way, name = rng.randrange(len(one.of.spellings)), rng.choice(["", "xs", "n", "s", "ys", "result"])
                text, current = code_of(one, way, current, name, returns=False)
                written.append(text)
            attempt = indented([*written, f"return {current}"])
            code = ask(Refine(problem, attempt, "")).code
            assert code is not None and outcome(code, problem) == "passed", attempt


def test_an_expression_whose_value_is_thrown_away_is_no_step() -> None:
    problem = render(parse("pipelines/s_append:r"))
    code = ask(Refine(problem, "    ''.join([s, 'r'])\n    return s\n", "")).code
    assert code is not None and outcome(code, problem) == "passed"


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
        attempt = problem.prompt + body(wrong, [1] * len(wrong), kind=steps[0].of.source)
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
        for attempt in (problem.reference, problem.prompt + body(steps, [1] * len(steps))):
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
