"""A fit with a budget of tokens: what is spent, where it ends, and that it is the same fit up to there."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import pytest

from harness.training.batches import encode, plan
from harness.training.objective import Margin, Objective
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from tests.fakes import tiny_student

DATA = TrainingSet(
    tuple(Example(f"def f{n}(x):\n", f"    return {'x + ' * n}{n}\n", rejected="    pass\n") for n in range(6))
)
LIMIT = 150


@pytest.mark.parametrize("objective", [Objective(), Objective(contrast=Margin())], ids=["likelihood", "with pairs"])
def test_a_fit_spends_its_tokens_but_no_update_more(tmp_path: Path, objective: Objective) -> None:
    student = tiny_student(tmp_path / "student")
    schedule = Schedule(updates=20, batch=2, warmup=1, marks=(10, 20), tokens=LIMIT)
    first, last = fit(student, DATA, objective, schedule, 7, lambda update: tmp_path / "out" / str(update))
    costs = update_costs(student, objective, schedule)
    assert first.tokens <= LIMIT < first.tokens + costs[first.update]
    assert last.tokens <= 2 * LIMIT < last.tokens + costs[last.update]
    assert first.update < last.update < 20
    assert (tmp_path / "out" / "10").is_dir() and (tmp_path / "out" / "20").is_dir()  # written where they were asked


def test_pairs_leave_fewer_updates_for_the_same_tokens(tmp_path: Path) -> None:
    student = tiny_student(tmp_path / "student")
    schedule = Schedule(updates=20, batch=2, warmup=1, tokens=LIMIT)
    made = [
        fit(student, DATA, objective, schedule, 7, lambda update, at=at: tmp_path / str(at) / str(update))[-1].update
        for at, objective in enumerate((Objective(), Objective(contrast=Margin())))
    ]
    assert made[1] < made[0]


def update_costs(student: Path, objective: Objective, schedule: Schedule) -> list[int]:
    """Return the tokens that go forward in each update that the schedule would make without a limit."""
    from harness.students.checkpoint import read_tokenizer

    rows = encode(DATA, read_tokenizer(student), pairs=objective.uses_pairs, max_tokens=512).rows
    batches = plan(rows, "shuffled", schedule.updates, schedule.batch, 7)
    costs = [sum(rows[index].forward_tokens for index in batch) for batch in batches]
    assert list(accumulate(costs))[-1] > 2 * LIMIT
    return costs
