"""The table of operations, ids, words and code of Pipelines."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from harness.errors import DataError
from harness.types import Check, Problem
from harness.world import pool
from harness.world.checks import edits, make_checks, random_input, tells
from harness.world.grammar import Pipeline, body, docstring, parse, prompt, render
from harness.world.operations import CONSTANTS, TABLE, Operation, Step, run


def call(program: str, value: Any) -> Any:
    """Run a program of this world's own grammar."""
    space: dict[str, Any] = {}
    exec(program, space)
    return space["f"](copy.deepcopy(value))  # a spelling may change its argument


def one_step(operation: Operation, rng: random.Random) -> Step:
    allowed = CONSTANTS[operation.constant]
    return Step(operation.id, rng.choice(allowed) if allowed else None)


def checks_of(problem: Problem) -> tuple[Check, ...]:
    assert isinstance(problem.checks, tuple)
    return problem.checks


def test_the_table_has_the_documented_operations() -> None:
    assert len({one.id for one in TABLE}) == len(TABLE) == 66
    assert sum(one.constant != "" for one in TABLE) == 35


def test_no_two_operations_on_a_kind_share_a_phrase() -> None:
    phrases = [(one.source, phrase) for one in TABLE for phrase in one.phrases]
    assert len(set(phrases)) == len(phrases)


@pytest.mark.parametrize("operation", TABLE, ids=lambda one: one.id)
def test_every_spelling_gives_the_values_of_the_table(operation: Operation) -> None:
    rng = random.Random(operation.id)
    for way in range(len(operation.spellings)):
        for _ in range(12):
            steps = (one_step(operation, rng),)
            value = random_input(operation.source, rng)
            expected = run(steps, value)
            if expected is not None:
                got = call(prompt(Pipeline(steps)) + body(steps, [way]), value)
                assert (type(got), got) == (type(expected), expected)


def test_spellings_go_together_in_any_order() -> None:
    rng = random.Random(5)
    for pipeline in pool.pipelines(300, "spellings", split="train"):
        ways = [rng.randrange(len(one.of.spellings)) for one in pipeline.steps]
        value = random_input(pipeline.steps[0].of.source, rng)
        expected = run(pipeline.steps, value)
        if expected is not None:
            assert call(prompt(pipeline) + body(pipeline.steps, ways), value) == expected


def test_most_operations_have_three_spellings_or_more_and_all_have_two() -> None:
    counts = [len(one.spellings) for one in TABLE]
    assert min(counts) == 2 and max(counts) <= 5
    assert sum(count >= 3 for count in counts) >= 0.8 * len(TABLE)
    forms = {one.form for operation in TABLE for one in operation.spellings}
    assert forms == {"expression", "functional", "statement", "loop"}


def test_the_teacher_writes_expressions() -> None:
    assert not any(one.spellings[0].block for one in TABLE)


def test_a_loop_behind_a_loop_fills_a_list_of_its_own() -> None:
    steps = parse("pipelines/l_even>l_add:3").steps
    assert body(steps, [2, 2]) == (
        "    ys = []\n    for x in xs:\n        if x % 2 == 0:\n            ys.append(x)\n"
        "    xs = []\n    for x in ys:\n        xs.append(x + 3)\n"
        "    return xs\n"
    )


@pytest.mark.parametrize("operation", TABLE, ids=lambda one: one.id)
def test_operations_give_the_kind_that_they_promise(operation: Operation) -> None:
    kinds = {"xs": list, "n": int, "s": str}
    rng = random.Random(1)
    got = run((one_step(operation, rng),), random_input(operation.source, rng))
    assert isinstance(got, kinds[operation.target])


def test_ids_read_back() -> None:
    chooser, rng = pool.Chooser(), random.Random(3)
    for level in (1, 2, 3, 4) * 50:
        pipeline = chooser.pipeline(level, rng)
        assert parse(pipeline.id) == pipeline
        assert " " not in pipeline.id


@pytest.mark.parametrize(
    "bad",
    [
        "HumanEval/0",
        "pipelines/",
        "pipelines/l_fly",
        "pipelines/l_add",
        "pipelines/l_add:99",
        "pipelines/l_even:3",
        "pipelines/l_even~1",
        "pipelines/l_sum>l_even",
        "pipelines/forward/l_even",
        "pipelines/l_even>l_even>l_even>l_even>l_even",
    ],
)
def test_what_is_no_id_is_a_data_error(bad: str) -> None:
    with pytest.raises(DataError):
        parse(bad)


def test_a_problem_is_worded_and_spelled_as_documented() -> None:
    problem = render(parse("pipelines/l_even>l_add:3"))
    assert problem.prompt == 'def f(xs):\n    """Keep the even numbers, then add 3 to each number."""\n'
    assert problem.reference == "    xs = [x for x in xs if x % 2 == 0]\n    return [x + 3 for x in xs]\n"
    assert (problem.entry_point, problem.level, problem.source) == ("f", 2, "pipelines")


def test_a_reversed_docstring_tells_the_same_order_of_execution() -> None:
    forward, backward = parse("pipelines/l_mult:6>l_sub~1:17"), parse("pipelines/reversed/l_mult:6>l_sub~1:17")
    assert docstring(backward) == "Decrease each number by 17 after you keep the multiples of 6."
    assert render(forward).reference == render(backward).reference
    assert render(forward).checks == render(backward).checks


def test_references_pass_their_checks() -> None:
    for problem in pool.draw(60, seed=4, split="train"):
        for check in checks_of(problem):
            got = call(problem.prompt + problem.reference, check.args[0])
            assert (type(got), got) == (type(check.expected), check.expected)


def test_checks_hold_an_empty_input_and_inputs_near_the_constant() -> None:
    checks = checks_of(render(parse("pipelines/l_gt:17")))
    assert 12 <= len(checks) <= 16
    inputs: list[Any] = [check.args[0] for check in checks]
    assert [] in inputs
    assert sum({16, 17, 18} <= set(value) for value in inputs) >= len(inputs) // 4
    assert len({repr(value) for value in inputs}) == len(inputs)


def test_hardly_any_wrong_edit_passes_the_checks() -> None:
    rng = random.Random(0)
    passing = wrong = 0
    for problem in pool.draw(80, seed=9, split="train"):
        steps = parse(problem.id).steps
        own: list[Any] = [(check.args[0], check.expected) for check in checks_of(problem)]
        fresh: list[Any] = [random_input(steps[0].of.source, rng) for _ in range(200)]
        many = [(value, out) for value in fresh if (out := run(steps, value)) is not None]
        for _, edit in edits(steps, rng):
            if tells(edit, own) or tells(edit, many):
                wrong += 1
                passing += not tells(edit, own)
    assert wrong > 2000
    assert passing / wrong < 0.01


def test_training_checks_are_visible_and_all_but_two_test_checks_hidden() -> None:
    assert all(check.visible for one in pool.draw(5, seed=1, split="train") for check in checks_of(one))
    for one in pool.draw(40, seed=1, split="test"):
        shown = [check for check in checks_of(one) if check.visible]
        assert len(shown) == 2 and len(checks_of(one)) >= 8
        assert ((check.args[0] not in ([], "", 0)) for check in shown)


def test_what_would_be_slow_is_refused() -> None:
    assert run((Step("n_square"), Step("n_square"), Step("n_divisors")), 100) is None


def test_checks_depend_on_their_seed_alone() -> None:
    steps = (Step("s_count", "a"),)
    assert make_checks(steps, "x", visible=False) == make_checks(steps, "x", visible=False)
    assert make_checks(steps, "x", visible=False) != make_checks(steps, "y", visible=False)
