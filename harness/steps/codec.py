"""The records that the store keeps, as JSON and back: problems, verdicts, teachers' answers. It writes no files."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from harness.errors import DataError
from harness.store.content import (
    check_from_json,
    check_to_json,
    content_hash,
    one_of,
    problem_content,
    problem_from_json,
    problem_to_json,
)
from harness.store.keys import Json
from harness.teachers.requests import KINDS, Answer
from harness.types import STATUSES, Failure, Verdict

__all__ = [
    "answer_from_json",
    "answer_to_json",
    "content_hash",
    "problem_content",
    "problem_from_json",
    "problem_to_json",
    "verdict_from_json",
    "verdict_to_json",
]


def verdict_to_json(verdict: Verdict) -> dict[str, Json]:
    """Return the JSON form of a verdict."""
    return dataclasses.asdict(verdict)


def verdict_from_json(data: object) -> Verdict:
    """Return the verdict that `verdict_to_json` wrote; DataError where the record is another."""
    try:
        found = dict(cast("dict[str, Any]", data))
        one_of(found["status"], STATUSES, "status")
        if found["first_fail"] is not None:
            found["first_fail"] = Failure(**found["first_fail"])
        return Verdict(**found)
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"verdict as JSON: {type(err).__name__}: {err}. Expected what verdict_to_json writes.") from err


def answer_to_json(answer: Answer) -> dict[str, Json]:
    """Return the JSON form of a teacher's answer."""
    return {
        "kind": answer.kind,
        "text": answer.text,
        "code": answer.code,
        "problem": None if answer.problem is None else problem_to_json(answer.problem),
        "scores": None if answer.scores is None else list(answer.scores),
        "tokens_in": answer.tokens_in,
        "tokens_out": answer.tokens_out,
        "usd": answer.usd,
        "finish_reason": answer.finish_reason,
        "reason": answer.reason,
        # Fields that came later, written where they say something: an answer's digest stays what it was.
        **({} if answer.checks is None else {"checks": [check_to_json(check) for check in answer.checks]}),
        **({"fault": answer.fault} if answer.fault else {}),
        **({"calls": answer.calls} if answer.calls != 1 else {}),
        **({"without": list(answer.without)} if answer.without else {}),
        **({"logprobs": list(answer.logprobs)} if answer.logprobs else {}),
        **({"unpriced": answer.unpriced} if answer.unpriced else {}),
    }


def answer_from_json(data: object) -> Answer:
    """Return the answer that `answer_to_json` wrote; DataError where the record is another."""
    try:
        found = dict(cast("dict[str, Any]", data))
        one_of(found["kind"], KINDS, "kind")
        if found["problem"] is not None:
            found["problem"] = problem_from_json(found["problem"])
        if found["scores"] is not None:
            found["scores"] = tuple(found["scores"])
        if found.get("checks") is not None:
            found["checks"] = tuple(check_from_json(check) for check in found["checks"])
        for name in ("without", "logprobs"):
            found[name] = tuple(found.get(name, ()))
        return Answer(**found)
    except (KeyError, TypeError, ValueError) as err:
        raise DataError(f"answer as JSON: {type(err).__name__}: {err}. Expected what answer_to_json writes.") from err
