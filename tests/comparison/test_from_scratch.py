"""A student of characters starts blank: no corpus is trained on before a comparison."""

import dataclasses
import json

import pytest

from harness.comparison import base
from harness.comparison.base import base_student, blank, check_logits
from harness.errors import UsageError
from harness.settings.config import Judging, Run, World
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.teachers.oracle import Oracle

RUN = Run(student="tinypy-0.1M")


def test_it_is_one_step_without_training(tmp_path):
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "full") as engine:
        found = base_student(engine, RUN)
        again = base_student(engine, RUN)
        other = base_student(engine, dataclasses.replace(RUN, world=World(base_seed=1)))
        config = json.loads((engine.folder(found) / "config.json").read_text())
        assert store.count() == {"checkpoint": 2}
    assert found == again and found.weights != other.weights
    assert config["vocab_size"] == 57 and config["n_positions"] == 256


@pytest.mark.parametrize(("size", "own"), [("tinypy-0.1M", "TINYPY_VERSION"), ("tiny-0.3M", "WORLD_VERSION")])
def test_a_blank_student_is_made_anew_for_a_change_of_its_own_world_only(tmp_path, monkeypatch, size, own):
    other = {"TINYPY_VERSION": "WORLD_VERSION", "WORLD_VERSION": "TINYPY_VERSION"}[own]
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "full") as engine:
        blank(engine, size, 0)
        monkeypatch.setattr(base, other, 99)
        blank(engine, size, 0)
        assert store.count() == {"checkpoint": 1}
        monkeypatch.setattr(base, own, 99)
        blank(engine, size, 0)
        assert store.count() == {"checkpoint": 2}


def test_it_does_not_read_the_embedded_teachers_tokens():
    with pytest.raises(UsageError, match="token"):
        check_logits(dataclasses.replace(RUN, logits="embedded"), Oracle())
