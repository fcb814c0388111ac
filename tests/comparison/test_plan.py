"""What a rehearsal forecasts: a time for every kind of step, and the teacher's part of a fit."""

from __future__ import annotations

import pytest

from harness.comparison.plan import START_S, UNIT_S, Forecast, Rehearsal
from harness.terminal.texts import duration
from harness.training.objective import Objective, Soft
from harness.training.schedule import Schedule
from harness.types import Example, Spent, Student, TrainingSet

DATA = TrainingSet(tuple(Example(f"def f{n}(x):\n", "    return x\n") for n in range(5)))
STUDENT, SCHEDULE = Student("tiny", "weights"), Schedule(updates=20, batch=4)


def units(*objectives: Objective) -> dict[str, int]:
    engine = Rehearsal()
    for seed, objective in enumerate(objectives):
        engine.fit(STUDENT, DATA, objective, SCHEDULE, seed)
    return dict(engine.units)


def test_a_text_whose_distributions_are_cached_counts_once_whichever_fits_read_it() -> None:
    cached = Objective(soft=Soft(top_k=8))
    assert units(cached, cached) == {"checkpoint": 40, "distributions": 5}


def test_a_teacher_that_reads_along_and_the_students_own_texts_cost_time() -> None:
    assert units(Objective()) == {"checkpoint": 20}
    assert units(Objective(soft=Soft())) == {"checkpoint": 32}
    assert units(Objective(soft=Soft(on_policy=0.5)))["samples"] == 40


@pytest.mark.parametrize(
    "kind", ["answers", "samples", "scores", "verdicts", "checkpoint", "distributions", "problems"]
)
def test_every_kind_of_step_has_a_time(kind: str) -> None:
    assert Forecast("cell", {kind: 10}, Spent()).seconds == 10 * UNIT_S[kind] > 0


def test_cells_begin_when_the_base_student_is_there() -> None:
    base = Forecast("untrained", {"checkpoint": 1000}, Spent(), base_s=1000 * UNIT_S["checkpoint"])
    cells = [Forecast(name, {"checkpoint": 100}, Spent()) for name in ("one", "two")]
    assert duration([base, *cells], workers=2) == pytest.approx(START_S + 1100 * UNIT_S["checkpoint"])
    assert duration([base, *cells], workers=1) == pytest.approx(START_S + 1200 * UNIT_S["checkpoint"])
