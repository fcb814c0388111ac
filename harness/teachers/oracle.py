"""The procedural teacher of the embedded world: it knows every Pipelines problem by its id and never errs.

For other problems it serves what their data allow: the reference as answer and repair, mutants of a correct program
as faults; it cannot pose or judge them. It runs no code that it is given: what a fault does is computed from the
table of operations. Tokens are counted as words and single other signs (`\\w+|[^\\w\\s]`); there is no model behind it,
so the counts compare recipes with each other, not with a priced teacher.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from harness.errors import DataError, TeacherError
from harness.store.keys import digest
from harness.teachers.faults import wrong_step
from harness.teachers.mutate import mutate, parsed
from harness.teachers.reading import Line, align, body_of, chain, read, write
from harness.teachers.requests import (
    BEST_RATING,
    FAULTS,
    KINDS,
    RUBRIC,
    Answer,
    Corrupt,
    Judge,
    Pose,
    Rate,
    Refine,
    Request,
    Solve,
    Tests,
    request_key,
    rubric_total,
)
from harness.types import Problem, Script, Text
from harness.world import tinypy
from harness.world.checks import alike, replaced
from harness.world.grammar import LONGEST, SOURCE, Pipeline, parse, render
from harness.world.operations import CONSTANTS, Kind, Step
from harness.world.pool import REVERSED, Chooser, draw_step, fingerprint, held_out, skew

TOKEN = re.compile(r"\w+|[^\w\s]")
POSE_TRIES = 400
TESTS = 5


class Oracle:
    """The teacher `oracle`."""

    name = "oracle"
    version = 2
    capabilities: frozenset[str] = frozenset(KINDS)

    def serves(self, source: str) -> frozenset[str]:
        """Return all kinds for the embedded world; elsewhere it only knows the reference that a problem carries."""
        if source == SOURCE:
            return self.capabilities
        return frozenset({"solve"} if source == tinypy.SOURCE else {"solve", "corrupt"})

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        """Yield the answers in order. Each is drawn from its own generator, so neither batch nor order matters."""
        for position, request in enumerate(requests):
            rng = random.Random(int(digest([seed, request_key(request)])[:16], 16))
            yield position, serve(request, rng)


def serve(request: Request, rng: random.Random) -> Answer:
    """Answer one request."""
    match request:
        case Solve():
            return solve(request)
        case Corrupt():
            return corrupt(request, rng)
        case Refine():
            return refine(request)
        case Pose():
            return pose(request, rng)
        case Judge():
            return judge(request)
        case Rate():
            return rate(request)
        case Tests():
            return tests(request)


def answered(
    request: Request,
    text: str,
    *,
    code: str | None = None,
    problem: Problem | None = None,
    scores: tuple[float | None, ...] | None = None,
    reason: str = "",
) -> Answer:
    """Put an answer together and count its tokens."""
    return Answer(request.kind, text, code, problem, scores, tokens(asked(request)), tokens(text), 0.0, "stop", reason)


def tokens(text: str) -> int:
    return len(TOKEN.findall(text))


def asked(request: Request) -> str:
    """Return the text that the request hands over."""
    match request:
        case Solve():
            return request.shots + request.problem.prompt
        case Corrupt():
            return f"{request.correct}\n{request.fault}"
        case Refine():
            return "\n".join((request.problem.prompt, request.direct, request.attempt, request.feedback))
        case Pose():
            return f"{request.mode}\n{request.like.prompt if request.like else ''}{request.snippet}"
        case Judge():
            return f"{request.problem.prompt}\n{request.attempt}"
        case Rate():
            return f"{request.problem.prompt}\n{request.first}\n{request.second}"
        case Tests():
            return request.problem.prompt


def pipeline_of(problem: Problem) -> Pipeline | None:
    """Return the pipeline behind a problem of this world, None for any other problem."""
    try:
        return parse(problem.id)
    except DataError:
        return None


# --- solve and refine ------------------------------------------------------------------------------------------------


def solve(request: Solve) -> Answer:
    return reference(request, request.problem)


def reference(request: Request, problem: Problem) -> Answer:
    """Answer with the problem's reference."""
    if not problem.reference:
        return answered(request, "", reason=f"problem {problem.id} has no reference")
    code = problem.prompt + problem.reference
    return answered(request, code, code=code)


def refine(request: Refine) -> Answer:
    """Repair an attempt line by line, in its own spellings, variables and structure."""
    pipeline = pipeline_of(request.problem)
    if pipeline is None:
        return reference(request, request.problem)
    argument = pipeline.steps[0].of.source
    lines = read(body_of(request.problem, request.attempt), argument)
    body = write(pipeline.steps, lines, argument)
    assert same_chain(body, pipeline.steps), body
    code = request.problem.prompt + body
    return answered(request, code, code=code)


def same_chain(body: str, steps: Sequence[Step]) -> bool:
    """Whether a body does just these steps."""
    found = chain(read(body, steps[0].of.source), steps[0].of.source)
    return found is not None and [one.behaviour for one in found] == [one.behaviour for one in steps]


# --- tests -----------------------------------------------------------------------------------------------------------


def tests(request: Tests) -> Answer:
    """Answer with the first of the problem's own checks, as lines a model would write."""
    problem = request.problem
    if isinstance(problem.checks, Script | Text) or not problem.checks:
        return answered(request, "", reason=f"problem {problem.id} has no calls with values")
    chosen = problem.checks[:TESTS]
    calls = [f"{problem.entry_point}({', '.join(map(repr, one.args))})" for one in chosen]
    lines = [f"assert {call} == {one.expected!r}" for call, one in zip(calls, chosen, strict=True)]
    return replace(answered(request, "\n".join(lines)), checks=chosen)


# --- corrupt ---------------------------------------------------------------------------------------------------------


def corrupt(request: Corrupt, rng: random.Random) -> Answer:
    """Make a correct program faulty: by a wrong step where the fault is logic and the program one of this world."""
    pipeline = pipeline_of(request.problem)
    own = pipeline is not None and same_chain(body_of(request.problem, request.correct), pipeline.steps)
    fault = rng.choice(FAULTS) if request.fault == "any" else request.fault
    if fault == "logic" and pipeline is not None and own:
        code = wrong_step(request.problem, request.correct, pipeline, rng)
    else:
        kept = len(request.problem.prompt) if request.correct.startswith(request.problem.prompt) else 0
        code = mutate(request.correct, fault, rng, keep=kept)
    if code is None:
        return answered(request, "", reason="no fault possible")
    return answered(request, code, code=code)


# --- pose ------------------------------------------------------------------------------------------------------------


def pose(request: Pose, rng: random.Random) -> Answer:
    """Draw a new problem of the training split."""
    like = None if request.like is None else pipeline_of(request.like)
    if request.like is not None and like is None:
        raise TeacherError(
            f"teacher=oracle cannot pose a problem like {request.like.id}: it knows Pipelines problems only. Choose "
            "problems=pipelines, or a teacher that is a language model."
        )
    if like is None and request.mode in ("similar", "harder"):
        raise TeacherError(f"Pose(mode={request.mode!r}) needs a problem to start from; `like` is None.")
    match request.mode:
        case "similar" if like is not None:
            found = similar(like, rng)
        case "harder" if like is not None:
            found = harder(like, rng)
        case "inspired":
            found = inspired(request.snippet, rng)
        case _:
            found = other(like, request.mode, rng)
    if found is None:
        return answered(request, "", reason="no such problem found")
    problem = render(found, visible=True)
    return answered(request, problem.prompt, problem=problem)


def other(like: Pipeline | None, mode: str, rng: random.Random) -> Pipeline | None:
    """Draw a problem: any one, or one at the level and start of `like` with none of its operations, rare ones first."""
    if mode == "uniform":
        drawn = Chooser().fair(rng.randint(1, LONGEST), "train", rng)
        return next(found for found, _ in drawn if like is None or found.id != like.id)
    rare = Chooser({id: 1 / weight for id, weight in skew().items()})
    level = like.level if like else rng.randint(1, LONGEST)
    known = {one.operation for one in like.steps} if like else set[str]()
    for _ in range(POSE_TRIES):
        found, _ = next(rare.fair(level, "train", rng, like.steps[0].of.source if like else None))
        if known.isdisjoint(one.operation for one in found.steps):
            return found
    return None


def similar(like: Pipeline, rng: random.Random) -> Pipeline | None:
    """Vary the constants, one operation or the wording of a problem."""
    for _ in range(POSE_TRIES):
        found = rng.choice((other_constants, other_operation, other_words))(like, rng)
        if found.id != like.id and allowed(found):
            return found
    return None


def allowed(found: Pipeline) -> bool:
    """Whether a chain makes a fair problem of the training split."""
    print_ = fingerprint(found)
    return print_ is not None and not held_out(print_)


def harder(like: Pipeline, rng: random.Random) -> Pipeline | None:
    """Put one more step before, between or behind the steps of a problem; the longest get another operation."""
    for _ in range(POSE_TRIES):
        found = other_operation(like, rng) if like.level == LONGEST else one_step_more(like, rng)
        if allowed(found):
            return found
    return None


def one_step_more(like: Pipeline, rng: random.Random) -> Pipeline:
    at = rng.randrange(len(like.steps) + 1)
    kind = like.steps[at].of.source if at < len(like.steps) else like.steps[-1].of.target
    added = draw_step(rng.choice(alike(kind, kind)), rng)
    return replace(like, steps=(*like.steps[:at], added, *like.steps[at:]))


def inspired(snippet: str, rng: random.Random) -> Pipeline | None:
    """Draw a problem that uses an operation of a piece of code; any problem where none is read in it."""
    kinds: tuple[Kind, ...] = ("xs", "s", "n")
    read_steps = [one.step for kind in kinds for one in read(snippet, kind) if one.step is not None]
    seen = {one.operation for one in read_steps}
    for _ in range(POSE_TRIES):
        found, _ = next(Chooser().fair(rng.randint(1, LONGEST), "train", rng))
        if not seen or not seen.isdisjoint(one.operation for one in found.steps):
            return found
    return None


def other_constants(like: Pipeline, rng: random.Random) -> Pipeline:
    steps = [
        replace(one, constant=rng.choice(CONSTANTS[one.of.constant])) if one.of.constant else one for one in like.steps
    ]
    return replace(like, steps=tuple(steps))


def other_operation(like: Pipeline, rng: random.Random) -> Pipeline:
    at = rng.randrange(len(like.steps))
    one = like.steps[at].of
    return replace(like, steps=replaced(like.steps, at, draw_step(rng.choice(alike(one.source, one.target)), rng)))


def other_words(like: Pipeline, rng: random.Random) -> Pipeline:
    steps = tuple(replace(one, phrase=rng.randrange(len(one.of.phrases))) for one in like.steps)
    return Pipeline(steps, len(steps) > 1 and rng.random() < REVERSED)


# --- judge -----------------------------------------------------------------------------------------------------------


def judge(request: Judge) -> Answer:
    """Score an attempt by reading it; the rules are a heuristic of this project, in half points.

    R1 (0–2) basic function: share of the steps that stand in order, against the longer of the two programs.
    R2 (0–1) boundary cases: share of the constants that are right, of the steps where there are none.
    R3 (0–1) coverage: share of the operations that occur anywhere.
    R4 (0–1) readability: share of the lines that are one known operation each.
    R5 (0–1) practice: it parses, and each line uses the value of the line before.
    """
    pipeline = pipeline_of(request.problem)
    if pipeline is None:
        unknown: tuple[float | None, ...] = (None,) * 5
        return answered(request, "", scores=unknown, reason="not a Pipelines problem")
    argument = pipeline.steps[0].of.source
    body = body_of(request.problem, request.attempt)
    lines = read(body, argument)
    scores = tuple(halves(score) for score in rubric(pipeline.steps, lines, body, argument))
    text = "\n".join(f"R{rule}: {score:g}" for rule, score in enumerate(scores, start=1))
    return answered(request, text, scores=scores)


def rate(request: Rate) -> Answer:
    """Rate two answers, each by the rubric, without favour to the first: 1 + 9/6 of its points."""
    totals = [rubric_total(judge(Judge(request.problem, answer)).scores) for answer in (request.first, request.second)]
    scores = tuple(None if one is None else 1 + (BEST_RATING - 1) * one / sum(RUBRIC) for one in totals)
    text = " ".join("unknown" if one is None else f"{one:g}" for one in scores)
    return answered(request, text, scores=scores, reason="" if None not in scores else "not a Pipelines problem")


def rubric(steps: tuple[Step, ...], lines: list[Line], body: str, argument: str) -> tuple[float, ...]:
    read_steps = [line.step for line in lines if line.step is not None]
    partners = align(steps, lines)
    right = [
        partner is not None and partner.step is not None and partner.step.behaviour == one.behaviour
        for one, partner in zip(steps, partners, strict=True)
    ]
    in_order = sum(right) / max(len(steps), len([line for line in lines if not line.bare]))
    with_constant = [good for one, good in zip(steps, right, strict=True) if one.constant is not None]
    wanted = Counter(one.operation for one in steps)
    present = wanted & Counter(one.operation for one in read_steps)
    clean = sum(line.step is not None or line.bare for line in lines) / max(1, len(lines))
    parses = parsed(f"def f({argument}):\n{body}") is not None
    flows = parses and chain(lines, steps[0].of.source) is not None
    return (
        2 * in_order,
        share(with_constant or right),
        present.total() / wanted.total(),
        clean,
        1.0 if flows else 0.5 if parses else 0.0,
    )


def share(marks: list[bool]) -> float:
    return sum(marks) / len(marks)


def halves(score: float) -> float:
    """Round to half points, down: only what is wholly right gets all of them."""
    return int(score * 2 + 1e-9) / 2
