"""The command line: every command, its arguments and its exit code. The only module that prints.

Heavy modules are imported by the command that needs them, so `--help` answers at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import signal
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from harness import __version__
from harness.errors import ConfigError, HarnessError, SandboxError, UsageError
from harness.results import commands as results_commands
from harness.scoring import commands as scoring_commands

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

ABOUT = """\
Which way of distilling a code model is worth it? One trainer, one sandbox, one budget, one table.

examples:
  harness compare recipe=iterkd,persd              two recipes in the embedded world (no GPU, no network)
  harness compare recipe=iterkd,persd preset=smoke the same, smaller, in under a minute
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

COMPARE = """\
examples:
  harness compare recipe=iterkd,persd
  harness compare recipe=iterkd,persd,uniform seed=0,1,2       sweep: every recipe with every seed
  harness compare recipe=iterkd cycles=2 budget.examples=800   set values; `harness list` shows all keys
  harness compare recipe=iterkd iterkd.margin=0.1,0.2          sweep a recipe's own key: a row for each value
  harness compare recipe=iterkd,persd benchmark=pipelines,humaneval reference=persd

The same command again re-reads its finished steps; after Ctrl-C or a crash it goes on where it stopped; another
recipe added to it runs only that recipe. Steps are kept in `runs/store`, tables and samples in a folder of the run.
"""

SELFTEST = """\
examples:
  harness sandbox selftest                 what each program was judged to be
  harness sandbox selftest --minimum full  and refuse anything weaker than full isolation

Exit code 0: honest programs pass and cheats fail; 1: one was misjudged;
2: no sandbox at the level that was asked for.
"""

LISTS = ("recipes", "benchmarks", "presets", "keys")

TEACHER = """\
examples:
  harness teacher try "Return the sum of the even numbers in xs." teacher=openai:gpt-4o-mini
  harness teacher try "def f(s):" --kind judge --attempt attempt.py teacher=local:./model
  harness teacher probe teacher=openai:MODEL@http://localhost:8000/v1 teacher.key_env=

Answers are kept in the store like those of a run. See docs/teachers.md.
"""

REQUESTS = ("solve", "corrupt", "refine", "pose", "judge", "rate", "tests")

BENCH = """\
examples:
  harness sandbox bench                    with one worker, then one per core
  harness sandbox bench --workers 8 --seconds 10 --json

Trivial programs show the sandbox's own cost. `python bench/sandbox.py` compares
it with other evaluators.
"""


def parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="harness", description=ABOUT, formatter_class=raw)
    top.add_argument("--version", action="version", version=f"harness {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace], int], about: str, more: str = "") -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=about, epilog=more, formatter_class=raw)
        one.set_defaults(run=run)
        return one

    for name, run, about in (
        ("compare", compare_command, "train one student by several recipes and print the table"),
        ("plan", plan_command, "print what `compare` would run, spend and detect, and stop"),
    ):
        one = add(name, run, about, COMPARE)
        one.add_argument("words", nargs="*", metavar="key=value")
        if name == "plan":
            about = "ask the teacher N calls of each kind for their sizes; their answers are kept"
            one.add_argument("--sample", type=int, default=0, metavar="N", help=about)
    scoring_commands.add_all(add, show)
    results_commands.add_all(add, say, show, terminal_width)
    one = add("export", export_command, "copy a student of a finished run into a model folder with its card")
    one.add_argument("folder", type=Path, metavar="RUN")
    one.add_argument("words", nargs="*", metavar="key=value", help="recipe=NAME seed=N cycle=N and a recipe's settings")
    one.add_argument("--to", type=Path, required=True, metavar="DIR")
    about = "how far a run is, from another terminal"
    add("status", status_command, about).add_argument("folder", type=Path, metavar="RUN")
    about = "end the command that works on a run, in order; the same command goes on later"
    add("stop", stop_command, about).add_argument("folder", type=Path, metavar="RUN")
    one = add("doctor", doctor_command, "check the sandbox, and a store if one is named")
    one.add_argument("store", nargs="?", metavar="STORE", help="a folder, or postgresql://USER@HOST/DATABASE")
    one.add_argument("--artifacts", default="", metavar="PLACE", help="where checkpoints lie; default STORE/artifacts")
    add_store(add("store", store_command, "join, pack, unpack and clean stores: merge, export, import, gc"))
    add_teacher(add("teacher", teacher_try_command, "look at a teacher alone: try, probe"))
    one = add("ledger", ledger_command, "who spent what at the teachers of a run")
    one.add_argument("folder", type=Path, metavar="RUN")
    add_sandbox(add("sandbox", sandbox_selftest_command, "look at the sandbox alone: selftest, bench"))
    one = add("list", list_command, "list recipes, benchmarks, presets and keys")
    one.add_argument("what", nargs="?", choices=LISTS, help="that list alone, a line each (default: all of them)")
    return top


def add_teacher(one: argparse.ArgumentParser) -> None:
    """Give `harness teacher` its two actions."""
    raw = argparse.RawDescriptionHelpFormatter
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "show the rendered prompt, the answer and what is read in it, for one problem"
    attempt = actions.add_parser("try", help=about, description=about, epilog=TEACHER, formatter_class=raw)
    attempt.set_defaults(run=teacher_try_command)
    attempt.add_argument("problem", help="a sentence, or a header with its docstring")
    attempt.add_argument("--kind", choices=REQUESTS, default="solve", help="of request (default: solve)")
    attempt.add_argument("--method", default="", metavar="RECIPE", help="whose prompts; default: the common ones")
    attempt.add_argument("--attempt", type=Path, metavar="FILE", help="the program to refine, corrupt, judge or rate")
    attempt.add_argument("--feedback", default="", help="what running the attempt showed, for refine")
    about = "find out whether an endpoint can be asked and which parameters it honours"
    probe = actions.add_parser("probe", help=about, description=about, epilog=TEACHER, formatter_class=raw)
    probe.set_defaults(run=teacher_probe_command)
    for action in (attempt, probe):
        action.add_argument("words", nargs="*", metavar="key=value", help="teacher=openai:MODEL teacher.base_url=URL …")


def add_sandbox(one: argparse.ArgumentParser) -> None:
    """Give `harness sandbox` its two actions."""
    raw = argparse.RawDescriptionHelpFormatter
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "judge honest programs, which must pass, and known cheats, which must not"
    selftest = actions.add_parser("selftest", help=about, description=about, epilog=SELFTEST, formatter_class=raw)
    selftest.set_defaults(run=sandbox_selftest_command)
    about = "tell how many programs a second this machine judges"
    bench = actions.add_parser("bench", help=about, description=about, epilog=BENCH, formatter_class=raw)
    bench.set_defaults(run=sandbox_bench_command)
    for action in (selftest, bench):
        action.add_argument("--minimum", metavar="LEVEL", default="process-only", help="the weakest level accepted")
    bench.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="judges side by side (default: cores)")
    bench.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: 2)")
    bench.add_argument("--json", action="store_true", help="print one JSON object")


def add_store(one: argparse.ArgumentParser) -> None:
    """Give `harness store` its four actions."""
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, about, other in (
        ("merge", "add the steps and checkpoints of another store", "OTHER"),
        ("export", "write a store as one file", "FILE"),
        ("import", "add what a file of `export` holds", "FILE"),
        ("gc", "remove checkpoints that no step refers to, and what unfinished fits left", ""),
    ):
        each = actions.add_parser(action, help=about, description=about)
        each.add_argument("store", metavar="STORE", help="a folder, or postgresql://USER@HOST/DATABASE")
        if other:
            each.add_argument("other", metavar=other)
        each.add_argument("--artifacts", default="", metavar="PLACE", help="where STORE's checkpoints lie")
        if action == "merge":
            each.add_argument("--other-artifacts", default="", metavar="PLACE", help="where OTHER's checkpoints lie")
        if action == "gc":
            each.add_argument("--dry-run", action="store_true", help="tell what would be removed, and remove nothing")


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
            print(f"error: {problem}", file=sys.stderr)
        return WRONG_USAGE
    except (UsageError, SandboxError) as err:
        print(f"error: {err}", file=sys.stderr)
        return WRONG_USAGE
    except HarnessError as err:
        print(f"failed: {err}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - replaces the stream that the interpreter flushes at exit
        return OK
    except KeyboardInterrupt:
        print("interrupted. Finished steps are kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def compare_command(options: argparse.Namespace) -> int:
    from harness import asking, driver, texts
    from harness.display import Display, clock
    from harness.plan import forecast
    from harness.resolve import resolve
    from harness.runs import RunFolder
    from harness.status import EventLog
    from reports import render

    began = time.monotonic()
    command = resolve(options.words)
    driver.check(command)
    level, missing = driver.sandbox_level(command)
    honoured = asking.look(command)
    folder = RunFolder(command)
    try:
        show(texts.opening(command, level, missing))
        show(f"endpoint    {one}" for one in honoured)
        sys.stdout.flush()
        benchmarks = driver.proven_benchmarks(command, level)
        names = driver.job_names(command)
        with (
            Display(names, driver.workers(command), lambda: forecast(command, benchmarks)) as display,
            EventLog(folder.path, names) as log,
        ):

            def watch(job: int, event: dict[str, Any]) -> None:
                display.see(job, event)
                log.see(job, event, display.left() if display.total else "")

            outcome = driver.compare(command, folder, level, watch)
        table = texts.table_of(command, outcome.rows, outcome.timings)
        folder.write_table(render.markdown(table))
        print(render.terminal(table, width=terminal_width()))
        ran = f"{outcome.steps_run:,} steps run" if outcome.steps_run else "every step was recorded, none run"
        print(f"\nDone in {clock(time.monotonic() - began)}, {ran}.\nRows, samples, verdicts, students: {folder.path}")
    finally:
        folder.close()
    return OK


def say(text: str) -> None:
    """Print a text as it is."""
    print(text, end="", flush=True)  # a server's address must be read while it serves


def show(lines: Iterable[str]) -> None:
    """Print lines, the long ones wrapped to the terminal."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        print(textwrap.fill(line, terminal_width(), subsequent_indent=indent) if len(line) > terminal_width() else line)


def read(path: Path) -> str:
    """Return a file that a command names."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read ({err}). Expected a text file.") from err


def terminal_width() -> int:
    return max(80, min(shutil.get_terminal_size((80, 24)).columns, 140))


def plan_command(options: argparse.Namespace) -> int:
    from harness import asking, driver, texts
    from harness.plan import forecast
    from harness.resolve import resolve

    if options.sample < 0:
        raise ConfigError(f"--sample {options.sample}: expected 0 or more calls of each kind.")
    command = resolve(options.words)
    driver.check(command)
    level, missing = driver.sandbox_level(command)
    show(texts.opening(command, level, missing))
    benchmarks = driver.benchmarks_of(command.run)
    sizes = [len(one.problems) for one in benchmarks]
    forecasts = forecast(command, benchmarks)
    show(texts.plan(command, forecasts, driver.workers(command), sizes))
    show(asking.money(command, forecasts, options.sample))
    return OK


def export_command(options: argparse.Namespace) -> int:
    from harness.results.export import export

    print(
        f"Wrote {export(options.folder, options.words, options.to)}; open it with AutoModelForCausalLM.from_pretrained."
    )
    return OK


def doctor_command(options: argparse.Namespace) -> int:
    from harness import texts
    from harness.sandbox import Sandbox, probe, selftest
    from harness.store.database import existing

    show(texts.isolation(*probe()))
    with Sandbox(workers=1) as sandbox:
        selftest(sandbox)
    print("sandbox self-test: honest programs pass, cheats fail")
    if options.store is None:
        return OK
    with existing(options.store, options.artifacts) as store:
        faults = store.verify()
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(store.count().items()))
        print(f"store {options.store}: {counts or 'empty'}")
    for fault in faults:
        print(f"  damaged: {fault}")
    print("store: every record and checkpoint is whole" if not faults else f"store: {len(faults)} faults")
    return OK if not faults else FAILED


def store_command(options: argparse.Namespace) -> int:
    from harness import texts
    from harness.store import exchange
    from harness.store.database import Store, existing

    if options.action == "import":  # into a new store too
        with (
            exchange.unpacked(Path(options.other)) as other,
            Store(options.store, options.artifacts) as store,
        ):
            show([texts.moved(exchange.merge(other, store))])
        return OK
    with existing(options.store, options.artifacts) as store:
        if options.action == "gc":
            show([texts.cleaned(exchange.clean(store, options.dry_run), options.dry_run)])
        elif options.action == "export":
            show([texts.moved(exchange.pack(store, Path(options.other)))])
        else:
            with existing(options.other, options.other_artifacts) as other:
                show([texts.moved(exchange.merge(other, store))])
    return OK


def teacher_try_command(options: argparse.Namespace) -> int:
    from harness import asking
    from harness.resolve import resolve

    command = resolve(options.words, need_recipe=False)
    about = {"attempt": read(options.attempt) if options.attempt else "", "feedback": options.feedback}
    for line in asking.attempt(command.run, options.problem, options.kind, options.method, about):
        print(line)
    return OK


def teacher_probe_command(options: argparse.Namespace) -> int:
    from harness import asking
    from harness.resolve import resolve

    found = asking.look(resolve(options.words, need_recipe=False))
    show(found or ["no endpoint to probe: this teacher answers on this machine"])
    return OK


def ledger_command(options: argparse.Namespace) -> int:
    from harness import asking

    show(asking.ledger(asking.accounts_of(options.folder)))
    return OK


def status_command(options: argparse.Namespace) -> int:
    from harness import texts
    from harness.status import read_status

    show(texts.status(read_status(options.folder)))
    return OK


def stop_command(options: argparse.Namespace) -> int:
    from harness.status import stop

    who = stop(options.folder)
    print(f"stopped: {who}. The same command goes on from there." if who else "nobody is working on this run.")
    return OK


def sandbox_selftest_command(options: argparse.Namespace) -> int:
    from harness import texts
    from harness.sandbox import Sandbox
    from harness.sandbox.selftest import trials

    with Sandbox(minimum=options.minimum) as sandbox:
        show(texts.isolation(sandbox.level, sandbox.missing))
        found = trials(sandbox)
    show(texts.trials(found))
    return OK if all(one.right for one in found) else FAILED


def sandbox_bench_command(options: argparse.Namespace) -> int:
    from harness import texts
    from harness.sandbox.speed import measure

    if options.workers < 1 or options.seconds <= 0:
        raise ConfigError(f"--workers {options.workers} --seconds {options.seconds:g}: both must be above 0.")
    found = measure(options.workers, options.seconds, options.minimum)
    if options.json:
        print(json.dumps(dataclasses.asdict(found)))
    else:
        show(texts.speed(found))
    return OK


def list_command(options: argparse.Namespace) -> int:
    from harness import texts

    show(texts.listing(options.what or ""))
    return OK


if __name__ == "__main__":
    sys.exit(main())
