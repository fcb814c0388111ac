"""Self-distillation: the student is trained on its own samples; no teacher. Ours after common practice.

`self-sft` draws several samples of the untrained student and keeps those that pass (`filter=tests`: rejection sampling;
`filter=none`: simple self-distillation). `self-repair` draws anew in every cycle, shows the student what running its
failed samples told, lets it repair them, and trains it to write the passing repairs at once, without the detour.

Cost of a run: no teacher call; as many attempts as the budget allows, at most `k` a problem (a repair is one); the
budget's optimiser updates.

| paper | here | why |
|---|---|---|
| none for code that is followed | k = 8, T = 0.8, at most 4 different passing samples of a problem | ours: as `seqkd-exec` |
| samples of every problem | a second sample only once every problem has one; no more than the attempts allow | ours: equal cost |
| on-policy self-distillation with feedback: by distributions | by text that passes its checks | ours: no second forward pass |
| feedback in the prompt | the repair prompt of `persd-refine`, visible checks alone | ours: one wording |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.lab import Example, Filter, Lab, Problem, Student, Verdict, feedback, in_range, normal_form, repair_prompt

Written = list[tuple[Problem, str]]


@dataclass(frozen=True)
class Config:
    k: int = 8  # most samples of a problem
    cap: int = 4  # most of them that are kept, different by syntax tree
    temperature: float = 0.8
    filter: Filter = "tests"  # which samples are kept
    repair: bool = False  # failed samples are shown again with their feedback, and passing repairs are kept
    anew: bool = False  # every cycle samples a part of the pool by the current student; off: once, by the base

    def __post_init__(self) -> None:
        in_range(self, one_or_more=("k", "cap"), zero_or_more=("temperature",))
        if self.k > 1 and self.temperature == 0:
            raise ValueError(f"k={self.k} at temperature=0 draws one sample {self.k} times.")
        if self.repair and self.filter != "tests":
            raise ValueError(f"repair=True with filter={self.filter}: feedback comes from tests. Say filter=tests.")


VARIANTS = {"self-sft": Config(), "self-repair": Config(repair=True, anew=True)}
ABOUT = {
    "self_sft": "the same as self-sft",
    "self-sft": "own samples that pass, no teacher",
    "self-repair": "own repairs that pass, no teacher",
}


def needs(cfg: Config) -> tuple[str, ...]:
    return ("checks",) if cfg.filter == "tests" else ()


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    if not cfg.anew:
        yield from lab.fit_through(lab.student, own_rows(lab, cfg, 0, lab.student, lab.problems))
        return
    student = lab.student
    for cycle in range(lab.cycles):
        student = lab.fit(student, own_rows(lab, cfg, cycle, student, lab.problems[cycle :: lab.cycles]))
        yield student


def own_rows(lab: Lab, cfg: Config, turn: int, student: Student, pool: Sequence[Problem]) -> list[Example]:
    """Sample round by round, one sample a problem, until each has `cap` or the attempts are used up."""
    shares = 1 if cfg.anew else lab.cycles
    left = lab.budget.attempts * shares or 2 * cfg.k * len(pool)
    kept: dict[str, dict[str, Example]] = {problem.id: {} for problem in pool}
    for draw in range(turn * cfg.k, (turn + 1) * cfg.k):
        wanting = [one for one in pool if len(kept[one.id]) < cfg.cap]
        asked = wanting[: left // 2 if cfg.repair else left]  # a failed sample may need a second attempt
        good, failed = sorted_out(lab, cfg, sampled(lab, cfg, student, [(one, one.prompt) for one in asked], draw))
        left -= len(asked)
        if cfg.repair:
            again = [(one, repair_prompt(one, text, feedback(verdict))) for one, text, verdict in failed]
            repaired, _ = sorted_out(lab, cfg, sampled(lab, cfg, student, again, draw))
            left -= len(again)
            lab.note("failed samples", len(failed))
            lab.note("repaired samples", len(repaired))
            good += repaired
        for one, text in good:
            row = Example(one.prompt, text, level=one.level, origin=f"own sample {one.id}")
            kept[one.id].setdefault(normal_form(one.prompt + text) or text, row)
    return [row for own in kept.values() for row in own.values()][: lab.budget.examples * shares or None]


def sampled(lab: Lab, cfg: Config, student: Student, prompts: Sequence[tuple[Problem, str]], draw: int) -> Written:
    found = lab.attempts(student, [replace(one, prompt=text) for one, text in prompts], 1, cfg.temperature, draw=draw)
    return [(one, sample.completion) for (one, _), [sample] in zip(prompts, found, strict=True)]


def sorted_out(lab: Lab, cfg: Config, written: Written) -> tuple[Written, list[tuple[Problem, str, Verdict]]]:
    """Return the samples that are kept, and the failed ones with their verdicts."""
    if cfg.filter == "none":
        return written, []
    verdicts = lab.judge(written) if cfg.filter == "tests" else lab.run(written)
    judged = [(one, text, verdict) for (one, text), verdict in zip(written, verdicts, strict=True)]
    return [(one, text) for one, text, verdict in judged if verdict.passed], [
        one for one in judged if not one[2].passed
    ]
