"""Fits that read a teacher's top-k labels from the store: what they learn, what is made once, what stays live."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TrainingError
from harness.settings.config import Judging
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.store.exchange import clean
from harness.training import distiller, soft_labels
from harness.training.objective import Margin, Objective, Soft
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import Example, Student, TrainingSet
from tests.fakes import tiny_student

STUDENT, WIDTH = Student("tiny", "student"), 259
EXAMPLES = tuple(
    Example(f"def f{n}(x):\n", f"    return x + {n}\n", rejected="    return 0\n" if n % 3 else None, weight=0.5 + n)
    for n in range(6)
)
SCHEDULE = Schedule(updates=3, batch=4, warmup=1)
LIVE = Soft("forward", alpha=0.5, teacher="teacher")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "student": tiny_student(root / "student"),
        "teacher": tiny_student(root / "teacher", seed=1, hidden=32, layers=1, lively=True),
    }


@pytest.fixture
def engine(folders: dict[str, Path], tmp_path: Path) -> Iterator[StepEngine]:
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub") as engine:
        engine.folders |= folders
        yield engine


def train(engine: StepEngine, soft: Soft, **named: Any) -> dict[str, Any]:
    """Return what the last mark measured."""
    data = TrainingSet(named.pop("examples", EXAMPLES), "as_given")
    contrast = named.pop("contrast", None)
    _, marks, record = engine.fit(STUDENT, data, Objective(contrast, soft), replace(SCHEDULE, **named), 0)
    return {**marks[-1], "key": record.key}


def distributions_made(engine: StepEngine) -> int:
    return engine.store.count().get("distributions", 0)


def test_the_whole_vocabulary_from_the_cache_is_the_live_teacher(engine: StepEngine) -> None:
    live, cached = train(engine, LIVE), train(engine, replace(LIVE, top_k=WIDTH))
    assert cached["losses"]["kd"] == pytest.approx(live["losses"]["kd"], rel=2e-3)  # float16 on disk
    assert cached["losses"]["nll"] == pytest.approx(live["losses"]["nll"], rel=1e-3)
    assert cached["losses"]["kd_retained"] == pytest.approx(1.0, abs=2e-3)


def test_fewer_tokens_hold_less_mass_and_less_of_the_divergence(engine: StepEngine) -> None:
    live = train(engine, LIVE, updates=1)["losses"]["kd"]
    found = [train(engine, replace(LIVE, top_k=k), updates=1)["losses"] for k in (2, 16, 64)]
    shares = [one["kd"] / live for one in found]
    assert 0 < shares[0] < shares[1] < shares[2] < 1
    assert 0 < found[0]["kd_retained"] < found[1]["kd_retained"] < found[2]["kd_retained"] < 1


def test_a_text_is_read_once_whichever_fit_needs_it(engine: StepEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    true = soft_labels.distributions

    def counting(*given: Any) -> Any:
        read.append(1)
        return true(*given)

    monkeypatch.setattr(soft_labels, "distributions", counting)
    soft = replace(LIVE, top_k=8)
    train(engine, soft, examples=EXAMPLES[:4])
    assert len(read) == distributions_made(engine) == 4
    train(engine, replace(soft, divergence="reverse"), examples=EXAMPLES)  # two texts more
    assert len(read) == distributions_made(engine) == 6
    train(engine, replace(soft, top_k=9))
    assert len(read) == 12


def test_a_fit_that_caches_never_loads_the_teacher_itself(engine: StepEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    made = train(engine, replace(LIVE, top_k=8))
    monkeypatch.delattr("harness.training.trainer.read_teacher")
    again = train(engine, replace(LIVE, top_k=8, alpha=0.4))
    assert made["losses"].keys() == again["losses"].keys() == {"nll", "kd", "kd_retained"}


def test_the_number_of_tokens_is_part_of_the_key_and_none_leaves_it_as_it_was(engine: StepEngine) -> None:
    keys = [train(engine, replace(LIVE, top_k=k))["key"] for k in (0, 8, 9)]
    assert len(set(keys)) == 3
    assert "top_k" not in Objective(soft=LIVE).key()["soft"]  # type: ignore[operator]
    assert Objective(soft=replace(LIVE, top_k=8)).key()["soft"]["top_k"] == 8  # type: ignore[index, call-overload]


def test_what_was_kept_is_told_with_the_mass_that_was_not(engine: StepEngine) -> None:
    mark = train(engine, replace(LIVE, top_k=2), updates=1, batch=6)
    (labels, count), (outside, lost) = mark["cached"].items()
    assert labels in outside and count == sum(len(one.completion) + 1 for one in EXAMPLES)
    assert lost == pytest.approx(count * (1 - mark["losses"]["kd_retained"]), abs=1.0)


def test_a_contrast_beside_it_changes_no_label(engine: StepEngine) -> None:
    soft = replace(LIVE, top_k=8)
    alone, beside = (train(engine, soft, updates=1, contrast=one)["losses"] for one in (None, Margin(0.5, 0.5)))
    assert beside["kd"] == pytest.approx(alone["kd"], rel=1e-6) and "margin" in beside


@pytest.mark.parametrize("changes", [{"packing": True}, {"micro_batches": 2}])
def test_packing_and_splitting_change_nothing(engine: StepEngine, changes: dict[str, Any]) -> None:
    soft = replace(LIVE, top_k=8, lead="# an example\n")  # which only a live teacher cannot read in packed rows
    plain, other = (train(engine, soft, updates=1, **given)["losses"] for given in ({}, changes))
    assert other == pytest.approx(plain, rel=1e-4)


@pytest.mark.slow  # two interpreters load torch
def test_two_processes_read_the_labels_of_one(engine: StepEngine) -> None:
    soft = replace(LIVE, top_k=8)
    one, two = (train(engine, soft, updates=1, processes=count)["losses"] for count in (1, 2))
    assert two == pytest.approx(one, rel=1e-4)


def test_own_texts_stay_with_the_live_teacher(engine: StepEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.training.on_policy import OwnTexts

    soft = replace(LIVE, top_k=8, on_policy=0.5, max_new_tokens=8)
    used: list[str] = []

    def watched(name: str) -> None:
        true = getattr(distiller, name)

        def noting(*given: Any) -> Any:
            used.append(name)
            return true(*given)

        monkeypatch.setattr(distiller, name, noting)

    watched("live_divergence")
    watched("cached_divergence")
    mark = train(engine, soft, updates=4)
    own = OwnTexts(4, 0.5, 0.9, 8, 64, seed=0)
    assert used == ["live_divergence" if own.due(update) else "cached_divergence" for update in range(4)]
    assert {"kd", "kd_own", "kd_retained"} <= mark["losses"].keys() and mark["own_texts"] == 8


def test_nothing_but_own_texts_caches_nothing(engine: StepEngine) -> None:
    train(engine, replace(LIVE, top_k=8, on_policy=1.0, max_new_tokens=8))
    assert distributions_made(engine) == 0


def test_cleaning_the_store_keeps_what_steps_refer_to(engine: StepEngine) -> None:
    train(engine, replace(LIVE, top_k=8))
    before = engine.store.artifacts.names()
    assert clean(engine.store).artifacts == 0 and engine.store.artifacts.names() == before and len(before) == 2
    assert engine.store.verify() == []


def test_another_temperature_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"tau 2 with top_k 8; expected 1"):
        replace(LIVE, top_k=8, tau=2.0)


def test_a_fit_without_its_cache_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"train\.logits_top_k=8: .*none was given\. .*or say train\.logits_top_k=0"
    ):
        fit(
            folders["student"],
            TrainingSet(EXAMPLES),
            Objective(soft=replace(LIVE, top_k=8)),
            SCHEDULE,
            0,
            lambda update: tmp_path / str(update),
            teacher_folder=folders["teacher"],
        )


def test_texts_that_the_teacher_cannot_hold_are_told(folders: dict[str, Path], tmp_path: Path) -> None:
    small = tiny_student(tmp_path / "small", seed=1, positions=20)
    with pytest.raises(TrainingError, match=r"longer than 20 tokens \(the teacher's positions\)"):
        fit(
            folders["student"],
            TrainingSet(EXAMPLES),
            Objective(soft=LIVE),
            SCHEDULE,
            0,
            lambda update: tmp_path / str(update),
            teacher_folder=small,
        )
