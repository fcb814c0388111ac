"""Continuous batching gives the answers of plain generation; on a CPU it can be held to that, but does not pay."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.students import continuous
from harness.students.decoding import Decoding
from harness.students.engine import Loaded, generate, load
from tests.fakes import tiny_student

PROMPTS = ["def f(x):\n", "def g(text, n):\n", "a", "x" * 400]
GREEDY = Decoding(max_new_tokens=12)

pytestmark = pytest.mark.slow  # its manager takes seconds to start and to end


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(tiny_student(tmp_path_factory.mktemp("student"), lively=True))


def test_greedy_answers_equal_plain_generation(student: Loaded) -> None:
    assert continuous.generate(student, PROMPTS, GREEDY, [0] * 4) == generate(student, PROMPTS, GREEDY, [0] * 4)


def test_a_seed_gives_its_samples_again(student: Loaded) -> None:
    drawn = replace(GREEDY, temperature=1.0)
    one, again, other = (continuous.generate(student, PROMPTS[:3], drawn, [seed] * 3) for seed in (1, 1, 2))
    assert one == again != other


def test_the_student_generates_as_before_afterwards(student: Loaded) -> None:
    before = generate(student, PROMPTS[:3], GREEDY, [0] * 3)
    continuous.generate(student, PROMPTS[:3], GREEDY, [0] * 3)
    assert generate(student, PROMPTS[:3], GREEDY, [0] * 3) == before
