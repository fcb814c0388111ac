"""What is told under a table of the terms that a recipe's objective is made of."""

from __future__ import annotations

from typing import Any

from reports.training import training_notes


def timing(seed: int, cycle: int, shares: dict[str, float], recipe: str = "iterkd") -> dict[str, Any]:
    terms = {name: {"mean": 0.5 + seed, "share": share} for name, share in shares.items()}
    place = {"recipe": recipe, "settings": {}, "seed": seed, "cycle": cycle, "benchmark": "b", "seconds": 1.0}
    return {**place, "training": {"terms": terms, "micro_batches": 1}}


def test_the_final_cycles_terms_are_told_with_their_shares_as_means_of_seeds():
    timings = [
        timing(seed, cycle, {"nll": 0.5 + 0.1 * cycle * seed, "margin": 0.5}) for seed in (0, 1) for cycle in (1, 2)
    ]
    [note] = training_notes(timings)
    assert note.endswith("iterkd: nll 1 (60 %), margin 1 (50 %)")


def test_a_term_that_swamps_the_others_is_told_with_its_first_place():
    timings = [timing(0, 1, {"nll": 0.5, "margin": 0.5}), timing(0, 2, {"nll": 0.04, "margin": 0.96})]
    _, warning = training_notes(timings)
    assert warning.startswith("iterkd: margin has over 90 % of the gradient in 1 of 2 cycles (first: seed 0, cycle 2)")


def test_a_term_beside_one_that_pulls_nowhere_is_told_to_swamp_it():
    note, warning = training_notes([timing(0, 1, {"nll": 1.0, "margin": 0.0})])
    assert note.endswith("iterkd: nll 0.5 (100 %), margin 0.5 (0 %)")
    assert warning.startswith("iterkd: nll has over 90 % of the gradient in 1 of 1 cycles (first: seed 0, cycle 1)")


def test_the_rows_of_several_benchmarks_count_a_cycle_once():
    one = timing(0, 1, {"nll": 0.02, "margin": 0.98})
    _, warning = training_notes([one, {**one, "benchmark": "c"}])
    assert "1 of 1 cycles" in warning


def test_one_term_and_timings_of_older_runs_are_not_told():
    alone = {"recipe": "sft", "settings": {}, "seed": 0, "cycle": 1, "benchmark": "b", "seconds": 1.0}
    told = alone | {"training": {"terms": {"nll": {"mean": 0.4}}, "micro_batches": 1}}
    assert list(training_notes([alone, told])) == []
