"""How the terms of each line's objective fared, as notes under a table, from a run's timings; it reads no file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from reports.checks import line_label, settings_label

SWAMPED = 0.9  # of the gradient: a term above it leaves the others next to nothing
Terms = Mapping[str, Mapping[str, float]]  # by name: `mean`, and `share` of the gradient
Places = Mapping[tuple[str, int | None, int], Terms]  # by line, seed and cycle


def training_notes(timings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the terms of lines that have several, at their final cycle, and where one of them swamps the others."""
    found: dict[tuple[str, int | None, int], Terms] = {}
    for one in timings:
        terms: Terms = one.get("training", {}).get("terms", {})
        pulling = {name: numbers for name, numbers in terms.items() if "share" in numbers}
        if len(pulling) > 1:
            found[line_label(one["recipe"], settings_label(one["settings"])), one["seed"], one["cycle"]] = pulling
    lines = list(dict.fromkeys(label for label, _, _ in found))
    if lines:
        told = "; ".join(f"{label}: {final(found, label)}" for label in lines)
        yield f"terms of the objective, final cycle, and their shares of the gradient at the student's head: {told}"
    for label in lines:
        yield from swamped(found, label)


def final(found: Places, label: str) -> str:
    """Return a line's terms after its final cycle, means of its seeds."""
    last = max(cycle for own, _, cycle in found if own == label)
    seeds = [terms for (own, _, cycle), terms in found.items() if (own, cycle) == (label, last)]
    names = list(dict.fromkeys(name for terms in seeds for name in terms))
    numbers = [[terms[name] for terms in seeds if name in terms] for name in names]
    return ", ".join(
        f"{name} {fmean(one['mean'] for one in own):.3g} ({100 * fmean(one['share'] for one in own):.0f} %)"
        for name, own in zip(names, numbers, strict=True)
    )


def swamped(found: Places, label: str) -> Iterator[str]:
    """Yield a warning for each term of a line that leaves the others next to nothing."""
    own = {(seed, cycle): terms for (line, seed, cycle), terms in found.items() if line == label}
    for name in dict.fromkeys(name for terms in own.values() for name in terms):
        where = [place for place, terms in own.items() if name in terms and terms[name]["share"] > SWAMPED]
        if where:
            first = f"seed {where[0][0]}, cycle {where[0][1]}"
            yield (
                f"{label}: {name} has over {100 * SWAMPED:.0f} % of the gradient in {len(where)} of {len(own)} cycles "
                f"(first: {first}), so its other terms hardly count; lower its weight unless that is meant"
            )
