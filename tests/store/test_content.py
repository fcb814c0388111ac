"""Plain data and records survive the way to JSON and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from harness.errors import DataError
from harness.steps.codec import answer_from_json, answer_to_json, verdict_from_json, verdict_to_json
from harness.store.content import content_hash, plain_from_json, plain_to_json, problem_from_json, problem_to_json
from harness.teachers.requests import Answer
from harness.types import Check, Failure, Plain, Problem, Script, Verdict

PROBLEM = Problem(
    "toy/1",
    "def f(a, b):\n",
    "f",
    (Check(((1, "é\ud800"), {2: {3}}), (math.inf, b"\x00\xff"), "close", True), Check(([],), {"k": None})),
    "    return a\n",
    2,
    "toy",
)


@pytest.mark.parametrize(
    "value",
    [
        (1, [2, (3,)], True, None, -0.0, 1.0, 10**40),
        {1, "a", (2, frozenset({b"x"}))},
        {(1, 2): {"tuple": [1]}, None: "x", 1.5: set[int]()},
        [math.inf, -math.inf, complex(1, -math.inf), ""],
    ],
)
def test_plain_values_survive_json_with_their_types(value: Plain) -> None:
    back = plain_from_json(json.loads(json.dumps(plain_to_json(value))))
    assert back == value
    assert str(type(back)) + repr(back) == str(type(value)) + repr(value) or isinstance(value, set)


def test_integers_beyond_pythons_limit_of_digits_survive_json() -> None:
    value: list[Plain] = [10**5000, -(10**5000), 1 << 1024, {"a": 10**9000}]
    assert plain_from_json(json.loads(json.dumps(plain_to_json(value)))) == value


def test_nan_survives_json() -> None:
    back = plain_from_json(json.loads(json.dumps(plain_to_json(math.nan), allow_nan=False)))
    assert isinstance(back, float) and math.isnan(back)


def test_a_set_is_written_in_one_order() -> None:
    assert json.dumps(plain_to_json({"b", "a", "c"})) == '{"set": ["a", "b", "c"]}'


@pytest.mark.parametrize("data", [{"float": "12"}, {"tuple": 3}, {"lambda": "x"}, {"a": 1, "b": 2}, {"bytes": "?"}])
def test_an_unknown_mark_is_a_data_error(data: object) -> None:
    with pytest.raises(DataError):
        plain_from_json(data)  # type: ignore[arg-type]


def test_problems_survive_json() -> None:
    assert problem_from_json(json.loads(json.dumps(problem_to_json(PROBLEM)))) == PROBLEM
    script = replace(PROBLEM, checks=Script("def check(c): ...", "check", (Check((1,), 2),)), level=None)
    assert problem_from_json(json.loads(json.dumps(problem_to_json(script)))) == script


def test_a_problem_with_a_missing_member_is_a_data_error() -> None:
    data = problem_to_json(PROBLEM)
    del data["prompt"]
    with pytest.raises(DataError, match="prompt"):
        problem_from_json(data)


def test_the_content_hash_tells_a_tuple_from_a_list() -> None:
    other = replace(PROBLEM, checks=(Check(([1, "é\ud800"], {2: {3}}), (math.inf, b"\x00\xff"), "close", True),))
    same = replace(PROBLEM, checks=(Check(((1, "é\ud800"), {2: {3}}), (math.inf, b"\x00\xff"), "close", True),))
    assert content_hash(other) != content_hash(same) == content_hash(replace(same))


def test_verdicts_survive_json() -> None:
    verdict = Verdict("wrong", "r", Failure("f(1)", "2", "3", True), 1, 2, 0.1, 0.2, 3, "full", True)
    for one in (verdict, replace(verdict, first_fail=None, status="passed")):
        assert verdict_from_json(json.loads(json.dumps(verdict_to_json(one)))) == one


def test_answers_survive_json() -> None:
    answer = Answer("judge", "text", "code", PROBLEM, (2.0, None, 0.5), 3, 4, 0.25, "stop", "why")
    for one in (answer, Answer("pose", "", None, None, None, 0, 0, 0.0, "stop")):
        assert answer_from_json(json.loads(json.dumps(answer_to_json(one)))) == one


def test_a_record_of_another_kind_is_a_data_error() -> None:
    with pytest.raises(DataError):
        answer_from_json({"kind": "verdict"})
    with pytest.raises(DataError):
        verdict_from_json({"status": "fine", "first_fail": None})
