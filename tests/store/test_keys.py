import pytest

from harness.store.keys import canonical, digest


def test_key_order_does_not_change_a_key():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})


def test_list_order_changes_a_key():
    assert digest([1, 2]) != digest([2, 1])


def test_nan_has_no_canonical_text():
    with pytest.raises(ValueError):
        canonical(float("nan"))


def test_lone_surrogates_of_a_model_have_a_key():
    assert digest("\ud800") != digest("\ud801")


def test_a_key_is_the_same_on_every_machine():
    assert digest(["samples", 1, {"weights": "w"}, 0.5]) == (
        "1ff807180282c7fb72faf657cfabae1f00e3d4f15df408f50e77f61b3235262d"
    )
