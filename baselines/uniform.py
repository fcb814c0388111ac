"""The control without feedback: new problems at random, direct answers, plain likelihood. Ours, no paper's.

It renews the pool as often as `iterkd` does and asks for as many new problems, but of uniform level and operation
instead of following the student. What `uniform` gains over a fixed pool is what new problems alone are worth. What
`iterkd` gains over it is not feedback alone: `iterkd` also contrasts faulty answers, verifies correct ones, keeps hard
problems and filters near-copies. `iterkd.weight=0` against `uniform` takes the contrast out of that.

Cost of a cycle: one teacher call per problem of the pool, one per new problem; no attempts.

| paper | here | why |
|---|---|---|
| none | cycle 1 on the seed pool, then half new, half replayed problems | ours: as many new ones as `iterkd` |
| none | direct answers, L_SFT | ours: nothing else may differ from a fixed pool |
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.lab import Example, Lab, Pose, Problem, Solve, Student

REQUESTS = ("solve", "pose")


@dataclass(frozen=True)
class Config:
    fresh: float = 0.5  # share of each later pool that is new; `iterkd` renews by the same share
    tries: int = 4  # requests for one new problem before the pool is filled by replay instead


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, size = lab.student, lab.budget.examples
    pool = list(lab.problems[:size])
    seen = {problem.prompt: problem for problem in pool}
    for cycle in range(lab.cycles):
        student = lab.fit(student, direct(lab, pool))
        yield student
        if cycle + 1 < lab.cycles:
            fresh = new_problems(lab, cfg, cycle, round(cfg.fresh * size), seen)
            old = list(seen.values())
            seen.update({problem.prompt: problem for problem in fresh})
            pool = fresh + lab.rng("replay", cycle).sample(old, min(len(old), size - len(fresh)))


def direct(lab: Lab, pool: list[Problem]) -> list[Example]:
    answers = lab.ask([Solve(problem) for problem in pool])
    return [
        Example(problem.prompt, text, level=problem.level, origin=f"solve {problem.id}")
        for problem, text in lab.completions(pool, answers)
    ]


def new_problems(lab: Lab, cfg: Config, cycle: int, count: int, seen: dict[str, Problem]) -> list[Problem]:
    found: dict[str, Problem] = {}
    for attempt in range(cfg.tries):
        wanted = count - len(found)
        start = (cycle * cfg.tries + attempt) * count  # no request is sent twice
        for answer in lab.ask([Pose(None, "uniform", index=start + place) for place in range(wanted)]):
            if answer.problem is not None and answer.problem.prompt not in seen:
                found.setdefault(answer.problem.prompt, answer.problem)
    return list(found.values())
