"""GSM8k as programs: what is asked, what counts as the answer, and references that take the calculator's steps."""

from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path

import pytest

from harness.benchmarks import base, gsm8k
from harness.benchmarks.registry import load
from harness.errors import DataError
from harness.sandbox import Program, Sandbox
from harness.source.programs import assemble
from harness.steps.engine import program_of
from harness.types import Check
from tests.needs import data_folder

ROW = {
    "question": 'Ann has 1,200 "coins". She gives a third away. How many are left?',
    "answer": "She gives 1200/3 = <<1,200/3=400>>400.\nShe has <<1200-400=800>>800 left.\n#### 800",
}


def value_of(program: str) -> object:
    names: dict[str, object] = {}
    exec(program, names)
    function = names["solution"]
    assert callable(function)
    return function()


def test_a_question_is_the_docstring_of_a_function_without_arguments() -> None:
    problem = gsm8k.problem_from(ROW, "test", 7)
    tree = ast.parse(problem.prompt)
    assert isinstance(tree.body[0], ast.FunctionDef) and tree.body[0].name == problem.entry_point == "solution"
    assert (ast.get_docstring(tree.body[0]) or "").strip() == ROW["question"]
    assert problem.id == "GSM8k/test/7" and problem.checks == (Check((), 800, "answer"),)


def test_a_reference_goes_through_the_steps() -> None:
    problem = gsm8k.problem_from(ROW, "test", 0)
    assert problem.reference == "    step_1 = 1200 / 3\n    step_2 = 1200 - 400\n    return step_2\n"
    assert value_of(problem.prompt + problem.reference) == 800


@pytest.mark.parametrize("steps", ["", "<<2*(3=6>>", "<<len('a')=1>>", "<<9**9**9=1>>", "<<1/0=0>>"])
def test_steps_that_are_no_arithmetic_are_passed_over(steps: str) -> None:
    problem = gsm8k.problem_from({**ROW, "answer": f"{steps}\n#### 1,800.5"}, "test", 0)
    assert problem.reference == "    return 1800.5\n"


def test_an_answer_without_a_number_is_refused() -> None:
    with pytest.raises(DataError, match="does not end in a number"):
        gsm8k.problem_from({**ROW, "answer": "#### many"}, "test", 0)


def test_what_is_printed_does_not_count() -> None:
    problem = gsm8k.problem_from(ROW, "test", 0)
    bodies = {
        "return 2400 / 3": True,
        "return 800.0004": True,
        "print(800)": False,
        "print(800); return 799": False,
        "return '800'": False,
        "return [800]": False,
        "class N(int):\n        __eq__ = lambda s, o: True\n        __sub__ = lambda s, o: 0\n    return N(1)": False,
    }
    programs = [Program(f"def solution():\n    {body}\n", "solution", problem.checks) for body in bodies]
    with Sandbox() as sandbox:
        found = {tuple(bodies)[at]: verdict.passed for at, verdict in sandbox.judge(programs)}
    assert found == bodies


def put(style: base.Style) -> base.Benchmark:
    problems = (gsm8k.problem_from(ROW, "test", 0),)
    return base.build("b", 1, problems, style=style, rule="r", max_new_tokens=1, shots=gsm8k.EXAMPLES)


def test_solved_examples_stand_before_a_few_shot_prompt_and_are_right() -> None:
    text = gsm8k.EXAMPLES.read_text("utf-8")
    found = put("few-shot")
    assert found.prompt(found.problems[0]) == text + found.problems[0].prompt
    examples = ["def solution():" + one for one in text.split("def solution():")[1:]]
    assert [value_of(one) for one in examples] == [86, 10, 21, pytest.approx(66), 20, 444, 36, 12]


@pytest.mark.parametrize("style", ["completion", "instruct"])
def test_other_styles_get_the_question_alone(style: base.Style) -> None:
    found = put(style)
    assert found.prompt(found.problems[0]) == base.prompt_text(found.problems[0], style)


def test_solved_examples_are_part_of_the_digest() -> None:
    assert put("few-shot").digest != put("completion").digest


def test_other_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gsm8k").mkdir()
    (tmp_path / "gsm8k" / "test.jsonl.gz").write_bytes(gzip.compress(json.dumps(ROW).encode()))
    with pytest.raises(DataError, match=r"has sha256 .* expects b6c9d954"):
        load("gsm8k:test", data=tmp_path)


def test_gsm8k_has_its_published_size_and_references_pass() -> None:
    test = load("gsm8k", data=data_folder())
    assert (test.name, len(test.problems)) == ("gsm8k:test", 1319)
    with Sandbox() as sandbox:
        programs = [program_of(one, assemble(one, one.reference), 5.0) for one in test.problems[:200]]
        assert [programs[at].id for at, verdict in sandbox.judge(programs) if not verdict.passed] == []
