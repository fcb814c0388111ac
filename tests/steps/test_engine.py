"""The engine's steps: each runs once, is found again, and gives the same whatever else is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import harness.students.engine as students
import harness.training.trainer as trainer
from harness.errors import SandboxError
from harness.sandbox import Program, Sandbox
from harness.settings.config import Judging
from harness.steps import engine as engine_module
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.students.decoding import Decoding
from harness.training.objective import Margin, Objective
from harness.training.schedule import Schedule
from harness.types import Check, Example, Problem, Student, TrainingSet, Verdict
from tests.fakes import tiny_student

TINY = Student("tiny", "tiny")
DRAWN = Decoding(temperature=1.0, max_new_tokens=8)
PROMPTS = [("a", "def f(x):\n"), ("b", "def g(text, n):\n"), ("c", "x = 1\n")]
SCHEDULE = Schedule(updates=4, batch=2, learning_rate=1e-3, warmup=1, marks=(2, 4))
DATA = TrainingSet(tuple(Example(f"def f{n}(x):\n", f"    return {n}\n", rejected="    pass\n") for n in range(3)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"), lively=True)


@pytest.fixture
def opened(tmp_path: Path, folder: Path) -> Iterator[Callable[..., StepEngine]]:
    """Open engines on stores of a name each; the same name is the same store."""
    stores: list[Store] = []
    engines: list[StepEngine] = []

    def make(name: str = "store", level: str = "stub") -> StepEngine:
        stores.append(Store(tmp_path / name))
        engines.append(StepEngine(stores[-1], Judging(), level))
        engines[-1].folders[TINY.weights] = folder
        return engines[-1]

    yield make
    for one in (*engines, *stores):
        one.__exit__(None, None, None)


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Write down the arguments of every call of a function that does the work."""
    calls: list[Any] = []
    real = getattr(module, name)

    def wrapper(*args: Any, **named: Any) -> Any:
        calls.append(args)
        return real(*args, **named)

    monkeypatch.setattr(module, name, wrapper)
    return calls


# --- samples ---------------------------------------------------------------------------------------------------------


def test_samples_asked_for_twice_are_generated_once(opened, monkeypatch):
    calls = counted(monkeypatch, students, "generate")
    first, records = opened().sample(TINY, PROMPTS, DRAWN, 1, 8)
    again, found = opened().sample(TINY, PROMPTS, DRAWN, 1, 8)
    assert first == again and records == found and len(calls) == 1


@pytest.mark.parametrize(
    ("seed", "decoding", "batch"), [(2, DRAWN, 8), (1, Decoding(0.5, max_new_tokens=8), 8), (1, DRAWN, 2)]
)
def test_another_seed_decoding_or_batch_is_another_step(opened, monkeypatch, seed, decoding, batch):
    engine = opened()
    _, first = engine.sample(TINY, PROMPTS, DRAWN, 1, 8)
    calls = counted(monkeypatch, students, "generate")
    _, second = engine.sample(TINY, PROMPTS, decoding, seed, batch)
    assert calls and not {one.key for one in first} & {one.key for one in second}


def test_a_sample_is_the_same_whatever_else_is_recorded(opened):
    busy, fresh = opened("busy"), opened("fresh")
    busy.sample(TINY, PROMPTS[1:], DRAWN, 1, 8)
    busy.sample(TINY, PROMPTS[:1], DRAWN, 7, 8)
    for prompts in (PROMPTS, PROMPTS[:1]):
        assert busy.sample(TINY, prompts, DRAWN, 1, 8)[0] == fresh.sample(TINY, prompts, DRAWN, 1, 8)[0]


def test_samples_come_in_the_order_of_the_prompts_with_their_own_ids(opened):
    engine = opened()
    there, _ = engine.sample(TINY, PROMPTS, DRAWN, 1, 8)
    back, _ = engine.sample(TINY, PROMPTS[::-1], DRAWN, 1, 8)
    assert [[one.problem_id for one in own] for own in there] == [["a"], ["b"], ["c"]]
    assert there == back[::-1] and len({own[0].completion for own in there}) == 3


def test_several_samples_of_a_prompt_differ(opened):
    [[first, second]], _ = opened().sample(TINY, PROMPTS[:1], Decoding(1.0, max_new_tokens=8, n=2), 1, 8)
    assert (first.index, second.index) == (0, 1) and first.completion != second.completion


# --- verdicts --------------------------------------------------------------------------------------------------------


def problem(name: str, expected: int = 2) -> Problem:
    return Problem(name, "def f(x):\n", "f", (Check((1,), expected),), "    return x + 1\n")


RIGHT, WRONG = "def f(x):\n    return x + 1\n", "def f(x):\n    return x\n"


def test_a_program_runs_once_for_equal_checks_and_limits(opened, monkeypatch):
    ran: list[tuple[str, float | None]] = []

    class Counting(Sandbox):
        def judge(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
            listed = list(programs)
            ran.extend((one.source, one.cpu_s) for one in listed)
            yield from super().judge(listed)

    with Sandbox(workers=1) as probe:
        level = probe.level
    monkeypatch.setattr(engine_module, "Sandbox", Counting)
    engine = opened(level=level)
    pairs = [(problem("one"), RIGHT), (problem("two"), RIGHT), (problem("one"), WRONG), (problem("one", 1), WRONG)]
    verdicts, records = engine.judge(pairs, 2.0)
    assert [one.passed for one in verdicts] == [True, True, False, True]
    assert len({one.key for one in records}) == 3  # ids do not count, checks do
    assert sorted(ran) == sorted([(RIGHT, 2.0), (WRONG, 2.0), (WRONG, 2.0)])
    assert engine.judge(pairs, 2.0) == (verdicts, records) and len(ran) == 3
    assert engine.judge(pairs[:1], 1.0)[0][0].passed and ran[3:] == [(RIGHT, 1.0)]


class Stub:
    """A sandbox that says what it is told to."""

    status: Any = "passed"
    level = "stub"

    def __init__(self, **settings: Any) -> None: ...

    def __enter__(self) -> Stub:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def judge(self, programs: Iterable[Program]) -> Iterator[tuple[int, Verdict]]:
        for place, _ in enumerate(programs):
            yield place, Verdict(self.status, "a reason", None, 0, 1, 0.0, 0.0, 0, self.level)


def test_limits_do_not_depend_on_what_was_judged_first(opened):
    with Sandbox(workers=1) as probe:
        level = probe.level
    engine = opened(level=level)
    engine.judge([(problem("one"), RIGHT)], 0.1)  # as in training, with a limit of its own
    assert engine.jail().limits == engine.limits() and engine.limits().cpu_s == engine.judging.cpu_s


def test_what_judges_elsewhere_takes_the_sandboxs_place_and_is_opened_for_work_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "Sandbox", None)  # none is opened here
    jails: list[Stub] = []

    def jail() -> Stub:
        jails.append(Stub())
        return jails[-1]

    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub", jail=jail) as engine:
        for _ in range(2):
            engine.judge([(problem("one"), RIGHT)], 1.0)
            engine.judge([(problem("one"), WRONG)], 1.0)
    assert len(jails) == 1
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "stub", jail=jail) as engine:
        engine.judge([(problem("one"), RIGHT)], 1.0)
    assert len(jails) == 1


def test_a_stronger_sandbox_is_opened_at_the_runs_level(opened):
    engine = opened(level="process-only")
    [verdict], _ = engine.judge([(problem("one"), RIGHT)], 1.0)
    assert verdict.passed and verdict.level == "process-only"


def test_a_failure_of_the_sandbox_is_an_error_and_no_record(opened, monkeypatch):
    monkeypatch.setattr(engine_module, "Sandbox", Stub)
    monkeypatch.setattr(Stub, "status", "infrastructure")
    engine = opened()
    with pytest.raises(SandboxError, match=r"problem one: .*a reason"):
        engine.judge([(problem("one"), RIGHT)], 1.0)
    assert engine.store.count() == {}
    monkeypatch.setattr(Stub, "status", "passed")
    assert engine.judge([(problem("one"), RIGHT)], 1.0)[0][0].passed  # it is free to run again


def test_a_sandbox_weaker_than_at_the_runs_beginning_is_refused(opened, monkeypatch):
    monkeypatch.setattr(engine_module, "Sandbox", Stub)
    with pytest.raises(SandboxError, match="reached level stub, the run began at full"):
        opened(level="full").judge([(problem("one"), RIGHT)], 1.0)


# --- checkpoints -----------------------------------------------------------------------------------------------------


def test_a_second_fit_gives_the_same_marks_and_does_not_train(opened, monkeypatch):
    calls = counted(monkeypatch, trainer, "run_job")
    objective = Objective(contrast=Margin(0.2, 0.5))
    first = opened().fit(TINY, DATA, objective, SCHEDULE, 3)
    assert [mark["update"] for mark in first[1]] == [2, 4] and len({one.weights for one in first[0]}) == 2
    assert opened().fit(TINY, DATA, objective, SCHEDULE, 3) == first and len(calls) == 1


def test_another_seed_or_a_contrast_is_another_training(opened, monkeypatch):
    engine = opened()
    calls = counted(monkeypatch, trainer, "run_job")
    ends = [
        engine.fit(TINY, DATA, objective, SCHEDULE, seed)[0][-1].weights
        for objective, seed in ((Objective(), 3), (Objective(), 4), (Objective(contrast=Margin(0.2, 0.5)), 3))
    ]
    assert len(set(ends)) == len(calls) == 3


def test_a_fit_keeps_what_it_left_out_and_says_nothing_where_it_left_out_nothing(opened):
    engine = opened()
    longer = TrainingSet((*DATA.examples, Example("p", "x" * 300)))
    _, marks, _ = engine.fit(TINY, longer, Objective(), SCHEDULE, 3)
    _, plain, _ = engine.fit(TINY, DATA, Objective(), SCHEDULE, 3)
    assert all(mark.pop("left_out") == {"examples longer than the student's positions, left out": 1} for mark in marks)
    assert marks == plain


def test_a_trained_student_is_sampled_from_the_store(opened):
    engine = opened()
    students_at_marks, _, _ = engine.fit(TINY, DATA, Objective(), SCHEDULE, 3)
    samples, _ = engine.sample(students_at_marks[-1], PROMPTS, DRAWN, 1, 8)
    assert engine.folder(students_at_marks[-1]).is_dir() and len(samples) == 3


def test_a_fit_that_is_killed_before_its_record_goes_on_from_its_checkpoint(opened, monkeypatch):
    """What the store took of it must not be missing from what it goes on from."""
    engine, kept = opened(), Store.put
    real = trainer.run_job
    monkeypatch.setattr(trainer, "run_job", lambda job, work: real(job, work, 0.0))

    def killed(store: Store, records: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "put", killed)
    with pytest.raises(KeyboardInterrupt):
        engine.fit(TINY, DATA, Objective(), SCHEDULE, 3)
    monkeypatch.setattr(Store, "put", kept)
    told: list[int] = []
    engine.progress = lambda event: told.append(event.done) if event.kind == "checkpoint" else None
    again = engine.fit(TINY, DATA, Objective(), SCHEDULE, 3)
    assert {one for one in told if one} == {4}  # of its four updates the last one alone
    monkeypatch.setattr(trainer, "run_job", real)
    assert opened("another").fit(TINY, DATA, Objective(), SCHEDULE, 3)[:2] == again[:2]
    assert not list((engine.store.artifacts.root / "work").iterdir())


def test_another_version_of_the_server_is_another_sample(opened, monkeypatch):
    from harness.settings.config import Generating
    from harness.students import served

    engine = opened()
    engine.generation = Generating("vllm", command="vllm serve")
    monkeypatch.setattr(StepEngine, "generator", lambda self, student: echoed)
    keys = list[str]()
    for version in ("0.33.0", "0.34.0"):
        monkeypatch.setattr(served, "server_version", lambda command, version=version: version)
        keys += [record.key for record in engine.sample(TINY, PROMPTS[:1], DRAWN, 1, 8)[1]]
    assert len(set(keys)) == 2


def echoed(prompts, decoding, seeds):
    from harness.students.decoding import Generation

    return [Generation(text, "stop", 1, 1) for text in prompts]


def test_a_fits_key_has_the_versions_of_what_computes_it_and_of_nothing_else(monkeypatch):
    from harness.store import versions

    monkeypatch.setattr(versions, "version_of", lambda name: {name: "1.2"})
    versions.libraries.cache_clear()
    plain = {"torch", "transformers", "tokenizers"}
    assert set(versions.fit_libraries(adapter=False, launched=False)) == plain
    assert set(versions.fit_libraries(adapter=True, launched=False)) == plain | {"peft"}
    assert set(versions.fit_libraries(adapter=False, launched=True)) == plain | {"accelerate", "deepspeed"}
    versions.libraries.cache_clear()
