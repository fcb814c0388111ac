"""Our own implementations under the suites that others may use."""

import pytest

from harness.benchmarks.registry import available, load
from harness.sandbox import Sandbox
from harness.teachers.oracle import Oracle
from harness.types import Problem
from harness.world.pool import draw
from tests.contracts.benchmark import check_benchmark
from tests.contracts.sandbox import check_sandbox
from tests.contracts.teacher import check_teacher
from tests.needs import data_folder


def test_the_oracle_keeps_the_teachers_contract():
    check_teacher(Oracle(), draw(12, seed=3, split="train"))


def test_a_teacher_whose_answers_hang_together_is_caught():
    class Moody(Oracle):
        def answer(self, requests, seed):
            return super().answer(requests, seed + len(requests))

    with pytest.raises(AssertionError, match="depends on what else is asked"):
        check_teacher(Moody(), draw(6, seed=3, split="train"))


OFFLINE = {
    "pipelines",
    "preference:oracle",
    "preference:mutator",
    "humaneval",
    "tinypy-execution",
    "tinypy-completion:token",
    "tinypy-completion:line",
}  # need no data folder


@pytest.mark.parametrize("name", sorted(OFFLINE))
def test_a_benchmark_keeps_the_contract(name):
    check_benchmark(load(name, size=60))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in available() if name not in OFFLINE])
def test_a_benchmark_of_published_data_keeps_the_contract(name):
    kept = load(name, data=data_folder())
    sound = {one.id for one in load(name, data=data_folder(), errata="exclude").problems}
    check_benchmark(kept, errata={one.id for one in kept.problems} - sound)


def test_a_benchmark_whose_reference_fails_is_caught():
    found = load("pipelines", size=8)
    broken = Problem(**{**vars(found.problems[0]), "reference": "    return 'broken'\n"})
    benchmark = type(found)(**{**vars(found), "problems": (broken, *found.problems[1:])})
    with pytest.raises(AssertionError, match="reference solutions fail"):
        check_benchmark(benchmark)


def test_our_sandbox_keeps_the_contract():
    check_sandbox(Sandbox)
