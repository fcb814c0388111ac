"""Several comparisons at once: Holm's adjusted p-values, which need no assumption about dependence."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values in the order given: to reject those ≤ α keeps any false alarm to α."""
    order = sorted(range(len(ps)), key=lambda index: ps[index])
    adjusted, highest = [1.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted
