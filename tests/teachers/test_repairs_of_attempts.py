"""Repairs of what the base student really writes: nearer to it than the direct answer, and likelier to it."""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

import pytest

from harness.comparison.base import BATCH, LEARNING_RATE, WARMUP
from harness.sandbox import Program, Sandbox
from harness.settings.config import World
from harness.source.programs import completion_of
from harness.students.decoding import Decoding
from harness.teachers.oracle import Oracle
from harness.teachers.requests import Refine
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.types import TrainingSet
from harness.world import pool
from harness.world.student import corpus, create, tokenizer

EXAMPLES, PROBLEMS = World().base_examples, 160


def distance(a: list[int], b: list[int]) -> int:
    """Return how many tokens must be put in, left out or replaced to make b of a."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (one != other))
    return row[-1]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the default's base student."""
    from harness.training.trainer import fit

    folder = tmp_path_factory.mktemp("base")
    create("tiny-0.3M", folder / "blank", seed=0)
    updates = -(-EXAMPLES // BATCH)
    schedule = Schedule(updates, BATCH, LEARNING_RATE, WARMUP, marks=(updates,))
    examples = TrainingSet(corpus(EXAMPLES, 0))
    fit(folder / "blank", examples, Objective(), schedule, 0, lambda update: folder / "trained")
    return folder / "trained"


@pytest.mark.slow
@pytest.mark.timeout(900)  # trains the base student: half a minute on an idle core
def test_repairs_of_real_attempts_are_nearer_to_them_and_likelier_to_the_student_than_direct_answers(
    base: Path,
) -> None:
    from harness.students.engine import generate, load, score

    student, words = load(base), tokenizer()
    problems = pool.draw(PROBLEMS, seed=7, split="train", operation_weights=pool.skew())
    drawn = generate(student, [one.prompt for one in problems], Decoding(0.3, 0.95, 96), list(range(PROBLEMS)))
    with Sandbox() as box:
        programs = [Program(p.prompt + d.text, "f", p.checks, cpu_s=0.2) for p, d in zip(problems, drawn, strict=True)]
        verdicts = dict(box.judge(programs))
    failed = [row for row in range(PROBLEMS) if not verdicts[row].passed]
    asked = [Refine(problems[row], drawn[row].text, "") for row in failed]
    labels: list[tuple[Any, str, str, str]] = []
    for row, answer in Oracle().answer(asked, 0):
        one, code = problems[failed[row]], answer.code
        refined = completion_of(one, code) if code else None
        assert refined is not None, answer.text
        labels.append((one, drawn[failed[row]].text, refined, one.reference))
    assert len(labels) >= 50
    nearer = [
        distance(words(attempt).input_ids, words(direct).input_ids)
        - distance(words(attempt).input_ids, words(refined).input_ids)
        for _, attempt, refined, direct in labels
    ]
    assert mean(nearer) > 3  # tokens
    losses = [[-mean(own) for own in score(student, [(row[0].prompt, row[at]) for row in labels])] for at in (2, 3)]
    assert mean(losses[0]) < 0.8 * mean(losses[1])
