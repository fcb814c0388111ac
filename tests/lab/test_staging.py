"""Curricula: levels, stages, and the order of a run's rows."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from harness.errors import ConfigError
from harness.lab.staging import SHARES, Curriculum, Stage, allot, grade, staged, stages_of, visits
from harness.types import Example
from harness.world.tinypy import draw

EXAMPLES = [Example("", one.text, level=int(one.level[0])) for one in draw(90, seed=2, split="train")]
GRADED = grade(EXAMPLES, Curriculum())
ALIKE = [Example("", f"a = {number}\n") for number in range(10)]


def stages(scheme, examples=EXAMPLES, updates=120, **settings):
    return stages_of(grade(examples, Curriculum(scheme, **settings)), Curriculum(scheme, **settings), updates, rng())


def rng():
    return random.Random(7)


def level(number):
    return {at for at, one in enumerate(GRADED) if one.level == number}


def test_thirds_rise_in_difficulty():
    tops = [max(GRADED[at].difficulty for at in level(number)) for number in (1, 2, 3)]
    bottoms = [min(GRADED[at].difficulty for at in level(number)) for number in (1, 2, 3)]
    assert tops[0] <= bottoms[1] and tops[1] <= bottoms[2] and bottoms[0] < tops[2]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 10])
def test_thirds_differ_by_at_most_one_even_if_all_are_equally_difficult(count):
    sizes = Counter(one.level for one in grade(ALIKE[:count], Curriculum()))
    assert max(sizes.values()) - min(sizes[number] for number in (1, 2, 3)) <= 1


def test_fixed_bounds_are_two_and_four():
    for one in grade(EXAMPLES, Curriculum(cut="fixed")):
        assert one.level == (1 if one.difficulty < 2 else 2 if one.difficulty < 4 else 3)


def test_levels_can_be_those_that_examples_bear():
    assert [one.level for one in grade(EXAMPLES, Curriculum(cut="generator"))] == [one.level for one in EXAMPLES]
    with pytest.raises(ConfigError, match="bears no level"):
        grade(ALIKE, Curriculum(cut="generator"))


def test_code_that_is_no_program_is_hard():
    [*_, broken] = grade([*ALIKE, Example("", "if a :\n")], Curriculum())
    assert broken.level == 3 and broken.unread


def test_an_answer_of_comments_alone_is_graded_by_its_prompt():
    apart = [Example(one.completion.partition("# output")[0], "# 3\n") for one in EXAMPLES]
    assert [one.difficulty for one in grade(apart, Curriculum())] == [one.difficulty for one in GRADED]


@pytest.mark.parametrize("scheme", SHARES)
def test_every_scheme_makes_exactly_the_updates(scheme):
    for updates in (1, 2, 7, 120):
        assert sum(one.updates for one in stages(scheme, updates=updates)) == updates
        rows = staged(EXAMPLES, Curriculum(scheme), updates, 16, rng())
        assert len(rows) == updates * 16


def test_the_shares_are_the_papers():
    assert [one.updates for one in stages("inc")] == [25, 30, 65]
    assert [one.updates for one in stages("hyb")] == [20, 30, 70]
    assert allot(10, SHARES["hyb"]) == [2, 2, 6]


def test_sequential_stages_are_the_levels():
    assert [set(one.examples) for one in stages("seq")] == [level(1), level(2), level(3)]
    assert [set(one.examples) for one in stages("anti")] == [level(3), level(2), level(1)]


def test_incremental_stages_are_nested():
    found = [set(one.examples) for one in stages("inc")]
    assert found == [level(1), level(1) | level(2), level(1) | level(2) | level(3)]


@pytest.mark.parametrize(("rho", "scheme"), [(0.0, "seq"), (1.0, "inc")])
def test_hybrid_lies_between_sequential_and_incremental(rho, scheme):
    assert [set(one.examples) for one in stages("hyb", rho=rho)] == [set(one.examples) for one in stages(scheme)]


def test_hybrid_feeds_the_hardest_of_the_earlier_levels_again():
    _, second, third = stages("hyb", rho=0.2)
    again = set(second.examples) - level(2)
    assert len(again) == round(0.2 * len(level(1))) and again < level(1)
    assert min(GRADED[at].difficulty for at in again) >= max(GRADED[at].difficulty for at in level(1) - again)
    assert set(third.examples) & level(1) == again and len(set(third.examples) & level(2)) == len(again)


def test_replay_can_be_drawn_instead():
    drawn, hardest = stages("hyb", replay="random"), stages("hyb")
    assert len(drawn[1].examples) == len(hardest[1].examples) and set(drawn[1].examples) != set(hardest[1].examples)


def test_a_baseline_run_is_permutations_of_all_rows():
    [whole] = stages("none")
    found = visits([replace(whole, updates=18)], 10, rng())
    assert sorted(found[:90]) == sorted(found[90:]) == list(range(90)) and found[:90] != found[90:]


def test_random_thirds_are_three_parts_of_all_rows():
    found = [set(one.examples) for one in stages("random")]
    assert [len(one) for one in found] == [30, 30, 30] and set().union(*found) == set(range(90))
    assert found[0] not in (level(1), level(2), level(3))


@pytest.mark.parametrize("scheme", ["seq", "inc", "hyb", "anti", "hard"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_with_all_rows_in_one_level_every_scheme_visits_what_the_baseline_visits(scheme, number):
    same = [replace(one, level=number) for one in EXAMPLES]
    curriculum = Curriculum(scheme, cut="generator")
    rows = staged(same, curriculum, 36, 10, rng())
    plain = staged(same, replace(curriculum, scheme="none"), 36, 10, rng())
    assert Counter(rows) == Counter(plain)


def test_an_empty_stage_leaves_its_updates_to_the_next_and_the_last_to_the_one_before():
    only = [replace(one, level=2) for one in EXAMPLES]
    assert [one.updates for one in stages("seq", only, cut="generator")] == [120]
    two = [replace(one, level=1 + at % 2) for at, one in enumerate(EXAMPLES)]
    assert [one.updates for one in stages("hyb", two, cut="generator")] == [20, 100]


def test_a_stage_fills_its_last_batch_from_its_own_rows():
    found = visits([Stage((0, 1, 2), 2), Stage((3, 4), 1)], 4, rng())
    assert set(found[:8]) == {0, 1, 2} and set(found[8:]) == {3, 4}


def test_an_order_depends_on_rows_settings_and_generator_alone():
    runs = [staged(EXAMPLES, Curriculum(), 30, 8, random.Random(seed)) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_no_example_is_changed():
    rows = staged(EXAMPLES, Curriculum(), 30, 8, rng())
    assert set(rows) <= set(EXAMPLES)


def test_radon_that_is_not_there_is_told_before_anything_starts(monkeypatch):
    monkeypatch.setattr("harness.lab.staging.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="counter=token"):
        Curriculum(counter="radon")


@pytest.mark.parametrize(
    "settings",
    [{"rho": 1.5}, {"shares": (1.0, 2.0)}, {"shares": (1.0, -1.0, 1.0)}, {"metric": "cc", "cut": "fixed"}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=r"expected|Say"):
        Curriculum(**settings)
