"""The control without feedback: new problems at random, direct answers, plain likelihood. Ours, no paper's.

It renews the pool as often as `iterkd` does and asks for as many new problems, but of uniform level and operation
instead of following the student. What `uniform` gains over a fixed pool is what new problems alone are worth. What
`iterkd` gains over it is not feedback alone: `iterkd` also contrasts faulty answers, verifies correct ones, keeps hard
problems and filters near-copies. `iterkd.weight=0` against `uniform` takes the contrast out of that.

Where new problems come from is a choice: `source=evolve` asks for a harder version of an earlier problem, in the style
of Evol-Instruct (WizardCoder, arXiv 2306.08568); `source=snippet` for a problem inspired by a piece of code, in the
style of OSS-Instruct (Magicoder, arXiv 2312.02120). Both are the choice of a source in this loop, not those methods.

Cost of a cycle: one teacher call per problem of the pool, one per new problem; no attempts.

| paper | here | why |
|---|---|---|
| none | cycle 1 on the seed pool, then half new, half replayed problems | ours: as many new ones as `iterkd` |
| none | direct answers, L_SFT | ours: nothing else may differ from a fixed pool |
| Evol-Instruct: evolved instructions | one harder version of a drawn earlier problem | ours: a source, not the method |
| OSS-Instruct: seeded by open-source code | up to 15 lines in a row of an earlier answer | ours: no corpus is at hand |
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from harness.lab import Example, Lab, Pose, Problem, Solve, Student, in_range, new_problems

SNIPPET_LINES = 15  # most lines of a snippet


@dataclass(frozen=True)
class Config:
    fresh: float = 0.5  # share of each later pool that is new; `iterkd` renews by the same share
    tries: int = 4  # requests for one new problem before the pool is filled by replay instead
    source: Literal["uniform", "evolve", "snippet"] = "uniform"  # what a new problem is asked for from

    def __post_init__(self) -> None:
        in_range(self, shares=("fresh",), one_or_more=("tries",))


VARIANTS = {"evol-style": Config(source="evolve"), "oss-style": Config(source="snippet")}
ABOUT = {
    "uniform": "new problems at random, no feedback",
    "evol-style": "uniform, new problems as harder versions",
    "oss-style": "uniform, new problems from code snippets",
}
REQUESTS = ("solve", "pose")


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, size = lab.student, lab.budget.examples
    pool = list(lab.problems[:size])
    seen = {problem.prompt: problem for problem in pool}
    for cycle in range(lab.cycles):
        examples = direct(lab, pool)
        student = lab.fit(student, examples)
        yield student
        if cycle + 1 < lab.cycles:
            fresh = posed(lab, cfg, cycle, seen, examples)
            lab.note("new problems kept", len(fresh))
            old = list(seen.values())
            seen.update({problem.prompt: problem for problem in fresh})
            pool = fresh + lab.rng("replay", cycle).sample(old, min(len(old), size - len(fresh)))


def direct(lab: Lab, pool: list[Problem]) -> list[Example]:
    answers = lab.ask([Solve(problem) for problem in pool])
    return [
        Example(problem.prompt, text, level=problem.level, origin=f"solve {problem.id}")
        for problem, text in lab.completions(pool, answers)
    ]


def posed(lab: Lab, cfg: Config, cycle: int, seen: dict[str, Problem], examples: list[Example]) -> list[Problem]:
    def requests(turn: int, indices: range) -> list[Pose]:
        del turn  # an index alone decides what is asked
        return [request(lab, cfg, index, seen, examples) for index in indices]

    wanted = round(cfg.fresh * lab.budget.examples)
    return new_problems(lab, seen.values(), wanted, requests, cycle=cycle, tries=cfg.tries)


def request(lab: Lab, cfg: Config, index: int, seen: dict[str, Problem], examples: list[Example]) -> Pose:
    """Return one request for a new problem; without an answer to take a snippet from, for any problem."""
    rng = lab.rng("source", index)
    if cfg.source == "evolve":
        return Pose(rng.choice(list(seen.values())), "harder", index=index)
    if cfg.source == "snippet" and examples:
        return Pose(None, "inspired", index=index, snippet=snippet(rng.choice(examples).completion, rng.random()))
    return Pose(None, "uniform", index=index)


def snippet(code: str, place: float) -> str:
    """Return some lines of a piece of code, from a place between its start and its end (0 to 1) on."""
    lines = code.splitlines(keepends=True)
    return "".join(lines[int(place * len(lines)) :][:SNIPPET_LINES])
