"""One cell's account: what it has spent, what it wants told, and the budget that it may not exceed."""

from __future__ import annotations

from collections import Counter

from harness.errors import BudgetError
from harness.store.database import Record
from harness.store.keys import Json
from harness.types import Spent


class Account:
    """What one cell has spent over all its cycles; a step counts once, whether this cell ran it or found it."""

    def __init__(self, cycles: int) -> None:
        self.cycles = cycles
        self.spent = Spent()
        self.seconds = 0.0  # of the steps this cell needed, whoever ran them
        self.notes: Counter[str] = Counter()  # counts by name, shown beside the results
        self.training: dict[str, Json] = {}  # how the last cycle's went, told beside its seconds
        self.counted: set[str] = set()  # keys of the steps that are in the account

    def charge(self, record: Record, spent: Spent) -> None:
        """Count a step once."""
        if record.key not in self.counted:
            self.counted.add(record.key)
            self.add(spent, record.seconds)

    def add(self, spent: Spent, seconds: float = 0.0) -> None:
        """Count what is no step of its own: a share of a fit, a draw that another recipe paid for."""
        self.spent += spent
        self.seconds += seconds

    def allow(self, key: str, wanted: float, per_cycle: float) -> None:
        """Raise BudgetError where all cycles together may not spend what is wanted; a budget of 0 sets no limit."""
        limit = per_cycle * self.cycles
        if per_cycle and wanted > limit:
            raise BudgetError(
                f"budget.{key}: this recipe wants {wanted:g} in all, the budget allows {limit:g} "
                f"({per_cycle:g} × {self.cycles} cycles). Raise budget.{key}, or lower what the recipe asks for."
            )
