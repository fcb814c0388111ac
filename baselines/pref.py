"""Preference learning on verified pairs: a passing answer against a failing one, all pairs made once. Ours, no paper's.

The losses are DPO (Rafailov et al. 2023, arXiv 2305.18290), ORPO (Hong et al. 2024, arXiv 2403.07691) and SimPO (Meng
et al. 2024, arXiv 2405.14734). The recipes show what pairs are worth without a loop. What `iterkd` gains over them is
not the loop alone, as its pairs differ too: a faulty answer that passes is asked for up to twice more and then made
by the mutator, one that gives itself away is dropped, a correct answer is asked for a second time, comments are
stripped from both. `iterkd.ablation.renew=false`, with `iterkd.contrast` and `iterkd.weight` as here, is nearer.

Cost of a run: one direct and one faulty answer per problem, or an attempt instead of the faulty one; the budget's
optimiser updates in one pass, each forward pass twice as long where there is a pair.

| paper | here | why |
|---|---|---|
| pairs judged by people or by a model | by execution: one passes its checks, one fails them | ours: code can be run |
| rejected: a sample of the model | a fault of a drawn type, written by the teacher; `rejected=attempt`: the student's own | ours |
| a pass of its own after fine-tuning (DPO, SimPO) | one pass from the base, with the likelihood of the passing answer at weight 1 | ours: equal updates |
| DPO: against a frozen reference | the student as training finds it; β = 0.1 | formula: paper; β is ours |
| SimPO: length-normalised, target lead γ | the same; β = 2, γ = 1 | formula: paper; values are ours |
| ORPO: odds ratio beside the likelihood | the same; λ = 0.1 | formula: paper; λ is ours |
| learning rates of their own | the comparison's | ours: one trainer |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.lab import (
    FAULTS,
    Contrast,
    Corrupt,
    Dpo,
    Example,
    Lab,
    Objective,
    Orpo,
    Problem,
    Simpo,
    Student,
    fragments,
    in_range,
)


@dataclass(frozen=True)
class Config:
    loss: Literal["dpo", "orpo", "simpo"] = "dpo"
    beta: float = 0.1  # β; of ORPO its λ
    gamma: float = 1.0  # γ of SimPO, the lead that is aimed at
    weight: float = 1.0  # of the preference beside the likelihood; ORPO has β in its place
    rejected: Literal["fault", "attempt"] = "fault"  # the teacher's faulty answer, or the student's failing one
    temperature: float = 0.8  # of that attempt

    def __post_init__(self) -> None:
        in_range(self, above_zero=("beta",), zero_or_more=("gamma", "weight", "temperature"))


VARIANTS = {
    "pref-dpo": Config(),
    "pref-orpo": Config(loss="orpo"),
    "pref-simpo": Config(loss="simpo", beta=2.0),
}
ABOUT = {
    "pref": "the same as pref-dpo",
    "pref-dpo": "DPO on pairs of passing and failing code",
    "pref-orpo": "ORPO on pairs of passing and failing code",
    "pref-simpo": "SimPO on pairs of passing and failing code",
}


def needs(cfg: Config) -> tuple[str, ...]:
    return ("solve", *(("corrupt",) if cfg.rejected == "fault" else ()), "checks")


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    # The preferred half: the teacher's answer, if it passes.
    correct = lab.solved(lab.problems)
    # The rejected half: one that fails the same checks. Where there is none, the example has its likelihood alone.
    tried = faults(lab, correct) if cfg.rejected == "fault" else attempts(lab, cfg, correct)
    faulty = {problem.id: text for problem, text in lab.failing(tried)}
    lab.note("verified pairs", len(faulty))
    examples = [
        Example(one.prompt, text, faulty.get(one.id), level=one.level, origin=f"pair {one.id}") for one, text in correct
    ]
    yield from lab.fit_through(lab.student, examples, Objective(contrast=contrast(cfg)))


def faults(lab: Lab, correct: list[tuple[Problem, str]]) -> list[tuple[Problem, str]]:
    """Ask for one faulty counterpart of each correct answer, of a drawn type."""
    answers = lab.ask(
        [Corrupt(one, one.prompt + text, lab.rng("fault", one.id).choice(FAULTS)) for one, text in correct]
    )
    return fragments([one for one, _ in correct], [answer.code for answer in answers])


def attempts(lab: Lab, cfg: Config, correct: list[tuple[Problem, str]]) -> list[tuple[Problem, str]]:
    problems = [one for one, _ in correct]
    found = lab.attempt(lab.student, problems, cfg.temperature)
    return [(one, sample.completion) for one, sample in zip(problems, found, strict=True)]


def contrast(cfg: Config) -> Contrast:
    match cfg.loss:
        case "dpo":
            return Dpo(cfg.beta, cfg.weight)
        case "simpo":
            return Simpo(cfg.beta, cfg.gamma, cfg.weight, tokens="all")
        case "orpo":
            return Orpo(cfg.beta)
