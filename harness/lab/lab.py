"""What a recipe is handed: a student, training problems, a teacher, a sandbox, a budget and randomness.

A recipe is a generator `train(lab, cfg)` that yields the student at the end of each cycle. Everything that costs is
a call on the lab, recorded as a step; between two calls a recipe is pure. The lab holds no benchmark: only their
fingerprints, against which every problem and every training example is checked.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from harness.decontaminate import Index
from harness.errors import TeacherError
from harness.lab.accounts import Account
from harness.lab.fits import Fits, Order
from harness.lab.terms import Terms
from harness.settings.config import Budget
from harness.source.programs import assemble, completion_of
from harness.steps.engine import Engine
from harness.store.keys import Json, digest
from harness.students.decoding import Decoding
from harness.teachers.base import Teacher
from harness.teachers.parsing import judged
from harness.teachers.requests import (
    Answer,
    Pose,
    Request,
    Solve,
    Tests,
    request_key,
)
from harness.teachers.scoring import REPLY_TOKENS, Scores, question, reply
from harness.training.objective import (
    Objective,
)
from harness.types import Check, Example, Problem, Sample, Spent, Student, TrainingSet, Verdict

Filter = Literal["tests", "runs", "none"]  # what a program must have shown to be kept


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
        logits: Callable[[], Student] | None = None,
    ) -> None:
        self._engine = engine
        self._terms = terms
        self._index = index
        self._whole = {one.id: one for one in problems}  # with their references, which only the teacher may need
        self._account = Account(terms.cycles)
        self._asked: set[str] = set()  # requests so far, kept where their number is limited
        self.student = student
        self.problems = tuple(replace(one, reference="") for one in problems)  # cycles × budget.examples, if there are
        self.teacher = teacher
        self.seed = seed
        self._fits = Fits(engine, terms, self._account, index, seed, self.rng, teacher.name, logits)

    @property
    def cycles(self) -> int:
        """How many students the recipe is to yield."""
        return self._terms.cycles

    @property
    def batch(self) -> int:
        """How many examples one optimiser step takes."""
        return self._terms.train.batch

    @property
    def spent(self) -> Spent:
        """What the cell has spent so far."""
        return self._account.spent

    @property
    def seconds(self) -> float:
        """Seconds of the steps that the cell needed so far, whoever ran them."""
        return self._account.seconds

    @property
    def training(self) -> dict[str, Json]:
        """How the last cycle's training went: each term's mean and share of the gradient; see `fits.told_of`."""
        return self._account.training

    @property
    def notes(self) -> Counter[str]:
        """What a recipe wants told beside the results: counts by name."""
        return self._account.notes

    @property
    def rows_fitted(self) -> int:
        """How many different examples have been trained on."""
        return len(self._fits.rows_fitted)

    @property
    def trained_on(self) -> tuple[Example, ...]:
        """The different examples that the student was trained on so far."""
        return tuple(self._fits.rows_fitted.values())

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
            new = {digest([self.seed if one.drawn else 0, request_key(one)]) for one in requests} - self._asked
            self._account.allow("teacher_calls", len(self._asked) + len(new), self.budget.teacher_calls)
            self._asked |= new
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
                if record.key not in self._account.counted:
                    self.notes.update(answer.notes)
                self._account.charge(
                    record,
                    Spent(
                        teacher_calls=answer.calls,
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

    def solved(self, problems: Sequence[Problem], temperatures: Sequence[float] = (0.0,)) -> list[tuple[Problem, str]]:
        """Return (problem, completion) of answers that pass; where one fails it is asked at the next temperature."""
        found: list[tuple[Problem, str]] = []
        for temperature in temperatures:
            known = {one.id for one, _ in found}
            asked = [one for one in problems if one.id not in known]
            answers = self.ask([Solve(one, temperature=temperature) for one in asked])
            found += self.passing(self.completions(asked, answers))
        return found

    def tested(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return the problems with checks; one without gets the teacher's example calls that its own answer satisfies.

        Such checks tell a program that differs from the teacher's. A problem that is left without any is dropped.
        """
        bare = [one for one in problems if one.checks == ()]
        if not bare:
            return list(problems)
        answers = self.ask([Tests(one) for one in bare])
        calls = {one.id: answer.checks or () for one, answer in zip(bare, answers, strict=True)}
        written = self.completions(bare, self.ask([Solve(one) for one in bare]))
        tried = [(replace(one, checks=(check,)), text) for one, text in written for check in calls[one.id]]
        held: dict[str, tuple[Check, ...]] = {}
        for (one, _), verdict in zip(tried, self.judge(tried), strict=True):
            if verdict.passed and isinstance(one.checks, tuple):
                held[one.id] = (*held.get(one.id, ()), *one.checks)
        if len(held) < len(bare):
            self.note("new problems without tests, dropped", len(bare) - len(held))
        own = [replace(one, checks=held.get(one.id, ())) if one.checks == () else one for one in problems]
        return [one for one in own if one.checks != ()]

    def references(self, problems: Sequence[Problem]) -> list[tuple[Problem, str]]:
        """Return (problem, completion) of the problems that came with a solution of their own; count the others."""
        found = [(one, whole.reference) for one in problems if (whole := self._whole.get(one.id)) and whole.reference]
        if len(found) < len(problems):
            self.note("problems without a solution of their own", len(problems) - len(found))
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
        reasons = self._index.hits(answer.problem)
        if reasons:
            self.note("posed problems that stand in a benchmark")
        if not reasons or self._index.keep:
            self._whole.setdefault(answer.problem.id, answer.problem)
            return replace(answer, problem=replace(answer.problem, reference=""))
        return replace(answer, problem=None, reason=f"stands in a benchmark: {', '.join(reasons)}")

    # --- student and sandbox -------------------------------------------------------------------------------------

    def attempt(
        self, student: Student, problems: Sequence[Problem], temperature: float = 0.0, top_p: float = 1.0
    ) -> list[Sample]:
        """Return one attempt of the student at each problem."""
        return [own[0] for own in self.attempts(student, problems, 1, temperature, top_p)]

    def attempts(
        self,
        student: Student,
        problems: Sequence[Problem],
        samples: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        draw: int = 0,
    ) -> list[list[Sample]]:
        """Return several attempts of the student at each problem; another `draw` gives others."""
        self._account.allow("attempts", self.spent.student_samples + len(problems) * samples, self.budget.attempts)
        decoding = Decoding(temperature, top_p, self._terms.max_new_tokens, self._terms.stop, samples)
        prompts = [(one.id, one.prompt) for one in problems]
        seed = int(digest([self.seed, draw])[:8], 16) if draw else self.seed
        found, records = self._engine.sample(student, prompts, decoding, seed, self._terms.batch)
        for record in records:
            self._account.charge(record, Spent())
        tokens = sum(one.tokens for own in found for one in own)
        self._account.add(Spent(student_samples=len(problems) * samples, student_tokens=tokens))
        return found

    def judge(self, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Run prompt + completion of each pair on the problem's own checks and return the verdicts in order."""
        verdicts, records = self._engine.judge(
            [(problem, assemble(problem, text)) for problem, text in pairs], self._terms.cpu_s
        )
        for record in records:
            self._account.charge(record, Spent(programs=1))
        return verdicts

    def run(self, pairs: Sequence[tuple[Problem, str]]) -> list[Verdict]:
        """Run prompt + completion of each pair without any check: `passed` means that it ran to its end."""
        return self.judge([(replace(problem, checks=()), completion) for problem, completion in pairs])

    def passing(self, pairs: Sequence[tuple[Problem, str]], filter: Filter = "tests") -> list[tuple[Problem, str]]:
        """Return the pairs whose program passes its problem's checks, or runs to its end, or all of them; in order."""
        if filter == "none":
            return list(pairs)
        verdicts = self.judge(pairs) if filter == "tests" else self.run(pairs)
        return [pair for pair, verdict in zip(pairs, verdicts, strict=True) if verdict.passed]

    def failing(self, pairs: Sequence[tuple[Problem, str]]) -> list[tuple[Problem, str]]:
        """Return the pairs whose program does not pass its problem's checks, in order."""
        return [pair for pair, verdict in zip(pairs, self.judge(pairs), strict=True) if not verdict.passed]

    # --- training ------------------------------------------------------------------------------------------------

    def fit(
        self,
        student: Student,
        examples: Sequence[Example],
        objective: Objective | None = None,
        order: Order = "shuffled",
    ) -> Student:
        """Train one cycle: `budget.updates` optimiser steps with a fresh optimiser. No examples: no training."""
        [share] = self._fits.train(student, examples, objective, order, cycles=1)
        self._account.add(share.spent, share.seconds)
        self._account.training = share.told
        return share.student

    def fit_through(
        self,
        student: Student,
        examples: Sequence[Example],
        objective: Objective | None = None,
        order: Order = "shuffled",
        restarts: tuple[int, ...] = (),
    ) -> Iterator[Student]:
        """Train once for all cycles' updates and yield the student at the end of each cycle's share.

        For recipes without a loop: as many updates as the others, evaluated at the same marks, under one
        learning-rate schedule over all of them; or under several, the optimiser starting afresh after `restarts`.
        """
        for share in self._fits.train(student, examples, objective, order, self.cycles, restarts):
            self._account.add(share.spent, share.seconds)
            self._account.training = share.told
            yield share.student

    def train_scorer(self, labelled: Sequence[tuple[Problem, str, Sequence[float | None]]]) -> Student:
        """Train a scoring model, from the untrained student, on attempts with their scores.

        It takes a cycle's updates beside the student's; its tokens count as training tokens, its updates are noted.
        """
        examples = tuple(Example(question(one, text), reply(scores), origin="score") for one, text, scores in labelled)
        return self._fits.scorer(self.student, TrainingSet(examples))

    def score(self, scorer: Student, pairs: Sequence[tuple[Problem, str]]) -> list[Scores | None]:
        """Return a scoring model's scores of (problem, attempt); None where its reply holds none."""
        decoding = Decoding(max_new_tokens=REPLY_TOKENS)
        prompts = [(problem.id, question(problem, text)) for problem, text in pairs]
        found, records = self._engine.sample(scorer, prompts, decoding, self.seed, self._terms.batch)
        for record in records:
            self._account.charge(record, Spent())
        self._account.add(Spent(student_tokens=sum(one.tokens for own in found for one in own)))
        return [judged(one.completion).scores for [one] in found]
