"""The suite that any teacher must pass: `check_teacher(teacher, problems)`, with problems that it can serve."""

from __future__ import annotations

from collections.abc import Sequence

from harness.sandbox import Program, Sandbox
from harness.source.programs import completion_of
from harness.steps import codec
from harness.store.keys import canonical
from harness.teachers.base import Teacher
from harness.teachers.requests import FAULTS, KINDS, Answer, Corrupt, Judge, Pose, Refine, Request, Solve, request_key
from harness.types import Problem

WRONG = "    return 'nothing that anybody asked for'\n"


def requests_for(teacher: Teacher, problem: Problem) -> list[Request]:
    """Return one request of each kind that the teacher says it can serve."""
    correct = problem.prompt + problem.reference
    every: list[Request] = [
        Solve(problem),
        *(Corrupt(problem, correct, fault) for fault in FAULTS),
        Refine(problem, WRONG, "wrong value"),
        Pose(problem, "similar"),
        Pose(problem, "rarer"),
        Judge(problem, WRONG),
    ]
    return [one for one in every if one.kind in teacher.capabilities]


def answers(teacher: Teacher, requests: Sequence[Request], seed: int) -> list[Answer]:
    found = dict(teacher.answer(requests, seed))
    assert sorted(found) == list(range(len(requests))), f"{len(requests)} requests, answers {sorted(found)}"
    return [found[place] for place in range(len(requests))]


def check_teacher(teacher: Teacher, problems: Sequence[Problem]) -> None:
    """Raise AssertionError, saying what is missing, unless the teacher keeps the contract."""
    assert teacher.name and teacher.version >= 1
    assert teacher.capabilities <= {*KINDS, "logits"}, f"unknown capabilities {teacher.capabilities - {*KINDS}}"
    requests = [request for problem in problems for request in requests_for(teacher, problem)]
    first = answers(teacher, requests, seed=1)
    check_independence(teacher, requests, first)
    for request, answer in zip(requests, first, strict=True):
        check_answer(request, answer)
    check_programs(requests, first)


def check_independence(teacher: Teacher, requests: Sequence[Request], first: Sequence[Answer]) -> None:
    """The same request and seed give the same answer, alone or in company, in any order."""
    backwards = answers(teacher, requests[::-1], seed=1)[::-1]
    assert list(first) == backwards, "an answer depends on what else is asked"
    for place, request in enumerate(requests[:10]):
        assert answers(teacher, [request], seed=1) == [first[place]], "an answer depends on what else is asked"


def check_answer(request: Request, answer: Answer) -> None:
    where = f"{request.kind} of {canonical(request_key(request))[:80]}"
    assert answer.kind == request.kind, where
    assert codec.answer_from_json(codec.answer_to_json(answer)) == answer, f"{where}: does not survive the store"
    assert answer.tokens_in >= 0 and answer.tokens_out >= 0 and answer.usd >= 0, where
    got = {"pose": answer.problem, "judge": answer.scores}.get(request.kind, answer.code)
    assert got is not None or answer.reason, f"{where}: neither an answer nor a reason"


def check_programs(requests: Sequence[Request], found: Sequence[Answer]) -> None:
    """What is said to solve must pass, and what is said to be faulty must fail, on the problem's own checks."""
    expected: list[bool] = []
    programs: list[Program] = []
    for request, answer in zip(requests, found, strict=True):
        if isinstance(request, Solve | Refine | Corrupt) and answer.code is not None:
            problem = request.problem
            right = not isinstance(request, Corrupt)
            if right:
                assert completion_of(problem, answer.code) is not None, f"{request.kind}: does not fit the header"
            expected.append(right)
            programs.append(Program(answer.code, problem.entry_point, problem.checks, problem.prompt, cpu_s=0.3))
    with Sandbox() as sandbox:
        for place, verdict in sandbox.judge(programs):
            assert verdict.passed == expected[place], f"{verdict.status} ({verdict.reason}):\n{programs[place].source}"
