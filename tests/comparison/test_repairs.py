"""Inference in several steps: what is copied, what is repaired, and what a repair is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.benchmarks.base import build
from harness.comparison.repairs import can_repair, repaired
from harness.errors import ConfigError
from harness.settings.config import Decode, Run
from harness.settings.resolve import resolve
from harness.store.rows import read_rows
from harness.students.decoding import Decoding
from harness.types import Check, Failure, Problem, Sample, Student, Text
from tests.command import TINY, only_run, run
from tests.fakes import Scripted

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
SEEN, HIDDEN = Check((1,), 2, visible=True), Check((5,), 6)
PROBLEMS = tuple(
    Problem(f"p{place}", f'def f(x):\n    """{place}"""\n', "f", (SEEN, HIDDEN), RIGHT, 1) for place in range(4)
)
BENCHMARK = build("toy", 1, PROBLEMS, style="completion", rule="tests", max_new_tokens=8)
SOLVED = {"p0", "p1"}  # on what their text shows


class Judged(Scripted):
    """SOLVED pass the shown checks and nothing passes all; the first failing check is the hidden one."""

    def __init__(self) -> None:
        super().__init__(lambda request: None, lambda key, prompt, index: RIGHT, self.passes_shown)

    @staticmethod
    def passes_shown(problem: Problem, program: str) -> bool:
        return problem.checks == (SEEN,) and problem.id in SOLVED

    def judge(self, pairs: Any, cpu_s: float) -> Any:
        verdicts, records = super().judge(pairs, cpu_s)
        fails = [
            Failure("f(1)", "0", "2", visible=True) if one.checks == (SEEN,) else Failure("f(5)", "4", "secret", False)
            for one, _ in pairs
        ]
        return [
            one if one.passed else replace(one, first_fail=fail) for one, fail in zip(verdicts, fails, strict=True)
        ], records


def step(feedback: Any = "seen", n: int = 1) -> tuple[Judged, Any, list[list[Sample]]]:
    engine = Judged()
    answers = [[Sample(one.id, index, f"{WRONG}# {index}\n", "stop", 3) for index in range(n)] for one in PROBLEMS]
    pairs = [
        (one, one.prompt + answer.completion) for one, own in zip(PROBLEMS, answers, strict=True) for answer in own
    ]
    verdicts, _ = engine.judge(pairs, 1.0)
    engine.judged.clear()
    settings = Run(decode=Decode(steps=2, feedback=feedback))
    decoding = Decoding(temperature=0.8 if n > 1 else 0.0, max_new_tokens=8, n=n)
    found = repaired(engine, settings, Student("tiny", "base"), BENCHMARK, answers, verdicts, decoding, seed=0)
    return engine, found, answers


def test_an_answer_that_passes_the_shown_checks_is_copied_byte_for_byte():
    _, found, answers = step()
    assert found.answers[:2] == answers[:2]


def test_any_other_is_answered_anew_by_the_same_student():
    engine, found, _ = step()
    assert [own[0].completion for own in found.answers[2:]] == [RIGHT] * 2
    assert [(weights, key) for weights, key, _ in engine.sampled] == [("base", "p2"), ("base", "p3")]


def test_a_repair_is_told_what_the_shown_checks_said_and_nothing_of_the_hidden_ones():
    engine, _, _ = step()
    for _, _, prompt in engine.sampled:
        assert "INPUT: f(1)" in prompt and "EXPECTED: 2" in prompt and WRONG in prompt
        assert "secret" not in prompt and "f(5)" not in prompt
    assert all(one.checks == (SEEN,) for one, _ in engine.judged)


def test_with_the_oracle_it_is_told_the_scoring_checks_and_nothing_is_run_for_it():
    engine, _, _ = step("all")
    assert len(engine.sampled) == len(PROBLEMS) and engine.judged == []
    assert all("EXPECTED: secret" in prompt for _, _, prompt in engine.sampled)


def test_each_sample_of_a_problem_is_repaired_apart_and_keeps_its_index():
    engine, found, _ = step(n=3)
    assert [[one.index for one in own] for own in found.answers] == [[0, 1, 2]] * 4
    assert len(engine.sampled) == 2 * 3 and engine.units["samples"] == 3
    assert {prompt.count("# 2\n") for _, _, prompt in engine.sampled[-2:]} == {1}


def test_the_solved_set_never_shrinks_with_the_oracle():
    class Oracle(Judged):
        @staticmethod
        def passes_shown(problem: Problem, program: str) -> bool:
            return program == problem.prompt + RIGHT

    engine = Oracle()
    answers = [[Sample(one.id, 0, RIGHT if one.id in SOLVED else WRONG, "stop", 3)] for one in PROBLEMS]
    verdicts, _ = engine.judge(
        [(one, one.prompt + own[0].completion) for one, own in zip(PROBLEMS, answers, strict=True)], 1.0
    )
    settings = Run(decode=Decode(steps=2, feedback="all"))
    found = repaired(
        engine, settings, Student("tiny", "base"), BENCHMARK, answers, verdicts, Decoding(max_new_tokens=8), seed=0
    )
    assert all(own[0].completion == RIGHT for own in found.answers)


def test_answers_that_are_compared_as_text_are_not_repaired():
    texts = tuple(replace(one, checks=Text("1", "numbers")) for one in PROBLEMS)
    assert can_repair(BENCHMARK) and not can_repair(replace(BENCHMARK, problems=texts))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["decode.steps=0"], "decode.steps=0: expected a number above 0"),
        (["decode.steps=2", "style=instruct"], "a repair continues a header"),
        (["decode.feedback=some"], "expected one of seen, all"),
    ],
)
def test_settings_that_cannot_be_are_refused(words, told):
    with pytest.raises(ConfigError, match=told):
        resolve(["recipe=persd", *words])


@pytest.mark.compare
def test_a_second_step_stands_as_a_row_of_its_own_beside_the_first(tmp_path):
    words = ("compare", "recipe=persd-refine", *TINY, "decode.steps=2", "decode.feedback=all")
    out = run(*words, folder=tmp_path)
    rows = read_rows(only_run(tmp_path) / "rows.jsonl")
    assert [(row.cycle, row.benchmark) for row in rows] == [
        (cycle, name) for cycle in (0, 1, 2) for name in ("pipelines", "pipelines step 2")
    ]
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert first.weights == second.weights and "step" not in first.protocol
        assert (second.protocol["step"], second.protocol["feedback"]) == ("2", "all checks")
        assert all(late >= early for early, late in zip(first.correct, second.correct, strict=True))
    assert "pipelines step 2" in out and "feedback=all checks" in out
