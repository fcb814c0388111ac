"""Reads lines of code as steps of a pipeline, and writes a chain of steps as code that stays near given lines.

Only single operations are read, in either of their spellings and with any variable names; a line that does two things
at once is not. Nothing is run.
"""

from __future__ import annotations

import ast
import builtins
import functools
import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.types import Problem
from harness.world.grammar import filled
from harness.world.operations import TABLE, Kind, Operation, Step

CONSTANT = "CONSTANT"  # stands for {k} while a template is parsed
INNER_NAMES = frozenset("abcdwx")  # variables of the comprehensions and lambdas in the table
HEADER = re.compile(r"^def\s+\w+\(.*\).*:[ \t]*$", re.MULTILINE)
DOCSTRING = re.compile(r'\s*("""|\'\'\').*?\1[ \t]*\n?', re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One line of a body. `step` is None where it is not one known operation on a known variable."""

    text: str
    step: Step | None = None
    student: bool = False  # in the second spelling
    source: str = ""  # the variable it reads
    target: str = ""  # the variable it binds; "" for a `return`
    bare: bool = False  # `return name`


def body_of(problem: Problem, attempt: str) -> str:
    """Return the body of an attempt that is a completion or a whole program."""
    if attempt.startswith(problem.prompt):
        return attempt[len(problem.prompt) :]
    header = HEADER.search(attempt)
    if header is None:
        return attempt
    rest = attempt[header.end() + 1 :]
    docstring = DOCSTRING.match(rest)
    return rest[docstring.end() :] if docstring else rest


def read(body: str, argument: Kind) -> list[Line]:
    """Read a body line by line, up to its first `return` or the end of its block; a broken line stays unread."""
    kinds: dict[str, Kind] = {argument: argument}
    found: list[Line] = []
    for raw in body.splitlines():
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        if not raw[0].isspace():
            break
        line = read_line(text, kinds)
        if line.step is not None and line.target:
            kinds[line.target] = line.step.of.target
        found.append(line)
        if re.match(r"return\b", text):
            break
    return found


def read_line(text: str, kinds: dict[str, Kind]) -> Line:
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Line(text)
    match statements:
        case [ast.Return(value=ast.Name(id=name))]:
            return Line(text, source=name, bare=True)
        case [ast.Return(value=ast.expr() as value)]:
            return matched(text, ast.unparse(value), "", kinds)
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            return matched(text, ast.unparse(value), name, kinds)
        case [ast.AugAssign(target=ast.Name(id=name)) as statement]:
            return matched(text, ast.unparse(statement), name, kinds)
        case _:
            return Line(text)


def matched(text: str, code: str, target: str, kinds: dict[str, Kind]) -> Line:
    """Find the operation that a line of canonical code is, by the kind of the variable that it reads."""
    for operation, student, pattern in patterns():
        match = pattern.fullmatch(code)
        if match is None:
            continue
        name = match["variable"]
        if kinds.get(name, name) != operation.source:  # an unbound name counts as what it is called
            continue
        constant: int | str | None = None
        if operation.constant:
            constant = ast.literal_eval(match["constant"])
            if isinstance(constant, str) != (operation.constant == "letter"):
                continue
        return Line(text, Step(operation.id, constant), student, name, target)
    return Line(text, target=target)


@functools.cache
def patterns() -> tuple[tuple[Operation, bool, re.Pattern[str]], ...]:
    """Return (operation, second spelling?, pattern of its canonical code) for every spelling in the table."""
    found = [(operation, False, pattern(operation, operation.teacher)) for operation in TABLE]
    found += [(operation, True, pattern(operation, operation.student)) for operation in TABLE if operation.student]
    return tuple(found)


def pattern(operation: Operation, template: str) -> re.Pattern[str]:
    """Return a pattern for a spelling's canonical code, with any variable and constant, each the same throughout."""
    groups = {operation.source: r"(?P<variable>[A-Za-z_]\w*)", CONSTANT: r"(?P<constant>\d+|'[^'\\]*')"}
    again = {operation.source: "(?P=variable)", CONSTANT: "(?P=constant)"}
    canonical = ast.unparse(ast.parse(template.replace("{k}", CONSTANT)))
    parts: list[str] = []
    for piece in re.split(rf"\b({operation.source}|{CONSTANT})\b", canonical):
        parts.append(groups.pop(piece) if piece in groups else again.get(piece, re.escape(piece)))
    return re.compile("".join(parts))


def chain(lines: Sequence[Line], argument: Kind) -> tuple[Step, ...] | None:
    """Return the steps of a body that is one chain from the argument to the `return`, None for any other."""
    steps: list[Step] = []
    current: str | None = argument
    for line in lines:
        if current is None or line.source != current or (line.step is None and not line.bare):
            return None
        if line.step is not None:
            steps.append(line.step)
        current = line.target or None
    return tuple(steps) if lines and current is None else None


def write(steps: Sequence[Step], lines: Sequence[Line], argument: Kind) -> str:
    """Write a chain as a body that keeps what it can of the given lines.

    A line that is the right step stays as it stands; one with a wrong constant keeps its spelling and its variable;
    new lines take the spelling that most of the others have. A separate `return name` at the end stays too.
    """
    partners = align(steps, lines)
    current: str = argument
    bare = bool(lines) and lines[-1].bare
    written: list[str] = []
    for at, one in enumerate(steps):
        partner = partners[at]
        returns = at == len(steps) - 1 and not bare
        student = partner.student if partner else style(one, lines)
        target = partner.target if partner and sane(partner.target) else one.of.target
        text, bound = compose(one, student, current, target, returns=returns)
        same_place = partner is not None and partner.source == current and partner.target == ("" if returns else bound)
        if partner is not None and same_place and partner.step is not None and partner.step.behaviour == one.behaviour:
            text = partner.text
        written.append(text)
        current = bound
    if bare or not steps:
        written.append(f"return {current}")
    return "".join(f"    {text}\n" for text in written)


def compose(one: Step, student: bool, current: str, target: str, *, returns: bool) -> tuple[str, str]:
    """Return a line for a step on variable `current`, and the variable that then holds the value."""
    operation = one.of
    second = student and operation.student != "" and not (returns and operation.augmented)
    template = operation.student if second else operation.teacher
    code = filled(re.sub(rf"\b{operation.source}\b", current, template), one)
    if second and operation.augmented:
        return code, current
    return (f"return {code}" if returns else f"{target} = {code}"), target


def sane(name: str) -> bool:
    """Whether a variable's name can stay: it hides neither a built-in nor an inner name of a spelling."""
    return name != "" and name not in INNER_NAMES and not keyword.iskeyword(name) and not hasattr(builtins, name)


def style(one: Step, lines: Sequence[Line]) -> bool:
    """Return the spelling for a new line: that of the same operation elsewhere, else that of most lines."""
    own = [line.student for line in lines if line.step is not None and line.step.operation == one.operation]
    if own:
        return own[0]
    eligible = [line.student for line in lines if line.step is not None and line.step.of.student]
    return sum(eligible) * 2 > len(eligible)


def align(steps: Sequence[Step], lines: Sequence[Line]) -> list[Line | None]:
    """Return for each step the line that it keeps: most equal steps in order, then most equal operations."""
    best = [[0] * (len(lines) + 1) for _ in range(len(steps) + 1)]
    for i in reversed(range(len(steps))):
        for j in reversed(range(len(lines))):
            pair = likeness(steps[i], lines[j])
            best[i][j] = max(best[i + 1][j], best[i][j + 1], pair and pair + best[i + 1][j + 1])
    found: list[Line | None] = [None] * len(steps)
    i = j = 0
    while i < len(steps) and j < len(lines):
        pair = likeness(steps[i], lines[j])
        if pair and best[i][j] == pair + best[i + 1][j + 1]:
            found[i] = lines[j]
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return found


def likeness(one: Step, line: Line) -> int:
    """Return 3 for the same step, 2 for the same operation with another constant, else 0."""
    if line.step is None or line.step.operation != one.operation:
        return 0
    return 3 if line.step.behaviour == one.behaviour else 2
