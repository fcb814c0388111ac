"""What recipes ask a teacher, and what comes back: typed requests and one kind of answer. It knows no teacher."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from harness.store.content import content_hash
from harness.store.keys import Json
from harness.types import Check, Problem

RequestKind = Literal["solve", "corrupt", "refine", "pose", "judge", "rate", "tests"]
KINDS: tuple[RequestKind, ...] = ("solve", "corrupt", "refine", "pose", "judge", "rate", "tests")

Fault = Literal["syntax", "logic", "type", "name", "timeout", "any"]  # any: the teacher chooses
FAULTS: tuple[Fault, ...] = ("syntax", "logic", "type", "name", "timeout")

Mode = Literal["rarer", "similar", "uniform", "harder", "inspired"]
MODES: tuple[Mode, ...] = ("rarer", "similar", "uniform", "harder", "inspired")

RUBRIC: tuple[float, ...] = (2.0, 1.0, 1.0, 1.0, 1.0)
"""Most points for basic function, boundary cases, coverage of the requirements, readability, coding practice."""

BEST_RATING = 10.0  # of `rate`, whose worst is 1


@dataclass(frozen=True)
class Solve:
    """Solve a problem. A new `index` is a new draw of the same question."""

    problem: Problem
    index: int = 0
    temperature: float = 0.0
    shots: str = ""  # solved examples that stand before the question, for a few-shot teacher
    kind: ClassVar[RequestKind] = "solve"

    @property
    def drawn(self) -> bool:
        """Whether the answer is drawn at random, so that it may differ between seeds."""
        return self.temperature > 0


@dataclass(frozen=True)
class Corrupt:
    """Write a faulty counterpart of a correct program, with a fault of the named type."""

    problem: Problem
    correct: str  # the whole program
    fault: Fault
    index: int = 0
    kind: ClassVar[RequestKind] = "corrupt"
    drawn: ClassVar[bool] = True


@dataclass(frozen=True)
class Refine:
    """Repair an attempt, staying as near to it as possible."""

    problem: Problem
    attempt: str  # the completion, or the whole program
    feedback: str  # what running it showed
    direct: str = ""  # the teacher's own program, where it is shown again
    index: int = 0
    explain: bool = False  # the attempt's mistakes are to be listed in words before the repair
    kind: ClassVar[RequestKind] = "refine"

    @property
    def drawn(self) -> bool:
        """Whether the answer is drawn at random: the first one is not."""
        return self.index > 0


@dataclass(frozen=True)
class Pose:
    """Write a new problem: rarer than `like` in the same domain, similar to it, harder than it, or (without it) any.

    `inspired` is a problem whose solution would use what the code in `snippet` does.
    """

    like: Problem | None
    mode: Mode
    index: int = 0
    snippet: str = ""
    kind: ClassVar[RequestKind] = "pose"
    drawn: ClassVar[bool] = True


@dataclass(frozen=True)
class Judge:
    """Score an attempt by the rubric."""

    problem: Problem
    attempt: str  # the completion, or the whole program
    index: int = 0
    kind: ClassVar[RequestKind] = "judge"

    @property
    def drawn(self) -> bool:
        """Whether the answer is drawn at random: the first one is not."""
        return self.index > 0


@dataclass(frozen=True)
class Rate:
    """Rate two answers to a problem side by side, from 1 to 10 each; what stands first may be favoured."""

    problem: Problem
    first: str  # the completion, or the whole program
    second: str
    index: int = 0
    kind: ClassVar[RequestKind] = "rate"

    @property
    def drawn(self) -> bool:
        """Whether the answer is drawn at random: the first one is not."""
        return self.index > 0


@dataclass(frozen=True)
class Tests:
    """Write example calls of a problem's function, with their values."""

    problem: Problem
    index: int = 0
    kind: ClassVar[RequestKind] = "tests"
    __test__: ClassVar[bool] = False  # no test class, whatever pytest thinks of its name

    @property
    def drawn(self) -> bool:
        """Whether the answer is drawn at random: the first one is not."""
        return self.index > 0


Request: TypeAlias = "Solve | Corrupt | Refine | Pose | Judge | Rate | Tests"


@dataclass(frozen=True)
class Answer:
    """A teacher's answer. What it could not give is None, and `reason` says why."""

    kind: RequestKind
    text: str  # as the teacher wrote it
    code: str | None  # the whole program
    problem: Problem | None  # of `pose`
    scores: tuple[float | None, ...] | None  # of `judge`, one per rule of the rubric; of `rate`, two; None: no score
    tokens_in: int
    tokens_out: int
    usd: float
    finish_reason: str
    reason: str = ""
    checks: tuple[Check, ...] | None = None  # of `tests`; the rule `anything` where no value was stated
    fault: str = ""  # of a language model: unparsed, truncated, refused, quarantined
    calls: int = 1  # that the answer took: more where an unreadable one was drawn again
    without: tuple[str, ...] = ()  # parameters that an endpoint refused, once for every call that went without
    logprobs: tuple[float, ...] = ()  # of its tokens, in nats, with teacher.logprobs=true where the endpoint has them
    unpriced: int = 0  # of its calls: at no known price, so `usd` lacks them

    @property
    def notes(self) -> dict[str, int]:
        """Return what is counted beside the table: an answer's fault, and calls that went without a parameter."""
        faults = {f"teacher answers {self.fault}": 1} if self.fault else {}
        unpriced = {"teacher calls at no known price, counted as 0 usd": self.unpriced} if self.unpriced else {}
        return {
            **faults,
            **unpriced,
            **Counter(f"teacher calls without {name}, which the endpoint refuses" for name in self.without),
        }


def request_key(request: Request) -> dict[str, Json]:
    """Return all that determines an answer beside teacher and seed, as plain JSON data."""
    key: dict[str, Json] = {"kind": request.kind, "index": request.index}
    match request:
        case Solve():
            shots: dict[str, Json] = {"shots": request.shots} if request.shots else {}
            problem = content_hash(request.problem)
            return {**key, "problem": problem, "temperature": float(request.temperature), **shots}
        case Corrupt():
            problem = content_hash(request.problem)
            return {**key, "problem": problem, "correct": request.correct, "fault": request.fault}
        case Refine():
            texts: dict[str, Json] = {
                "attempt": request.attempt,
                "feedback": request.feedback,
                "direct": request.direct,
            }
            explain: dict[str, Json] = {"explain": True} if request.explain else {}
            return {**key, "problem": content_hash(request.problem), **texts, **explain}
        case Pose():
            like = None if request.like is None else content_hash(request.like)
            snippet: dict[str, Json] = {"snippet": request.snippet} if request.snippet else {}
            return {**key, "like": like, "mode": request.mode, **snippet}
        case Judge():
            return {**key, "problem": content_hash(request.problem), "attempt": request.attempt}
        case Rate():
            both: dict[str, Json] = {"first": request.first, "second": request.second}
            return {**key, "problem": content_hash(request.problem), **both}
        case Tests():
            return {**key, "problem": content_hash(request.problem)}


def rubric_total(scores: tuple[float | None, ...] | None) -> float | None:
    """Return the sum of the scores, 0 to 6; None where a rule is missing."""
    if scores is None or len(scores) != len(RUBRIC):
        return None
    known = [min(max(score, 0.0), most) for score, most in zip(scores, RUBRIC, strict=True) if score is not None]
    return sum(known) if len(known) == len(RUBRIC) else None
