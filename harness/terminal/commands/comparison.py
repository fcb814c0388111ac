"""`harness compare`, `plan`, `status`, `stop` and `list`: their arguments and what each does. It prints nothing."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.settings.config import Command
from harness.terminal.console import OK, Add, Say, Show

COMPARE = """\
examples:
  harness compare recipe=iterkd,persd
  harness compare recipe=iterkd,persd,uniform seed=0,1,2       sweep: every recipe with every seed
  harness compare recipe=iterkd cycles=2 budget.examples=800   set values; `harness list` shows all keys
  harness compare recipe=iterkd iterkd.margin=0.1,0.2          sweep a recipe's own key: a row for each value
  harness compare recipe=iterkd,persd benchmark=pipelines,humaneval reference=persd
  harness compare preset=claims                                the papers' claims, each with a verdict

The same command again re-reads its finished steps; after Ctrl-C or a crash it goes on where it stopped; another
recipe added to it runs only that recipe. Steps are kept in `runs/store`, tables and samples in a folder of the run.
"""

LISTS = ("recipes", "benchmarks", "presets", "keys")


def add_all(add: Add, say: Say, show: Show, width: Callable[[], int]) -> None:
    """Add the five commands to a command line; `width` is the terminal's, in columns."""
    about = "train one student by several recipes and print the table"
    one = add("compare", lambda options: compare(options, say, show, width()), about, COMPARE)
    one.add_argument("words", nargs="*", metavar="key=value")
    about = "print what `compare` would run, spend and detect, and stop"
    one = add("plan", lambda options: plan(options, show), about, COMPARE)
    one.add_argument("words", nargs="*", metavar="key=value")
    about = "ask the teacher N calls of each kind for their sizes; their answers are kept"
    one.add_argument("--sample", type=int, default=0, metavar="N", help=about)
    about = "how far a run is, from another terminal"
    add("status", lambda options: status(options, show), about).add_argument("folder", type=Path, metavar="RUN")
    about = "end the command that works on a run, in order; the same command goes on later"
    add("stop", lambda options: stop_run(options, show), about).add_argument("folder", type=Path, metavar="RUN")
    one = add("list", lambda options: list_all(options, show), "list recipes, benchmarks, presets and keys")
    one.add_argument("what", nargs="?", choices=LISTS, help="that list alone, a line each (default: all of them)")


def compare(options: argparse.Namespace, say: Say, show: Show, width: int) -> int:
    from harness.comparison import driver
    from harness.comparison.claims import demand_lines, findings
    from harness.comparison.parts import parts_of
    from harness.settings.resolve import resolve
    from reports import render

    parts = parts_of(options.words)
    if parts is None:
        return compare_one(resolve(options.words), say, show, width)
    demand_lines(parts)
    for command in parts.commands.values():  # all of them, before anything is spent
        driver.check(command)
    parts.write()
    for name, command in parts.commands.items():
        show([f"part        {name}, at {parts.under[name]}"])
        compare_one(command, say, show, width)
        say("\n")
    if found := findings(parts.folder):
        say(render.claims_alone(found, width))
    say(f"\nAll parts in one report: harness report {parts.folder}\n")
    return OK


def compare_one(command: Command, say: Say, show: Show, width: int) -> int:
    from harness.comparison import driver
    from harness.comparison.plan import forecast
    from harness.comparison.runs import RunFolder
    from harness.terminal import asking, texts
    from harness.terminal.display import Display, clock
    from harness.terminal.status import EventLog
    from reports import render

    began = time.monotonic()
    driver.check(command)
    level, missing = driver.sandbox_level(command)
    honoured = asking.look(command)
    folder = RunFolder(command, driver.logits_of(command))
    try:
        show(texts.opening(command, level, missing))
        show(f"endpoint    {one}" for one in honoured)
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
        say(render.terminal(table, width=width))
        ran = f"{outcome.steps_run:,} steps run" if outcome.steps_run else "every step was recorded, none run"
        say(f"\nDone in {clock(time.monotonic() - began)}, {ran}.\nRows, samples, verdicts, students: {folder.path}\n")
    finally:
        folder.close()
    return OK


def plan(options: argparse.Namespace, show: Show) -> int:
    from harness.comparison.claims import demand_lines
    from harness.comparison.parts import parts_of
    from harness.settings.resolve import resolve
    from harness.terminal.display import clock

    if options.sample < 0:
        raise ConfigError(f"--sample {options.sample}: expected 0 or more calls of each kind.")
    parts = parts_of(options.words)
    if parts is None:
        plan_one(resolve(options.words), options.sample, show)
        return OK
    demand_lines(parts)
    total = 0.0
    for name, command in parts.commands.items():
        show([f"part        {name}, at {parts.under[name]}"])
        total += plan_one(command, options.sample, show)
        show([""])
    show([f"All parts: about {clock(total)} if nothing is recorded yet; what two parts share is run once."])
    return OK


def plan_one(command: Command, sample: int, show: Show) -> float:
    """Show what one comparison would do, and return about how many seconds that would take."""
    from harness.comparison import driver
    from harness.comparison.plan import forecast
    from harness.terminal import asking, texts

    driver.check(command)
    level, missing = driver.sandbox_level(command)
    show(texts.opening(command, level, missing))
    benchmarks = driver.benchmarks_of(command.run)
    sizes = [len(one.problems) for one in benchmarks]
    forecasts = forecast(command, benchmarks)
    show(texts.plan(command, forecasts, driver.workers(command), sizes))
    show(asking.money(command, forecasts, sample))
    return texts.duration(forecasts, driver.workers(command))


def status(options: argparse.Namespace, show: Show) -> int:
    from harness.comparison.parts import begun
    from harness.terminal import texts
    from harness.terminal.status import read_status

    folders = begun(options.folder)
    for folder in folders:
        if len(folders) > 1:
            show([f"part      {folder.name}"])
        show(texts.status(read_status(folder)))
    return OK


def stop_run(options: argparse.Namespace, show: Show) -> int:
    from harness.comparison.parts import begun
    from harness.terminal.status import stop

    who = "".join(stop(folder) for folder in begun(options.folder))
    show([f"stopped: {who}. The same command goes on from there." if who else "nobody is working on this run."])
    return OK


def list_all(options: argparse.Namespace, show: Show) -> int:
    from harness.terminal import texts

    show(texts.listing(options.what or ""))
    return OK
