"""Verdicts given twice."""

from __future__ import annotations

import pytest

from harness.errors import UsageError
from harness.stats.stability import stability


def test_changes_are_told_by_place_and_kind() -> None:
    found = stability(["passed", "passed", "wrong", "wrong"], ["passed", "timeout", "passed", "timeout"])
    assert (found.lost, found.gained, found.other) == ((1,), (2,), (3,))
    assert found.same.value == 0.25


def test_a_thousand_equal_verdicts_leave_room_for_a_rare_change() -> None:
    found = stability(["wrong"] * 1000, ["wrong"] * 1000)
    assert found.same.value == 1 and found.same.low == pytest.approx(0.9962, abs=1e-4)


def test_no_verdicts_are_refused() -> None:
    with pytest.raises(UsageError, match="no verdicts"):
        stability([], [])
