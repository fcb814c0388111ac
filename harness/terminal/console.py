"""What a command adds itself by and speaks through, as types; the printing is `harness/cli.py`'s alone."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Protocol

OK, FAILED = 0, 1  # exit codes of a command; `harness/cli.py` has those of wrong usage and of an interrupt

Action = Callable[[argparse.Namespace], int]
Say = Callable[[str], None]  # a text as it is, with its line ends
Show = Callable[[Iterable[str]], None]  # lines, wrapped to the terminal


class Add(Protocol):
    """Adds a command: its name, what it runs, a line about it, examples."""

    def __call__(self, name: str, run: Action, about: str, more: str = "", /) -> argparse.ArgumentParser: ...


def runs(one: argparse.ArgumentParser, action: Action) -> None:
    """Let what was parsed run an action."""
    one.set_defaults(run=action)
