"""The nouns that pass between rooms: frozen dataclasses, in the field's standard terms.

Letters of tensor shapes, used in comments wherever a tensor is born:
B batch, T tokens, V vocabulary, K kept logits, P problems, S samples. Log-probabilities are natural and called
`logp` (nats); times end in `_s` (seconds), sizes in `_bytes`, money in `_usd`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

# Plain data: all that crosses the border to a candidate's process, in either direction.
Atom: TypeAlias = bool | int | float | complex | str | bytes | None
Plain: TypeAlias = "Atom | list[Plain] | tuple[Plain, ...] | set[Plain] | frozenset[Plain] | dict[Plain, Plain]"

Status = Literal[
    "passed", "wrong", "exception", "timeout", "memory", "output_limit", "crashed", "refused", "infrastructure"
]
STATUSES: tuple[Status, ...] = (
    "passed",
    "wrong",
    "exception",
    "timeout",
    "memory",
    "output_limit",
    "crashed",
    "refused",
    "infrastructure",
)

Rule = Literal[
    "strict",
    "equal",
    "close",
    "digest",
    "evalplus",
    "evalplus-1e-6",
    "evalplus-1e-4",
    "members",
    "one-of",
    "given",
    "anything",
    "root",
    "answer",
]
"""How a call's value is compared: `strict` same top-level type and equal; `equal` Python's `==`;
`close` `==`, or floats within 1e-6 at any depth; `digest` the SHA-256 of the value is the expected one, for values too
large to be sent; the others are described one by one in harness/sandbox/judging/oracles.py."""


@dataclass(frozen=True)
class Check:
    """One call of the entry point: arguments, the value expected, and how the two are compared."""

    args: tuple[Plain, ...]
    expected: Plain
    rule: Rule = "equal"
    visible: bool = False  # stands in the problem's text, so feedback may show it


@dataclass(frozen=True)
class Script:
    """A test script of a public benchmark, run by the judge with `candidate` bound to a proxy."""

    text: str
    style: Literal["check", "asserts"]  # HumanEval's `check(candidate)`; MBPP's bare asserts
    visible: tuple[Check, ...] = ()  # the examples that the problem's text shows


@dataclass(frozen=True)
class Text:
    """An answer that is compared as text; nothing is run. See harness/sandbox/judging/answers.py."""

    expected: str
    rule: Literal["numbers", "prefix"]  # the same numbers up to a blank line; the same characters, as many as expected


@dataclass(frozen=True)
class Problem:
    """A programming task. `checks` is data for the judge, never code pasted behind a completion."""

    id: str
    prompt: str  # what a student continues: header and docstring, ending in a newline
    entry_point: str
    checks: tuple[Check, ...] | Script | Text
    reference: str  # the completion that solves it: prompt + reference is a whole program
    level: int | None = None  # difficulty as the source grades it, 1 is easiest
    source: str = ""  # where it came from: "pipelines", "mbpp:train", a file's name
    cpu_s: float | None = None  # CPU seconds that its checks need at least, where that is more than usual
    fault: str = ""  # a completion that fails the checks, where a student is to choose between it and the reference
    family: str = ""  # of problems that are not independent (paraphrases, translations); empty: it stands alone


@dataclass(frozen=True)
class Sample:
    """Raw text of one attempt at a problem."""

    problem_id: str
    index: int
    completion: str
    finish_reason: Literal["stop", "length", "context"]  # context: the prompt left no room to answer
    tokens: int  # generated, the end token included


@dataclass(frozen=True)
class Failure:
    """The first check that failed, as text; refinements and reports show it."""

    input: str
    got: str
    expected: str
    visible: bool


@dataclass(frozen=True)
class Verdict:
    """What running a program showed. `infrastructure` is never a wrong answer."""

    status: Status
    reason: str
    first_fail: Failure | None
    n_passed: int
    n_checks: int
    cpu_s: float
    wall_s: float
    peak_bytes: int
    level: str  # isolation that ran it: full, no-namespaces, seatbelt, process-only
    in_process: bool = False  # the tests ran inside the candidate's process

    @property
    def passed(self) -> bool:
        return self.status == "passed"


@dataclass(frozen=True)
class Example:
    """One training example. `rejected` is the faulty counterpart of `completion`."""

    prompt: str
    completion: str
    rejected: str | None = None
    weight: float = 1.0
    level: int | None = None
    origin: str = ""  # which request, attempt and cycle produced it


@dataclass(frozen=True)
class TrainingSet:
    """Examples and how they are ordered: `shuffled` anew each epoch, or `as_given` to the batch."""

    examples: tuple[Example, ...]
    order: Literal["shuffled", "as_given"] = "shuffled"


@dataclass(frozen=True)
class Student:
    """A student as recipes see it: an opaque handle, identified by the content of its weights."""

    name: str
    weights: str  # sha256 of the checkpoint's content


@dataclass(frozen=True)
class Spent:
    """What was spent, in units that do not depend on the machine. Adding two adds every field."""

    teacher_calls: int = 0
    teacher_tokens_in: int = 0
    teacher_tokens_out: int = 0
    teacher_usd: float = 0.0
    student_samples: int = 0
    student_tokens: int = 0  # generated by the student
    programs: int = 0  # judged by the sandbox
    examples: int = 0  # rows trained on, each visit counted
    training_tokens: int = 0  # forward tokens of training, padding excluded, contrast sequences included
    updates: int = 0  # optimiser steps

    def __add__(self, other: Spent) -> Spent:
        names = Spent.__dataclass_fields__
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in names})


CHOSEN = "chosen of two"  # a row's decoding where a student only tells which of two programs it finds likelier


@dataclass(frozen=True)
class Row:
    """One stored result: one cell after one cycle on one benchmark."""

    recipe: str  # "untrained" for the base student
    settings: dict[str, str]  # the recipe's own keys that the command set
    seed: int | None  # None for the untrained student, which all seeds share
    cycle: int  # 0 for the untrained student, else 1..K
    benchmark: str
    benchmark_hash: str
    protocol: dict[str, str]  # prompt style, stop strings, extractor, decoding, limits, isolation level
    n: int  # problems
    samples: int  # per problem
    correct: tuple[int, ...]  # passing samples of each problem, in the benchmark's order
    levels: tuple[int, ...]  # of each problem; empty where the benchmark has none
    truncated: int  # completions cut by a limit
    statuses: dict[str, int]  # verdicts by status
    weights: str
    spent: Spent = field(default_factory=Spent)  # by this cell, up to and including this cycle
    notes: dict[str, int] = field(default_factory=dict[str, int])  # a recipe's own counts: drops, levels, faults
    similarity: float | None = None  # mean share of right characters, where answers are compared by character
    families: tuple[str, ...] = ()  # of each problem; empty where the benchmark has none
