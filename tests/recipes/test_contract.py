import pytest

from harness.settings import catalog
from recipes.iterkd import Ablation
from tests.contracts.recipe import check_recipe, rehearse


@pytest.mark.parametrize("name", [name for group in catalog.names().values() for name in group])
def test_every_recipe_keeps_the_contract(name):
    check_recipe(name)


def fitted(name, **settings):
    """Return the problems that each fit of a rehearsal trained on."""
    engine, _, _ = rehearse(name, 3, **settings)
    return engine.fitted


def test_iterkd_without_contrast_and_renewal_is_a_run_on_direct_answers():
    engine, lab, _ = rehearse("iterkd", 2, weight=0.0, ablation=Ablation(renew=False))
    assert engine.kinds == {"solve"} and lab.spent.student_samples == 0
    plain = rehearse("stand", 1)[0]
    assert [{one.prompt: one.completion for one in examples} for examples in engine.fitted] == 2 * [
        {one.prompt: one.completion for one in plain.fitted[0]}
    ]


def test_a_rehearsed_fit_of_iterkd_contrasts_every_example():
    assert all(one.rejected is not None for examples in fitted("iterkd") for one in examples)


def test_stand_makes_no_attempt_and_asks_for_no_repair():
    engine, lab, _ = rehearse("stand", 2)
    assert engine.kinds == {"solve"} and lab.spent.student_samples == 0


def test_persd_and_inpd_ask_the_same_questions():
    assert rehearse("persd", 2)[0].log[:-1] == rehearse("inpd", 2)[0].log[:-1]


def test_uniform_gets_as_many_new_problems_as_iterkd():
    new = {}
    for name in ("uniform", "iterkd"):
        prompts = [{one.prompt for one in examples} for examples in fitted(name)]
        new[name] = [len(later - set().union(*prompts[:place])) for place, later in enumerate(prompts)]
    assert new["uniform"] == new["iterkd"] == [12, 6, 6]


@pytest.mark.parametrize("name", ["iterkd", "uniform"])
def test_every_cycle_trains_on_a_whole_pool_of_different_problems(name):
    for examples in fitted(name):
        assert len(examples) == len({one.prompt for one in examples}) == 12
