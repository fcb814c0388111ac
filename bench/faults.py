"""Kills a comparison again and again, in any of its processes, and tells whether anything was lost or left behind.

    python bench/faults.py [--kills 50] [--seed 0] [--quick] [--json]

A comparison of three recipes and two seeds runs once undisturbed. Then a new one, from the same base student, is killed
with -9 at random instants: the driver, a cell, or a part of the sandbox, drawn among the processes that live. When the
command has ended it is started again, until all kills are made; then it runs to its end. Its rows must be those of the
undisturbed run, every record whole, and nothing may be left: no process, no temporary folder, no draft, no claim.

Linux only: it adopts what a dead driver leaves, so that an orphan is seen.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from harness.store.database import Store, claims_table

PR_SET_CHILD_SUBREAPER = 36
GONE_S = 10.0  # in which the rest must end when a part of a run was killed
LONGEST = 0.6  # of an undisturbed comparison, before a kill
RUN = (
    "compare",
    "recipe=iterkd,persd,standard_kd",
    "seed=0,1",
    "run=run",
    "preset=smoke",
    "world.base_examples=160",
    "world.test=16",
    "budget.examples=16",
    "budget.attempts=16",
    "budget.updates=3",
)


def started(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "errors.log").open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "harness.cli", *RUN],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder / "tmp")},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )


def finish(folder: Path) -> float:
    """Run the command to its end, undisturbed; return its seconds."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    code = started(folder).wait()
    assert code == 0, f"exit code {code}, see {folder / 'errors.log'}"
    return time.perf_counter() - began


def below(pid: int) -> dict[int, str]:
    """Return the command lines of a process's descendants, the ended ones left out."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rsplit(") ", 1)[1].split()[:2]
            except OSError:
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found: set[int] = set()
    front = {pid}
    while front := {child for child, parent in parents.items() if parent in front} - found:
        found |= front
    lines: dict[int, str] = {}
    for one in found:
        try:
            lines[one] = Path(f"/proc/{one}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
    return lines


def role(line: str) -> str:
    for mark, name in (("harness.cli", "driver"), ("harness.cell", "cell"), ("harness.sandbox", "sandbox")):
        if mark in line:
            return name
    return "other"


def reap() -> None:
    """Collect what has ended among the processes that came to us."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def emptied(within_s: float) -> dict[int, str]:
    """Wait until no process is left below this one; return those that are when the time is up."""
    end = time.monotonic() + within_s
    while True:
        reap()
        left = below(os.getpid())
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.05)


def killed(folder: Path, rng: random.Random, longest_s: float) -> tuple[str, bool]:
    """Run the command, kill one of its processes at a random instant, and wait until it has ended.

    Return which part was killed ("" if the command ended before), and whether the command still ended well.
    """
    driver = started(folder)
    end = time.monotonic() + rng.uniform(0.2, longest_s)
    while time.monotonic() < end and driver.poll() is None:
        time.sleep(0.02)
    victim = ""
    if driver.poll() is None:
        living = {pid: role(line) for pid, line in below(os.getpid()).items()}
        # a part first, then a process of it: there are many more of the sandbox's than of the others
        part = rng.choice(sorted(set(living.values())))
        pid = rng.choice(sorted(one for one, name in living.items() if name == part))
        try:
            os.kill(pid, signal.SIGKILL)
            victim = part
        except ProcessLookupError:
            pass  # it ended by itself meanwhile
    code = driver.wait()
    left = emptied(GONE_S)
    assert not left, f"left behind {GONE_S:g} s after {victim or 'the end'}: {left}"
    return victim, code == 0


def leftovers(folder: Path) -> list[str]:
    """Return files and claims that a finished comparison has no use for."""
    store = folder / "runs" / "store"
    found = [str(path) for path in (folder / "tmp").iterdir()]
    found += [str(path) for path in folder.rglob("*.new")]
    found += [str(path) for name in ("scratch", "work") for path in (store / "artifacts" / name).glob("*")]
    found += [str(path) for path in (store / "owners").iterdir()]
    with Store(store) as opened, opened.database.reader.connect() as db:
        found += [f"claim {row.key}" for row in db.execute(claims_table.select())]
        found += opened.verify()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the instants and of the victims")
    parser.add_argument("--quick", action="store_true", help="five kills")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    kills = 5 if options.quick else options.kills
    rng = random.Random(options.seed)
    victims: Counter[str] = Counter()
    unharmed = starts = lives = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        whole, broken = Path(name) / "whole", Path(name) / "broken"
        whole_s = finish(whole)
        expected = (whole / "run/rows.jsonl").read_bytes()
        rows_equal, left = True, list[str]()
        while victims.total() < kills:
            (broken / "tmp").mkdir(parents=True)
            lives, over = lives + 1, False
            while not over and victims.total() < kills:
                victim, over = killed(broken, rng, max(2.0, LONGEST * whole_s))
                starts += 1
                victims.update([victim] if victim else [])
                unharmed += bool(victim) and over
                print(f"\r{victims.total()} of {kills} kills", end="", file=sys.stderr, flush=True)
            finish(broken)
            rows_equal = rows_equal and (broken / "run/rows.jsonl").read_bytes() == expected
            left += leftovers(broken)
            shutil.rmtree(broken)
    found = {
        "kills": dict(sorted(victims.items())),
        "comparisons": lives,
        "starts": starts,
        "went on by itself after a kill": unharmed,
        "rows equal": rows_equal,
        "left behind": left,
        "seconds undisturbed": round(whole_s, 1),
    }
    print(file=sys.stderr)
    print(json.dumps(found) if options.json else "\n".join(f"{key:<32}{value}" for key, value in found.items()))
    if not rows_equal or left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
