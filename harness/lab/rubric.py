"""Scores attempts by the rubric of 0 to 6: asks the teacher, or a model trained on its scores, or reads the code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from harness.lab.lab import Lab
from harness.teachers.requests import Judge, rubric_total
from harness.teachers.scoring import heuristic
from harness.types import Problem, Student

By = Literal["teacher", "scorer", "heuristic"]


class Rubric:
    """Who scores a cell's attempts. A `scorer` is trained on the teacher's first scores and then takes its place."""

    def __init__(self, lab: Lab, by: By) -> None:
        self._lab, self._by = lab, by
        self._scorer: Student | None = None

    def totals(self, pairs: Sequence[tuple[Problem, str]]) -> list[float | None]:
        """Return the sum of an attempt's scores for each (problem, attempt); None where one of them is missing."""
        if self._by == "heuristic":
            scores = [heuristic(*pair) for pair in pairs]
        elif self._scorer is not None:
            scores = self._lab.score(self._scorer, pairs)
        else:
            scores = [answer.scores for answer in self._lab.ask([Judge(*pair) for pair in pairs])]
            labelled = [(*pair, given) for pair, given in zip(pairs, scores, strict=True) if given is not None]
            if self._by == "scorer" and labelled:
                self._scorer = self._lab.train_scorer(labelled)
        return [rubric_total(one) for one in scores]
