"""Several comparisons at once: Holm's adjusted p-values for what is claimed, Benjamini–Hochberg's for what is explored.

Holm keeps the chance of any false alarm, and needs no assumption about dependence. Benjamini–Hochberg keeps the
expected share of false alarms among what is called a difference; it assumes that the tests do not oppose each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

Adjust = Literal["holm", "bh"]


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the order given: to reject those ≤ α keeps any false alarm to α."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Return the adjusted p-values in the order given: of those ≤ q a share of at most q is expected to be false.

    The same as `scipy.stats.false_discovery_control`, which takes a second to import.
    """
    order = sorted(range(len(ps)), key=lambda index: ps[index], reverse=True)
    adjusted, lowest = [1.0] * len(ps), 1.0
    for place, index in enumerate(order):
        lowest = min(lowest, ps[index] * len(ps) / (len(ps) - place))
        adjusted[index] = lowest
    return adjusted


def adjusted(ps: Sequence[float], how: Adjust) -> list[float]:
    """Return the adjusted p-values in the order given."""
    return holm(ps) if how == "holm" else benjamini_hochberg(ps)
