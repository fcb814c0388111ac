"""What a gate's answer says would decide it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.stats.noninferiority import Loss, Needed
from reports.verdict import Gated, decides

LOSS = Loss(-0.01, -0.05, 0.03, 0.3, 0.4, 0.02, 100, 4, 5, "t over families of problems", families=25)
OPEN = Gated("mine", "inconclusive", LOSS, 0.4, 0.02, Needed(90, None), (1, 1), (), ())


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (LOSS, "about 90 families of problems (now 25)"),
        (replace(LOSS, families=0), "about 90 problems (now 100)"),
        (replace(LOSS, families=1), "problems of other families"),
    ],
)
def test_what_would_decide_is_told_in_the_units_of_the_test(loss: Loss, said: str) -> None:
    assert said in decides(replace(OPEN, loss=loss))
