from dataclasses import dataclass

import pytest

from harness.lab.ranges import in_range


@dataclass(frozen=True)
class Numbers:
    a: float = 0.0
    b: int = 1


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("zero_or_more", (0, 2.5), (-1,)),
        ("one_or_more", (1, 9), (0,)),
        ("above_zero", (0.1,), (0, -1)),
        ("shares", (0, 0.5, 1), (-0.1, 1.1)),
        ("inside", (0.5,), (0, 1)),
    ],
)
def test_a_range_lets_in_what_it_says(kind, good, bad):
    for value in good:
        in_range(Numbers(value), **{kind: ("a",)})
    for value in (*bad, float("inf"), float("nan")):
        with pytest.raises(ValueError, match=rf"a={value}: expected "):
            in_range(Numbers(value), **{kind: ("a",)})


def test_every_field_out_of_its_range_is_told():
    with pytest.raises(ValueError, match=r"a=-1: expected 0 or more\. b=0: expected 1 or more\."):
        in_range(Numbers(-1, 0), zero_or_more=("a",), one_or_more=("b",))
