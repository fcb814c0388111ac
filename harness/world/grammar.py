"""Pipelines as text: a chain of operations as docstring, as code, and as an id that reads back; it draws nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import DataError
from harness.types import Problem
from harness.world.checks import make_checks
from harness.world.operations import CONSTANTS, OPERATIONS, Step, chained

ENTRY_POINT = "f"
SOURCE = "pipelines"
LONGEST = 4  # operations
STEP = re.compile(r"(?P<operation>[a-z_]+)(?:~(?P<phrase>\d))?(?::(?P<constant>\w+))?")


@dataclass(frozen=True)
class Pipeline:
    """A chain of operations and the way it is worded."""

    steps: tuple[Step, ...]
    reversed: bool = False  # the docstring names the last step first

    @property
    def id(self) -> str:
        """`pipelines/l_even>l_add~1:3`: operation, phrasing unless it is the first, constant."""
        return f"{SOURCE}/{'reversed/' if self.reversed else ''}{'>'.join(step_id(one) for one in self.steps)}"

    @property
    def level(self) -> int:
        return len(self.steps)


def step_id(one: Step) -> str:
    """Return a step's part of the id."""
    phrase = f"~{one.phrase}" if one.phrase else ""
    return f"{one.operation}{phrase}{'' if one.constant is None else f':{one.constant}'}"


def parse(problem_id: str) -> Pipeline:
    """Return the pipeline that an id names; DataError where it names none."""
    path = problem_id.split("/")
    if len(path) not in (2, 3) or path[0] != SOURCE or (len(path) == 3 and path[1] != "reversed"):
        raise DataError(f"problem {problem_id!r:.120}: not a Pipelines id, expected pipelines/<operation>:<constant>>…")
    steps = tuple(parse_step(part, problem_id) for part in path[-1].split(">"))
    if not chained(steps) or len(steps) > LONGEST:
        raise DataError(f"problem {problem_id!r:.120}: the operations do not follow on each other, or are too many")
    return Pipeline(steps, len(path) == 3)


def parse_step(part: str, problem_id: str) -> Step:
    match = STEP.fullmatch(part)
    operation = OPERATIONS.get(match["operation"]) if match else None
    if match is None or operation is None:
        raise DataError(f"problem {problem_id!r:.120}: {part!r:.40} is not an operation with its constant")
    text = match["constant"]
    constant = int(text) if text and text.isdecimal() else text
    phrase = int(match["phrase"] or 0)
    allowed = CONSTANTS[operation.constant]
    if constant not in allowed and (constant is not None or allowed):
        raise DataError(f"problem {problem_id!r:.120}: {operation.id} takes {allowed or 'no constant'}, not {constant}")
    if phrase >= len(operation.phrases):
        raise DataError(f"problem {problem_id!r:.120}: {operation.id} has no phrasing {phrase}")
    return Step(operation.id, constant, phrase)


def filled(template: str, one: Step) -> str:
    """Put a step's constant into a phrase or a code text."""
    return template.replace("{k}", repr(one.constant))


def phrase(one: Step) -> str:
    """Return a step in words."""
    return filled(one.of.phrases[one.phrase], one)


def docstring(pipeline: Pipeline) -> str:
    """Return the one sentence that poses the problem. Reversed, it still tells the earlier steps in their order."""
    phrases = [phrase(one) for one in pipeline.steps]
    if pipeline.reversed and len(phrases) > 1:
        text = f"{phrases[-1]} after you {', then '.join(phrases[:-1])}."
    else:
        text = f"{', then '.join(phrases)}."
    return text[0].upper() + text[1:]


def prompt(pipeline: Pipeline) -> str:
    """Return header and docstring."""
    return f'def {ENTRY_POINT}({pipeline.steps[0].of.source}):\n    """{docstring(pipeline)}"""\n'


def body(steps: Sequence[Step], spellings: Sequence[int] = (), kind: str = "xs") -> str:
    """Return the code of a chain, the value of its last step behind `return`. No steps return the argument.

    `spellings` says for each step which of its spellings it takes; without it all take the teacher's.
    """
    current = steps[0].of.source if steps else kind
    written: list[str] = []
    for at, one in enumerate(steps):
        text, current = code(one, spellings[at] if spellings else 0, current, returns=at == len(steps) - 1)
        written.append(text)
    if current:
        written.append(f"return {current}")
    return indented(written)


def indented(statements: Sequence[str]) -> str:
    """Return statements, each of one or more lines, as the body of a function."""
    return "".join(f"    {line}\n" for text in statements for line in text.split("\n"))


def code(one: Step, way: int, current: str, target: str = "", *, returns: bool) -> tuple[str, str]:
    """Return a step on the variable `current` as code, and the variable that then holds its value.

    That is `target` where one is named and the spelling binds a variable of its own choice; "" where the code is a
    `return`, which an expression becomes if it `returns`.
    """
    operation = one.of
    chosen = operation.spellings[way]
    if not chosen.block:
        text = filled(renamed(chosen.text, {operation.source: current}), one)
        bound = target or operation.target
        return (f"return {text}", "") if returns else (f"{bound} = {text}", bound)
    bound = current if chosen.result == operation.source else target or chosen.result
    if bound == current and chosen.result != operation.source:  # what it reads must outlive what it fills
        bound = next(name for name in (chosen.result, operation.target, operation.source) if name != current)
    return filled(renamed(chosen.text, {operation.source: current, chosen.result: bound}), one), bound


def renamed(text: str, names: dict[str, str]) -> str:
    """Return code of the table with other variables."""
    return re.sub(rf"\b({'|'.join(names)})\b", lambda match: names[match[0]], text)


def render(pipeline: Pipeline, *, visible: bool = False) -> Problem:
    """Return the problem: prompt, reference in the teacher's spelling, and checks with values from the reference.

    The checks depend on the chain alone, so an id names one problem. `visible` marks all checks, as a training problem
    has them; without it only the two of `checks.SHOWN`, which a repair at inference is told.
    """
    behaviour = ">".join(step_id(Step(*one.behaviour)) for one in pipeline.steps)
    return Problem(
        id=pipeline.id,
        prompt=prompt(pipeline),
        entry_point=ENTRY_POINT,
        checks=make_checks(pipeline.steps, behaviour, visible=visible),
        reference=body(pipeline.steps),
        level=pipeline.level,
        source=SOURCE,
    )
