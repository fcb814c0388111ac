"""The exceptions of the project.

    HarnessError
    ├── UsageError            the user's mistake: printed without a traceback, exit code 2
    │   ├── ConfigError       a key or a value on the command line or in a preset
    │   ├── DataError         a file of samples, problems or a benchmark's data
    │   └── StoreError        a store or run folder that is damaged, newer, read-only or of another run
    ├── BudgetError           a recipe asked for more than the budget allows (checked before the call)
    ├── TeacherError          a teacher cannot serve a request (missing capability, refused, unreachable)
    ├── TrainingError         training cannot start or must stop (no examples, examples too long)
    │   └── NotFinite         a loss became infinite or no number
    └── SandboxError          the sandbox itself failed; never a wrong answer

A message names the key, file or line, what was found, what was expected and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class HarnessError(Exception):
    """Base of all errors that the project raises on purpose."""


class UsageError(HarnessError):
    """Something the user can mend; the command line prints it without a traceback and exits with 2."""


class ConfigError(UsageError):
    """One or more bad keys or values; `problems` holds every one of them, so that all are told at once."""

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(UsageError):
    """A data file is missing, malformed or not the one that was expected."""


class StoreError(UsageError):
    """A store or run folder cannot be used as it is."""


class BudgetError(HarnessError):
    """A call would exceed the budget; raised before anything is spent."""


class TeacherError(HarnessError):
    """A teacher cannot answer a request."""


class TrainingError(HarnessError):
    """Training cannot start or must stop."""


class NotFinite(TrainingError):
    """A loss became infinite or no number; `examples` are the indices of the batch that caused it."""

    def __init__(self, term: str, value: float, update: int, examples: Sequence[int]) -> None:
        self.examples = tuple(examples)
        super().__init__(
            f"{term} is {value} in update {update}, batch of examples {list(examples)}; lower the learning rate or "
            "look for a broken example there"
        )


class SandboxError(HarnessError):
    """The sandbox failed as infrastructure; no program may be called wrong because of it."""


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean X?)` for the nearest of `known`, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
