"""The paired difference of two models' samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.scoring.evaluate import Evaluation
from harness.scoring.flips import flips


def scored(name: str, digest: str = "d", **correct: tuple[int, int]) -> Evaluation:
    return Evaluation(name, "b", 1, digest, {}, Path(), None, 0, {}, {}, correct, {}, 0, (), (), ())


def test_one_sample_each_is_tested_exactly_and_names_what_flipped() -> None:
    a = scored("a", **{f"p{n}": (int(n < 2), 1) for n in range(10)})
    b = scored("b", **{f"p{n}": (int(n > 0 and n < 8), 1) for n in range(10)})
    found = flips(a, b)
    assert found.difference == pytest.approx(0.5)
    assert found.only_first == ("p0",) and found.only_second == tuple(f"p{n}" for n in range(2, 8))
    assert found.test == "exact McNemar" and found.p == pytest.approx(0.125)  # 6:1, never the normal approximation
    assert found.low < 0.5 < found.high


def test_several_samples_are_compared_by_their_pass_rates() -> None:
    a = scored("a", **{f"p{n}": (1, 4) for n in range(12)})
    b = scored("b", **{f"p{n}": (3, 4) for n in range(12)})
    found = flips(a, b)
    assert found.difference == pytest.approx(0.5) and "permutation" in found.test and found.p < 0.01


def test_families_of_problems_are_compared_as_families() -> None:
    a = scored("a", **{f"p{n}": (0, 1) for n in range(12)})
    b = scored("b", **{f"p{n}": (int(n < 6), 1) for n in range(12)})
    families = {f"p{n}": str(n // 6) for n in range(12)}  # one family was won, the other not
    found = flips(replace(a, families=families), replace(b, families=families))
    assert (found.difference, found.test) == (0.5, "t over families of problems")
    assert flips(a, b).p < 0.05 < 0.3 < found.p


def test_problems_of_one_family_alone_leave_every_difference_possible() -> None:
    a, b = scored("a", p=(0, 1), q=(0, 1)), scored("b", p=(1, 1), q=(1, 1))
    families = {"p": "one", "q": "one"}
    found = flips(replace(a, families=families), replace(b, families=families))
    assert (found.low, found.high, found.p) == (-1.0, 1.0, 1.0)


def test_problems_that_only_one_answers_are_left_out() -> None:
    found = flips(scored("a", p=(1, 1), q=(1, 1)), scored("b", p=(0, 1)))
    assert (found.problems, found.left_out, found.difference) == (1, 1, -1.0)


@pytest.mark.parametrize(
    ("b", "said"),
    [
        (scored("b", digest="other", p=(1, 1)), "same conditions"),
        (scored("b", q=(1, 1)), "no problem in common"),
        (scored("b", p=(0, 0)), "pass@1 needs 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(b: Evaluation, said: str) -> None:
    with pytest.raises(DataError, match=said):
        flips(scored("a", p=(1, 1)), b)
