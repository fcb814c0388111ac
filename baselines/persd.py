"""Personalised distillation, PERsD (Chen et al., EMNLP 2023, arXiv 2310.18628).

The student tries each problem once; the teacher repairs the attempts that fail, guided by the first failing check,
and the student is trained on the repairs that pass. *Input* personalisation decides which problems are trained on
(those that this student fails), *output* personalisation whose code is the label (a rewrite of its own attempt).
`stand` has neither, `inpd` the first, `persd` both. A row asks for code, or (`-refine`) for the repair of the attempt
with its feedback, or (`-combine`) there are both. All are views of one set of attempt records.

Cost of a round: one direct answer, one attempt per problem, `repairs` repairs per failed attempt; the budget's
optimiser updates. `stand` makes no attempt and asks for no repair.

| paper (code: SalesforceAIResearch/PersDistill) | here | why |
|---|---|---|
| attempt → run → teacher refines → fine-tune | the same | paper |
| one attempt, T=0.3, top-p 0.95, at most 1,024 new tokens | the same; 96 in the embedded world, else 512 | authors' code; the length is ours: cost |
| attempt cut after the function, by its text | stop strings at the next top-level statement | ours: one rule for attempts and evaluation |
| feedback: first failing test, fields cut to 50 tokens | the same, from visible checks only | authors' code; visible is ours |
| teacher sees its own direct code when it refines | the same | authors' code |
| a repair is kept if it passes all tests | and if header + label passes as assembled, refined and direct | authors' code; assembled is ours: released labels break when joined |
| `inpd`: t → direct; `persd`: t → refined; `-refine`: the repair prompt → either | the same | authors' code |
| `inpd-combine`: both of its kinds; `persd-combine`: repair prompt → refined, t → direct | the same | authors' code |
| repair prompt: filled in training, empty at inference | one wording of ours, filled alike in both | ours: the same slots |
| an attempt that is shown again: whole | cut to 1,500 characters | ours: a runaway one fills the context |
| from the base checkpoint, never from another variant | the same | authors' code |
| rounds; what a second one trains on: unknown | one; its own rows alone | ours |
| what a second round starts from: unknown | the current student; from the base with `restart=true`, whose last student lacks the earlier rounds' updates | ours: equal updates |
| attempts of a round on all of the pool | on as many problems as the attempts allow | ours: equal cost |
| tests: five calls from the teacher | the problem's own checks | ours: the pool has them |
| teacher temperature: unknown | 0 for the first repair | ours: cacheable |
| `stand`: all of the pool (shipped file: failed ones only) | all whose direct answer passes | ours: as the paper describes it |
| 20 epochs, batch 1,920, lr 5e-6, constant | the comparison's trainer and updates in one pass, evaluated at each cycle's mark | ours: equal updates |
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from harness.lab import (
    Answer,
    Example,
    Lab,
    Problem,
    Refine,
    Sample,
    Solve,
    Student,
    Verdict,
    feedback,
    in_range,
    repair_prompt,
)

Item = TypeVar("Item")  # a problem or a record


@dataclass(frozen=True)
class Ablation:
    own_code: bool = True  # the teacher sees its direct code when it repairs
    feedback: bool = True  # the teacher sees what running the attempt showed
    mistakes: bool = False  # the teacher first lists the attempt's mistakes in words, then repairs it
    filter: bool = True  # off: repairs and direct answers that fail are labels too
    mix_gold: bool = False  # t → direct beside t → refined for the same problem
    two_gold: bool = False  # t → a second direct answer as well, where one differs and passes
    combine: Literal["direct", "refined"] = "direct"  # label of the code row of `persd-combine`


@dataclass(frozen=True)
class Config:
    problems: Literal["failed", "all"] = "failed"  # input personalisation: those that this student fails, or the pool
    labels: Literal["refined", "direct"] = "refined"  # output personalisation: a rewrite of its attempt, or not
    rows: Literal["code", "refine", "combine"] = "code"  # what a row asks for
    temperature: float = 0.3  # of the attempt
    top_p: float = 0.95
    repairs: int = 1  # asked for a failed attempt, the first passing one is used
    rounds: int = 1  # first cycles that begin with attempts of the current student
    restart: bool = False  # a further round trains from the base student; off: from the current one
    union: bool = False  # a further round trains on earlier rounds' records too
    share: float = 1.0  # of the rows' problems that is kept, drawn by the seed
    ablation: Ablation = field(default_factory=Ablation)

    def __post_init__(self) -> None:
        in_range(self, zero_or_more=("temperature",), one_or_more=("repairs", "rounds"))
        in_range(self, above_zero=("top_p", "share"), shares=("top_p", "share"))
        if self.problems == "all" and (self.labels, self.rows, self.rounds) != ("direct", "code", 1):
            raise ValueError("problems=all makes no attempts: expected labels=direct, rows=code and rounds=1 with it.")


VARIANTS = {
    "stand": Config(problems="all", labels="direct"),
    "inpd": Config(labels="direct"),
    "inpd-refine": Config(labels="direct", rows="refine"),
    "inpd-combine": Config(labels="direct", rows="combine"),
    "persd-refine": Config(rows="refine"),
    "persd-combine": Config(rows="combine"),
}
ABOUT = {
    "persd": "repairs of the student's failed attempts",
    "persd-refine": "such repairs, asked for as repairs",
    "persd-combine": "repairs as repairs, direct answers as code",
    "inpd": "direct answers where the student failed",
    "inpd-refine": "direct answers, asked for as repairs",
    "inpd-combine": "the rows of inpd and of inpd-refine",
    "stand": "direct answers to the whole pool that pass",
}


def needs(cfg: Config) -> tuple[str, ...]:
    return ("solve", *(("refine",) if cfg.problems == "failed" else ()), "checks")


@dataclass(frozen=True)
class Record:
    """What is known of one problem in one round; the attempts that passed leave no record."""

    place: int  # among all problems of all rounds
    problem: Problem
    attempt: str  # a completion that fails
    told: str  # the feedback on it
    direct: str  # completion, as the teacher first wrote it
    refined: str  # completion, as it repaired the attempt
    second: str = ""  # completion, as the teacher wrote it at another draw, where that differs from `direct`


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    if cfg.problems == "all":  # neither personalisation: no attempt, no repair
        yield from lab.fit_through(lab.student, plain_rows(lab, cfg))
    elif cfg.rounds == 1:
        yield from lab.fit_through(lab.student, view(collect(lab, cfg, 0, lab.student), cfg))
    else:
        yield from in_rounds(lab, cfg)


def in_rounds(lab: Lab, cfg: Config) -> Iterator[Student]:
    """Collect anew in each of the first cycles; later ones train on with the last round's rows."""
    student, records = lab.student, list[Record]()
    for cycle in range(lab.cycles):
        start = student
        if cycle < cfg.rounds:
            found = collect(lab, cfg, cycle, student)
            records = records + found if cfg.union else found
            start = lab.student if cfg.restart else student
        student = lab.fit(start, view(records, cfg))
        yield student


def plain_rows(lab: Lab, cfg: Config) -> list[Example]:
    found = passing(lab, cfg, lab.problems, lab.ask([Solve(one) for one in lab.problems]))
    chosen = thinned(lab, cfg, [one for one in lab.problems if one.id in found], rows_each=1)
    return [Example(one.prompt, found[one.id], level=one.level, origin=f"direct {one.id}") for one in chosen]


def collect(lab: Lab, cfg: Config, turn: int, student: Student) -> list[Record]:
    """Return the records of R: problems whose attempt fails, whose repair and whose direct label pass."""
    pool = lab.problems[: lab.budget.attempts * lab.cycles // cfg.rounds or None]
    direct = lab.ask([Solve(problem) for problem in pool])
    # Attempt and run: F, the problems whose attempt fails, with the feedback of its first failing check.
    attempts = [one for [one] in lab.attempts(student, pool, 1, cfg.temperature, cfg.top_p, draw=turn)]
    verdicts = lab.judge([(one, attempt.completion) for one, attempt in zip(pool, attempts, strict=True)])
    failed = [row for row, verdict in enumerate(verdicts) if not verdict.passed]
    # Refine: the teacher repairs each failed attempt; a repair that does not pass is asked for again, then dropped.
    refined: dict[str, str] = {}
    for index in range(cfg.repairs):
        rows = [row for row in failed if pool[row].id not in refined]
        asked = [repair(cfg, pool[row], attempts[row], verdicts[row], direct[row], index) for row in rows]
        refined |= passing(lab, cfg, [pool[row] for row in rows], lab.ask(asked))
    plain = passing(lab, cfg, [pool[row] for row in failed], [direct[row] for row in failed])
    second = again(lab, cfg, [pool[row] for row in failed], plain) if cfg.ablation.two_gold else {}
    records = [
        Record(
            turn * len(pool) + row,
            one,
            attempts[row].completion,
            feedback(verdicts[row]),
            plain[one.id],
            refined[one.id],
            second.get(one.id, ""),
        )
        for row, one in ((row, pool[row]) for row in failed)
        if one.id in refined and one.id in plain  # equal ids for all views
    ]
    lab.note("failed attempts |F|", len(failed))
    lab.note("repaired |R|", len(records))
    more = cfg.ablation.mix_gold + cfg.ablation.two_gold
    return thinned(lab, cfg, records, rows_each=(2 if cfg.rows == "combine" else 1) + more)


def repair(cfg: Config, problem: Problem, attempt: Sample, verdict: Verdict, direct: Answer, index: int) -> Refine:
    told = feedback(verdict) if cfg.ablation.feedback else ""
    own = (direct.code or "") if cfg.ablation.own_code else ""
    return Refine(problem, attempt.completion, told, direct=own, index=index, explain=cfg.ablation.mistakes)


def again(lab: Lab, cfg: Config, problems: Sequence[Problem], plain: dict[str, str]) -> dict[str, str]:
    """Return problem id → a second direct label that passes, drawn at a temperature, where it is not the first."""
    found = passing(lab, cfg, problems, lab.ask([Solve(one, index=1, temperature=0.8) for one in problems]))
    return {key: label for key, label in found.items() if label != plain.get(key)}


def passing(lab: Lab, cfg: Config, problems: Sequence[Problem], answers: Sequence[Answer]) -> dict[str, str]:
    """Return problem id → label for the answers that pass every check once joined to the problem's header."""
    written = lab.completions(problems, answers)
    kept = lab.passing(written) if cfg.ablation.filter else written
    return {problem.id: label for problem, label in kept}


def thinned(lab: Lab, cfg: Config, found: list[Item], rows_each: int) -> list[Item]:
    """Return the share that is asked for, and no more than the budget of examples allows, in the same order."""
    most = lab.budget.examples * lab.cycles // cfg.rounds // rows_each or len(found)
    wanted = min(round(cfg.share * len(found)), most)
    places = sorted(lab.rng("rows", wanted).sample(range(len(found)), wanted))
    return [found[place] for place in places]


def view(records: Iterable[Record], cfg: Config) -> list[Example]:
    """Return the rows of a variant: a pure function of the records, whatever order they come in."""
    found: list[Example] = []
    for one in sorted(records, key=lambda record: record.place):
        label = one.refined if cfg.labels == "refined" else one.direct
        code_label = one.direct if cfg.rows == "combine" and cfg.ablation.combine == "direct" else label
        prompts: list[tuple[str, str, str]] = []
        if cfg.rows != "code":
            prompts.append(("repair", repair_prompt(one.problem, one.attempt, one.told), label))
        if cfg.rows != "refine":
            prompts.append(("code", one.problem.prompt, code_label))
        if cfg.ablation.mix_gold:
            prompts.append(("gold", one.problem.prompt, one.direct))
        if cfg.ablation.two_gold and one.second:
            prompts.append(("second", one.problem.prompt, one.second))
        found += [
            Example(prompt, text, level=one.problem.level, origin=f"{what} {one.problem.id}")
            for what, prompt, text in prompts
        ]
    return found
