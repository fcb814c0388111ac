"""What a recipe is handed: a student, training problems, a teacher, a sandbox, a budget and randomness.

A recipe is a generator `train(lab, cfg)` that yields the student at the end of each cycle. Everything that costs is
a call on the lab, recorded as a step; between two calls a recipe is pure. The lab holds no benchmark: only their
fingerprints, against which every problem and every training example is checked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.config import Budget, Train
from harness.decontaminate import Index
from harness.engine import Engine
from harness.errors import BudgetError, TeacherError
from harness.novelty import novel
from harness.programs import assemble, completion_of, remainder, same_ast, strip_comments
from harness.store.database import Record
from harness.store.keys import digest
from harness.students.decoding import Decoding
from harness.teachers.base import Teacher
from harness.teachers.mutate import mutate
from harness.teachers.requests import (
    FAULTS,
    Answer,
    Corrupt,
    Fault,
    Judge,
    Mode,
    Pose,
    Refine,
    Request,
    Solve,
    request_key,
    rubric_total,
)
from harness.training.objective import Margin, Objective
from harness.training.schedule import Lora, Schedule
from harness.types import Example, Problem, Sample, Spent, Student, TrainingSet, Verdict

__all__ = [  # what a recipe may import from here
    "FAULTS",
    "Answer",
    "Corrupt",
    "Example",
    "Fault",
    "Judge",
    "Lab",
    "Margin",
    "Mode",
    "Objective",
    "Pose",
    "Problem",
    "Refine",
    "Sample",
    "Solve",
    "Spent",
    "Student",
    "TrainingSet",
    "Verdict",
    "completion_of",
    "mutate",
    "novel",
    "remainder",
    "rubric_total",
    "same_ast",
    "strip_comments",
]


Order = Literal["shuffled", "as_given"]


@dataclass(frozen=True)
class Terms:
    """What every recipe of a comparison shares."""

    cycles: int
    budget: Budget
    train: Train
    threads: int
    device: str
    batch: int  # prompts generated together
    max_new_tokens: int  # of an attempt
    stop: tuple[str, ...]  # where an attempt ends: at the next statement of the top level
    cpu_s: float  # of a program on a training problem


class Lab:
    """One cell's access to the engine: it counts what is spent and stops before the budget is exceeded."""

    def __init__(
        self,
        engine: Engine,
        terms: Terms,
        student: Student,
        problems: Sequence[Problem],
        teacher: Teacher,
        index: Index,
        seed: int,
    ) -> None:
        self._engine = engine
        self._terms = terms
        self.student = student
        self._whole = {one.id: one for one in problems}  # with their references, which only the teacher may need
        self.problems = tuple(replace(one, reference="") for one in problems)  # cycles × budget.examples, if there are
        self.teacher = teacher
        self._index = index
        self.seed = seed
        self.spent = Spent()
        self.seconds = 0.0  # of the steps this cell needed, whoever ran them
        self.notes: Counter[str] = Counter()  # what a recipe wants told: counts by name
        self.counted: set[str] = set()
        self.asked: set[str] = set()  # requests so far, kept where their number is limited
        self.rows_fitted = 0
        self.updates_made = 0

    @property
    def cycles(self) -> int:
        """How many students the recipe is to yield."""
        return self._terms.cycles

    @property
    def budget(self) -> Budget:
        """What may be spent per cycle."""
        return self._terms.budget

    def rng(self, purpose: str, *ids: int | str) -> random.Random:
        """Return a generator for one purpose, derived from the cell's seed."""
        return random.Random(int(digest([self.seed, purpose, list(ids)])[:16], 16))

    def note(self, name: str, count: int = 1) -> None:
        """Add to a count that is shown beside the results (drops, retries, level sizes)."""
        self.notes[name] += count

    # --- teacher -------------------------------------------------------------------------------------------------

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Send requests to the teacher and return its answers in order.

        A posed problem that stands in a benchmark comes back without its problem and with the reason.
        Raises BudgetError before a call that the budget does not allow, TeacherError for a request that this
        teacher cannot serve.
        """
        requests = [self._full(request) for request in requests]
        lacking = {request.kind for request in requests} - self.teacher.capabilities
        if lacking:
            raise TeacherError(
                f"teacher={self.teacher.name} cannot {', '.join(sorted(lacking))}. Choose another teacher or recipe."
            )
        if self.budget.teacher_calls:
            new = {digest([self.seed if one.drawn else 0, request_key(one)]) for one in requests} - self.asked
            self._allow("teacher_calls", len(self.asked) + len(new), self.budget.teacher_calls)
            self.asked |= new
        answers: list[Answer | None] = [None] * len(requests)
        for seed in (0, self.seed):
            # Only what is drawn at random depends on the seed; the rest is shared between seeds.
            rows = [
                row
                for row, one in enumerate(requests)
                if (self.seed if one.drawn else 0) == seed and answers[row] is None
            ]
            if not rows:
                continue
            found, records = self._engine.ask(self.teacher, [requests[row] for row in rows], seed)
            for row, answer, record in zip(rows, found, records, strict=True):
                answers[row] = self._screen(answer)
                self._charge(
                    record,
                    Spent(
                        teacher_calls=1,
                        teacher_tokens_in=answer.tokens_in,
                        teacher_tokens_out=answer.tokens_out,
                        teacher_usd=answer.usd,
                    ),
                )
        return [answer for answer in answers if answer is not None]

    def completions(self, problems: Sequence[Problem], answers: Sequence[Answer]) -> list[tuple[Problem, str]]:
        """Return (problem, completion) of the answers whose program fits the problem's header; count the others."""
        asked = zip(problems, answers, strict=True)
        fitted = [(one, completion_of(one, answer.code) if answer.code else None) for one, answer in asked]
        found = [(one, text) for one, text in fitted if text is not None]
        if len(found) < len(fitted):
            self.note("answers without fitting code", len(fitted) - len(found))
        return found

    def _full(self, request: Request) -> Request:
        """Return the request with its problem's reference, which recipes do not see, put back."""
        if isinstance(request, Pose):
            return (
                request
                if request.like is None
                else replace(request, like=self._whole.get(request.like.id, request.like))
            )
        return replace(request, problem=self._whole.get(request.problem.id, request.problem))

    def _screen(self, answer: Answer) -> Answer:
        if answer.problem is None:
            return answer
        if not (reasons := self._index.hits(answer.problem)):
            self._whole.setdefault(answer.problem.id, answer.problem)
            return replace(answer, problem=replace(answer.problem, reference=""))
        self.note("posed problems that stand in a benchmark")
        return replace(answer, problem=None, reason=f"stands in a benchmark: {', '.join(reasons)}")

    # --- student and sandbox -------------------------------------------------------------------------------------

    def attempt(
        self, student: Student, problems: Sequence[Problem], temperature: float = 0.0, top_p: float = 1.0
    ) -> list[Sample]:
        """Return one attempt of the student at each problem."""
        self._allow("attempts", self.spent.student_samples + len(problems), self.budget.attempts)
        decoding = Decoding(temperature, top_p, self._terms.max_new_tokens, self._terms.stop)
        samples, records = self._engine.sample(
            student, [(one.id, one.prompt) for one in problems], decoding, self.seed, self._terms.batch
        )
        for record in records:
            self._charge(record, Spent())
        found = [own[0] for own in samples]
        self.spent += Spent(student_samples=len(found), student_tokens=sum(one.tokens for one in found))
        return found

    def judge(self, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Run prompt + completion of each pair on the problem's own checks and return the verdicts in order."""
        verdicts, records = self._engine.judge(
            [(problem, assemble(problem, text)) for problem, text in pairs], self._terms.cpu_s
        )
        for record in records:
            self._charge(record, Spent(programs=1))
        return verdicts

    def run(self, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Run prompt + completion of each pair without any check: `passed` means that it ran to its end."""
        return self.judge([(replace(problem, checks=()), completion) for problem, completion in pairs])

    # --- training ------------------------------------------------------------------------------------------------

    def fit(
        self,
        student: Student,
        examples: Sequence[Example],
        objective: Objective | None = None,
        order: Order = "shuffled",
    ) -> Student:
        """Train one cycle: `budget.updates` optimiser steps with a fresh optimiser. No examples: no training."""
        [(trained, spent, seconds)] = self._train(student, examples, objective, order, cycles=1)
        self.spent += spent
        self.seconds += seconds
        return trained

    def fit_through(
        self,
        student: Student,
        examples: Sequence[Example],
        objective: Objective | None = None,
        order: Order = "shuffled",
    ) -> Iterator[Student]:
        """Train once for all cycles' updates and yield the student at the end of each cycle's share.

        For recipes without a loop: as many updates as the others, evaluated at the same marks, under one
        learning-rate schedule over all of them.
        """
        for at_mark, spent, seconds in self._train(student, examples, objective, order, cycles=self.cycles):
            self.spent += spent
            self.seconds += seconds
            yield at_mark

    def _train(
        self, student: Student, examples: Sequence[Example], objective: Objective | None, order: Order, cycles: int
    ) -> list[tuple[Student, Spent, float]]:
        """Return the student after each of `cycles` shares of the updates, with what that share cost."""
        kept = self._screened(examples)
        if not kept:
            self.note("cycles without examples", cycles)
            return [(student, Spent(), 0.0)] * cycles
        updates = self.budget.updates
        self.rows_fitted += len(kept)
        self.updates_made += updates * cycles
        self._allow("examples", self.rows_fitted, self.budget.examples)
        self._allow("updates", self.updates_made, updates)
        settings = self._terms.train
        schedule = Schedule(
            updates=updates * cycles,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            warmup=settings.warmup,
            final_ratio=settings.final_ratio,
            max_tokens=settings.max_tokens,
            threads=self._terms.threads,
            device=self._terms.device,
            marks=tuple(updates * (cycle + 1) for cycle in range(cycles)),
            micro_batches=settings.micro_batches,
            lora=Lora(settings.lora.rank, settings.lora.alpha, settings.lora.targets) if settings.lora.rank else None,
            recompute=settings.recompute,
        )
        data = TrainingSet(tuple(kept), order)
        students, marks, record = self._engine.fit(student, data, objective or Objective(), schedule, self.seed)
        shares: list[tuple[Student, Spent, float]] = []
        examples_so_far, tokens_so_far = 0, 0
        for at_mark, mark in zip(students, marks, strict=True):
            spent = Spent(
                updates=updates,
                examples=mark["examples"] - examples_so_far,
                training_tokens=mark["tokens"] - tokens_so_far,
            )
            examples_so_far, tokens_so_far = mark["examples"], mark["tokens"]
            shares.append((at_mark, spent, record.seconds / cycles))
        return shares

    def _screened(self, examples: Sequence[Example]) -> list[Example]:
        """Leave out examples whose code is a benchmark's; their problems were checked when they came in."""
        kept = [one for one in examples if not self._index.holds_code(one.prompt + one.completion)]
        if len(kept) < len(examples):
            self.note("examples whose code stands in a benchmark", len(examples) - len(kept))
        return kept

    # --- accounts ------------------------------------------------------------------------------------------------

    def _charge(self, record: Record, spent: Spent) -> None:
        """Count a step once per cell, whether this cell ran it or found it in the store."""
        if record.key not in self.counted:
            self.counted.add(record.key)
            self.spent += spent
            self.seconds += record.seconds

    def _allow(self, key: str, wanted: float, per_cycle: float) -> None:
        limit = per_cycle * self.cycles
        if per_cycle and wanted > limit:
            raise BudgetError(
                f"budget.{key}: this recipe wants {wanted:g} in all, the budget allows {limit:g} "
                f"({per_cycle:g} × {self.cycles} cycles). Raise budget.{key}, or lower what the recipe asks for."
            )
