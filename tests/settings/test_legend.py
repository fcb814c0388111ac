"""What `harness list keys` says of each key."""

from __future__ import annotations

from harness.settings.config import Run
from harness.settings.legend import legend
from harness.terminal import texts


def test_every_key_has_its_explanation() -> None:
    assert [key for key, told in legend(Run()).items() if not told] == []


def test_a_key_is_explained_by_the_comment_beside_its_field() -> None:
    told = legend(Run())
    assert told["budget.updates"].startswith("optimiser steps; every recipe makes exactly this many")
    assert told["teacher.key_env"] == "environment variable that holds the key; never the key itself"


def test_the_list_of_keys_fits_into_eighty_columns_and_names_each_key_at_the_start_of_a_line() -> None:
    lines = list(texts.listing("keys"))
    assert max(map(len, lines)) <= 80
    starts = [line.partition("=")[0] for line in lines if not line.startswith(" ")]
    assert starts == list(legend(Run()))
