import pytest

from harness.teachers.feedback import LONGEST, cut, feedback, repair_prompt, shown
from harness.types import Check, Failure, Problem, Script, Verdict


def verdict(status, reason, fail):
    return Verdict(status, reason, fail, 0, 3, 0.0, 0.0, 0, "full")


def test_feedback_of_a_wrong_value_shows_input_output_and_expected():
    text = feedback(verdict("wrong", "", Failure("f(1)", "2", "3", visible=True)))
    assert text == "wrong value\nINPUT: f(1)\nOUTPUT: 2\nEXPECTED: 3"


@pytest.mark.parametrize(("status", "reason"), [("wrong", "f(12345) gave 67890"), ("exception", "KeyError: 'k'")])
def test_feedback_of_a_hidden_check_gives_away_neither_input_nor_value(status, reason):
    text = feedback(verdict(status, reason, Failure("f(12345)", "67890", "424242", visible=False)))
    assert not any(secret in text for secret in ("12345", "67890", "424242"))


def test_feedback_of_an_exception_names_it():
    assert "IndexError" in feedback(
        verdict("exception", "IndexError: list index out of range", Failure("f([])", "", "0", True))
    )


def test_fields_are_cut_to_fifty_words():
    assert cut(" ".join(map(str, range(80)))).split() == [str(one) for one in range(50)]


SEEN, HIDDEN = Check((1,), 2, visible=True), Check((5,), 6)
PROBLEM = Problem("p", 'def f(x):\n    """Add one."""\n', "f", (SEEN, HIDDEN), "    return x + 1\n")


@pytest.mark.parametrize("checks", [(SEEN, HIDDEN), Script("def check(candidate): ...", "check", visible=(SEEN,))])
def test_only_the_checks_that_a_problem_shows_are_shown(checks):
    assert shown(Problem("p", "", "f", checks, "")).checks == (SEEN,)


def test_a_repair_prompt_holds_attempt_and_feedback_and_ends_in_the_problems_own_prompt():
    given = PROBLEM.prompt
    text = repair_prompt(PROBLEM, "    return x\n", "wrong value\nINPUT: f(1)")
    assert text == f"# Wrong:\n{given}    return x\n# wrong value\n# INPUT: f(1)\n# Repaired:\n{given}"


def test_an_attempt_without_a_last_newline_keeps_the_feedback_on_lines_of_its_own():
    assert "    return x\n# wrong" in repair_prompt(PROBLEM, "    return x", "wrong value")


def test_a_runaway_attempt_is_cut():
    assert len(repair_prompt(PROBLEM, "    x = 1\n" * 9999, "")) < LONGEST + 2 * len(PROBLEM.prompt) + 40
