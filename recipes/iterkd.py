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
| each cycle from the current student or from the base: unknown | from the current one | ours |
| cycles, pool size: unknown | the comparison's `cycles` and `budget.examples` | ours |
| likelihood on correct, contrast on faulty code; its form unknown | hinge max(0, m − (s⁺ − s⁻)), nats per token; five others by `contrast` | ours: bounded, no reference model |
| weight and margin unknown | λ = 0.5, m = 0.2; every other form its own numbers and, unless `weight` is set, its own λ (`harness/training/objective.py`) | ours |
| optimiser unknown (LLaMA-Factory) | the comparison's trainer and updates, a fresh optimiser each cycle | ours: equal updates |
| five fault types, at least one in a faulty answer | the same; the type is drawn by us | authors' code; drawing is ours |
| faulty answer independent of the correct one (released data) | an edit of the correct one | ours: the fault is the only difference |
| faulty answers taken as they come | must fail the checks, mutator as fallback, giveaways dropped | ours: some released ones are right |
| tests unknown | the problem's own checks; a new problem without: the teacher's example calls that its answer satisfies | ours |
| contrast text unknown | comments stripped, docstrings kept, in the likelihood text too (one forward pass instead of two) | ours |
| attempts unknown | greedy, at most 96 tokens in the embedded world, else 512 | ours |
| rubric 0–6 by a trained scoring model | rubric by the teacher; `rubric=scorer` trains one on the first cycle's teacher scores | authors' code; the default is ours: cost |
| tool: compile and run, without tests | `tool=run_only`; a refused program fails | authors' code; refused is ours |
| three levels; thresholds unknown | hard: tool fails or score ≤ 2; easy: tool passes and score ≥ 5; `level_rule=mean`: mean of both views, hard < 0.5, easy ≥ 0.8 | authors' code; thresholds are ours |
| one view alone (`ablation.views`): unknown | model: hard ≤ 2, easy ≥ 5 (`mean`: its bounds, of score / 6), no score medium; tool: fails hard, passes easy | ours: else no problem were easy, so more than the view would change |
| easy: same domain, rarer; else same domain and type | the same | authors' code |
| quotas, renewal, replay unknown | hard/medium/easy 50/30/20 %; N/2 new, ≤ N/4 hard kept, replay fills up | ours: equal updates |
| filters unknown | four words, ROUGE-L F ≤ `rouge`; exact prompt for the embedded world's templates; benchmarks' problems dropped | ours: Lion's |
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from harness.lab import (
    CONTRASTS,
    FAULTS,
    Corrupt,
    Example,
    Fault,
    Judge,
    Lab,
    Margin,
    Mode,
    Objective,
    Pose,
    Problem,
    Sample,
    Solve,
    Student,
    completion_of,
    heuristic,
    in_range,
    mutate,
    novel,
    remainder,
    rubric_total,
    strip_comments,
)

GIVEAWAYS = r"(?<![a-z])(?:error|wrong|incorrect|fault|bug|mistake|intentional)"

Level = Literal["hard", "medium", "easy"]
LEVELS: tuple[Level, ...] = ("hard", "medium", "easy")
Tool = Literal["pass", "fail"]
Views = Literal["both", "model", "tool", "random"]


@dataclass(frozen=True)
class Ablation:
    views: Views = "both"  # what decides a problem's level
    level_split: bool = True  # off: one kind of new problem, seeds drawn without regard to level
    renew: bool = True  # off: every cycle on the seed pool, with equal updates
    in_depth: bool = False  # on: after a hard problem a harder one (a draft that the authors dropped)


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


VARIANTS = {"soda": Config()}
ABOUT = {
    "iterkd": "correct and faulty code, feedback, renewal",
    "soda": "the same as iterkd, by its later name",
}


def needs(cfg: Config) -> tuple[str, ...]:
    renew = cfg.ablation.renew
    scored = renew and cfg.ablation.views in ("both", "model") and cfg.rubric != "heuristic"
    return (
        "solve",
        *(("corrupt",) if cfg.weight != 0 else ()),
        *(("judge",) if scored else ()),
        *(("pose", "tests") if renew else ()),
        "checks",
    )


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, size, scorer = lab.student, lab.budget.examples, None
    pool = list(lab.problems[:size])
    seen = {problem.id: problem for problem in pool}
    for cycle in range(lab.cycles):
        # Stage 1: correct-and-fault knowledge delivery. Keep what ran as promised.
        correct = verified_correct(lab, pool)
        faulty = verified_faulty(lab, cfg, cycle, correct)
        examples = contrast(correct, faulty)  # no valid fault: the example keeps its correct half
        student = lab.fit(student, examples, objective(cfg))
        yield student  # the end of a cycle: the harness evaluates it
        if cycle + 1 == lab.cycles or not cfg.ablation.renew:
            continue

        # Stage 2: multi-view feedback. A scoring model reads the attempts, the tool runs them.
        attempts = lab.attempt(student, pool)
        scores, scorer = model_view(lab, cfg, pool, attempts, scorer)
        ran = tool_view(lab, cfg, pool, attempts)
        rule, views = cfg.level_rule, cfg.ablation.views
        rated = zip(pool, ran, scores, strict=True)
        levels: dict[str, Level] = {one.id: level(tool, score, rule, views) for one, tool, score in rated}
        if views == "random":
            levels = {key: lab.rng("level", cycle, key).choice(LEVELS) for key in levels}
        for name in LEVELS:
            lab.note(f"cycle {cycle + 1} {name}", sum(one == name for one in levels.values()))

        # Stage 3: feedback-based knowledge update. Ask for neighbours by level, keep some hard ones, replay the rest.
        fresh = new_problems(lab, cfg, cycle, pool, levels, seen)
        hard = [one for one in pool if levels[one.id] == "hard"]
        pool = fresh + kept_and_replayed(lab, cfg, cycle, size - len(fresh), hard, seen)
        seen.update({problem.id: problem for problem in fresh})


# --- stage 1 ---------------------------------------------------------------------------------------------------------


def verified_correct(lab: Lab, pool: Sequence[Problem]) -> dict[str, tuple[Problem, str]]:
    """Return problem id → (problem, correct completion): asked at T=0, failures once more at T=0.8."""
    correct: dict[str, tuple[Problem, str]] = {}
    for temperature in (0.0, 0.8):
        asked = [problem for problem in pool if problem.id not in correct]
        answers = lab.ask([Solve(problem, temperature=temperature) for problem in asked])
        written = lab.completions(asked, answers)
        for (problem, text), verdict in zip(written, lab.judge(written), strict=True):
            if verdict.passed:
                correct[problem.id] = (problem, strip_comments(text))
    lab.note("problems without a correct answer", len(pool) - len(correct))
    return correct


def verified_faulty(lab: Lab, cfg: Config, cycle: int, correct: dict[str, tuple[Problem, str]]) -> dict[str, str]:
    """Return problem id → faulty completion that fails its checks, for as many problems as have one."""
    if cfg.weight == 0:
        return {}
    faulty: dict[str, str] = {}
    fault: dict[str, Fault] = {key: lab.rng("fault", cycle, key).choice(FAULTS) for key in correct}
    for attempt in range(cfg.retries + 2):
        asked = [correct[key] for key in correct if key not in faulty]
        whole = [(one, one.prompt + text) for one, text in asked]
        if attempt <= cfg.retries:
            draw = cycle * (cfg.retries + 1) + attempt  # a replayed problem gets another fault than before
            answers = lab.ask([Corrupt(one, code, fault[one.id], index=draw) for one, code in whole])
            codes = [answer.code for answer in answers]
        else:  # the last resort: one edit of the correct answer's syntax tree
            codes = [mutate(code, fault[one.id], lab.rng("mutant", cycle, one.id)) for one, code in whole]
        tried: list[tuple[Problem, str]] = []
        for (one, right), code in zip(asked, codes, strict=True):
            text = (completion_of(one, code) or remainder(one, code)) if code else None
            if text and not gives_away(text, right):  # one that equals the correct answer will pass, and is dropped
                tried.append((one, strip_comments(text)))
        for (one, text), verdict in zip(tried, lab.judge(tried), strict=True):
            if not verdict.passed:
                faulty[one.id] = text
                lab.note(f"faults by {'teacher' if attempt <= cfg.retries else 'mutator'}: {fault[one.id]}")
    return faulty


def gives_away(faulty: str, correct: str) -> bool:
    """Tell whether a faulty answer announces itself with a word that the correct one does not use."""
    return any(word not in correct.lower() for word in re.findall(GIVEAWAYS, faulty.lower()))


def contrast(correct: dict[str, tuple[Problem, str]], faulty: dict[str, str]) -> list[Example]:
    return [
        Example(problem.prompt, text, rejected=faulty.get(key), level=problem.level, origin=f"solve {key}")
        for key, (problem, text) in correct.items()
    ]


def objective(cfg: Config) -> Objective:
    """Return L_SFT + λ·L_FCL."""
    form = Margin(cfg.margin) if cfg.contrast == "margin" else CONTRASTS[cfg.contrast]()
    return Objective(contrast=form if cfg.weight is None else replace(form, weight=cfg.weight))


# --- stage 2 ---------------------------------------------------------------------------------------------------------


def model_view(
    lab: Lab, cfg: Config, pool: Sequence[Problem], attempts: Sequence[Sample], scorer: Student | None
) -> tuple[list[float | None], Student | None]:
    """Return each attempt's rubric total in 0..6 (None where a rule is missing), and the scoring model if it is trained."""
    if cfg.ablation.views in ("tool", "random"):
        return [None] * len(pool), None
    pairs = [(problem, one.completion) for problem, one in zip(pool, attempts, strict=True)]
    if cfg.rubric == "heuristic":
        scores = [heuristic(*pair) for pair in pairs]
    elif scorer is not None:
        scores = lab.score(scorer, pairs)
    else:
        scores = [answer.scores for answer in lab.ask([Judge(*pair) for pair in pairs])]
        labelled = [(*pair, given) for pair, given in zip(pairs, scores, strict=True) if given is not None]
        scorer = lab.train_scorer(labelled) if cfg.rubric == "scorer" and labelled else None
    return [rubric_total(one) for one in scores], scorer


def tool_view(lab: Lab, cfg: Config, pool: Sequence[Problem], attempts: Sequence[Sample]) -> list[Tool | None]:
    """Return whether each attempt ran (or passed its tests); a truncated attempt fails without being run."""
    if cfg.ablation.views in ("model", "random"):
        return [None] * len(pool)
    whole = [row for row, one in enumerate(attempts) if one.finish_reason == "stop"]
    run = lab.run if cfg.tool == "run_only" else lab.judge
    verdicts = dict(zip(whole, run([(pool[row], attempts[row].completion) for row in whole]), strict=True))
    return ["pass" if row in verdicts and verdicts[row].passed else "fail" for row in range(len(pool))]


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


def new_problems(
    lab: Lab, cfg: Config, cycle: int, pool: Sequence[Problem], levels: dict[str, Level], seen: dict[str, Problem]
) -> list[Problem]:
    """Ask for neighbours of drawn seeds until N_new of them are new, or the tries are used up."""
    known, fresh = novel(seen.values(), cfg.rouge), dict[str, Problem]()
    wanted = round(cfg.fresh * lab.budget.examples)
    for attempt in range(cfg.tries):
        seeds = draw_seeds(cfg, pool, levels, wanted - len(fresh), lab.rng("seeds", cycle, attempt))
        first = (cycle * cfg.tries + attempt) * wanted  # no request is sent twice
        for answer in lab.ask([Pose(one, mode(cfg, levels[one.id]), first + row) for row, one in enumerate(seeds)]):
            if answer.problem is not None and answer.problem.id not in seen and known.admit(answer.problem):
                fresh[answer.problem.id] = answer.problem
        lab.note("new problems asked for", len(seeds))
    found = lab.tested(list(fresh.values()))  # a teacher that is a model poses no tests: it is asked for some
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
    """Draw seeds by the levels' quotas, without replacement until a level is used up; or from the pool as a whole."""
    if not cfg.ablation.level_split:
        return rng.choices(pool, k=count)
    groups: dict[Level, list[Problem]] = {name: [one for one in pool if levels[one.id] == name] for name in LEVELS}
    seeds: list[Problem] = []
    for name, share in quotas(cfg.quota, count, {name: len(groups[name]) for name in LEVELS}).items():
        rounds, rest = divmod(share, max(1, len(groups[name])))
        seeds += groups[name] * rounds + rng.sample(groups[name], rest)
    return seeds


def quotas(shares: tuple[float, float, float], count: int, available: dict[Level, int]) -> dict[Level, int]:
    """Split `count` over hard, medium, easy; an empty level's share goes to the nearest harder, else easier one."""
    amounts = [round(share * count) for share in shares]
    amounts[0] += count - sum(amounts)
    given: dict[Level, int] = dict.fromkeys(LEVELS, 0)
    for place, amount in enumerate(amounts):
        order = [*range(place, -1, -1), *range(place + 1, len(LEVELS))]
        home: Level = next(LEVELS[one] for one in order if available[LEVELS[one]] > 0)
        given[home] += amount
    return given


def kept_and_replayed(
    lab: Lab, cfg: Config, cycle: int, room: int, hard: list[Problem], seen: dict[str, Problem]
) -> list[Problem]:
    """Fill the room beside the new problems: some of the hard ones, then earlier ones replayed."""
    most = min(len(hard), round(cfg.keep_hard * lab.budget.examples), room)
    kept = lab.rng("hard", cycle).sample(hard, most)
    old = [one for key, one in seen.items() if key not in {problem.id for problem in kept}]
    return kept + lab.rng("replay", cycle).sample(old, min(len(old), room - len(kept)))
