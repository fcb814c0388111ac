"""Renews a pool: asks the teacher for problems until enough of them are new. What is asked for, the recipe says."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from harness.lab.lab import Lab
from harness.lab.novelty import novel
from harness.teachers.requests import Pose
from harness.types import Problem


def new_problems(
    lab: Lab,
    seen: Collection[Problem],
    count: int,
    requests: Callable[[int, range], Sequence[Pose]],
    *,
    cycle: int,
    tries: int,
    rouge: float = 1.0,
) -> list[Problem]:
    """Return up to `count` problems that are new beside those seen, asking in at most `tries` rounds.

    `requests(turn, indices)` writes a round's requests, one for each index: an index is of one round of one cycle, so
    that no request is sent twice. `rouge` is the highest ROUGE-L F beside a known problem; 1 keeps out copies alone.
    """
    ids, known, fresh = {one.id for one in seen}, novel(seen, rouge), dict[str, Problem]()
    for turn in range(tries):
        first = (cycle * tries + turn) * count
        asked = requests(turn, range(first, first + count - len(fresh)))
        for answer in lab.ask(asked):
            if answer.problem is not None and answer.problem.id not in ids and known.admit(answer.problem):
                fresh[answer.problem.id] = answer.problem
        lab.note("new problems asked for", len(asked))
    return list(fresh.values())
