"""Reads a model's text as the answer that a request wants. It never runs the text and never guesses a missing part.

Replies are stored as they came and read anew: a better reader costs no call, but may move scores, so say it in
CHANGELOG.md.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

from harness.source.programs import cut_at, extract, fenced, spoken
from harness.source.syntax import docstring_of, parse
from harness.store.keys import text_digest
from harness.teachers.requests import (
    BEST_RATING,
    RUBRIC,
    Corrupt,
    Judge,
    Pose,
    Rate,
    Refine,
    Request,
    Solve,
    Tests,
)
from harness.types import Check, Plain, Problem

Fault = Literal["", "unparsed", "refused"]

REFUSAL = re.compile(
    r"\b(?:i(?:['’]m| am) sorry|i (?:can(?:no|['’])t|am unable to|won['’]t|must decline)|as an ai\b)", re.IGNORECASE
)
NUMBER = r"\d+(?:[.,]\d+)?\s*½?|½"
NOT_APPLICABLE = r"n/?a\b|not applicable\b|null\b|none\b"
SCORE = re.compile(
    rf"^[\s>*#_`\-•|]*(?:rule\s*|r)(?P<rule>\d+)\b[^\n:=|]*[:=|][\s*_`]*(?P<score>{NOT_APPLICABLE}|{NUMBER})",
    re.IGNORECASE | re.MULTILINE,
)
RATING = re.compile(
    rf"^[\s>*#_`\-•|]*(?:answer|solution|response)\s*(?P<which>[12ab])\b[^\n:=|]*[:=|][\s*_`]*(?P<score>{NUMBER})",
    re.IGNORECASE | re.MULTILINE,
)
MOST_TESTS = 50


@dataclass(frozen=True)
class Parsed:
    """What a text holds. `fault` is empty where the wanted part was found; else `reason` says what is missing."""

    code: str | None = None
    problem: Problem | None = None
    scores: tuple[float | None, ...] | None = None
    checks: tuple[Check, ...] | None = None
    fault: Fault = ""
    reason: str = ""


def read_answer(request: Request, text: str, *, continues: bool, source: str, stops: Sequence[str] = ()) -> Parsed:
    """Read the text of a reply; `continues`: the model was asked to go on from the problem's prompt."""
    match request:
        case Solve() | Refine():
            return program(request.problem, text, continues=continues, stops=stops)
        case Corrupt():
            return faulty(request, text, continues=continues, stops=stops)
        case Pose():
            return posed(text, source)
        case Judge():
            return judged(text)
        case Rate():
            return rated(text)
        case Tests():
            return tested(request.problem, text)


def missing(text: str, what: str) -> Parsed:
    """Say that the wanted part is not there, and whether the model refused to give it."""
    if not text.strip():
        return Parsed(fault="unparsed", reason="the answer is empty")
    if REFUSAL.search(spoken(text)[:400]):
        return Parsed(fault="refused", reason=f"the model declined: {' '.join(spoken(text).split())[:120]}")
    return Parsed(fault="unparsed", reason=what)


def program(problem: Problem, text: str, *, continues: bool, stops: Sequence[str]) -> Parsed:
    """Find the program that defines the entry point: fenced, bare, or as the continuation of the prompt."""
    found = extract(text, problem.entry_point)
    if found.program is not None and not found.truncated:
        return Parsed(code=found.program)
    if continues:
        code = problem.prompt + cut_at(text.replace("\r\n", "\n"), stops)
        if parse(code) is not None and text.strip():
            return Parsed(code=code)
    if found.program is not None and parse(found.program) is not None:
        return Parsed(code=found.program)  # an unclosed fence around a whole program
    what = "its code block is cut off" if found.truncated else f"no Python code that defines {problem.entry_point}"
    return missing(text, what)


def faulty(request: Corrupt, text: str, *, continues: bool, stops: Sequence[str]) -> Parsed:
    """Find a faulty program, which need not parse; one that equals the correct program is no fault."""
    whole = program(request.problem, text, continues=continues, stops=stops)
    code = whole.code
    if code is None:
        blocks = [one.program or "" for one in fenced(spoken(text)) if not one.truncated]
        named = [one for one in blocks if re.search(rf"\bdef\s+{re.escape(request.problem.entry_point)}\b", one)]
        code = named[-1] if named else None
    if code is None:
        return whole
    if code.strip() == request.correct.strip():
        return Parsed(fault="unparsed", reason="the program is the correct one unchanged")
    return Parsed(code=code)


def posed(text: str, source: str) -> Parsed:
    """Find a new problem: a function's header and docstring, without the body that some models add."""
    for block in reversed(fenced(spoken(text))):
        tree = None if block.truncated else parse(block.program or "") or parse(f"{block.program}    pass\n")
        functions = [one for one in tree.body if isinstance(one, ast.FunctionDef)] if tree else []
        if not functions:
            continue
        function = functions[-1]
        docstring = docstring_of(function)
        if docstring is None:
            return Parsed(fault="unparsed", reason=f"the new function {function.name} has no docstring")
        lines = (block.program or "").split("\n")
        if docstring.lineno <= function.lineno:
            return Parsed(fault="unparsed", reason=f"the new function {function.name} stands on one line")
        first = min([function.lineno, *(one.lineno for one in function.decorator_list)])
        needed = [one for one in cast("ast.Module", tree).body if isinstance(one, ast.Import | ast.ImportFrom)]
        head = "".join(f"{ast.unparse(one)}\n" for one in needed if one.lineno < first)
        prompt = (f"{head}\n\n" if head else "") + "\n".join(lines[first - 1 : docstring.end_lineno]) + "\n"
        key = f"posed/{text_digest(prompt)[:16]}"
        return Parsed(problem=Problem(key, prompt, function.name, (), "", None, f"posed:{source}"))
    return missing(text, "no code block with a function's header and docstring")


def judged(text: str) -> Parsed:
    """Find one line for each rule of the rubric; the last one counts, as analysis comes first."""
    found = {int(one["rule"]): number(one["score"]) for one in SCORE.finditer(spoken(text))}
    lacking = [f"R{rule}" for rule in range(1, len(RUBRIC) + 1) if rule not in found]
    if lacking:
        if len(lacking) == len(RUBRIC):
            return missing(text, f"no line for {', '.join(lacking)}")
        partial = tuple(within(found.get(rule), most) for rule, most in enumerate(RUBRIC, start=1))
        return Parsed(scores=partial, fault="unparsed", reason=f"no line for {', '.join(lacking)}")
    return Parsed(scores=tuple(within(found[rule], most) for rule, most in enumerate(RUBRIC, start=1)))


def rated(text: str) -> Parsed:
    """Find the ratings of the two answers."""
    found = {
        "12".index(one["which"]) if one["which"] in "12" else "ab".index(one["which"].lower()): number(one["score"])
        for one in RATING.finditer(spoken(text))
    }
    if len(found) < 2:
        return missing(text, "no lines `Answer 1: …` and `Answer 2: …`")
    return Parsed(
        scores=tuple(None if (one := found[place]) is None else min(max(one, 1.0), BEST_RATING) for place in (0, 1))
    )


def number(text: str) -> float | None:
    """Return the points that a text states; None where the rule is not applicable."""
    if re.match(NOT_APPLICABLE, text, re.IGNORECASE):
        return None
    half = 0.5 if "½" in text else 0.0
    digits = text.replace("½", "").replace(",", ".").strip()
    return (float(digits) if digits else 0.0) + half


def within(score: float | None, most: float) -> float | None:
    return None if score is None else min(max(score, 0.0), most)


def tested(problem: Problem, text: str) -> Parsed:
    """Find calls of the entry point with plain arguments, one per line, with the value expected where it is stated."""
    found: list[Check] = []
    for line in spoken(text).split("\n"):
        check = check_of(problem.entry_point, line.strip().strip("`").lstrip("-*•0123456789.) "))
        if check is not None and check not in found:
            found.append(check)
    if not found:
        return missing(text, f"no line that calls {problem.entry_point} with plain values")
    return Parsed(checks=tuple(found[:MOST_TESTS]))


def check_of(entry_point: str, line: str) -> Check | None:
    """Read `assert f(1) == 2`, `f(1) == 2` or `f(1)`; a call without a value is a check that only must run."""
    if f"{entry_point}(" not in line:
        return None
    try:
        [statement] = ast.parse(line).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    match statement:
        case ast.Assert(test=test):
            pass
        case ast.Expr(value=test):
            pass
        case _:
            return None
    match test:
        case ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[value]):
            expected = literal(value)
        case ast.Call() as call:
            expected = Ellipsis
        case _:
            return None
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    args = [literal(one) for one in call.args]
    if name != entry_point or call.keywords or expected is MISSING or any(one is MISSING for one in args):
        return None
    plain = tuple(cast("list[Plain]", args))
    if expected is Ellipsis:
        return Check(plain, None, "anything", visible=True)
    return Check(plain, cast("Plain", expected), "equal", visible=True)


MISSING = object()  # stands for what is no plain value


def literal(node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return MISSING
