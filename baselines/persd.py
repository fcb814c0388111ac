"""Personalised distillation, PERsD (Chen et al., EMNLP 2023, arXiv 2310.18628).

The student tries each problem once; the teacher repairs the attempts that fail, guided by the first failing check,
and the student is trained on the repairs that pass. *Input* personalisation decides which problems are trained on
(those that this student fails), *output* personalisation whose code is the label (a rewrite of its own attempt).
`stand` has neither, `inpd` the first, `persd` both: three views of one set of attempt records.

Cost of a run: one direct answer per problem of the pool, one attempt per problem, one repair per failed attempt;
the budget's optimiser updates in one pass. `stand` makes no attempt and asks for no repair.

| paper (code: SalesforceAIResearch/PersDistill) | here | why |
|---|---|---|
| attempt → run → teacher refines → fine-tune | the same | paper |
| one attempt, T=0.3, top-p 0.95 | the same | authors' code |
| feedback: first failing test, fields cut to 50 tokens | the same, from visible checks only | authors' code; visible is ours |
| teacher sees its own direct code when it refines | the same | authors' code |
| a repair is kept if it passes all tests | and if header + label passes as assembled | ours: released labels break when joined |
| from the base checkpoint, one round | the same | authors' code |
| tests: five calls from the teacher | the problem's own checks | ours: the pool has them |
| teacher temperature: unknown | 0 | ours: cacheable |
| 20 epochs, batch 1,920, lr 5e-6 | the comparison's trainer and updates, evaluated at each cycle's mark | ours: equal updates |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.lab import Answer, Example, Lab, Problem, Refine, Sample, Solve, Student, Verdict, completion_of

REQUESTS = ("solve", "refine")
FEEDBACK_WORDS = 50  # of each field of the feedback (authors' code)


@dataclass(frozen=True)
class Config:
    tasks: Literal["failed", "all"] = "failed"  # input personalisation: only problems that this student fails
    labels: Literal["refined", "direct"] = "refined"  # output personalisation: whose code is the label
    temperature: float = 0.3  # of the attempt
    top_p: float = 0.95


VARIANTS = {"inpd": Config(labels="direct"), "stand": Config(tasks="all", labels="direct")}


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    # The teacher's direct code: the label of `stand` and `inpd`, and the context of every repair.
    direct = lab.ask([Solve(problem) for problem in lab.problems])
    if cfg.tasks == "all":
        labels = passing(lab, list(zip(lab.problems, direct, strict=True)))
    else:
        # Attempt and run: F, the problems whose attempt fails, with the feedback of its first failing check.
        attempts = lab.attempt(lab.student, lab.problems, cfg.temperature, cfg.top_p)
        verdicts = lab.judge([(problem, one.completion) for problem, one in zip(lab.problems, attempts, strict=True)])
        failed = [row for row, verdict in enumerate(verdicts) if not verdict.passed]
        # Refine: R, the failed problems whose repair passes, and whose direct label passes too (equal ids).
        repairs = lab.ask([repair(lab.problems[row], attempts[row], verdicts[row], direct[row]) for row in failed])
        refined = passing(lab, [(lab.problems[row], answer) for row, answer in zip(failed, repairs, strict=True)])
        plain = passing(lab, [(lab.problems[row], direct[row]) for row in failed])
        labels = {key: (refined if cfg.labels == "refined" else plain)[key] for key in refined if key in plain}
        lab.note("failed attempts |F|", len(failed))
        lab.note("repaired |R|", len(labels))
    examples = [
        Example(one.prompt, labels[one.id], level=one.level, origin=f"{cfg.labels} {one.id}")
        for one in lab.problems
        if one.id in labels
    ]
    yield from lab.fit_through(lab.student, examples)


def repair(problem: Problem, attempt: Sample, verdict: Verdict, direct: Answer) -> Refine:
    return Refine(problem, attempt.completion, feedback(verdict), direct=direct.code or "")


def feedback(verdict: Verdict) -> str:
    """Say what went wrong at the first failing check; a hidden check gives away neither input nor value."""
    fail = verdict.first_fail
    if fail is None or not fail.visible:
        return verdict.reason.partition(":")[0] if verdict.status != "wrong" else "wrong value"
    if verdict.status != "wrong":
        return f"{verdict.reason}\nINPUT: {cut(fail.input)}"
    return f"wrong value\nINPUT: {cut(fail.input)}\nOUTPUT: {cut(fail.got)}\nEXPECTED: {cut(fail.expected)}"


def cut(text: str) -> str:
    return " ".join(text.split()[:FEEDBACK_WORDS])


def passing(lab: Lab, answers: list[tuple[Problem, Answer]]) -> dict[str, str]:
    """Return problem id → label for the answers that pass every check once joined to the problem's header."""
    labels = [(problem, completion_of(problem, answer.code)) for problem, answer in answers if answer.code]
    whole = [(problem, label) for problem, label in labels if label is not None]
    verdicts = lab.judge(whole)
    return {problem.id: label for (problem, label), verdict in zip(whole, verdicts, strict=True) if verdict.passed}
