"""Answers that are text: compared, never run."""

import dataclasses

import pytest

from harness.sandbox import Check, Program, Sandbox, Text
from harness.sandbox.judging.answers import compared, numbers
from harness.source.programs import assemble, completion_of
from harness.store.content import problem_from_json, problem_to_json
from harness.types import Problem

PRINTS = Text("# 3\n# -1.5\n", "numbers")
LINE = Text("print(a + b)", "prefix")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("-1.5", [-1.5]), ("# 3\n# -2", [3.0, -2.0]), ("nothing", []), ("# 1\n\n# 2", [1.0]), ("1.", [1.0])],
)
def test_numbers_are_read_up_to_the_first_blank_line(text, expected):
    assert numbers(text) == expected


@pytest.mark.parametrize("answer", ["# 3\n# -1.5\n", "3 -1.5", "# 3.0\n# -1.50\n\n# 9", "It prints 3 and -1.5."])
def test_the_same_numbers_pass(answer):
    assert compared(PRINTS, answer, "full").status == "passed"


@pytest.mark.parametrize("answer", ["# 3\n", "# -1.5\n# 3", "# 3\n# 1.5", "", "# 3\n# -1.5\n# 0", "\n\n3 -1.5"])
def test_other_numbers_fail(answer):
    assert compared(PRINTS, answer, "full").status == "wrong"


def test_no_numbers_equal_no_numbers_only():
    silent = Text("# \n", "numbers")
    assert compared(silent, "", "full").passed and not compared(silent, "# 0\n", "full").passed


def test_a_prefix_is_compared_over_as_many_characters_as_expected():
    assert compared(LINE, "print(a + b) # and more\n", "full").passed
    assert compared(Text("\n", "prefix"), "\nx", "full").passed
    assert not compared(LINE, "print(a + ", "full").passed


def test_a_wrong_prefix_tells_how_many_characters_are_right():
    verdict = compared(LINE, "print(a - b)", "full")
    assert (verdict.status, verdict.n_passed, verdict.n_checks) == ("wrong", 11, 12)
    assert compared(LINE, "", "full").n_passed == 0


def test_an_endless_answer_is_refused_unread():
    assert compared(PRINTS, "3 " * 10_000_000, "full").status == "refused"


def test_the_sandbox_compares_in_the_callers_order_and_sends_nothing_to_a_judge():
    answers = ["# 3\n# -1.5\n", "import os; os._exit(1)", "while True: pass"]
    programs = [Program(one, "", PRINTS) for one in answers]
    call = Program("def f():\n    return 1\n", "f", (Check((), 1),))
    with Sandbox() as sandbox:
        found = dict(sandbox.judge([*programs, call]))
        assert sandbox.reused == 0
    assert [found[at].status for at in range(4)] == ["passed", "wrong", "wrong", "passed"]
    assert all(found[at].cpu_s == 0 for at in range(3)) and found[3].wall_s > 0


def test_an_answer_stands_alone_and_survives_json():
    problem = Problem("p", "a = 1\nprint(a)\n# output\n", "", PRINTS, "# 3\n# -1.5\n", 1, "tinypy")
    assert assemble(problem, "# 3\n") == "# 3\n"
    assert completion_of(problem, problem.prompt + "# 3\n") == completion_of(problem, "# 3\n") == "# 3\n"
    assert problem_from_json(problem_to_json(problem)) == problem
    other = dataclasses.replace(problem, checks=Text(PRINTS.expected, "prefix"))
    assert problem_to_json(other) != problem_to_json(problem)
