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
| one attempt, T=0.3, top-p 0.95, at most 1,024 new tokens | the same; 96 in the embedded world, else 512 | authors' code; the length is ours: cost |
| attempt cut after the function, by its text | stop strings at the next top-level statement | ours: one rule for attempts and evaluation |
| feedback: first failing test, fields cut to 50 tokens | the same, from visible checks only | authors' code; visible is ours |
| teacher sees its own direct code when it refines | the same | authors' code |
| a repair is kept if it passes all tests | and if header + label passes as assembled, refined and direct | authors' code; assembled is ours: released labels break when joined |
| from the base checkpoint, never from another variant | the same | authors' code |
| rounds: unknown | one | ours |
| tests: five calls from the teacher | the problem's own checks | ours: the pool has them |
| teacher temperature: unknown | 0 | ours: cacheable |
| `stand`: all of the pool (shipped file: failed ones only) | all whose direct answer passes | ours: as the paper describes it |
| 20 epochs, batch 1,920, lr 5e-6, constant | the comparison's trainer and updates in one pass, evaluated at each cycle's mark | ours: equal updates |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.lab import Answer, Example, Lab, Problem, Refine, Sample, Solve, Student, Verdict

REQUESTS = ("solve", "refine")
FEEDBACK_WORDS = 50  # of each field of the feedback (authors' code)


@dataclass(frozen=True)
class Config:
    view: Literal["persd", "inpd", "stand"] = "persd"  # which problems and whose code: see above
    temperature: float = 0.3  # of the attempt
    top_p: float = 0.95

    def __post_init__(self) -> None:
        if not (self.temperature >= 0 and 0 < self.top_p <= 1):
            raise ValueError(f"temperature={self.temperature}, top_p={self.top_p}: expected 0 or more, and 0 to 1.")


VARIANTS = {"inpd": Config(view="inpd"), "stand": Config(view="stand")}


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    # The teacher's direct code: the label of `stand` and `inpd`, and the context of every repair.
    direct = lab.ask([Solve(problem) for problem in lab.problems])
    labels = passing(lab, lab.problems, direct) if cfg.view == "stand" else personal(lab, cfg, direct)
    examples = [
        Example(problem.prompt, labels[problem.id], level=problem.level, origin=f"{cfg.view} {problem.id}")
        for problem in lab.problems
        if problem.id in labels
    ]
    yield from lab.fit_through(lab.student, examples)


def personal(lab: Lab, cfg: Config, direct: Sequence[Answer]) -> dict[str, str]:
    """Return problem id → label for R: problems whose attempt fails, whose repair and whose direct label pass."""
    # Attempt and run: F, the problems whose attempt fails, with the feedback of its first failing check.
    attempts = lab.attempt(lab.student, lab.problems, cfg.temperature, cfg.top_p)
    verdicts = lab.judge([(one, attempt.completion) for one, attempt in zip(lab.problems, attempts, strict=True)])
    failed = [row for row, verdict in enumerate(verdicts) if not verdict.passed]
    problems = [lab.problems[row] for row in failed]
    # Refine: the teacher repairs each failed attempt; a repair that does not pass is dropped.
    repairs = lab.ask([repair(lab.problems[row], attempts[row], verdicts[row], direct[row]) for row in failed])
    refined = passing(lab, problems, repairs)
    plain = passing(lab, problems, [direct[row] for row in failed])
    labels = refined if cfg.view == "persd" else plain
    lab.note("failed attempts |F|", len(failed))
    lab.note("repaired |R|", len(refined.keys() & plain.keys()))
    return {key: labels[key] for key in refined if key in plain}  # equal ids for both views


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


def passing(lab: Lab, problems: Sequence[Problem], answers: Sequence[Answer]) -> dict[str, str]:
    """Return problem id → label for the answers that pass every check once joined to the problem's header."""
    written = lab.completions(problems, answers)
    judged = zip(written, lab.judge(written), strict=True)
    return {problem.id: label for (problem, label), verdict in judged if verdict.passed}
