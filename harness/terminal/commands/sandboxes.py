"""`harness sandbox` and `harness doctor`: their arguments and what each does. It prints nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os

from harness.errors import ConfigError
from harness.terminal.console import FAILED, OK, Add, Say, Show, runs

SELFTEST = """\
examples:
  harness sandbox selftest                 what each program was judged to be
  harness sandbox selftest --minimum full  and refuse anything weaker than full isolation

Exit code 0: honest programs pass and cheats fail; 1: one was misjudged;
2: no sandbox at the level that was asked for.
"""

BENCH = """\
examples:
  harness sandbox bench                    with one worker, then one per core
  harness sandbox bench --workers 8 --seconds 10 --json

Trivial programs show the sandbox's own cost. `python bench/sandbox.py` compares
it with other evaluators.
"""


def add_all(add: Add, say: Say, show: Show) -> None:
    """Add the two commands to a command line."""
    one = add("doctor", lambda options: doctor(options, show), "check the sandbox, and a store if one is named")
    one.add_argument("store", nargs="?", metavar="STORE", help="a folder, or postgresql://USER@HOST/DATABASE")
    one.add_argument("--artifacts", default="", metavar="PLACE", help="where checkpoints lie; default STORE/artifacts")
    add_actions(add("sandbox", lambda options: OK, "look at the sandbox alone: selftest, bench"), say, show)


def add_actions(one: argparse.ArgumentParser, say: Say, show: Show) -> None:
    """Give `harness sandbox` its two actions."""
    raw = argparse.RawDescriptionHelpFormatter
    actions = one.add_subparsers(dest="action", metavar="ACTION", required=True)
    about = "judge honest programs, which must pass, and known cheats, which must not"
    proof = actions.add_parser("selftest", help=about, description=about, epilog=SELFTEST, formatter_class=raw)
    runs(proof, lambda options: selftest(options, show))
    about = "tell how many programs a second this machine judges"
    speed = actions.add_parser("bench", help=about, description=about, epilog=BENCH, formatter_class=raw)
    runs(speed, lambda options: bench(options, say, show))
    for action in (proof, speed):
        action.add_argument("--minimum", metavar="LEVEL", default="process-only", help="the weakest level accepted")
    speed.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="judges side by side (default: cores)")
    speed.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: 2)")
    speed.add_argument("--json", action="store_true", help="print one JSON object")


def doctor(options: argparse.Namespace, show: Show) -> int:
    from harness.sandbox import Sandbox, probe, selftest
    from harness.store.database import existing
    from harness.terminal import texts

    show(texts.isolation(*probe()))
    with Sandbox(workers=1) as sandbox:
        selftest(sandbox)
    show(["sandbox self-test: honest programs pass, cheats fail"])
    if options.store is None:
        return OK
    with existing(options.store, options.artifacts) as store:
        faults = store.verify()
        counts = ", ".join(f"{number} {kind}" for kind, number in sorted(store.count().items()))
        show([f"store {options.store}: {counts or 'empty'}"])
    for fault in faults:
        show([f"  damaged: {fault}"])
    show(["store: every record and checkpoint is whole" if not faults else f"store: {len(faults)} faults"])
    return OK if not faults else FAILED


def selftest(options: argparse.Namespace, show: Show) -> int:
    from harness.sandbox import Sandbox
    from harness.sandbox.selftest import trials
    from harness.terminal import texts

    with Sandbox(minimum=options.minimum) as sandbox:
        show(texts.isolation(sandbox.level, sandbox.missing))
        found = trials(sandbox)
    show(texts.trials(found))
    return OK if all(one.right for one in found) else FAILED


def bench(options: argparse.Namespace, say: Say, show: Show) -> int:
    from harness.sandbox.speed import measure
    from harness.terminal import texts

    if options.workers < 1 or options.seconds <= 0:
        raise ConfigError(f"--workers {options.workers} --seconds {options.seconds:g}: both must be above 0.")
    found = measure(options.workers, options.seconds, options.minimum)
    if options.json:
        say(f"{json.dumps(dataclasses.asdict(found))}\n")
    else:
        show(texts.speed(found))
    return OK
