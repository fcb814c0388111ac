"""Pools and the test set of Pipelines."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

from harness.types import Problem
from harness.world import pool
from harness.world.grammar import parse
from harness.world.operations import OPERATIONS, TABLE

GOLDEN = "1c8e26f42f850a34dcaa9794f5938de3732be6a82c4e7804f745b1f4e1f20044"


def print_of(problem: Problem) -> str:
    found = pool.fingerprint(parse(problem.id))
    assert found is not None
    return found


def test_the_test_set_is_the_pinned_one() -> None:
    # Changed on purpose? Raise WORLD_VERSION, put the new digest here, and say "moves scores" in the changelog.
    assert (pool.WORLD_VERSION, pool.digest(pool.test_set())) == (2, GOLDEN)


def test_the_test_set_repeats_neither_prompt_nor_behaviour() -> None:
    problems = pool.test_set()
    assert len(problems) == 400
    assert len({one.prompt for one in problems}) == len({print_of(one) for one in problems}) == 400


def test_the_test_set_fills_the_levels_evenly() -> None:
    levels = Counter(one.level for one in pool.test_set())
    assert set(levels) == {1, 2, 3, 4}
    assert all(85 <= count <= 115 for count in levels.values()), levels


def test_few_test_problems_share_their_operations() -> None:
    chains = Counter(tuple(step.operation for step in parse(one.id).steps) for one in pool.test_set())
    assert max(chains.values()) <= pool.SAME_CHAIN


def test_a_smaller_test_set_has_its_size() -> None:
    assert Counter(one.level for one in pool.test_set(40)) == {1: 10, 2: 10, 3: 10, 4: 10}


def test_training_never_shows_a_test_behaviour() -> None:
    train = pool.draw(800, seed=1, split="train", operation_weights=pool.skew())
    tested = {print_of(one) for one in pool.test_set()}
    assert tested.isdisjoint(print_of(one) for one in train)
    assert all(pool.held_out(one) for one in tested)


def test_chains_of_one_behaviour_are_on_the_same_side() -> None:
    names = ("pipelines/l_sort>l_desc", "pipelines/l_desc", "pipelines/l_reverse>l_desc")
    assert len({pool.fingerprint(parse(name)) for name in names}) == 1
    assert pool.fingerprint(parse("pipelines/l_add:7")) != pool.fingerprint(parse("pipelines/l_add:8"))


def test_unfair_chains_have_no_fingerprint() -> None:
    for name in ("l_gt:30>l_lt:2>l_sum", "n_square>n_square>n_divisors", "l_len>n_halve:30>n_div:9>n_div:9"):
        assert pool.fingerprint(parse(f"pipelines/{name}")) is None


def test_three_of_ten_behaviours_are_held_out() -> None:
    chooser, rng = pool.Chooser(), random.Random(2)
    prints = {pool.fingerprint(chooser.pipeline(4, rng)) for _ in range(1500)} - {None}
    assert 0.25 < sum(pool.held_out(one) for one in prints if one) / len(prints) < 0.35


def test_a_pool_is_the_same_for_the_same_arguments_in_another_process() -> None:
    code = (
        "import sys; from harness.world import pool, student; from harness.teachers import oracle\n"
        "print(pool.digest(pool.draw(50, seed=5, split='train', operation_weights=pool.skew())))\n"
        "assert not {'torch', 'transformers', 'tokenizers'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert found == pool.digest(pool.draw(50, seed=5, split="train", operation_weights=pool.skew()))
    assert found != pool.digest(pool.draw(50, seed=6, split="train", operation_weights=pool.skew()))


def test_a_pool_repeats_no_problem_and_keeps_its_size_when_a_level_is_used_up() -> None:
    problems = pool.draw(1200, seed=1, split="train", level_weights={1: 1.0})
    assert len({one.id for one in problems}) == 1200
    assert {one.level for one in problems} == {1, 2}


def test_levels_get_their_exact_shares() -> None:
    assert pool.quotas(21, {1: 0.55, 2: 0.30, 3: 0.10, 4: 0.05}) == {1: 12, 2: 6, 3: 2, 4: 1}
    assert Counter(one.level for one in pool.draw(40, seed=1, split="train", level_weights={3: 3, 4: 1})) == {
        3: 30,
        4: 10,
    }


def test_operations_are_drawn_by_their_weights() -> None:
    weights = pool.skew()
    heavy = sorted(weights, key=lambda id: -weights[id])[:10]
    share = {}
    for name, given in (("skewed", weights), ("uniform", None)):
        problems = pool.draw(300, seed=1, split="train", operation_weights=given)
        used = [step.operation for one in problems for step in parse(one.id).steps]
        share[name] = sum(one in heavy for one in used) / len(used)
    assert share["skewed"] > 2 * share["uniform"]


def test_the_skew_is_a_power_law_over_all_operations() -> None:
    weights = sorted(pool.skew().values(), reverse=True)
    assert set(pool.skew()) == set(OPERATIONS) and len(weights) == len(TABLE)
    assert weights[0] == 1.0 and abs(weights[9] - 10**-0.9) < 1e-12
    assert pool.skew(1) != pool.skew(0) == pool.skew(0)


def test_excluded_behaviours_are_not_drawn() -> None:
    first = pool.draw(30, seed=1, split="test")
    banned = {print_of(one) for one in first}
    again = pool.draw(30, seed=1, split="test", exclude=banned)
    assert banned.isdisjoint(print_of(one) for one in again) and len(again) == 30
