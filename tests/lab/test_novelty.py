from dataclasses import replace

import pytest

from harness.lab.novelty import common_subsequence, novel
from harness.types import Problem


def posed(text):
    return Problem(text, f'def f(x):\n    """{text}"""\n', "f", (), "    return x\n")


@pytest.mark.parametrize(
    ("a", "b", "length"), [("abcde", "ace", 3), ("abc", "def", 0), ("aab", "aba", 2), ("", "a", 0), ("abc", "abc", 3)]
)
def test_common_subsequence_of_small_cases(a, b, length):
    assert common_subsequence(list(a), list(b)) == length


def test_a_text_as_alike_as_the_limit_is_admitted_and_above_it_is_not():
    known = novel([posed("keep the even numbers of it")], 0.7)
    assert not known.admit(posed("keep the odd numbers of it"))  # 5 of 6 words in common: 0.83
    assert known.admit(posed("sort the words by their length"))  # 1 of 6


def test_what_was_admitted_is_known_from_then_on():
    known = novel([], 0.7)
    assert known.admit(posed("double every item of the list"))
    assert not known.admit(posed("double every item of that list"))


def test_a_problem_of_the_embedded_world_is_only_compared_with_exact_copies():
    one, other, copy = (
        replace(posed(text), source="pipelines") for text in ("add 3 to it", "add 4 to it", "add 3 to it")
    )
    known = novel([one], 0.7)
    assert known.admit(other)
    assert not known.admit(copy)


def test_a_limit_of_one_refuses_exact_copies_only():
    known = novel([posed("double it")], 1.0)
    assert not known.admit(posed("double it"))
    assert known.admit(posed("double it now"))


def test_a_written_problem_of_fewer_than_four_words_is_not_admitted():
    known = novel([], 0.7)
    assert not known.admit(posed("Add two numbers")) and known.admit(posed("Sort all the given words"))
