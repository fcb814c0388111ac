"""IterKD, later SODA (Chen et al., FSE 2025, arXiv 2408.03680): a cycle of three stages, repeated.

(1) *Correct-and-fault knowledge delivery*: for each problem the teacher writes a correct and a faulty answer; the
student learns the correct one by likelihood and is contrasted against the faulty one. (2) *Multi-view feedback*: the
student answers the pool; a scoring model reads each answer, a tool runs it; together they call the problem easy,
medium or hard. (3) *Feedback-based knowledge update*: the teacher writes new problems conditioned on that level, the
pool is renewed, and the next cycle goes on from the current student.

Cost of a cycle with a pool of N: about 2N teacher calls in stage 1, N in stage 2, N/2 and the retries in stage 3;
N attempts; the budget's optimiser updates, each forward pass twice as long where a pair has a faulty half.

| paper (code: yujiachen99/SodaCoder) | here | why |
|---|---|---|
| three stages, cycle after cycle | the same | paper |
| cycles, pool, optimiser (LLaMA-Factory), where a cycle starts: unknown | the comparison's, a fresh optimiser each cycle, from the current student | ours: equal updates |
| likelihood on correct, contrast on faulty code; form, weight and margin unknown | hinge max(0, m − (s⁺ − s⁻)), m = 0.2 nats per token, λ = 0.5; five others by `contrast`, each with its numbers and, unless `weight` is set, its λ (`harness/training/objective.py`) | ours: bounded, no reference model |
| contrast text unknown | comments stripped, docstrings kept, in the likelihood text too | ours: one forward pass, not two |
| five fault types, at least one in a faulty answer | the same, the type drawn by us; an edit of the correct answer, not an independent one | authors' code; the draw and the edit are ours: the fault is the only difference |
| faulty answers taken as they come | must fail the checks, mutator as fallback, giveaways dropped | ours: some released ones are right |
| tests unknown | the problem's own; a new problem without: the teacher's example calls that its answer satisfies | ours |
| attempts unknown | greedy, at most 96 tokens in the embedded world, else 512 | ours |
| rubric 0–6 by a trained scoring model | by the teacher; `rubric=scorer` trains one on the first cycle's teacher scores | authors' code; the default is ours: cost |
| tool: compile and run, without tests | `tool=run_only`; a refused program fails | authors' code; refused is ours |
| three levels; thresholds unknown | hard: tool fails or score ≤ 2; easy: it passes and score ≥ 5; `level_rule=mean`: mean of both views, hard < 0.5, easy ≥ 0.8; one view alone: see `level` | authors' code; thresholds are ours |
| easy: same domain, rarer; else same domain and type | the same | authors' code |
| quotas, renewal, replay unknown | hard/medium/easy 50/30/20 %; N/2 new, ≤ N/4 hard kept, replay fills up | ours: equal updates |
| filters unknown | four words, ROUGE-L F ≤ `rouge`; exact prompt for the embedded world's templates; benchmarks' problems dropped | ours: Lion's |
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.lab import (
    CONTRASTS,
    FAULTS,
    Corrupt,
    Example,
    Fault,
    Lab,
    Margin,
    Mode,
    Objective,
    Pose,
    Problem,
    Rubric,
    Sample,
    Student,
    drawn_by_quotas,
    fragments,
    in_range,
    mutate,
    new_problems,
    strip_comments,
)

GIVEAWAYS = r"(?<![a-z])(?:error|wrong|incorrect|fault|bug|mistake|intentional)"

Level = Literal["hard", "medium", "easy"]
LEVELS: tuple[Level, ...] = ("hard", "medium", "easy")
Tool = Literal["pass", "fail"]
Views = Literal["both", "model", "tool", "random"]
Over = Literal["code", "all", "sum"]
OVER: dict[Over, dict[str, Any]] = {"code": {}, "all": {"tokens": "all"}, "sum": {"per_token": False}}


@dataclass(frozen=True)
class Ablation:
    views: Views = "both"  # what decides a problem's level
    level_split: bool = True  # off: one kind of new problem, seeds drawn without regard to level
    renew: bool = True  # off: every cycle on the seed pool, with equal updates
    in_depth: bool = False  # on: after a hard problem a harder one (a draft that the authors dropped)
    fault_source: Literal["typed", "free", "mutator"] = "typed"  # teacher, type drawn or its own choice; or no teacher
    verify_faults: bool = True  # off: faulty answers are taken as they come, as the authors' are
    stripped: bool = True  # off: comments stay in both halves of a pair
    contrast_over: Over = "code"  # s⁺, s⁻: mean over the code; over all, its end too; sum, not divided by length
    pool: Literal["mix", "replace", "join"] = "mix"  # the next: new, hard and replayed; new alone; N of all so far
    restart: bool = False  # on: every cycle from the base student


@dataclass(frozen=True)
class Config:
    contrast: Literal["margin", "dpo", "simpo", "orpo", "infonce", "unlikelihood"] = "margin"  # form of L_FCL
    margin: float = 0.2  # m of `margin`, nats per token between correct and faulty code
    weight: float | None = None  # λ of the contrast, 0 is plain likelihood; null: that of its form, 0.5 for `margin`
    retries: int = 2  # further requests for a faulty answer that fails, before the mutator
    rubric: Literal["teacher", "scorer", "heuristic"] = "teacher"  # who scores the attempts
    tool: Literal["run_only", "run_tests"] = "run_only"  # what the tool view runs
    level_rule: Literal["rule", "mean"] = "rule"  # how the two views become a level
    fresh: float = 0.5  # N_new / N, new problems of a cycle
    keep_hard: float = 0.25  # at most this share of N stays because it was hard
    quota: tuple[float, float, float] = (0.5, 0.3, 0.2)  # of new problems: seeded by hard, medium, easy ones
    rouge: float = 0.7  # highest ROUGE-L F of a new problem against the pool; 1 switches the filter off
    tries: int = 4  # rounds of requests for new problems before replay fills the pool
    ablation: Ablation = field(default_factory=Ablation)

    def __post_init__(self) -> None:
        weight = () if self.weight is None else ("weight",)
        in_range(self, zero_or_more=("margin", *weight, "retries"), one_or_more=("tries",))
        in_range(self, shares=("fresh", "keep_hard", "rouge"))
        if min(self.quota) < 0 or abs(sum(self.quota) - 1) > 1e-6:
            raise ValueError(f"quota={','.join(map(str, self.quota))}: expected three shares that add up to 1.")
        over = self.ablation.contrast_over
        if over != "code" and self.contrast not in ("margin", "simpo", "infonce"):
            raise ValueError(f"ablation.contrast_over={over}: expected contrast=margin, simpo or infonce with it.")


VARIANTS = {"soda": Config()}
ABOUT = {
    "iterkd": "correct and faulty code, feedback, renewal",
    "soda": "the same as iterkd, by its later name",
}


def needs(cfg: Config) -> tuple[str, ...]:
    renew = cfg.ablation.renew
    asked = {
        "corrupt": cfg.weight != 0 and cfg.ablation.fault_source != "mutator",
        "judge": renew and cfg.ablation.views in ("both", "model") and cfg.rubric != "heuristic",
        "pose": renew,
        "tests": renew,
    }
    return ("solve", *(kind for kind, needed in asked.items() if needed), "checks")


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, rubric = lab.student, Rubric(lab, cfg.rubric)
    pool = list(lab.problems[: lab.budget.examples])
    seen = {problem.id: problem for problem in pool}
    for cycle in range(lab.cycles):
        # Stage 1: correct-and-fault knowledge delivery. Keep what ran as promised.
        correct = {one.id: (one, tidy(cfg, text)) for one, text in lab.solved(pool, temperatures=(0.0, 0.8))}
        lab.note("problems without a correct answer", len(pool) - len(correct))
        faulty = verified_faulty(lab, cfg, cycle, correct)
        examples = contrast(correct, faulty)  # no valid fault: the example keeps its correct half
        student = lab.fit(lab.student if cfg.ablation.restart else student, examples, objective(cfg))
        yield student  # the end of a cycle: the harness evaluates it
        if cycle + 1 == lab.cycles or not cfg.ablation.renew or not pool:
            continue

        # Stage 2: multi-view feedback. A scoring model reads the attempts, the tool runs them.
        answered = list(zip(pool, lab.attempt(student, pool), strict=True))
        scores = model_view(cfg, rubric, answered)
        ran = tool_view(lab, cfg, answered)
        levels = difficulty(lab, cfg, cycle, pool, ran, scores)

        # Stage 3: feedback-based knowledge update. Ask for neighbours by level, keep some hard ones, replay the rest.
        fresh = neighbours(lab, cfg, cycle, pool, levels, seen)
        hard = [one for one in pool if levels[one.id] == "hard"]
        pool = next_pool(lab, cfg, cycle, fresh, hard, seen)
        seen.update({problem.id: problem for problem in fresh})


# --- stage 1 ---------------------------------------------------------------------------------------------------------


def verified_faulty(lab: Lab, cfg: Config, cycle: int, correct: dict[str, tuple[Problem, str]]) -> dict[str, str]:
    """Return problem id → faulty completion that fails its checks, for as many problems as have one."""
    faulty: dict[str, str] = {}
    fault: dict[str, Fault] = {key: lab.rng("fault", cycle, key).choice(FAULTS) for key in correct}
    teacher = 0 if cfg.ablation.fault_source == "mutator" else cfg.retries + 1  # rounds, before the mutator's one
    for turn in range(teacher + 1 if cfg.weight != 0 else 0):
        asked = [correct[key] for key in correct if key not in faulty]
        whole = [(one, one.prompt + text) for one, text in asked]
        if turn < teacher:
            draw = cycle * teacher + turn  # a replayed problem gets another fault than before
            named = fault if cfg.ablation.fault_source == "typed" else dict[str, Fault]()
            answers = lab.ask([Corrupt(one, code, named.get(one.id, "any"), index=draw) for one, code in whole])
            codes, source = [answer.code for answer in answers], "teacher"
        else:  # the last resort: one edit of the correct answer's syntax tree
            named, source = fault, "mutator"
            codes = [mutate(code, fault[one.id], lab.rng("mutant", cycle, one.id)) for one, code in whole]
        written = fragments([one for one, _ in asked], codes)
        tried = [(one, tidy(cfg, text)) for one, text in written if not gives_away(text, correct[one.id][1])]
        for one, text in lab.failing(tried) if cfg.ablation.verify_faults else tried:  # the correct answer would pass
            faulty[one.id] = text
            lab.note(f"faults by {source}: {named.get(one.id, 'any')}")
    return faulty


def gives_away(faulty: str, correct: str) -> bool:
    """Tell whether a faulty answer announces itself with a word that the correct one does not use."""
    return any(word not in correct.lower() for word in re.findall(GIVEAWAYS, faulty.lower()))


def tidy(cfg: Config, text: str) -> str:
    return strip_comments(text) if cfg.ablation.stripped else text


def contrast(correct: dict[str, tuple[Problem, str]], faulty: dict[str, str]) -> list[Example]:
    return [
        Example(problem.prompt, text, rejected=faulty.get(key), level=problem.level, origin=f"solve {key}")
        for key, (problem, text) in correct.items()
    ]


def objective(cfg: Config) -> Objective:
    """Return L_SFT + λ·L_FCL."""
    form = Margin(cfg.margin) if cfg.contrast == "margin" else CONTRASTS[cfg.contrast]()
    form = replace(form, **OVER[cfg.ablation.contrast_over])
    return Objective(contrast=form if cfg.weight is None else replace(form, weight=cfg.weight))


# --- stage 2 ---------------------------------------------------------------------------------------------------------


def model_view(cfg: Config, rubric: Rubric, answered: Sequence[tuple[Problem, Sample]]) -> list[float | None]:
    """Return each attempt's rubric total in 0..6, None where a rule is missing or nobody is to look."""
    if cfg.ablation.views in ("tool", "random"):
        return [None] * len(answered)
    return rubric.totals([(problem, one.completion) for problem, one in answered])


def tool_view(lab: Lab, cfg: Config, answered: Sequence[tuple[Problem, Sample]]) -> list[Tool | None]:
    """Return whether each attempt ran (or passed its tests); a truncated attempt fails without being run."""
    if cfg.ablation.views in ("model", "random"):
        return [None] * len(answered)
    whole = [row for row, (_, one) in enumerate(answered) if one.finish_reason == "stop"]
    pairs = [(answered[row][0], answered[row][1].completion) for row in whole]
    verdicts = dict(zip(whole, lab.run(pairs) if cfg.tool == "run_only" else lab.judge(pairs), strict=True))
    return ["pass" if row in verdicts and verdicts[row].passed else "fail" for row in range(len(answered))]


def difficulty(
    lab: Lab, cfg: Config, cycle: int, pool: Sequence[Problem], ran: list[Tool | None], scores: list[float | None]
) -> dict[str, Level]:
    """Return problem id → level, and tell how many problems there are of each."""
    rated, views = zip(pool, ran, scores, strict=True), cfg.ablation.views
    levels: dict[str, Level] = {one.id: level(tool, score, cfg.level_rule, views) for one, tool, score in rated}
    if views == "random":
        levels = {key: lab.rng("level", cycle, key).choice(LEVELS) for key in levels}
    for name in LEVELS:
        lab.note(f"cycle {cycle + 1} {name}", sum(one == name for one in levels.values()))
    return levels


def level(tool: Tool | None, score: float | None, rule: str = "rule", views: Views = "both") -> Level:
    """Join the two views: hard if the tool fails or the score is at most 2, easy if it passes with 5 or more.

    `mean`: by the mean of score / 6 and of the tool's 0 or 1; a view that is missing leaves the other. A view that is
    asked for alone calls problems easy alone: an ablation is to change what is looked at, not whether any are easy.
    """
    if views == "tool":
        return "easy" if tool == "pass" else "hard"
    if rule == "mean" and score is not None:
        mean = score / 6 if tool is None else 0.5 * score / 6 + 0.5 * (tool == "pass")
        return "easy" if mean >= 0.8 else "hard" if mean < 0.5 else "medium"
    if tool == "fail" or (score is not None and score <= 2):
        return "hard"
    passed = tool == "pass" or views == "model"
    return "easy" if passed and score is not None and score >= 5 else "medium"


# --- stage 3 ---------------------------------------------------------------------------------------------------------


def neighbours(
    lab: Lab, cfg: Config, cycle: int, pool: Sequence[Problem], levels: dict[str, Level], seen: dict[str, Problem]
) -> list[Problem]:
    """Ask for neighbours of drawn seeds until N_new of them are new, or the tries are used up."""

    def requests(turn: int, indices: range) -> list[Pose]:
        seeds = draw_seeds(cfg, pool, levels, len(indices), lab.rng("seeds", cycle, turn))
        return [Pose(one, mode(cfg, levels[one.id]), index) for one, index in zip(seeds, indices, strict=True)]

    wanted = round(cfg.fresh * lab.budget.examples)
    found = new_problems(lab, seen.values(), wanted, requests, cycle=cycle, tries=cfg.tries, rouge=cfg.rouge)
    found = lab.tested(found)  # a teacher that is a model poses no tests: it is asked for some
    lab.note("new problems kept", len(found))
    return found


def mode(cfg: Config, seed_level: Level) -> Mode:
    """Say what a new problem is to be beside its seed: rarer after an easy one, else of the same type."""
    if seed_level == "easy" and cfg.ablation.level_split:
        return "rarer"
    return "harder" if seed_level == "hard" and cfg.ablation.in_depth else "similar"


def draw_seeds(
    cfg: Config, pool: Sequence[Problem], levels: dict[str, Level], count: int, rng: random.Random
) -> list[Problem]:
    """Draw seeds by the levels' quotas, an empty one's from the nearest harder; or from the pool as a whole."""
    if not cfg.ablation.level_split:
        return rng.choices(pool, k=count)
    groups = {name: [one for one in pool if levels[one.id] == name] for name in LEVELS}
    return drawn_by_quotas(groups, cfg.quota, count, rng)


def next_pool(
    lab: Lab, cfg: Config, cycle: int, fresh: list[Problem], hard: list[Problem], seen: dict[str, Problem]
) -> list[Problem]:
    """Return at most N problems: the new ones, some of the hard ones, earlier ones replayed; or as `pool` says."""
    size, seen_or_new = lab.budget.examples, [*seen.values(), *fresh]
    if cfg.ablation.pool == "join":
        return lab.rng("join", cycle).sample(seen_or_new, min(len(seen_or_new), size))
    if cfg.ablation.pool == "replace":
        return fresh
    room = size - len(fresh)
    kept = lab.rng("hard", cycle).sample(hard, min(len(hard), round(cfg.keep_hard * size), room))
    old = [one for key, one in seen.items() if key not in {problem.id for problem in kept}]
    return fresh + kept + lab.rng("replay", cycle).sample(old, min(len(old), room - len(kept)))
