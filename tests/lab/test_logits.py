"""A teacher's distributions on their way to a recipe: whose they are, what it costs, what is refused beforehand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison import base
from harness.errors import ConfigError, TeacherError, UsageError
from harness.lab import Lab
from harness.settings.config import Budget, Judging, Run, World
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.teachers.oracle import Oracle
from harness.training.objective import Objective, Soft
from harness.training.schedule import Schedule
from harness.types import Example, Student, TrainingSet
from tests.fakes import byte_tokenizer, tiny_student
from tests.lab.test_lab import BASE, Priced, example, lab_of

DATA = TrainingSet(tuple(Example(f"def f{n}(x):\n", f"    return {n}\n") for n in range(4)))
SCHEDULE = Schedule(updates=2, batch=2, warmup=1)
NOT_ALLOWED = "updates on own texts that the budget of attempts did not allow"
TINY_WORLD = World(base_examples=16, teacher_examples=16)


class Keeping(Priced):
    """A rehearsal that keeps the objectives of its fits."""

    def __init__(self) -> None:
        super().__init__()
        self.objectives: list[Objective] = []
        self.cached: dict[str, int] = {}

    def fit(self, student, data, objective, schedule, seed):
        self.objectives.append(objective)
        students, marks, record = super().fit(student, data, objective, schedule, seed)
        return students, [{**mark, "cached": self.cached} for mark in marks], record


def lab_with(logits, budget: Budget, **train) -> tuple[Lab, Keeping]:
    engine = Keeping()
    lab, _ = lab_of(budget, engine=engine, logits=logits, **train)
    return lab, engine


def test_a_fit_learns_the_distributions_of_the_comparisons_teacher_and_has_room_like_an_attempt():
    lab, engine = lab_with(lambda: Student("teacher", "its hash"), Budget(updates=5, attempts=0))
    lab.fit(BASE, [example(0)], Objective(soft=Soft(on_policy=0.4)))
    [objective] = engine.objectives
    assert objective.soft == Soft(on_policy=0.4, teacher="its hash", max_new_tokens=32)
    assert (lab.spent.student_samples, lab.notes[NOT_ALLOWED]) == (2 * 4, 0)


def test_what_is_cached_of_a_teacher_is_the_comparisons_choice_and_told_in_the_row():
    lab, engine = lab_with(lambda: Student("teacher", "its hash"), Budget(updates=5, attempts=0), logits_top_k=64)
    engine.cached = {"soft labels": 90, "outside": 3}
    lab.fit(BASE, [example(0)], Objective(soft=Soft()))
    assert [one.soft.top_k for one in engine.objectives] == [64]
    assert (lab.notes["soft labels"], lab.notes["outside"]) == (90, 3)


def test_a_recipe_may_name_its_own_teacher():
    lab, engine = lab_with(None, Budget(updates=5, attempts=0))
    lab.fit(BASE, [example(0)], Objective(soft=Soft(teacher=BASE.weights)))
    assert engine.objectives[0].soft.teacher == BASE.weights


def test_the_share_of_own_texts_is_lowered_to_the_budget_of_attempts_and_that_is_told():
    lab, _ = lab_with(lambda: Student("teacher", "its hash"), Budget(updates=5, attempts=9))
    lab.fit(BASE, [example(0)], Objective(soft=Soft(on_policy=0.8)))
    assert lab.spent.student_samples == 8  # two updates of four, of the four that were wanted
    assert lab.notes[NOT_ALLOWED] == 2


def test_without_distributions_nothing_is_trained():
    lab, engine = lab_with(None, Budget(updates=5))
    with pytest.raises(TeacherError, match=r"texts only.*seqkd"):
        lab.fit(BASE, [example(0)], Objective(soft=Soft()))
    assert not engine.objectives
    lab.fit(BASE, [example(0)], Objective(soft=Soft(alpha=0.0)))  # which looks at no teacher
    assert len(engine.objectives) == 1


def test_another_teacher_is_another_training(tmp_path: Path):
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub") as engine:
        student = Student("tiny", "tiny")
        engine.folders["tiny"] = tiny_student(tmp_path / "student")
        for seed in (1, 2):
            engine.folders[f"teacher {seed}"] = tiny_student(tmp_path / str(seed), seed=seed)
        ends = [
            engine.fit(student, DATA, Objective(soft=Soft(alpha=1.0, teacher=f"teacher {seed}")), SCHEDULE, 0)
            for seed in (1, 2, 1)
        ]
    assert ends[0] == ends[2] and ends[0][0] != ends[1][0]
    assert ends[0][2].key != ends[1][2].key


def test_the_embedded_teacher_is_larger_has_the_students_tokens_and_is_made_once(tmp_path: Path):
    run = Run(world=TINY_WORLD)
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub") as engine:
        student, teacher = base.base_student(engine, run), base.logits_teacher(engine, run, Oracle())
        before = store.count()
        assert base.logits_teacher(engine, run, Oracle()) == teacher and store.count() == before
        sizes = [(engine.folder(one) / "model.safetensors").stat().st_size for one in (student, teacher)]
        words = [(engine.folder(one) / "tokenizer.json").read_bytes() for one in (student, teacher)]
    assert sizes[1] > 1.5 * sizes[0] and words[0] == words[1] and teacher.name == base.TEACHER_SIZE


class Texts(Oracle):
    """A teacher of texts."""

    name = "texts"


class Open(Oracle):
    """A teacher that names the model behind it."""

    logits = "somewhere/else"


@pytest.mark.parametrize(
    ("run", "teacher", "source"),
    [
        (Run(), Oracle(), "embedded"),
        (Run(logits="mine"), Open(), "mine"),
        (Run(student="own/student"), Open(), "somewhere/else"),
    ],
)
def test_whose_distributions_are_learned(run: Run, teacher: Oracle, source: str):
    assert base.logits_source(run, teacher) == source


def test_a_teacher_of_texts_has_no_distributions_for_a_student_of_ones_own():
    with pytest.raises(ConfigError, match=r"texts only.*logits=FOLDER.*seqkd"):
        base.check_logits(Run(student="own/student"), Texts())


def test_a_teacher_of_other_tokens_or_without_weights_is_refused_beforehand(tmp_path: Path):
    mine = tiny_student(tmp_path / "mine")
    run = Run(student=str(mine))
    with pytest.raises(ConfigError, match=r"different tokens.*seqkd"):
        base.check_logits(replace(run, logits="embedded"), Texts())
    base.check_logits(replace(run, logits=str(tiny_student(tmp_path / "family", hidden=32))), Texts())
    byte_tokenizer().save_pretrained(tmp_path / "empty")
    (tmp_path / "empty/config.json").write_text("{}")
    with pytest.raises(UsageError, match=r"logits .*empty: no weights"):
        base.check_logits(replace(run, logits=str(tmp_path / "empty")), Texts())


def test_a_hub_model_that_cannot_be_had_is_told_with_its_key():
    with pytest.raises(UsageError, match=r"student=nobody/nothing: neither embedded.*log in"):
        base.student_folder(Run(student="nobody/nothing"))
    with pytest.raises(UsageError, match="logits=nobody/nothing: neither embedded"):
        base.check_logits(Run(logits="nobody/nothing"), Texts())
