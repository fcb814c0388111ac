"""Plain data and problems as JSON and back, exactly: tuples, sets, bytes, infinities and keys of any type survive.

What JSON has no form for becomes an object with one member that names the type: `{"tuple": […]}`, `{"dict": [[k, v],
…]}`. Every dict is written that way, so that no dict can be mistaken for a mark. It writes no files.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from harness.errors import DataError
from harness.store.keys import Json, digest
from harness.types import Check, Plain, Problem, Rule, Script, Text

RULES: tuple[Rule, ...] = get_args(Rule)
STYLES = ("check", "asserts")
TEXT_RULES = ("numbers", "prefix")
AS_THEY_ARE = {str, bool, type(None)}  # same in JSON; asked first, as most values are such
BIG = 1 << 1024  # from here on an integer is written in hexadecimal: Python caps the decimal digits that it reads


def as_it_is(value: object) -> bool:
    """Tell whether a value is the same in JSON."""
    return type(value) in AS_THEY_ARE or (type(value) is int and -BIG < value < BIG)


def plain_to_json(value: Plain) -> Json:
    """Return the JSON form of a plain value."""
    if as_it_is(value):
        return cast("Json", value)
    match value:
        case int() if not -BIG < value < BIG:
            return {"int": hex(value)}
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else {"float": repr(value)}
        case complex():
            return {"complex": [plain_to_json(value.real), plain_to_json(value.imag)]}
        case bytes():
            return {"bytes": base64.b64encode(value).decode("ascii")}
        case list():
            return [cast("Json", item) if as_it_is(item) else plain_to_json(item) for item in value]
        case tuple():
            return {"tuple": [plain_to_json(item) for item in value]}
        case set():
            return {"set": in_order(value)}
        case frozenset():
            return {"frozenset": in_order(value)}
        case dict():
            return {"dict": [[plain_to_json(key), plain_to_json(item)] for key, item in value.items()]}


def in_order(items: Iterable[Plain]) -> list[Json]:
    """Return a set's items in an order that is the same in every process."""
    return sorted((plain_to_json(item) for item in items), key=lambda item: json.dumps(item, sort_keys=True))


def plain_from_json(data: Json) -> Plain:
    """Return the plain value that a JSON form stands for; DataError where it stands for none."""
    if isinstance(data, list | tuple):
        return [cast("Plain", item) if as_it_is(item) else plain_from_json(item) for item in data]
    if not isinstance(data, dict):
        return data
    if len(data) != 1:
        raise DataError(f"plain value: found an object with the members {sorted(data)}, expected one that names a type")
    [(mark, content)] = data.items()
    try:
        return marked(mark, content)
    except (TypeError, ValueError, binascii.Error) as err:
        raise DataError(f"plain value marked {mark!r}: {err}") from err


def marked(mark: str, content: Json) -> Plain:
    items = content if isinstance(content, list | tuple) else []
    match mark:
        case "float" if content in ("inf", "-inf", "nan"):
            return float(str(content))
        case "bytes" if isinstance(content, str):
            return base64.b64decode(content, validate=True)
        case "int" if isinstance(content, str):
            return int(content, 16)
        case "complex" if len(items) == 2:
            real, imag = (plain_from_json(item) for item in items)
            return complex(cast("float", real), cast("float", imag))
        case "tuple" if items == content:
            return tuple(plain_from_json(item) for item in items)
        case "set" if items == content:
            return set(cast("list[Any]", [plain_from_json(item) for item in items]))
        case "frozenset" if items == content:
            return frozenset(plain_from_json(item) for item in items)
        case "dict" if items == content:
            pairs = cast("list[list[Json]]", items)
            return {plain_from_json(key): plain_from_json(item) for key, item in pairs}
        case _:
            raise ValueError(f"no such mark, or the wrong content for it: {content!r:.80}")


def check_to_json(check: Check) -> dict[str, Json]:
    """Return the JSON form of a check."""
    return {
        "args": [plain_to_json(arg) for arg in check.args],
        "expected": plain_to_json(check.expected),
        "rule": check.rule,
        "visible": check.visible,
    }


def check_from_json(data: dict[str, Any]) -> Check:
    """Return the check that `check_to_json` wrote."""
    rule = one_of(data["rule"], RULES, "rule")
    args = tuple(plain_from_json(arg) for arg in data["args"])
    return Check(args, plain_from_json(data["expected"]), cast("Rule", rule), bool(data["visible"]))


def problem_to_json(problem: Problem) -> dict[str, Json]:
    """Return the JSON form of a problem; it holds all that the problem says."""
    checks: Json
    if isinstance(problem.checks, Text):
        checks = {"expected": problem.checks.expected, "rule": problem.checks.rule}
    elif isinstance(problem.checks, Script):
        script = problem.checks
        visible: list[Json] = [check_to_json(check) for check in script.visible]
        checks = {"text": script.text, "style": script.style, "visible": visible}
    else:
        checks = [check_to_json(check) for check in problem.checks]
    return {
        "id": problem.id,
        "prompt": problem.prompt,
        "entry_point": problem.entry_point,
        "checks": checks,
        "reference": problem.reference,
        "level": problem.level,
        "source": problem.source,
        **({} if problem.cpu_s is None else {"cpu_s": problem.cpu_s}),
        **({"fault": problem.fault} if problem.fault else {}),
        **({"family": problem.family} if problem.family else {}),
    }


def problem_from_json(data: object) -> Problem:
    """Return the problem that `problem_to_json` wrote; DataError where something is missing or of another kind."""
    try:
        found = cast("dict[str, Any]", data)
        return Problem(
            id=text(found, "id"),
            prompt=text(found, "prompt"),
            entry_point=text(found, "entry_point"),
            checks=checks_from_json(found["checks"]),
            reference=text(found, "reference"),
            level=None if found["level"] is None else int(found["level"]),
            source=text(found, "source"),
            cpu_s=float(found["cpu_s"]) if "cpu_s" in found else None,
            fault=text(found, "fault") if "fault" in found else "",
            family=text(found, "family") if "family" in found else "",
        )
    except (KeyError, TypeError, ValueError, AttributeError) as err:
        raise DataError(f"problem as JSON: {type(err).__name__}: {err}. Expected what problem_to_json writes.") from err


def checks_from_json(data: Any) -> tuple[Check, ...] | Script | Text:
    if isinstance(data, dict):
        found = cast("dict[str, Any]", data)
        if "expected" in found:
            rule = one_of(found["rule"], TEXT_RULES, "rule")
            return Text(text(found, "expected"), cast("Literal['numbers', 'prefix']", rule))
        style = cast("Literal['check', 'asserts']", one_of(found["style"], STYLES, "style"))
        return Script(text(found, "text"), style, tuple(check_from_json(check) for check in found["visible"]))
    return tuple(check_from_json(check) for check in data)


def text(data: dict[str, Any], name: str) -> str:
    """Return a member that must be a string."""
    if not isinstance(data[name], str):
        raise TypeError(f"{name} is {data[name]!r:.80}, expected a string")
    return data[name]


def one_of(word: object, words: tuple[str, ...], name: str) -> str:
    """Return a member that must be one of a few words."""
    if word not in words:
        raise ValueError(f"{name} is {word!r:.80}, expected one of {', '.join(words)}")
    return str(word)


def problem_content(problem: Problem) -> dict[str, Json]:
    """Return what a problem's hash is taken of: all of it."""
    return problem_to_json(problem)


@dataclass(frozen=True)
class Hashes:
    """The hashes of a problem: of all that it says, and of all that decides a verdict beside the program."""

    problem: Problem
    content: str
    checks: str  # the checks and the trusted prompt


KNOWN: dict[int, Hashes] = {}  # by identity: a problem is asked about many times and never changes
MOST_KNOWN = 100_000


def hashes(problem: Problem) -> Hashes:
    """Return the SHA-256 hashes of a problem."""
    known = KNOWN.get(id(problem))
    if known is None or known.problem is not problem:
        if len(KNOWN) >= MOST_KNOWN:
            KNOWN.clear()
        content = problem_content(problem)
        deciding = [content["checks"], content["prompt"], *([] if problem.cpu_s is None else [problem.cpu_s])]
        known = Hashes(problem, digest(content), digest(deciding))
        KNOWN[id(problem)] = known
    return known


def content_hash(problem: Problem) -> str:
    """Return the SHA-256 of a problem's content."""
    return hashes(problem).content


def checks_hash(problem: Problem) -> str:
    """Return the SHA-256 of all that decides a verdict beside the program: the checks and the trusted prompt."""
    return hashes(problem).checks
