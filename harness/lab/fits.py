"""A cell's fits: examples screened and put in order, the schedule, the teacher's distributions, one call of the engine.

It knows no recipe and trains nothing itself; how a fit is made is `harness/training/`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.decontaminate import Index
from harness.errors import BudgetError, TeacherError
from harness.lab.accounts import Account
from harness.lab.staging import Curriculum, staged
from harness.lab.terms import Terms, schedule_of
from harness.steps.engine import Engine
from harness.store.keys import Json, digest
from harness.training.objective import Objective
from harness.training.on_policy import own_updates
from harness.training.whitebox import demand_lead
from harness.types import Example, Spent, Student, TrainingSet

Order = Literal["shuffled", "as_given"]


@dataclass(frozen=True)
class Share:
    """The student after one cycle's share of a fit, and what that share cost."""

    student: Student
    spent: Spent = field(default_factory=Spent)
    seconds: float = 0.0
    told: dict[str, Json] = field(default_factory=dict[str, Json])  # how the training went, see `told_of`


class Fits:
    """What one cell trains, within its budget and charged to its account."""

    def __init__(
        self,
        engine: Engine,
        terms: Terms,
        account: Account,
        index: Index,
        seed: int,
        rng: Callable[..., random.Random],
        teacher: str,
        logits: Callable[[], Student] | None,
    ) -> None:
        self._engine, self._terms, self._account, self._index, self._seed = engine, terms, account, index, seed
        self._rng = rng  # derives a generator from the cell's seed
        self._teacher = teacher  # its name, for errors
        self._logits = logits  # makes or finds the model whose distributions can be learned, when one is first needed
        self.rows_fitted: dict[str, Example] = {}  # different examples so far, by digest
        self._updates_made = 0

    def train(
        self,
        student: Student,
        examples: Sequence[Example],
        objective: Objective | None,
        order: Order,
        cycles: int,
        restarts: tuple[int, ...] = (),
    ) -> list[Share]:
        """Return the student after each of `cycles` shares of the updates, with what that share cost."""
        kept = self._screened(examples)
        if not kept:
            self._account.notes["cycles without examples"] += cycles
            return [Share(student)] * cycles
        updates = self._terms.budget.updates
        objective = self._with_teacher(objective or Objective(), updates * cycles)
        demand_lead(objective, packing=self._terms.train.packing)
        self.rows_fitted |= {digest([one.prompt, one.completion, one.rejected]): one for one in kept}
        self._updates_made += updates * cycles
        self._account.allow("examples", len(self.rows_fitted), self._terms.budget.examples)
        self._account.allow("updates", self._updates_made, updates)
        settings = self._terms.train
        if settings.order != "none" and order == "shuffled":
            rng = self._rng("order", self._updates_made)
            kept = staged(kept, Curriculum(settings.order), updates * cycles, settings.batch, rng)
            order = "as_given"
        marks_at = tuple(updates * (cycle + 1) for cycle in range(cycles))
        schedule = schedule_of(settings, self._terms.threads, self._terms.device, marks_at, restarts)
        schedule = replace(schedule, tokens=self._countable_tokens(objective))
        data = TrainingSet(tuple(kept), order)
        students, marks, record = self._engine.fit(student, data, objective, schedule, self._seed)
        self._note_told(marks[-1])
        shares: list[Share] = []
        counts, before = ("update", "examples", "tokens", "own_texts", "own_tokens"), dict[str, Any]()
        for at_mark, mark in zip(students, marks, strict=True):
            since = {name: mark.get(name, 0) - before.get(name, 0) for name in counts}
            spent = Spent(
                updates=since["update"],
                examples=since["examples"],
                training_tokens=since["tokens"],
                student_samples=since["own_texts"],
                student_tokens=since["own_tokens"],
            )
            before = mark
            shares.append(Share(at_mark, spent, record.seconds / cycles, told_of(mark)))
        return shares

    def scorer(self, student: Student, data: TrainingSet) -> Student:
        """Train a scoring model for a cycle's updates; its tokens are charged, its updates only told."""
        updates = self._terms.budget.updates
        schedule = schedule_of(self._terms.train, self._terms.threads, self._terms.device, (updates,))
        [scorer], [mark], record = self._engine.fit(student, data, Objective(), schedule, self._seed)
        self._account.charge(record, Spent(training_tokens=mark["tokens"]))
        self._note_told(mark)
        self._account.notes["updates of the scoring model"] += updates
        if self._terms.budget.training_tokens:
            self._account.notes["training tokens of the scoring model, beyond the budget's"] += mark["tokens"]
        return scorer

    def _countable_tokens(self, objective: Objective) -> int:
        """Return the training tokens of a cycle; BudgetError where the student's own texts make them unknown."""
        tokens = self._terms.budget.training_tokens
        if tokens and objective.own_texts:
            raise BudgetError(
                f"budget.training_tokens={tokens}: this recipe trains on texts that its student writes as it goes, "
                "whose tokens nobody knows before. Leave the key out, or the recipe's own texts."
            )
        return tokens

    def _note_told(self, mark: dict[str, Any]) -> None:
        """Note what a fit tells of its data, which only there are tokens: what it left out, what a cache gave it."""
        for name, count in (mark.get("left_out", {}) | mark.get("cached", {})).items():
            self._account.notes[name] += count

    def _with_teacher(self, objective: Objective, updates: int) -> Objective:
        """Return the objective with the weights whose distributions it learns, and the room of the student's own texts.

        The share of updates on such texts is lowered to what is left of the budget of attempts, and that is told.
        """
        soft = objective.soft
        if soft is None or not objective.uses_teacher:
            return objective
        if not soft.teacher:
            if self._logits is None:
                raise TeacherError(
                    f"teacher={self._teacher} gives texts only, and this recipe learns from a teacher's "
                    "distributions. Say logits=FOLDER, or take a recipe of texts (seqkd)."
                )
            soft = replace(soft, teacher=self._logits().weights)
        soft = replace(soft, top_k=soft.top_k or self._terms.train.logits_top_k)
        own, batch, budget = own_updates(updates, soft.on_policy), self._terms.train.batch, self._terms.budget
        if own and budget.attempts:
            left = max(0, budget.attempts * self._terms.cycles - self._account.spent.student_samples) // batch
            if left < own:
                self._account.notes["updates on own texts that the budget of attempts did not allow"] += own - left
                soft = replace(soft, on_policy=left / updates)
        return replace(objective, soft=replace(soft, max_new_tokens=soft.max_new_tokens or self._terms.max_new_tokens))

    def _screened(self, examples: Sequence[Example]) -> list[Example]:
        """Leave out examples that stand in a benchmark, and count them by how they matched."""
        kept: list[Example] = []
        self._account.notes["examples checked against the benchmarks"] += len(examples)
        for one in examples:
            matches = self._index.of_example(one)
            if matches:
                self._account.notes[f"examples: {matches[0]}"] += 1
            if not matches or self._index.keep:
                kept.append(one)
        return kept


def told_of(mark: dict[str, Any]) -> dict[str, Json]:
    """Return how training went since the mark before: each term's mean and, of several, its share of the gradient."""
    shares = mark.get("shares", {})
    terms: dict[str, Json] = {
        name: {"mean": mean} | ({"share": shares[name]} if name in shares else {})
        for name, mean in mark["losses"].items()
    }
    return {"terms": terms, "micro_batches": mark.get("micro_batches", 1)}
