"""The table as data."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.errors import HarnessError, SandboxError, UsageError
from harness.stats import clusters, paired, passk, seeds
from harness.types import Spent
from reports.facts import headline, score_title
from reports.table import build
from tests.reports.rows import example, row

BASE = row("untrained", [1, 0, 0, 0, 0, 1, 0, 0])
OURS = row("iterkd", [1, 1, 1, 0, 0, 1, 1, 0], seed=0, cycle=1)


def test_lines_are_the_untrained_student_and_then_recipes_in_their_order() -> None:
    table = build([OURS, replace(OURS, recipe="persd"), BASE])
    assert [line.label for line in table.lines] == ["untrained", "iterkd", "persd"]


def test_settings_make_lines_of_their_own() -> None:
    table = build([BASE, replace(OURS, settings={"margin": "0.1"}), replace(OURS, settings={"margin": "0.2"})])
    assert [line.label for line in table.lines[1:]] == ["iterkd margin=0.1", "iterkd margin=0.2"]


def test_score_and_difference_are_those_of_the_statistics() -> None:
    line = build([BASE, OURS]).lines[1]
    assert line.scores[0].estimate == passk.estimate(OURS.correct, 1)
    assert line.comparisons[0].difference == paired.compare(OURS.correct, BASE.correct, 1)


def test_difference_is_of_the_final_cycle() -> None:
    later = replace(OURS, cycle=2, correct=(1,) * 8)
    line = build([BASE, later, OURS]).lines[1]
    assert line.final_cycle == 2
    assert [score.cycle for score in line.scores] == [1, 2]
    assert line.comparisons[0].difference.value == pytest.approx(6 / 8)


def test_one_seed_is_said_to_decide_nothing() -> None:
    assert build([BASE, OURS]).one_seed
    assert not build([BASE, OURS, replace(OURS, seed=1)]).one_seed


def test_seeds_are_joined_and_compared_as_a_level() -> None:
    other = replace(OURS, seed=1, correct=(1, 0, 1, 0, 0, 1, 0, 0))
    line = build([BASE, OURS, other]).lines[1]
    expected = seeds.two_level([OURS.correct, other.correct], [BASE.correct], 1)
    assert line.comparisons[0].difference == expected
    assert line.scores[0].covers == expected.covers == "seeds and problems"


def test_single_seed_reference_makes_it_a_comparison_of_checkpoints() -> None:
    rows = [OURS, replace(OURS, seed=1), replace(OURS, recipe="persd", seed=1, correct=BASE.correct)]
    found = build(rows, reference="persd").lines[0].comparisons[0].difference
    assert found == paired.compare(OURS.correct, BASE.correct, 1)
    assert found.covers == "problems"


def test_recipes_with_unlike_seeds_are_not_paired_by_seed() -> None:
    theirs = [replace(OURS, recipe="persd", seed=seed) for seed in (5, 6, 7)]
    rows = [OURS, replace(OURS, seed=1, correct=BASE.correct), *theirs]
    assert "Welch" in build(rows, reference="persd").lines[0].comparisons[0].difference.test


def test_holm_runs_over_every_comparison_of_the_table() -> None:
    table = build(example({"standard_kd": 0.2, "iterkd": 0.6}, humaneval=True))
    found = [one for line in table.lines for one in line.comparisons]
    assert table.comparisons == len(found) == 4
    smallest = min(found, key=lambda one: one.difference.p)
    assert smallest.adjusted_p == pytest.approx(min(1.0, 4 * smallest.difference.p))


def test_reference_may_be_a_recipe_and_then_stands_without_a_difference() -> None:
    table = build([BASE, OURS], reference="iterkd")
    assert table.lines[1].comparisons == ()
    assert table.lines[0].comparisons[0].difference.value < 0


def test_unknown_reference_names_the_nearest_line() -> None:
    with pytest.raises(UsageError, match=r"reference=iterdk: no such line \(did you mean iterkd\?\)"):
        build([BASE, OURS], reference="iterdk")


def test_reference_that_several_lines_bear_must_name_its_settings() -> None:
    rows = [replace(OURS, settings={"margin": "0.1"}), replace(OURS, settings={"margin": "0.2"})]
    with pytest.raises(UsageError, match="2 lines bear that name"):
        build(rows, reference="iterkd")
    assert build(rows, reference="iterkd margin=0.2").reference == "iterkd margin=0.2"


def test_levels_are_scored_apart() -> None:
    levels = (1, 1, 1, 1, 2, 2, 2, 2)
    line = build([replace(BASE, levels=levels), replace(OURS, levels=levels)]).lines[1]
    assert [(one.level, one.estimate.value, one.estimate.n) for one in line.levels] == [(1, 0.75, 4), (2, 0.5, 4)]


def test_spent_is_the_mean_of_the_seeds_at_the_final_cycle() -> None:
    rows = [
        replace(OURS, seed=seed, cycle=cycle, spent=Spent(teacher_calls=100 * cycle + seed))
        for seed in (0, 1)
        for cycle in (1, 2)
    ]
    times = {("iterkd", "", 0): 10.0, ("iterkd", "", 1): 30.0}
    line = build([BASE, *rows], seconds=times).lines[1]
    assert line.spent["teacher_calls"] == 200.5
    assert line.seconds == 20.0


def test_seconds_that_are_not_known_for_every_seed_are_not_averaged() -> None:
    table = build([BASE, OURS, replace(OURS, seed=1)], seconds={("iterkd", "", 0): 10.0})
    assert table.lines[1].seconds is None


def test_unfinished_seed_holds_its_line_back_and_the_table_says_so() -> None:
    table = build([BASE, OURS, replace(OURS, seed=1), replace(OURS, cycle=2)])
    assert table.lines[1].final_cycle == 1
    assert table.warnings == ("unfinished: iterkd is shown up to cycle 1 of 2",)


def test_several_k_are_scored_and_the_first_is_compared() -> None:
    rows = [
        replace(one, samples=4, correct=tuple(3 * c for c in one.correct), statuses={"passed": 32})
        for one in (BASE, OURS)
    ]
    line = build(rows, ks=(1, 2)).lines[1]
    assert [(score.k, score.estimate.value) for score in line.scores] == [(1, pytest.approx(0.46875)), (2, 0.625)]
    assert [one.k for one in line.comparisons] == [1]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"benchmark_hash": "f" * 64}, "benchmark_hash is ffff"),
        ({"protocol": BASE.protocol | {"isolation": "process-only"}}, "isolation is process-only, but full"),
        ({"protocol": BASE.protocol | {"errata": "2"}}, "errata is 2, but not stated"),
        ({"samples": 2}, "samples per problem is 2, but 1"),
        ({"n": 9, "correct": (0,) * 9}, "problems is 9, but 8"),
    ],
)
def test_rows_that_were_not_measured_alike_are_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(HarnessError, match=named):
        build([BASE, replace(OURS, **change)])  # pyright: ignore[reportArgumentType]


def test_protocols_may_differ_between_benchmarks() -> None:
    other = [replace(one, benchmark="humaneval", protocol={"style": "plain"}) for one in (BASE, OURS)]
    assert len(build([BASE, OURS, *other]).benchmarks) == 2


def test_a_program_without_a_verdict_stops_the_table() -> None:
    with pytest.raises(SandboxError, match="2 of 8 programs have no verdict"):
        build([BASE, replace(OURS, statuses={"passed": 5, "wrong": 1, "infrastructure": 2})])


@pytest.mark.parametrize("change", [{"correct": (1, 0)}, {"correct": (2,) * 8}, {"levels": (1, 2)}])
def test_damaged_rows_are_refused(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(UsageError, match="damaged row"):
        build([BASE, replace(OURS, **change)])  # pyright: ignore[reportArgumentType]


def test_two_results_of_one_cell_are_refused() -> None:
    with pytest.raises(UsageError, match="two rows"):
        build([BASE, OURS, OURS])


def test_no_rows_make_no_table() -> None:
    with pytest.raises(UsageError, match="no rows"):
        build([])


def test_a_row_whose_verdicts_are_missing_is_refused() -> None:
    with pytest.raises(UsageError, match=r"6 verdicts for 8 problems .* missing verdicts"):
        build([BASE, replace(OURS, statuses={"passed": 5, "wrong": 1})])


@pytest.mark.parametrize("bad", [float("nan"), 0.5, True])
def test_counts_that_are_no_whole_numbers_are_refused(bad: object) -> None:
    with pytest.raises(UsageError, match="damaged row"):
        build([BASE, replace(OURS, correct=(bad,) + (0,) * 7)])  # pyright: ignore[reportArgumentType]


def test_ablation_holds_each_setting_against_the_line_with_fewest() -> None:
    rows = [OURS, replace(OURS, settings={"margin": "0.1"}), replace(OURS, settings={"margin": "0.1", "weight": "0"})]
    [found] = build([BASE, *rows]).ablations
    assert (found.recipe, found.base) == ("iterkd", "iterkd")
    assert [change.changed for change in found.changes] == ["margin=0.1", "margin=0.1 weight=0"]
    assert found.changes[0].comparisons[0].difference.value == 0


def test_ablation_names_what_the_base_sets_and_a_line_does_not() -> None:
    rows = [replace(OURS, settings={"margin": "0.1"}), replace(OURS, settings={"weight": "0"})]
    [found] = build([BASE, *rows]).ablations
    assert found.changes[0].changed == "weight=0 margin: default"


def test_one_setting_makes_no_ablation() -> None:
    assert build([BASE, OURS]).ablations == ()


def test_gain_is_over_the_untrained_student_whatever_the_reference() -> None:
    table = build([BASE, OURS, replace(OURS, recipe="persd")], reference="persd")
    assert table.lines[1].gains["pipelines"] == paired.compare(OURS.correct, BASE.correct, 1)
    assert table.lines[0].gains == {}


def test_families_of_problems_are_the_units_of_scores_and_differences_and_the_table_says_so() -> None:
    families = tuple("aabbccdd")
    joined = build([replace(one, families=families) for one in (BASE, OURS)])
    score, difference = joined.lines[1].scores[0].estimate, joined.lines[1].comparisons[0].difference
    assert score == clusters.rate(passk.scores(OURS.correct, 1), families)
    assert difference.test == "t over families of problems"
    assert "8 problems of 4 families" in score_title(joined.benchmarks[0], 1)


def test_a_level_of_one_family_leaves_its_score_open_under_several_seeds() -> None:
    families, levels = tuple("aabbcccc"), (1, 1, 1, 1, 2, 2, 2, 2)
    rows = [replace(one, families=families, levels=levels) for one in (BASE, OURS, replace(OURS, seed=1))]
    first, second = build(rows).lines[1].levels
    assert (second.estimate.low, second.estimate.high) == (0.0, 1.0) != (first.estimate.low, first.estimate.high)


def test_a_line_that_lacks_a_benchmark_is_named() -> None:
    table = build([BASE, OURS, replace(BASE, benchmark="humaneval")])
    assert table.warnings == ("not evaluated on humaneval: iterkd",)
    assert headline(table).startswith(table.warnings[0])
