"""No teacher, student or pool makes a recipe crash or ask for ever: it ends its cycles and says what was missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from baselines import ekt, persd, standard_kd
from harness.lab import Example
from harness.settings import catalog
from harness.settings.config import Budget
from harness.types import Check, Problem
from recipes import iterkd
from tests.fakes import Scripted, lab_of

RIGHT, WRONG = "    return x + 1\n", "    return x - 1\n"
EVERY = [name for group in catalog.names().values() for name in group]
CYCLES = 3


def problem(name: str, words: str) -> Problem:
    return Problem(name, f'def f(x):\n    """{words}"""\n', "f", (Check((1,), 2),), "", 1)


POOL = tuple(problem(f"p{place}", " ".join(f"w{place}x{word}" for word in range(6))) for place in range(8))


def refuses(request: Any) -> None:
    return None


def nonsense(request: Any) -> Any:
    if request.kind in ("judge", "rate"):
        return ()
    return "no code at all: (" if request.kind != "pose" else problem("", "")


def another_function(request: Any) -> Any:
    return "def g(y, z):\n    return y\n" if request.kind != "pose" else None


def repeats(request: Any) -> Any:
    """One answer to everything: a program that is right, and the first problem of the pool as every new one."""
    scores = {"judge": (2.0, 1.0, 1.0, 1.0, 1.0), "rate": (5.0, 5.0)}
    if request.kind in scores:
        return scores[request.kind]
    return POOL[0] if request.kind == "pose" else POOL[0].prompt + RIGHT


def sound(request: Any) -> Any:
    if request.kind == "pose":
        return problem(f"n{request.index}", " ".join(f"n{request.index}y{word}" for word in range(6)))
    if request.kind in ("judge", "rate"):
        return repeats(request)
    return request.problem.prompt + (WRONG if request.kind == "corrupt" else RIGHT)


def run(
    name: str, teacher: Any, student: str, passes: Callable[..., bool], pool: Any = POOL, cfg: Any = None, **budget: int
) -> Any:
    recipe = catalog.find(name)
    engine = Scripted(teacher, lambda key, prompt, index: student, passes)
    whole = Budget(**{"examples": len(POOL), "updates": 5, "attempts": len(POOL), **budget})
    lab = lab_of(engine, pool, CYCLES, whole)
    students = list(recipe.train(lab, cfg or recipe.config))
    assert len(students) == CYCLES
    trained = CYCLES - lab.notes["cycles without examples"]
    assert lab.spent.updates == 5 * trained
    if not engine.trained:
        assert trained == 0 and {one.weights for one in students} == {"base"}
    assert len(engine.requests) < 60 * len(POOL), "it asks for ever"
    return engine, lab


def nothing(problem: Problem, program: str) -> bool:
    return False


def everything(problem: Problem, program: str) -> bool:
    return True


def right_only(problem: Problem, program: str) -> bool:
    return program.endswith(RIGHT)


TEACHERS = [refuses, nonsense, another_function, repeats, sound]


@pytest.mark.parametrize("teacher", TEACHERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_ends_its_cycles_whatever_the_teacher_says(name, teacher):
    run(name, teacher, WRONG, right_only)


SWITCHED = {
    "iterkd without types": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(fault_source="free"))),
    "iterkd without a teacher's faults": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(fault_source="mutator"))),
    "iterkd unverified": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(verify_faults=False))),
    "iterkd replacing": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(pool="replace"))),
    "iterkd replacing, one kind": (
        "iterkd",
        iterkd.Config(ablation=iterkd.Ablation(level_split=False, pool="replace")),
    ),
    "iterkd joining": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(pool="join"))),
    "iterkd restarting": ("iterkd", iterkd.Config(ablation=iterkd.Ablation(restart=True))),
    "persd with mistakes in words": ("persd", persd.Config(ablation=persd.Ablation(mistakes=True))),
    "ekt shortest": ("ekt", ekt.Config(keep="shortest")),
    "ekt random": ("ekt", ekt.Config(keep="random")),
    "ekt that runs": ("ekt", ekt.Config(filter="runs")),
    "seqkd that runs": ("seqkd", standard_kd.Config(filter="runs")),
}


@pytest.mark.parametrize("passes", [nothing, right_only, everything])
@pytest.mark.parametrize("teacher", TEACHERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("case", SWITCHED)
def test_a_switch_leaves_a_recipe_ending_its_cycles_whatever_the_teacher_says(case, teacher, passes):
    name, cfg = SWITCHED[case]
    run(name, teacher, WRONG, passes, cfg=cfg)


@pytest.mark.parametrize("passes", [nothing, everything], ids=["nothing passes", "everything passes"])
@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_ends_its_cycles_where_no_attempt_or_every_attempt_passes(name, passes):
    run(name, sound, WRONG, passes)


@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_ends_its_cycles_on_a_pool_of_one_problem(name):
    run(name, sound, WRONG, right_only, pool=POOL[:1])


@pytest.mark.parametrize("name", EVERY)
def test_a_recipe_keeps_within_a_budget_of_few_attempts(name):
    recipe = catalog.find(name)
    engine = Scripted(sound, lambda key, prompt, index: WRONG, right_only)
    lab = lab_of(engine, POOL, CYCLES, Budget(examples=8, updates=5, attempts=8))
    list(recipe.train(lab, recipe.config))
    assert lab.spent.student_samples <= 8 * CYCLES


NEEDS_CHECKS = [name for name in EVERY if "checks" in catalog.find(name).needs(catalog.find(name).config)]


@pytest.mark.parametrize("name", NEEDS_CHECKS)
def test_where_nothing_passes_nothing_is_trained_and_that_is_told(name):
    engine, lab = run(name, sound, WRONG, nothing)
    assert engine.trained == [] and lab.notes["cycles without examples"] == CYCLES


@pytest.mark.parametrize("name", NEEDS_CHECKS)
def test_no_label_of_a_recipe_with_tests_has_failed_them(name):
    engine, _ = run(name, sound, RIGHT if name.startswith(("self", "expert")) else WRONG, right_only)
    rows: list[Example] = [row for examples in engine.trained for row in examples if row.origin != "score"]
    assert rows and {row.completion for row in rows} == {RIGHT}
    assert {row.rejected for row in rows} <= {WRONG, None}


@pytest.mark.parametrize("name", ["iterkd", "lion", "uniform"])
def test_where_every_new_problem_is_filtered_out_replay_fills_the_pool_and_the_row_says_none_was_kept(name):
    engine, lab = run(name, repeats, WRONG, right_only)
    assert "new problems kept" in lab.notes and lab.notes["new problems kept"] == 0
    assert sum(request.kind == "pose" for request in engine.requests) > len(POOL)
    pools = [{row.prompt for row in examples} for examples in engine.trained]
    assert all(prompts <= {one.prompt for one in POOL} for prompts in pools)


@pytest.mark.parametrize("name", ["iterkd", "lion", "uniform"])
def test_a_teacher_that_refuses_to_pose_leaves_none_kept(name):
    def poses_nothing(request: Any) -> Any:
        return None if request.kind == "pose" else sound(request)

    _, lab = run(name, poses_nothing, WRONG, right_only)
    assert lab.notes["new problems kept"] == 0 and lab.notes["cycles without examples"] == 0


@pytest.mark.parametrize("name", ["persd", "inpd", "persd-refine", "persd-combine"])
def test_where_no_attempt_fails_nothing_is_repaired_and_the_row_says_so(name):
    engine, lab = run(name, sound, RIGHT, right_only)
    assert not any(request.kind == "refine" for request in engine.requests) and engine.trained == []
    assert lab.notes["failed attempts |F|"] == 0 and "repaired |R|" in lab.notes
