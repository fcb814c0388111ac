"""The curriculum recipe: what is trained on, in which order, and what reaches the trainer."""

import dataclasses

import pytest

from baselines.curriculum import ABOUT, VARIANTS, Config, restarts, row
from harness.benchmarks.registry import available
from harness.decontaminate import index_of
from harness.lab import Lab
from harness.lab.staging import staged
from harness.lab.terms import Terms
from harness.settings import catalog
from harness.settings.config import Budget, Train
from harness.settings.resolve import resolve
from harness.terminal import texts
from harness.training.batches import TokenRow, plan
from harness.training.schedule import Schedule
from harness.types import Student
from harness.world.tinypy import pool
from reports import published
from tests.contracts.recipe import Anything, Witness, rehearse

PROBLEMS = pool(24, seed=0)


def run(name, problems=PROBLEMS, order="none", updates=6, cycles=2):
    """Rehearse a recipe on TinyPy; return what its one fit was given."""

    class Calls(Witness):
        def fit(self, student, data, objective, schedule, seed):
            self.given = (data, schedule)
            return super().fit(student, data, objective, schedule, seed)

    recipe, engine = catalog.find(name), Calls()
    budget = Budget(examples=12, updates=updates, attempts=0)
    terms = Terms(cycles, budget, Train(batch=4, order=order), 1, "cpu", 8, 32, (), 1.0)
    lab = Lab(engine, terms, Student("tiny", "base"), problems, Anything(), index_of([]), 0)
    yielded = list(recipe.train(lab, recipe.config))
    assert len(yielded) == cycles
    return engine, lab


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_makes_the_updates_on_the_order_that_it_wrote(name):
    engine, lab = run(name)
    data, schedule = engine.given
    assert data.order == "as_given" and len(data.examples) == 12 * 4 and schedule.updates == 12
    config = VARIANTS[name]
    examples = [row(config, problem, text) for problem, text in lab.references(lab.problems)]
    expected = staged(examples, config.curriculum(), 12, 4, lab.rng("order"))
    assert list(data.examples) == expected
    assert engine.kinds == set()  # no teacher is asked


def test_the_order_reaches_the_batches_row_by_row():
    """What the trainer makes of `as_given`: consecutive rows, batch after batch, none left out, none repeated."""
    engine, _ = run("cl-hyb")
    data, schedule = engine.given
    rows = [TokenRow(at, [1], [2], None, 1.0) for at in range(len(data.examples))]
    batches = plan(rows, data.order, schedule.updates, schedule.batch, seed=3)
    assert [at for batch in batches for at in batch] == list(range(48))


def test_staged_arms_differ_in_the_order_alone():
    plain, hybrid = (run(name)[0].given[1] for name in ("cl-none", "cl-hyb"))
    assert plain == hybrid


def test_of_a_text_the_whole_is_trained_on_and_of_code_the_completion():
    [problem] = PROBLEMS[:1]
    whole = row(Config(), problem, problem.reference)
    assert (whole.prompt, whole.completion) == ("", problem.prompt + problem.reference)
    apart = row(Config(loss="completion"), problem, problem.reference)
    assert (apart.prompt, apart.completion) == (problem.prompt, problem.reference)
    silent = row(Config(output=False), problem, problem.reference)
    assert "#" not in silent.completion and problem.prompt.startswith(silent.completion) and not silent.prompt
    engine, _, _ = rehearse("curriculum", 1)
    assert {one.completion for one in engine.fitted[0]} == {"    return x\n"}


def test_restarts_are_where_stages_begin_and_hybrids_in_one_stage():
    assert restarts(Config("hyb"), [20, 30, 70]) == ()
    assert restarts(Config("seq", lr_restart=True), [40, 40, 40]) == (40, 80)
    assert restarts(VARIANTS["cl-none-restart"], [120]) == (20, 50)
    assert run("cl-none-restart")[0].given[1].restarts == (2, 5)


def test_the_learning_rate_starts_afresh_at_each_restart():
    whole = Schedule(updates=20, warmup=2, restarts=(8,))
    parts = Schedule(updates=8, warmup=2), Schedule(updates=12, warmup=2)
    expected = [parts[0].rate(done) for done in range(8)] + [parts[1].rate(done) for done in range(12)]
    assert [whole.rate(done) for done in range(20)] == expected
    assert "restarts" not in Schedule(updates=20).key() and "restarts" in whole.key()


def test_any_recipes_rows_can_be_staged():
    plain, hybrid = run("sft")[0].given[0], run("sft", order="hyb")[0].given[0]
    assert plain.order == "shuffled" and hybrid.order == "as_given"
    assert set(hybrid.examples) <= set(plain.examples) and len(hybrid.examples) == 48


def test_a_recipe_that_orders_its_rows_keeps_its_order():
    assert run("cl-seq", order="hyb")[0].given == run("cl-seq")[0].given


def test_code_that_is_no_program_is_told():
    broken = dataclasses.replace(PROBLEMS[0], prompt="if a :\n# output\n")
    _, lab = run("cl-hyb", [broken, *PROBLEMS[1:]])
    assert lab.notes["rows of no readable difficulty, taken for the hardest"] == 1
    assert not any("hardest" in note for note in run("cl-hyb")[1].notes)


def test_a_repeated_row_counts_once_against_the_budget():
    _, lab = run("cl-hyb", updates=50)
    assert lab.rows_fitted == 24


def test_problems_without_solutions_end_in_cycles_without_training():
    bare = [dataclasses.replace(one, reference="") for one in PROBLEMS]
    _, lab = run("cl-hyb", bare)
    assert lab.notes["cycles without examples"] == 2 and lab.spent.updates == 0


def test_the_papers_students_are_a_preset():
    command = resolve(["preset=curriculum-paper"])
    assert [cell.recipe for cell in command.cells] == ["cl-none", "cl-hyb"]
    run = command.run
    assert run.student == "tinypy-1M" and run.cycles * run.budget.updates == 120_000 // 100 and run.train.batch == 64


@pytest.mark.parametrize("settings", [{"rho": 2.0}, {"shares": (1.0,)}, {"metric": "hd", "cut": "fixed"}])
def test_settings_out_of_range_are_refused_when_they_are_read(settings):
    with pytest.raises(ValueError, match=r"expected|Say"):
        Config(**settings)


def test_each_variant_is_one_line_of_the_list_of_recipes():
    lines = list(texts.recipes())
    for name, about in ABOUT.items():
        [line] = [one for one in lines if one.split()[0] == name]
        assert line.endswith(about) and len(line) < 80 and about[0].islower() and not about.endswith(".")


@pytest.mark.parametrize("benchmark", ["tinypy-execution", "tinypy-completion:token", "tinypy-completion:line"])
def test_the_papers_numbers_stand_beside_a_benchmark_that_is_there(benchmark):
    assert benchmark in available()
    shown = published.of([benchmark], published.load())
    assert len(shown) == 2 and all("Curriculum" in one.source for one in shown)
