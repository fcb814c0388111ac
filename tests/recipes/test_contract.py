import pytest

from harness import catalog
from tests.contracts.recipe import check_recipe, rehearse


@pytest.mark.parametrize("name", [name for group in catalog.names().values() for name in group])
def test_every_recipe_keeps_the_contract(name):
    check_recipe(name)


def test_iterkd_without_contrast_and_renewal_trains_on_direct_answers_only():
    engine, lab, _ = rehearse("standard_kd", 2)
    assert engine.kinds == {"solve"} and lab.spent.student_samples == 0


def test_stand_makes_no_attempt_and_asks_for_no_repair():
    engine, lab, _ = rehearse("stand", 2)
    assert engine.kinds == {"solve"} and lab.spent.student_samples == 0


def test_persd_and_inpd_ask_the_same_questions():
    assert rehearse("persd", 2)[0].calls[:-1] == rehearse("inpd", 2)[0].calls[:-1]


def test_uniform_gets_as_many_new_problems_as_iterkd():
    size = rehearse("iterkd", 3)[1].notes["new problems kept"]
    assert size == 2 * round(0.5 * 12)
