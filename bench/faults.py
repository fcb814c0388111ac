"""Harms a comparison in many ways and tells whether anything was lost or left behind.

    python bench/faults.py [--harms kill,term,twice,clock,disk,readonly] [--kills 50] [--minutes M] [--small]

A comparison of three recipes and two seeds runs once undisturbed. Then new ones, from the beginning, are harmed:

- `kill`: -9 at random instants to the driver, a cell, or a part of the sandbox, drawn among the processes that live;
- `term`: SIGTERM to the driver, as a scheduler sends it: all must have ended within ten seconds;
- `twice`: the same command once more while one runs: it must say who holds the run, and the first end well;
- `clock`: every process's clock jumps by up to a day, forwards and back;
- `disk`: the disk is full from a random instant on, and has room again after the command has ended (needs root);
- `readonly`: a file system that cannot be written: refused in words, nothing left (needs root).

When the command has ended it is started again; at last it runs to its end. Its rows must be those of the undisturbed
run, every record whole, and nothing may be left: no process, no temporary folder, no draft, no claim. `--small` is one
recipe with one seed; after `--minutes` no further harm is done, and what was seen until then is told; `--quick` is few
harms, `--json` one object. Linux only: it adopts what a dead driver leaves, so that an orphan is seen.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.store.database import Store
from harness.store.schema import claims_table

PR_SET_CHILD_SUBREAPER, CLONE_NEWNS = 36, 0x00020000
GONE_S = 10.0  # in which the rest must end when a part of a run was harmed
LONGEST = 0.6  # of an undisturbed comparison, before a harm
DISK_MIB = 256
RUN = (
    "compare",
    "run=run",
    "preset=smoke",
    "world.base_examples=160",
    "world.test=16",
    "budget.examples=16",
    "budget.attempts=16",
    "budget.updates=3",
)
WHOLE, SMALL = ("recipe=iterkd,persd,standard_kd", "seed=0,1"), ("recipe=standard_kd",)
JUMPING = """
import random, time
steady, rng = time.time, random.Random(0)
time.time = lambda: steady() + rng.uniform(-86400, 86400)
"""


@dataclass
class Trial:
    """One comparison that is harmed: where it runs, and what has been seen."""

    folder: Path
    words: tuple[str, ...]
    rng: random.Random
    longest_s: float
    seen: Counter[str] = field(default_factory=Counter[str])
    slowest_end_s: float = 0.0

    def start(self, *paths: str) -> subprocess.Popen[bytes]:
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)
        path = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "harness.cli", *self.words],
                cwd=self.folder,
                env={**os.environ, "TMPDIR": str(self.folder / "tmp"), "PYTHONPATH": path},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    @property
    def errors(self) -> Path:
        """The file of what the command says, beside the folder: that one's disk may be full."""
        return self.folder.with_suffix(".log")

    def said(self) -> str:
        return self.errors.read_text(errors="replace")

    def finish(self) -> float:
        """Run the command to its end, undisturbed; return its seconds."""
        began = time.perf_counter()
        code = self.start().wait()
        assert code == 0, f"exit code {code}: {self.said()[-2000:]}"
        return time.perf_counter() - began

    def wait(self, driver: subprocess.Popen[bytes]) -> bool:
        """Wait for a random instant; tell whether the command still runs then."""
        end = time.monotonic() + self.rng.uniform(0.2, self.longest_s)
        while time.monotonic() < end and driver.poll() is None:
            time.sleep(0.02)
        return driver.poll() is None

    def over(self, what: str) -> None:
        """See that no process is left once the command has ended."""
        began = time.monotonic()
        left = emptied(GONE_S)
        self.slowest_end_s = max(self.slowest_end_s, time.monotonic() - began)
        assert not left, f"left behind {GONE_S:g} s after {what or 'the end'}: {left}"


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
    for mark, name in (("harness.cli", "driver"), ("harness.comparison.cell", "cell"), ("harness.sandbox", "sandbox")):
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


def kill(trial: Trial) -> bool:
    """Run the command, kill one of its processes at a random instant; tell whether it ended well all the same."""
    driver, victim = trial.start(), ""
    if trial.wait(driver):
        living = {pid: role(line) for pid, line in below(os.getpid()).items()}
        # a part first, then a process of it: there are many more of the sandbox's than of the others
        part = trial.rng.choice(sorted(set(living.values())))
        pid = trial.rng.choice(sorted(one for one, name in living.items() if name == part))
        try:
            os.kill(pid, signal.SIGKILL)
            victim = part
        except ProcessLookupError:
            pass  # it ended by itself meanwhile
    code = driver.wait()
    trial.over(victim)
    trial.seen.update([f"kill of {victim}"] if victim else [])
    trial.seen.update(["went on by itself after a kill"] if victim and code == 0 else [])
    return code == 0


def term(trial: Trial) -> bool:
    driver = trial.start()
    asked = trial.wait(driver)
    began = time.monotonic()
    if asked:
        driver.terminate()
    code = driver.wait()
    trial.over("SIGTERM")
    took = time.monotonic() - began
    if asked and code != 0:
        assert code == 130 and took < GONE_S, f"exit code {code} {took:.1f} s after SIGTERM: {trial.said()[-500:]}"
        trial.slowest_end_s = max(trial.slowest_end_s, took)
        trial.seen.update(["term"])
    return code == 0


def twice(trial: Trial) -> bool:
    first = trial.start()
    while not (trial.folder / "run" / "run.json").is_file() and first.poll() is None:
        time.sleep(0.02)
    second = trial.start().wait()  # at once: at a random instant it would often come up after the first has ended
    if first.poll() is None:
        assert second != 0 and f"process {first.pid}" in trial.said(), f"{second}: {trial.said()[-500:]}"
        trial.seen.update(["twice"])
    code = first.wait()
    trial.over("the second command")
    assert code == 0, trial.said()[-500:]
    return True


def clock(trial: Trial) -> bool:
    with tempfile.TemporaryDirectory(prefix="clock-") as path:
        Path(path, "sitecustomize.py").write_text(JUMPING)
        code = trial.start(path).wait()
    trial.over("a jumping clock")
    assert code == 0, trial.said()[-500:]
    trial.seen.update(["clock"])
    return True


def disk(trial: Trial) -> bool:
    """Run on a small file system that is full from a random instant on."""
    mounted(trial.folder, f"size={DISK_MIB}m")
    driver, filler = trial.start(), trial.folder / "filler"
    full = trial.wait(driver)
    if full:
        fill(filler)
    code = driver.wait()
    filler.unlink(missing_ok=True)
    trial.over("a full disk")
    if code != 0:
        assert "ree some space" in trial.said(), f"exit code {code}: {trial.said()[-2000:]}"
        trial.seen.update(["disk: ended in words"])
    elif full:
        trial.seen.update(["disk: ended well all the same"])
    return code == 0


def fill(filler: Path) -> None:
    try:
        with filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(1 << 16)):
                continue
    except OSError:
        return


def readonly(trial: Trial) -> bool:
    """Run on a file system that cannot be written: refused in words."""
    mounted(trial.folder, f"size={DISK_MIB}m")
    (trial.folder / "tmp").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", trial.folder], check=True)
    code = trial.start().wait()
    assert code != 0 and "Traceback" not in trial.said(), f"exit code {code}: {trial.said()[-2000:]}"
    assert "permission" in trial.said() or "ead-only" in trial.said(), trial.said()[-2000:]
    subprocess.run(["mount", "-o", "remount,rw", trial.folder], check=True)
    assert [one.name for one in trial.folder.iterdir()] == ["tmp"]
    trial.over("a read-only folder")
    trial.seen.update(["readonly"])
    return False


HARMS: dict[str, Callable[[Trial], bool]] = {
    "kill": kill,
    "term": term,
    "twice": twice,
    "clock": clock,
    "disk": disk,
    "readonly": readonly,
}


def mounted(folder: Path, options: str) -> None:
    """Mount a file system of its own there, which only this process and its children see, unless one is."""
    if not folder.is_mount():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


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


def removed(folder: Path) -> None:
    if folder.is_mount():
        subprocess.run(["umount", folder], check=True)
    shutil.rmtree(folder)


def harmed(name: str, times: int, trial: Trial, expected: bytes, until: float) -> tuple[bool, list[str]]:
    """Harm new comparisons in one way, so many times, each then finished; tell whether rows stayed and what is left."""
    equal, left, done = True, list[str](), 0
    while done < times and time.monotonic() < until:
        over = False
        while not over and done < times and time.monotonic() < until:
            over = HARMS[name](trial)
            done += 1
            print(f"\r{name}: {done} of {times} ", end="", file=sys.stderr, flush=True)
        trial.finish()
        equal = equal and (trial.folder / "run/rows.jsonl").read_bytes() == expected
        left += leftovers(trial.folder)
        removed(trial.folder)
    return equal, left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harms", default=",".join(HARMS), help=f"by commas, of {', '.join(HARMS)} (default: all)")
    parser.add_argument("--kills", type=int, default=50, help="of the harm `kill`")
    parser.add_argument("--times", type=int, default=3, help="of each other harm")
    parser.add_argument("--seed", type=int, default=0, help="of the instants and of the victims")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no further harm is done")
    parser.add_argument("--small", action="store_true", help="one recipe with one seed")
    parser.add_argument("--quick", action="store_true", help="five kills, each other harm once")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    names = options.harms.split(",")
    if wrong := [name for name in names if name not in HARMS]:
        parser.error(f"--harms {','.join(wrong)}: expected {', '.join(HARMS)}")
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.geteuid() == 0:  # mounts of this process's own
        libc.unshare(CLONE_NEWNS)
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    elif unable := [name for name in names if name in ("disk", "readonly")]:
        parser.error(f"--harms {','.join(unable)}: needs root, for a file system of its own.")
    rng, words = random.Random(options.seed), (*RUN, *(SMALL if options.small else WHOLE))
    rows_equal, left, until = True, list[str](), time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        whole = Trial(Path(name) / "whole", words, rng, 0.0)
        whole_s = whole.finish()
        expected = (whole.folder / "run/rows.jsonl").read_bytes()
        trial = Trial(Path(name) / "broken", words, rng, max(2.0, LONGEST * whole_s))
        for harm in names:
            kills = 5 if options.quick else options.kills
            times = kills if harm == "kill" else 1 if options.quick else options.times
            equal, rest = harmed(harm, times, trial, expected, until)
            rows_equal, left = rows_equal and equal, left + rest
    found = {
        **dict(sorted(trial.seen.items())),
        "rows equal": rows_equal,
        "left behind": left,
        "slowest end, s": round(trial.slowest_end_s, 1),
        "seconds undisturbed": round(whole_s, 1),
    }
    print(file=sys.stderr)
    print(json.dumps(found) if options.json else "\n".join(f"{key:<32}{value}" for key, value in found.items()))
    if not rows_equal or left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
