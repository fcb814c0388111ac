"""The command line: parses, prints, and turns errors into exit codes. The only module that prints.

Each command's arguments stand with what it does: `commands/`, `scoring/commands.py`, `results/commands.py`. Heavy
modules are imported by the command that needs them, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterable, Sequence
from types import FrameType

from harness import __version__
from harness.errors import ConfigError, HarnessError, SandboxError, UsageError
from harness.results import commands as results
from harness.scoring import commands as scoring
from harness.terminal.commands import comparison, sandboxes, stores, teachers
from harness.terminal.console import FAILED, OK, Action

WRONG_USAGE, INTERRUPTED = 2, 130

ABOUT = """\
Which way of distilling a code model is worth it? One trainer, one sandbox, one budget, one table.

examples:
  harness compare recipe=iterkd,persd              two recipes in the embedded world (no GPU, no network)
  harness compare recipe=iterkd,persd preset=smoke the same, smaller, in a minute or three
  harness compare recipe=iterkd seed=0,1,2 iterkd.margin=0.1,0.2
  harness compare recipe=standard_kd student=./my-model problems=mbpp:train benchmark=humaneval data=DATA
  harness plan recipe=iterkd,persd                 what would run, be spent and be detectable; then stops
  harness eval samples.jsonl benchmark=humaneval   scores finished completions
  harness benchmarks                               what can be measured here, and where its data is
  harness decontaminate train.jsonl benchmark=all  leaves out what stands in a benchmark
  harness export RUN recipe=iterkd --to DIR        a student of a finished run, as a model folder
  harness sandbox selftest                         does the jail hold here? honest programs and known cheats
  harness list                                     recipes, benchmarks, presets, keys
"""


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="harness", description=ABOUT, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run: Action, about: str, more: str = "", /) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=about, epilog=more, formatter_class=raw)
        one.set_defaults(run=run)
        return one

    comparison.add_all(add, say, show, terminal_width)
    results.add_all(add, say, show, terminal_width)
    scoring.add_all(add, show)
    teachers.add_all(add, say, show)
    sandboxes.add_all(add, say, show)
    stores.add_all(add, show)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    options, rest = parser().parse_known_args(arguments)
    # argparse takes a list of words only before the first option; people write them anywhere
    if any("=" not in word or word.startswith("-") for word in rest) or (rest and not hasattr(options, "words")):
        parser().error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.words = [*options.words, *rest]
    if options.command is None:
        parser().print_help()
        return WRONG_USAGE
    sys.path.append(os.getcwd())  # recipes of one's own: recipe=my_package.my_recipe
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return options.run(options)
    except ConfigError as err:
        for problem in err.problems:
            tell(f"error: {problem}")
        return WRONG_USAGE
    except (UsageError, SandboxError) as err:
        tell(f"error: {err}")
        return WRONG_USAGE
    except HarnessError as err:
        tell(f"failed: {err}")
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - replaces the stream that the interpreter flushes at exit
        return OK
    except KeyboardInterrupt:
        print("interrupted. Finished steps are kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def say(text: str) -> None:
    """Print a text as it is."""
    print(text, end="", flush=True)  # a server's address must be read while it serves


def show(lines: Iterable[str]) -> None:
    """Print lines, the long ones wrapped to the terminal."""
    for line in lines:
        print(wrapped(line))
    sys.stdout.flush()  # what a command will do is read while it does it


def tell(text: str) -> None:
    """Print an error, wrapped where a terminal shows it; a log keeps it on one line, to be searched."""
    lines = text.split("\n")
    print("\n".join(map(wrapped, lines)) if sys.stderr.isatty() else text, file=sys.stderr)


def wrapped(line: str) -> str:
    """Return a line broken at the terminal's width, never within a word: paths and commands are to be copied."""
    width = terminal_width()
    if len(line) <= width:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def terminal_width() -> int:
    return max(80, min(shutil.get_terminal_size((80, 24)).columns, 140))


if __name__ == "__main__":
    sys.exit(main())
