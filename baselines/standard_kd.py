"""Standard distillation: fine-tuning on given solutions, on a teacher's text, or on its next-token distributions.

`sft` trains on the solutions that came with the problems. `seqkd` trains on the teacher's answers as if they were the
truth (sequence-level distillation, Kim & Rush 2016, arXiv 1606.07947); `seqkd-exec` draws several and keeps those that
pass. `kd-*` adds, on the same answers, the divergence of the student's distribution from the teacher's (Hinton et al.
2015, arXiv 1503.02531; `kd-rkl` MiniLLM, arXiv 2306.08543; `kd-jsd` GKD, arXiv 2306.13649; `kd-skl` and `kd-srkl`
DistiLLM, arXiv 2402.03898; `kd-tvd` total variation). `gkd` takes that divergence on the student's own text, as it then writes.

Cost of a run: `draws` teacher calls a problem (none for `sft`); no attempts, but `gkd` samples in training; the
budget's optimiser updates in one pass, with the teacher's forward pass beside each where logits are used.

| paper | here | why |
|---|---|---|
| Kim & Rush: beam search output of the teacher | one greedy answer (T = 0) | ours: hosted models offer no beam search |
| Kim & Rush: word-level and sequence-level mixed | `seqkd` is pure cross-entropy on teacher text | ours: logits are the other variants |
| filtering by execution: no single paper | 8 draws at T = 0.8, at most 4 passing ones, of different syntax trees | ours: cost |
| (1 − α)·CE + α·τ²·D | the same; α = 0.5, τ = 1 | formula: Hinton; values ours (torchtune, TRL) |
| D over the whole vocabulary | the same; `train.logits_top_k=K`: over K tokens and a tail, on given texts | ours: cost |
| D on completion tokens, end token included, per token of the step | the same, in float32 | ours: independent of padding |
| skew a = 0.1 (DistiLLM) | 0.1 | authors' code; `kd-srkl` mixes (1 − a)·p + a·q: the formula, not their code |
| GKD: JSD of β, share λ of student text | β = 0.5, λ = 0.5, T = 0.9; α = 1: no likelihood | ours (TRL's defaults) |
| GKD: one draw an update, the whole batch | exactly λ of the updates, which ones is drawn | ours: no variance in cost |
| GKD: at most 128 new tokens (TRL) | as an attempt: 96 in the embedded world, else 512 | ours: functions are longer |
| data: the training set | `problems`, cycles × `budget.examples` of them | ours: the comparison's shared pool |
| epochs | `budget.updates` × cycles, one schedule, evaluated at each cycle's mark | ours: equal updates |
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.lab import Example, Filter, Lab, Objective, Problem, Soft, Solve, Student, in_range, normal_form

Divergence = Literal["none", "forward", "reverse", "jsd", "skew_forward", "skew_reverse", "tvd"]
SKEW, BALANCE = 0.1, 0.5  # a of the skewed divergences, β of the Jensen-Shannon one


@dataclass(frozen=True)
class Ablation:
    self_teacher: bool = False  # the distributions are the untrained student's, the answers still the teacher's


@dataclass(frozen=True)
class Config:
    labels: Literal["teacher", "given"] = "teacher"  # whose text: the teacher's, or the problems' own solutions
    temperature: float = 0.0  # of the teacher; 0 is greedy
    draws: int = 1  # k, answers asked for a problem
    cap: int = 1  # most answers of a problem that are kept
    filter: Filter = "none"  # which of them are kept
    divergence: Divergence = "none"  # from the teacher's distributions; none: text alone
    alpha: float = 0.5  # α, weight of the divergence; 1: the labels count only as contexts
    tau: float = 1.0  # τ, temperature of both distributions
    skew: float = SKEW  # a of the skewed divergences
    beta: float = BALANCE  # β of `jsd`
    lmbda: float = 0.0  # λ, share of the updates on the student's own text; 0 is off-policy
    student_temperature: float = 0.9  # of that text
    ablation: Ablation = field(default_factory=Ablation)

    def __post_init__(self) -> None:
        in_range(self, one_or_more=("draws", "cap"), zero_or_more=("temperature", "student_temperature"))
        in_range(self, above_zero=("tau",), shares=("alpha", "lmbda"), inside=("skew", "beta"))
        if self.draws > 1 and self.temperature == 0:
            raise ValueError(f"draws={self.draws} at temperature=0 asks for one answer {self.draws} times.")
        if self.lmbda > 0 and self.divergence == "none":
            raise ValueError(f"lmbda={self.lmbda}: the student's own text has no label; choose a divergence.")
        if self.ablation.self_teacher and self.divergence == "none":
            raise ValueError("ablation.self_teacher=True: text alone has no distributions; choose a divergence.")


VARIANTS = {
    "sft": Config(labels="given"),
    "seqkd": Config(),
    "seqkd-exec": Config(temperature=0.8, draws=8, cap=4, filter="tests"),
    "kd-fkl": Config(divergence="forward"),
    "kd-rkl": Config(divergence="reverse"),
    "kd-jsd": Config(divergence="jsd"),
    "kd-skl": Config(divergence="skew_forward"),
    "kd-srkl": Config(divergence="skew_reverse"),
    "kd-tvd": Config(divergence="tvd"),
    "gkd": Config(divergence="jsd", alpha=1.0, lmbda=0.5),
}
ABOUT = {
    "sft": "the problems' own solutions, no teacher",
    "standard_kd": "the same as seqkd",
    "seqkd": "the teacher's answers as they come",
    "seqkd-exec": "several answers, those that pass",
    "kd-fkl": "seqkd's rows, forward KL to the teacher",
    "kd-rkl": "seqkd's rows, reverse KL to the teacher",
    "kd-jsd": "seqkd's rows, Jensen-Shannon divergence",
    "kd-skl": "seqkd's rows, skewed forward KL (DistiLLM)",
    "kd-srkl": "seqkd's rows, skewed reverse KL (DistiLLM)",
    "kd-tvd": "seqkd's rows, total variation distance",
    "gkd": "divergence on the student's own text (GKD)",
}


def needs(cfg: Config) -> tuple[str, ...]:
    soft = cfg.divergence != "none" and cfg.alpha > 0
    return (
        "solve" if cfg.labels == "teacher" else "references",
        *(("checks",) if cfg.filter == "tests" else ()),
        *(("logits",) if soft and not cfg.ablation.self_teacher else ()),
        *(("whole logits",) if soft and cfg.tau != 1 else ()),
    )


def train(lab: Lab, cfg: Config) -> Iterator[Student]:
    written = lab.references(lab.problems) if cfg.labels == "given" else answers(lab, cfg)
    examples = [
        Example(problem.prompt, text, level=problem.level, origin=f"{cfg.labels} {problem.id}")
        for problem, text in within_budget(lab, written)
    ]
    yield from lab.fit_through(lab.student, examples, objective(lab, cfg))


def answers(lab: Lab, cfg: Config) -> list[tuple[Problem, str]]:
    """Return (problem, completion) of the answers that are kept: filtered, unique by syntax tree, at most `cap`."""
    asked = [(problem, index) for problem in lab.problems for index in range(cfg.draws)]
    found = lab.ask([Solve(problem, index=index, temperature=cfg.temperature) for problem, index in asked])
    written = lab.completions([problem for problem, _ in asked], found)
    kept: dict[str, dict[str, tuple[Problem, str]]] = {}
    for problem, text in lab.passing(written, cfg.filter):
        own = kept.setdefault(problem.id, {})
        if len(own) < cfg.cap:
            own.setdefault(normal_form(problem.prompt + text) or text, (problem, text))
    return [pair for own in kept.values() for pair in own.values()]


def within_budget(lab: Lab, written: Sequence[tuple[Problem, str]]) -> list[tuple[Problem, str]]:
    """Return as many rows as the budget of examples allows, each problem's first ones before any second."""
    most = lab.budget.examples * lab.cycles or len(written)
    place: dict[str, int] = {}
    order: list[tuple[int, int]] = []
    for row, (problem, _) in enumerate(written):
        place[problem.id] = place.get(problem.id, -1) + 1
        order.append((place[problem.id], row))
    return [written[row] for row in sorted(row for _, row in sorted(order)[:most])]


def objective(lab: Lab, cfg: Config) -> Objective:
    if cfg.divergence == "none":
        return Objective()
    parameter = cfg.beta if cfg.divergence == "jsd" else cfg.skew
    return Objective(
        soft=Soft(
            cfg.divergence,
            alpha=cfg.alpha,
            tau=cfg.tau,
            parameter=parameter,
            on_policy=cfg.lmbda,
            temperature=cfg.student_temperature,
            teacher=lab.student.weights if cfg.ablation.self_teacher else "",
        )
    )
