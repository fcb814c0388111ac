"""Runs every recipe at equal budget and tells what each cost and scored, cycle by cycle.

    python bench/recipes.py [--quick] [--recipes A,B] [--store DIR] [--page FILE] [--json] [key=value ...]

One `harness compare` over all recipes in the embedded world, second names left out; `--quick` takes three
of them at the smoke preset, from a student of half the base's examples: it shows that all runs. The plot sets
each recipe's score against what it cost, in the unit of `--cost`. `--page` writes the report's page, which draws the
same with intervals. Further words go to `compare`: seed=0,1,2, cycles=2.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

QUICK = ("seqkd", "persd", "iterkd")
COSTS = ("seconds", "teacher_calls", "teacher_tokens", "student_tokens", "training_tokens")
WIDTH, HEIGHT = 60, 14  # of the plot, in characters


def every_recipe() -> list[str]:
    """Return the names of all recipes but second names. Asked of the command: `recipes` here would be this file."""
    listing = harness("list", "recipes", folder=Path.cwd(), capture=True)
    lines = [line.split() for line in listing.splitlines() if line.startswith("  ") and line[2] != " "]
    return [words[0] for words in lines if " ".join(words[2:5]).lower() != "the same as"]


def harness(*words: str, folder: Path, capture: bool = False) -> str:
    """Run a command; what it prints is returned, or shown on the error stream."""
    command = [sys.executable, "-P", "-m", "harness.cli", *words]
    out = subprocess.PIPE if capture else sys.stderr
    return subprocess.run(command, cwd=folder, check=True, stdout=out, text=True).stdout or ""


def measured(run: Path) -> list[dict[str, Any]]:
    """Return a line per recipe: means over seeds of what it spent, and its pass@1 after each cycle."""
    rows = [json.loads(line) for line in (run / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    times = [json.loads(line) for line in (run / "timings.jsonl").read_text(encoding="utf-8").splitlines()]
    lines: list[dict[str, Any]] = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        own = [(row, time) for row, time in zip(rows, times, strict=True) if row["recipe"] == name]
        last = max(row["cycle"] for row, _ in own)
        final = [(row["spent"], time["seconds"]) for row, time in own if row["cycle"] == last]

        def mean(key: str, final: list[tuple[dict[str, float], float]] = final) -> float:
            return sum(spent[key] for spent, _ in final) / len(final)

        scores = {
            cycle: [sum(row["correct"]) / (row["n"] * row["samples"]) for row, _ in own if row["cycle"] == cycle]
            for cycle in sorted({row["cycle"] for row, _ in own})
        }
        lines.append(
            {
                "recipe": name,
                "teacher_calls": mean("teacher_calls"),
                "teacher_tokens": mean("teacher_tokens_in") + mean("teacher_tokens_out"),
                "student_tokens": mean("student_tokens"),
                "training_tokens": mean("training_tokens"),
                "updates": mean("updates"),
                "seconds": sum(seconds for _, seconds in final) / len(final),
                "pass@1": [round(100 * sum(one) / len(one), 1) for one in scores.values()],
            }
        )
    return lines


def table(lines: list[dict[str, Any]]) -> str:
    head = f"{'recipe':<16}{'calls':>8}{'teacher':>9}{'student':>9}{'training':>10}{'updates':>9}{'seconds':>9}"
    under = f"{'':<16}{'':>8}{'tokens':>9}{'tokens':>9}{'tokens':>10}{'':>9}{'':>9}  pass@1 in %, by cycle"
    found = [head, under]
    for one in lines:
        numbers = [one[key] for key in ("teacher_calls", "teacher_tokens", "student_tokens", "training_tokens")]
        cells = "".join(f"{short(number):>{width}}" for number, width in zip(numbers, (8, 9, 9, 10), strict=True))
        scores = "  ".join(f"{score:.1f}" for score in one["pass@1"])
        found.append(f"{one['recipe']:<16}{cells}{one['updates']:>9.0f}{one['seconds']:>9.1f}  {scores}")
    return "\n".join(found)


def short(number: float) -> str:
    return f"{number:.0f}" if number < 10_000 else f"{number / 1000:.0f}k" if number < 1e6 else f"{number / 1e6:.1f}M"


def plot(lines: list[dict[str, Any]], cost: str) -> str:
    """Draw the final scores against the logarithm of a cost; a letter for each recipe that spent any."""
    points = [(chr(97 + place), one) for place, one in enumerate(lines) if one[cost] > 0]
    if not points:
        return f"nothing was spent in {cost}"
    across = [math.log10(one[cost]) for _, one in points]
    up = [one["pass@1"][-1] for _, one in points]
    grid = [[" "] * (WIDTH + 1) for _ in range(HEIGHT + 1)]
    for (letter, _), x, y in zip(points, across, up, strict=True):
        column = round(WIDTH * (x - min(across)) / ((max(across) - min(across)) or 1))
        row = HEIGHT - round(HEIGHT * (y - min(up)) / ((max(up) - min(up)) or 1))
        grid[row][column] = letter if grid[row][column] == " " else "*"
    rows = [f"{max(up) - (max(up) - min(up)) * at / HEIGHT:6.1f} |{''.join(row)}" for at, row in enumerate(grid)]
    ends = f"{short(10 ** min(across))} ... {cost}, logarithmic ... {short(10 ** max(across))}"
    names = ", ".join(f"{letter} {one['recipe']}" for letter, one in points)
    return "\n".join(["pass@1 in % after the last cycle against cost; *: several", *rows, f"{'':>8}{ends}", names])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="key=value", help="passed on to harness compare")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)} at the smoke preset")
    parser.add_argument("--recipes", default="", help="names with commas; default: all")
    parser.add_argument("--store", type=Path, help="a folder to keep runs in, so that a further run goes on from them")
    parser.add_argument("--cost", choices=COSTS, default="seconds", help="the plot's horizontal axis")
    parser.add_argument("--page", type=Path, help="also write the report's HTML page")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    names = options.recipes.split(",") if options.recipes else list(QUICK) if options.quick else every_recipe()
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.store or Path(scratch)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        preset = ["preset=smoke", "world.base_examples=6000"] if options.quick else []
        harness("compare", f"recipe={','.join(names)}", "run=recipes", *preset, *options.words, folder=folder)
        lines = measured(folder / "recipes")
        if options.page:
            harness("report", "recipes", "--format", "html", "--to", str(options.page.absolute()), folder=folder)
    if options.json:
        print(json.dumps({"recipes": lines}))
        return
    print(table(lines))
    print()
    print(plot(lines, options.cost))


if __name__ == "__main__":
    main()
