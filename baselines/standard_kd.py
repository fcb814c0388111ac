"""Sequence-level knowledge distillation (Kim & Rush 2016, arXiv 1606.07947).

The student is trained on the teacher's own answers, one per problem, as if they were the truth: cross-entropy on
teacher text instead of the teacher's distribution. No execution, no filter, no feedback.

Cost of a run: one teacher call per problem; no attempts; the budget's optimiser updates in one pass.

| paper | here | why |
|---|---|---|
| beam search output of the teacher | one greedy answer (T=0) | ours: hosted models offer no beam search |
| word-level and sequence-level mixed | pure cross-entropy on teacher text | `seqkd` of the specs; logits are another variant |
| data: the training set | `problems`, cycles × `budget.examples` of them | ours: the comparison's shared pool |
| epochs: unknown | `budget.updates` × cycles, one schedule, evaluated at each cycle's mark | ours: equal updates |
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.lab import Example, Lab, Solve, Student

REQUESTS = ("solve",)


@dataclass(frozen=True)
class Config:
    temperature: float = 0.0  # of the teacher; 0 is greedy


VARIANTS = {"seqkd": Config()}


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    answers = lab.ask([Solve(problem, temperature=cfg.temperature) for problem in lab.problems])
    examples = [
        Example(problem.prompt, text, level=problem.level, origin=f"solve {problem.id}")
        for problem, text in lab.completions(lab.problems, answers)
    ]
    yield from lab.fit_through(lab.student, examples)
