"""Reads lines of code as steps of a pipeline, and writes a chain of steps as code that stays near given lines.

Only single operations are read, in any of their spellings and with any variable names; a line that does two things at
once is not. A block (a loop, with the line before it that makes what it fills) counts as one line. Nothing is run.
"""

from __future__ import annotations

import ast
import builtins
import functools
import keyword
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.types import Problem
from harness.world.grammar import code, indented
from harness.world.operations import TABLE, Kind, Operation, Spelling, Step

CONSTANT = "CONSTANT"  # stands for {k} while a template is parsed
INNER_NAMES = frozenset("abcdiwx")  # variables of the comprehensions, lambdas and loops in the table
HEADER = re.compile(r"^def\s+\w+\(.*\).*:[ \t]*$", re.MULTILINE)
DOCSTRING = re.compile(r'\s*("""|\'\'\').*?\1[ \t]*\n?', re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One line of a body, or one block. `step` is None where it is not one known operation on a known variable."""

    text: str  # without the body's indent
    step: Step | None = None
    spelling: int = 0  # its place in the table
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
    texts = list(statements(body))
    at = 0
    while at < len(texts):
        line = read_pair(texts[at : at + 2], kinds)
        at += 1 if line is None else 2
        if line is None:
            line = read_line(texts[at - 1], kinds)
        if line.step is not None and line.target:
            kinds[line.target] = line.step.of.target
        found.append(line)
    return found


def statements(body: str) -> Iterator[str]:
    """Yield the statements of a body as texts, each with the lines that are indented under it, up to a `return`."""
    lines = [raw for raw in body.splitlines() if raw.strip() and not raw.lstrip().startswith("#")]
    own: list[str] = []
    for raw in [*lines, ""]:
        if own and depth(raw) <= depth(own[0]):
            text = textwrap.dedent("\n".join(own)).rstrip()
            yield text
            own = []
            if re.match(r"return\b", text):
                return
        if not raw or not raw[0].isspace():
            return
        own.append(raw)


def depth(raw: str) -> int:
    return len(raw) - len(raw.lstrip())


def parsed(text: str) -> list[ast.stmt]:
    """Return the statements of a text; none of one that is broken."""
    try:
        return ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def read_pair(texts: Sequence[str], kinds: dict[str, Kind]) -> Line | None:
    """Read a block with the line before it; None where the two are no such thing."""
    match parsed("\n".join(texts)):
        case [ast.Assign(targets=[ast.Name()]), ast.For()] as pair:
            canonical = "\n".join(map(ast.unparse, pair))
            line = matched("\n".join(texts), canonical, None, kinds)
            return line if line.step is not None else None
        case _:
            return None


def read_line(text: str, kinds: dict[str, Kind]) -> Line:
    match parsed(text):
        case [ast.Return(value=ast.Name(id=name))]:
            return Line(text, source=name, bare=True)
        case [ast.Return(value=ast.expr() as value)]:
            return matched(text, ast.unparse(value), "", kinds)
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            return matched(text, ast.unparse(value), name, kinds)
        case [ast.AugAssign() | ast.If() | ast.For() | ast.Expr(value=ast.Call()) as statement]:
            return matched(text, ast.unparse(statement), None, kinds)
        case _:
            return Line(text)


def matched(text: str, canonical: str, target: str | None, kinds: dict[str, Kind]) -> Line:
    """Find the operation that a line of canonical code is, by the kind of the variable that it reads.

    `target` is what an expression is bound to, "" where it is returned; None says that the code is statements.
    """
    for operation, way, chosen, pattern in patterns():
        match = pattern.fullmatch(canonical)
        if match is None or chosen.block != (target is None):
            continue
        name = match["variable"]
        bound = match["result"] if "result" in match.groupdict() else name
        if kinds.get(name, name) != operation.source:  # an unbound name counts as what it is called
            continue
        if chosen.block and (bound == name) != (chosen.result == operation.source):
            continue
        constant: int | str | None = None
        if operation.constant:
            constant = ast.literal_eval(match["constant"])
            if isinstance(constant, str) != (operation.constant == "letter"):
                continue
        return Line(text, Step(operation.id, constant), way, name, bound if target is None else target)
    return Line(text, target=target or "")


@functools.cache
def patterns() -> tuple[tuple[Operation, int, Spelling, re.Pattern[str]], ...]:
    """Return (operation, place of the spelling, spelling, pattern of its canonical code) for the whole table."""
    return tuple(
        (operation, way, chosen, pattern(operation, chosen))
        for operation in TABLE
        for way, chosen in enumerate(operation.spellings)
    )


def pattern(operation: Operation, chosen: Spelling) -> re.Pattern[str]:
    """Return a pattern for a spelling's canonical code, with any variables and constant, each the same throughout."""
    names = {operation.source: "variable"}
    if chosen.block and chosen.result != operation.source:
        names[chosen.result] = "result"
    groups = {name: rf"(?P<{group}>[A-Za-z_]\w*)" for name, group in names.items()}
    again = {name: f"(?P={group})" for name, group in names.items()}
    groups[CONSTANT], again[CONSTANT] = r"(?P<constant>\d+|'[^'\\]*')", "(?P=constant)"
    canonical = ast.unparse(ast.parse(chosen.text.replace("{k}", CONSTANT)))
    parts: list[str] = []
    for piece in re.split(rf"\b({'|'.join(groups)})\b", canonical):
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

    A line that is the right step stays as it stands; one with a wrong constant or operation keeps its manner and its
    variable; new lines are written as most of the others. A separate `return name` at the end stays too.
    """
    partners = align(steps, lines)
    current: str = argument
    bare = bool(lines) and lines[-1].bare
    written: list[str] = []
    for at, one in enumerate(steps):
        partner = partners[at]
        returns = at == len(steps) - 1 and not bare
        target = partner.target if partner and sane(partner.target) else ""
        text, bound = code(one, manner(one, partner, lines), current, target, returns=returns)
        if partner is not None and partner.step is not None and partner.step.behaviour == one.behaviour:
            stays = partner.source == current and (partner.target == bound or sane(partner.target))
            if stays and (partner.target == "") == (bound == ""):
                text, bound = partner.text, partner.target
        written.append(text)
        current = bound
    if current:
        written.append(f"return {current}")
    return indented(written)


def sane(name: str) -> bool:
    """Whether a variable's name can stay: it hides neither a built-in nor an inner name of a spelling."""
    return name != "" and name not in INNER_NAMES and not keyword.iskeyword(name) and not hasattr(builtins, name)


def manner(one: Step, partner: Line | None, lines: Sequence[Line]) -> int:
    """Return the spelling for a step: its partner's, or one of its form; else as the operation or most lines are."""
    ways = [line for line in lines if line.step is not None]
    own = [line.spelling for line in ([partner] if partner else ways) if line.step and line.step.of.id == one.operation]
    if own:
        return own[0]
    forms = [line.step.of.spellings[line.spelling].form for line in ([partner] if partner else ways) if line.step]
    wanted = max(forms, key=forms.count, default="expression")
    return next((way for way, chosen in enumerate(one.of.spellings) if chosen.form == wanted), 0)


def align(steps: Sequence[Step], lines: Sequence[Line]) -> list[Line | None]:
    """Return for each step the line that it keeps: most equal steps in order, then operations, then kinds."""
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
    """Return 30 for the same step, 20 for one with another constant, 1 for another step of the same kinds, else 0."""
    if line.step is None:
        return 0
    if line.step.operation == one.operation:
        return 30 if line.step.behaviour == one.behaviour else 20
    return int((line.step.of.source, line.step.of.target) == (one.of.source, one.of.target))
