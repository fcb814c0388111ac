"""Lion (Jiang et al., EMNLP 2023, arXiv 2305.12870): imitate, find what the student does worse, ask for more of it.

Each cycle the student imitates the teacher's answers; then the teacher, as a referee, rates the student's answer
beside its own, and problems where it leads are called hard; then it writes new problems after hard and easy ones, one
to one. No faults, no tool, no tests: the control for `iterkd`, which has all three.

Cost of a cycle with a pool of N: N teacher calls for answers, 2N for ratings, N/2 and the retries for new problems; N
attempts; the budget's optimiser updates.

| paper (code: YJiangcm/Lion) | here | why |
|---|---|---|
| imitation, discrimination, generation, cycle after cycle | the same | paper |
| instructions of many kinds | code problems | ours: the comparison's pool |
| referee: 1 to 10 for each of two answers, both orders, averaged | the same | authors' code |
| hard: the teacher leads by 1 or more | the same | authors' code |
| new problems, hard : easy = 1 : 1 | the same; an empty side leaves its share to the other | paper; the rest is ours |
| after a hard one: same domain, same type; after an easy one: rarer | the same | authors' code |
| ROUGE-L ≤ 0.7 against the pool | the same, against all problems so far | authors' code |
| size and renewal of the pool, rounds: not checked | half new, half replayed, as `iterkd` | ours: equal updates |
| what a round starts from: not checked | the current student | ours |
| how the student answers: not checked | greedily | ours: no noise in the gap |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.lab import Answer, Example, Lab, Pose, Problem, Rate, Solve, Student, in_range, new_problems

REQUESTS = ("solve", "rate", "pose")
ABOUT = {
    "lion": "new problems where a referee sees a lead",
}


@dataclass(frozen=True)
class Config:
    gap: float = 1.0  # lead of the teacher, of 10 points, from which on a problem is hard
    fresh: float = 0.5  # share of each later pool that is new
    hard: float = 0.5  # share of the new problems that are asked for after hard ones
    rouge: float = 0.7  # highest ROUGE-L F of a new problem against the earlier ones; 1 switches the filter off
    tries: int = 4  # rounds of requests for new problems before replay fills the pool

    def __post_init__(self) -> None:
        in_range(self, shares=("fresh", "hard", "rouge"), one_or_more=("tries",))


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, size = lab.student, lab.budget.examples
    pool = list(lab.problems[:size])
    seen = {problem.id: problem for problem in pool}
    for cycle in range(lab.cycles):
        # Imitation: the student learns the teacher's answers as they come.
        answers = lab.ask([Solve(problem) for problem in pool])
        student = lab.fit(student, rows(lab, pool, answers))
        yield student
        if cycle + 1 == lab.cycles:
            return

        # Discrimination: the referee rates both answers; hard is where the teacher leads.
        hard = discriminated(lab, cfg, pool, answers, student)
        lab.note(f"cycle {cycle + 1} hard", len(hard))
        lab.note(f"cycle {cycle + 1} easy", len(pool) - len(hard))

        # Generation: new problems after hard and easy ones; replay fills the pool.
        fresh = generated(lab, cfg, cycle, pool, hard, seen)
        lab.note("new problems kept", len(fresh))
        old = list(seen.values())
        pool = fresh + lab.rng("replay", cycle).sample(old, min(len(old), size - len(fresh)))
        seen.update({problem.id: problem for problem in fresh})


def rows(lab: Lab, pool: Sequence[Problem], answers: Sequence[Answer]) -> list[Example]:
    return [
        Example(problem.prompt, text, level=problem.level, origin=f"solve {problem.id}")
        for problem, text in lab.completions(pool, answers)
    ]


def discriminated(
    lab: Lab, cfg: Config, pool: Sequence[Problem], answers: Sequence[Answer], student: Student
) -> set[str]:
    """Return the ids of the hard problems; one without two ratings in both orders is easy, as nothing shows a lead."""
    attempts = lab.attempt(student, pool)
    asked = [
        (problem, answer.code, problem.prompt + attempt.completion)
        for problem, answer, attempt in zip(pool, answers, attempts, strict=True)
        if answer.code
    ]
    one_way = lab.ask([Rate(problem, teacher, own) for problem, teacher, own in asked])
    other_way = lab.ask([Rate(problem, own, teacher) for problem, teacher, own in asked])
    hard: set[str] = set()
    for (problem, _, _), first, second in zip(asked, one_way, other_way, strict=True):
        lead = mean_lead(first, second)
        if lead is None:
            lab.note("problems without ratings")
        elif lead >= cfg.gap:
            hard.add(problem.id)
    return hard


def mean_lead(teacher_first: Answer, teacher_second: Answer) -> float | None:
    """Return by how many points the teacher leads on average; None where a rating is missing."""
    match teacher_first.scores, teacher_second.scores:
        case (float() | int() as a, float() | int() as b), (float() | int() as c, float() | int() as d):
            return ((a - b) + (d - c)) / 2
        case _:
            return None


def generated(
    lab: Lab, cfg: Config, cycle: int, pool: Sequence[Problem], hard: set[str], seen: dict[str, Problem]
) -> list[Problem]:
    """Ask for neighbours of hard problems and rarer ones after easy ones, until enough are new."""
    sides = [one for one in pool if one.id in hard], [one for one in pool if one.id not in hard]

    def requests(turn: int, indices: range) -> list[Pose]:
        rng, missing = lab.rng("seeds", cycle, turn), len(indices)
        after_hard = missing if not sides[1] else round(cfg.hard * missing) if sides[0] else 0
        seeds = rng.choices(sides[0], k=after_hard) if after_hard else []
        seeds += rng.choices(sides[1], k=missing - after_hard) if missing > after_hard else []
        asked = zip(seeds, indices, strict=True)
        return [Pose(one, "similar" if one.id in hard else "rarer", index) for one, index in asked]

    wanted = round(cfg.fresh * lab.budget.examples)
    return new_problems(lab, seen.values(), wanted, requests, cycle=cycle, tries=cfg.tries, rouge=cfg.rouge)
