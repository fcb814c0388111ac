"""Pairs of a right and a faulty program on held-out problems."""

from __future__ import annotations

import pytest

from harness.benchmarks.preference import SPLITS
from harness.benchmarks.registry import load
from harness.sandbox import Sandbox
from harness.source.programs import assemble
from harness.steps.engine import program_of
from harness.store.content import problem_from_json, problem_to_json


@pytest.mark.parametrize("split", SPLITS)
def test_the_default_pairs_are_the_pinned_ones(split):
    assert len(load(f"preference:{split}").problems) == 400  # DataError if they are others


def test_the_problems_are_those_of_pipelines_which_training_never_shows():
    shown = {one.id: one.prompt for one in load("pipelines", size=40).problems}
    for split in SPLITS:
        assert {one.id: one.prompt for one in load(f"preference:{split}", size=40).problems} == shown


@pytest.mark.parametrize("split", SPLITS)
def test_every_right_program_passes_and_every_faulty_one_fails(split):
    found = load(f"preference:{split}", size=24)
    texts = [(one, text) for one in found.problems for text in (one.reference, one.fault)]
    with Sandbox() as sandbox:
        programs = [program_of(one, assemble(one, text), found.cpu_s) for one, text in texts]
        verdicts = dict(sandbox.judge(programs))
    assert [verdicts[at].passed for at in range(len(texts))] == [True, False] * len(found.problems)


def test_the_mutator_breaks_programs_in_several_ways():
    found = load("preference:mutator", size=60)
    with Sandbox() as sandbox:
        verdicts = [one for _, one in sandbox.judge(program_of(p, assemble(p, p.fault), 0.1) for p in found.problems)]
    seen = {one.reason.partition(":")[0] if one.status == "exception" else one.status for one in verdicts}
    assert {"NameError", "TypeError", "timeout"} <= seen, seen


def test_a_fault_survives_being_stored_and_decides_the_content():
    one = load("preference:oracle", size=4).problems[0]
    assert problem_from_json(problem_to_json(one)) == one
    assert "fault" not in problem_to_json(load("pipelines", size=4).problems[0])
