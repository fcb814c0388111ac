"""`harness teacher` and `harness ledger`: their arguments and what each does. It prints nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from harness.errors import ConfigError
from harness.terminal.console import OK, Add, Say, Show, runs

TEACHER = """\
examples:
  harness teacher try "Return the sum of the even numbers in xs." teacher=openai:gpt-4o-mini
  harness teacher try "def f(s):" --kind judge --attempt attempt.py teacher=local:./model
  harness teacher probe teacher=openai:MODEL@http://localhost:8000/v1 teacher.key_env=

Answers are kept in the store like those of a run. See docs/teachers.md.
"""

REQUESTS = ("solve", "corrupt", "refine", "pose", "judge", "rate", "tests")


def add_all(add: Add, say: Say, show: Show) -> None:
    """Add the two commands to a command line."""
    add_actions(add("teacher", lambda options: OK, "look at a teacher alone: try, probe"), say, show)
    one = add("ledger", lambda options: ledger(options, show), "who spent what at the teachers of a run")
    one.add_argument("folder", type=Path, metavar="RUN")


def add_actions(one: argparse.ArgumentParser, say: Say, show: Show) -> None:
    """Give `harness teacher` its two actions."""
    raw = argparse.RawDescriptionHelpFormatter
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "show the rendered prompt, the answer and what is read in it, for one problem"
    attempt = actions.add_parser("try", help=about, description=about, epilog=TEACHER, formatter_class=raw)
    runs(attempt, lambda options: ask_once(options, say))
    attempt.add_argument("problem", help="a sentence, or a header with its docstring")
    attempt.add_argument("--kind", choices=REQUESTS, default="solve", help="of request (default: solve)")
    attempt.add_argument("--method", default="", metavar="RECIPE", help="whose prompts; default: the common ones")
    attempt.add_argument("--attempt", type=Path, metavar="FILE", help="the program to refine, corrupt, judge or rate")
    attempt.add_argument("--feedback", default="", help="what running the attempt showed, for refine")
    about = "find out whether an endpoint can be asked and which parameters it honours"
    look = actions.add_parser("probe", help=about, description=about, epilog=TEACHER, formatter_class=raw)
    runs(look, lambda options: probe(options, show))
    for action in (attempt, look):
        action.add_argument("words", nargs="*", metavar="key=value", help="teacher=openai:MODEL teacher.base_url=URL …")


def ask_once(options: argparse.Namespace, say: Say) -> int:
    from harness.settings.resolve import resolve
    from harness.terminal import asking

    command = resolve(options.words, need_recipe=False)
    about = {"attempt": read(options.attempt) if options.attempt else "", "feedback": options.feedback}
    for line in asking.attempt(command.run, options.problem, options.kind, options.method, about):
        say(f"{line}\n")  # prompts and answers as they are
    return OK


def read(path: Path) -> str:
    """Return a file that a command names."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read ({err}). Expected a text file.") from err


def probe(options: argparse.Namespace, show: Show) -> int:
    from harness.settings.resolve import resolve
    from harness.terminal import asking

    found = asking.look(resolve(options.words, need_recipe=False))
    show(found or ["no endpoint to probe: this teacher answers on this machine"])
    return OK


def ledger(options: argparse.Namespace, show: Show) -> int:
    from harness.terminal import asking

    show(asking.ledger(asking.bills_of(options.folder)))
    return OK
