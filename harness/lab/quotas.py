"""Draws problems from groups by quotas; pure, what the groups mean is the recipe's to say."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TypeVar

from harness.types import Problem

Name = TypeVar("Name", bound=str)


def quotas(shares: Sequence[float], count: int, available: Mapping[Name, int]) -> dict[Name, int]:
    """Split `count` over groups in their order; an empty one's share goes to the nearest before it, else after it.

    At least one group must have something; what rounding leaves over or takes too much is the first one's.
    """
    names = list(available)
    amounts = [round(share * count) for share in shares]
    amounts[0] += count - sum(amounts)
    given: dict[Name, int] = dict.fromkeys(names, 0)
    for place, amount in enumerate(amounts):
        order = [*range(place, -1, -1), *range(place + 1, len(names))]
        given[next(names[one] for one in order if available[names[one]] > 0)] += amount
    return given


def drawn_by_quotas(
    groups: Mapping[Name, Sequence[Problem]], shares: Sequence[float], count: int, rng: random.Random
) -> list[Problem]:
    """Draw `count` problems, each group's share of it without replacement until the group is used up."""
    drawn: list[Problem] = []
    for name, amount in quotas(shares, count, {name: len(own) for name, own in groups.items()}).items():
        rounds, rest = divmod(amount, max(1, len(groups[name])))
        drawn += [*groups[name]] * rounds + rng.sample(groups[name], rest)
    return drawn
