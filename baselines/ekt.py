"""Explicit knowledge transfer, EKT (arXiv 2211.16740), and the two methods that it is held against.

A few-shot teacher writes several programs for each question; they are run, and the first that gives the right answer
becomes the question's label for the student, which sees no shots. `ekt-kd` adds the teacher's distributions on the
same rows, the teacher without shots, as the authors did; `ekt-kd-fair` lets it read the shots. In `expert-iter` the
student writes the programs itself: those that pass are its next round's training set, from the base weights again.
The other three train once, as in the source: each cycle goes on from the student of the one before.

Cost of a cycle: at most `k` teacher calls for each problem that is still unsolved (with `keep=first` a further one only
while none has passed, which leaves the same rows), for `expert-iter` attempts instead; the budget's optimiser updates.

| paper (code: zhangir-azerbayev/ETK) | here | why |
|---|---|---|
| few-shot teacher → run → fine-tune on what is right | the same | paper |
| GSM8k, the final answer as the only check | `problems=gsm8k:train`; on any other pool its tests | paper; other pools are ours |
| 500 training questions held out | the same number; those whose hash is lowest | authors' code; which ones is ours |
| straight-line programs that end in `answer =` | a body of `solution()`, its value is the answer | ours: the benchmark's form |
| three shots of theirs | three of ours for word problems, none for other pools | ours: a header says what is wanted |
| 100 samples a question, T = 0.6 | at most k = 8, T = 0.6 | authors' code; k is ours: cost |
| first right program of a question | the same | authors' code |
| rule: within 0.001 for the answer | the same | ours: 1 % takes 1,009 for 1,000 |
| student input without shots | the same in training; in evaluation with `style=completion`, as `gsm8k` is few-shot by default | authors' code |
| loss on question and padding too | on the completion alone | ours: one trainer for all recipes |
| KD: CE + KL, 1:1, τ = 1, teacher without shots | (CE + KL) / 2: α = 0.5 | authors' code; the half is ours: one scale of the rate |
| KD as one baseline | `ekt-kd-fair` too, with shots | ours: a base teacher never saw the format |
| EKT and KD: one training from the base | U updates a cycle, each cycle from the one before: K·U in all | ours: equal updates |
| expert iteration: 10 rounds, each from the base | a round a cycle, each from the base: its last student has U of the K·U updates | authors' code; `reset=false` for all |
| S₀ by the few-shot student | the same; without shots where the pool has none | authors' code |
| 100 samples a round | at most k = 8, no more than the attempts allow, the least tried problems first | ours: equal cost |
| AdamW, 140 epochs; 4 for each round | the comparison's trainer and updates | ours: equal updates |
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.lab import Example, Filter, Lab, Objective, Problem, Soft, Solve, Student, in_range, normal_form

SHOTS = '''def solution():
    """A baker fills 6 trays with 24 rolls each and sells 97 rolls. How many rolls are left?"""
    baked = 6 * 24
    return baked - 97


def solution():
    """Ines cycles 18 km an hour for 2.5 hours, then walks 3 km. How many km does she travel?"""
    cycled = 18 * 2.5
    return cycled + 3


def solution():
    """A coat costs 80 euros. It is reduced by 15 %, and shipping costs 6 euros. What does Omar pay?"""
    reduced = 80 * (100 - 15) / 100
    return reduced + 6


'''
WORD_PROBLEM = "def solution():\n"  # how a question of GSM8k begins


@dataclass(frozen=True)
class Config:
    programs: Literal["teacher", "student"] = "teacher"  # who writes them; student: expert iteration
    k: int = 8  # most programs asked for a problem in a cycle
    temperature: float = 0.6  # of those programs
    keep: Literal["first", "all", "shortest", "random"] = "first"  # which of a problem's right programs are rows
    filter: Filter = "tests"  # what is right: passes, ends without an exception, anything
    kl_weight: float = 0.0  # of the KL to the teacher beside the likelihood; 1 is one to one
    teacher_shots: bool = False  # the teacher reads the shots before each row, where the pool has them
    reset: bool = False  # every cycle from the base student; off: from the current one

    def __post_init__(self) -> None:
        in_range(self, one_or_more=("k",), zero_or_more=("temperature", "kl_weight"))
        if self.k > 1 and self.temperature == 0:
            raise ValueError(f"k={self.k} at temperature=0 asks for one program {self.k} times.")


VARIANTS = {
    "ekt-kd": Config(kl_weight=1.0),
    "ekt-kd-fair": Config(kl_weight=1.0, teacher_shots=True),
    "expert-iter": Config(programs="student", reset=True),
}
ABOUT = {
    "ekt": "first few-shot teacher program that passes",
    "ekt-kd": "ekt's rows, forward KL to the teacher",
    "ekt-kd-fair": "ekt-kd with a teacher that reads the shots",
    "expert-iter": "own programs that pass, round by round",
}


def needs(cfg: Config) -> tuple[str, ...]:
    return (
        *(("solve",) if cfg.programs == "teacher" else ()),
        *(("checks",) if cfg.filter == "tests" else ()),
        *(("logits",) if cfg.kl_weight > 0 else ()),
    )


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    student, tries = lab.student, Counter[str]()  # of a student's attempts at a problem, over all rounds
    solved: dict[str, list[str]] = {}  # problem id → its right programs, never changed once set
    for cycle in range(lab.cycles):
        # Sample programs for what is still unsolved, one each at a time; run them; keep what is right.
        unsolved, spare = [one for one in lab.problems if one.id not in solved], lab.budget.attempts
        for draw in range(cycle * cfg.k, (cycle + 1) * cfg.k):
            asked = [one for one in unsolved if cfg.keep != "first" or one.id not in solved]
            if cfg.programs == "teacher":
                written = by_teacher(lab, cfg, draw, asked)
            else:
                asked = sorted(asked, key=lambda one: tries[one.id])[: spare if lab.budget.attempts else len(asked)]
                spare -= len(asked)
                tries.update(one.id for one in asked)
                written = by_student(lab, cfg, draw, student if cycle else None, asked)
            for problem, text in lab.passing(written, cfg.filter):
                solved.setdefault(problem.id, []).append(text)
        lab.note(f"cycle {cycle + 1} solved problems", len(solved))
        # Train on one row per solved problem: the question without shots, and its program.
        student = lab.fit(lab.student if cfg.reset else student, rows(lab, cfg, solved), objective(lab, cfg))
        yield student


def by_teacher(lab: Lab, cfg: Config, draw: int, asked: Sequence[Problem]) -> list[tuple[Problem, str]]:
    requests = [Solve(one, index=draw, temperature=cfg.temperature, shots=shots(one)) for one in asked]
    return lab.completions(asked, lab.ask(requests))


def by_student(
    lab: Lab, cfg: Config, draw: int, student: Student | None, asked: Sequence[Problem]
) -> list[tuple[Problem, str]]:
    """Let the student write: the untrained one (None) after shots, where the pool has them, a trained one without."""
    prompts = [one if student else replace(one, prompt=shots(one) + one.prompt) for one in asked]
    found = lab.attempts(student or lab.student, prompts, 1, cfg.temperature, draw=draw)
    return [(one, sample.completion) for one, [sample] in zip(asked, found, strict=True)]


def shots(problem: Problem) -> str:
    return SHOTS if problem.prompt.startswith(WORD_PROBLEM) else ""


def rows(lab: Lab, cfg: Config, solved: dict[str, list[str]]) -> list[Example]:
    """Return the training rows in the pool's order, as many as the budget of examples allows."""
    found: list[Example] = []
    for problem in lab.problems:
        different: dict[str, str] = {}
        for text in solved.get(problem.id, []):
            different.setdefault(normal_form(problem.prompt + text) or text, text)
        kept = chosen(lab, cfg, problem, list(different.values()))
        origin = f"{cfg.programs} {problem.id}"
        found += [Example(problem.prompt, text, level=problem.level, origin=origin) for text in kept]
    return found[: lab.budget.examples * lab.cycles or None]


def chosen(lab: Lab, cfg: Config, problem: Problem, programs: list[str]) -> list[str]:
    """Return which of a problem's right programs, each of a syntax tree of its own, are rows."""
    match cfg.keep:
        case "shortest":
            return sorted(programs, key=len)[:1]  # the first drawn of equally long ones
        case "random":
            return [lab.rng("program", problem.id).choice(programs)] if programs else []
        case "first" | "all":
            return programs


def objective(lab: Lab, cfg: Config) -> Objective:
    """Return CE + w·KL, halved for w = 1: its terms' weights add up to one."""
    if cfg.kl_weight == 0:
        return Objective()
    lead = shots(lab.problems[0]) if cfg.teacher_shots and lab.problems else ""
    return Objective(soft=Soft("forward", alpha=cfg.kl_weight / (1 + cfg.kl_weight), lead=lead))
