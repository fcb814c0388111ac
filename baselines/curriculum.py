"""Curriculum learning for small code models (Naïr et al., ACL SRW 2024, arXiv 2407.10194).

Programs are graded by a difficulty metric made of software measures, sorted into easy, medium and hard, and fed in
stages: one level after another (sequential), all levels so far (incremental), or the new level and the hardest part
of the earlier ones (hybrid, the paper's own). The paper reports better code *execution* (saying what a program prints)
and little effect on *completion*. It distils nothing; here the rows are the solutions that came with the problems, and
`train.order=seq|inc|hyb` stages the rows of any other recipe in the same way.

Cost of a run: no teacher call, no attempt; the budget's optimiser updates in one pass.

| paper (code: kamel-yamani/CurriculumLearningForSmallCodeLanguageModels) | here | why |
|---|---|---|
| difficulty from combined software measures; three levels | OM = (CC + HD) / 2, `metric=om` | paper; the formula reaches us by third parties only |
| Halstead counter: unknown | on Python's tokens, `counter=token`; radon's on request | ours: fits the reported cuts far better |
| levels: OM below 2, below 4, from 4 on | thirds of equal size; `cut=fixed` for the bounds | bounds: third parties; thirds are ours: balanced whatever the counter |
| stages of 40/40/40, 25/30/65, 20/30/70 thousand updates of 120 | the same shares of U | authors' code |
| hybrid: new level and the hardest part of earlier levels | the same, `rho` = 0.25 | two third parties agree; the share is ours (unknown) |
| a fresh optimiser and learning rate per stage | one over U; `lr_restart=true` for theirs | ours: the baseline has no restarts (`cl-none-restart` has) |
| ×0.1 at 70, 80, 90 % of a stage, no warm-up; AdamW, no clipping | the comparison's schedule, linear to 5 %, clip at 1 | ours: one trainer for all recipes |
| batches of 64 random windows of 256 characters of a stream | `train.batch` whole rows, shuffled within a stage | ours: a row's text, mask and weight stay as they are; updates are equal, tokens are shown |
| loss on all characters, output lines included | the same on TinyPy; elsewhere on the completion | authors' code; `loss` says otherwise |
| data: 1.2 million TinyPy programs | `problems`, cycles × `budget.examples` of them | ours: the comparison's shared pool |
| baseline: one stage, all data | `cl-none` | paper |
| controls | `cl-hard-only`, `output=false` (no output lines) | authors' checkpoints |
| controls | `cl-anti`, `cl-random`, `cl-none-restart` | ours: is it the order, the stages or the restarts? |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from harness.lab import (
    SHARES,
    Curriculum,
    Cut,
    Example,
    Halstead,
    Lab,
    Metric,
    Problem,
    Replay,
    Scheme,
    Student,
    Text,
    allot,
    grade,
    stages_of,
    visits,
)


@dataclass(frozen=True)
class Config:
    scheme: Scheme = "hyb"  # which levels each stage feeds
    metric: Metric = "om"  # difficulty: OM, CC, HD, characters, or the level that a problem was made at
    counter: Halstead = "token"  # of operators and operands
    cut: Cut = "tertile"  # levels: equal thirds, OM at 2 and 4, or the level that a problem was made at
    rho: float = 0.25  # ρ, share of each earlier level that hybrid feeds again
    replay: Replay = "hardest"  # which rows of it
    shares: tuple[float, ...] = ()  # of U, by stage; none: the scheme's own
    lr_restart: bool = False  # a fresh optimiser and learning rate for each stage
    loss: Literal["auto", "completion", "all"] = "auto"  # what is trained on; auto: all of a text, else the completion
    output: bool = True  # off: the output lines of a text are left out

    def __post_init__(self) -> None:
        self.curriculum()  # which knows its ranges

    def curriculum(self) -> Curriculum:
        return Curriculum(self.scheme, self.metric, self.counter, self.cut, self.rho, self.replay, self.shares)


VARIANTS = {
    "cl-none": Config("none"),
    "cl-seq": Config("seq"),
    "cl-inc": Config("inc"),
    "cl-hyb": Config("hyb"),
    "cl-anti": Config("anti"),
    "cl-random": Config("random"),
    "cl-none-restart": Config("none", lr_restart=True),
    "cl-hard-only": Config("hard"),
}
ABOUT = {
    "curriculum": "the same as cl-hyb",
    "cl-none": "all rows, shuffled, in one stage",
    "cl-seq": "easy rows, then medium, then hard ones",
    "cl-inc": "easy rows, medium added, then hard ones",
    "cl-hyb": "each level and the hardest rows before it",
    "cl-anti": "control: hard rows, then medium, then easy",
    "cl-random": "control: three stages of random thirds",
    "cl-none-restart": "control: cl-none with cl-hyb's restarts",
    "cl-hard-only": "control: the hardest third alone",
}


def needs(cfg: Config) -> tuple[str, ...]:
    del cfg
    return ("references",)


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    examples = [row(cfg, problem, text) for problem, text in lab.references(lab.problems)]
    if not examples:
        yield from lab.fit_through(lab.student, [])
        return
    # Grade by difficulty, cut into levels, stage; then write down the order of every row of the run, repeats included.
    curriculum, rng, updates = cfg.curriculum(), lab.rng("order"), lab.cycles * lab.budget.updates
    graded = grade(examples, curriculum)
    stages = stages_of(graded, curriculum, updates, rng)
    rows = [examples[at] for at in visits(stages, lab.batch, rng)]
    for number, stage in enumerate(stages, start=1):
        lab.note(f"rows of stage {number}", len(stage.examples))
    if unread := sum(one.unread for one in graded):
        lab.note("rows of no readable difficulty, taken for the hardest", unread)
    starts = restarts(cfg, [stage.updates for stage in stages])
    yield from lab.fit_through(lab.student, rows, order="as_given", restarts=starts)


def row(cfg: Config, problem: Problem, text: str) -> Example:
    """Return what is trained on: of a problem whose answer is text the whole, of another the completion."""
    answer_is_text = isinstance(problem.checks, Text)
    prompt, completion = problem.prompt, text
    if answer_is_text and not cfg.output:  # the prompt ends in the line that announces the output
        prompt, completion = "", "".join(prompt.splitlines(keepends=True)[:-1])
    elif cfg.loss == "all" or (cfg.loss == "auto" and answer_is_text):
        prompt, completion = "", prompt + completion
    return Example(prompt, completion, level=problem.level, origin=f"given {problem.id}")


def restarts(cfg: Config, updates: Sequence[int]) -> tuple[int, ...]:
    """Return after which updates the optimiser starts afresh: at each stage but the first, as hybrid's in one stage."""
    if not cfg.lr_restart:
        return ()
    if len(SHARES[cfg.scheme]) == 1:
        updates = [one for one in allot(sum(updates), SHARES["hyb"]) if one]
    return tuple(accumulate(updates))[:-1]
