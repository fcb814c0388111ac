import pytest

from baselines.persd import cut, feedback
from harness.types import Failure, Verdict


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
