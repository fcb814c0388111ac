"""Times what a newcomer waits for: help, the smoke preset, the default comparison, and the same command again.

    python bench/compare.py [--quick] [--json]

Each command runs in a new folder with an empty store; `--quick` leaves out the default comparison.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time

DEFAULT = ("compare", "recipe=iterkd,persd")
SMOKE = (*DEFAULT, "preset=smoke")


def seconds(words: tuple[str, ...], folder: str) -> float:
    """Return the wall seconds of one command, its process included."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "harness.cli", *words],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="leave out the default comparison")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        found["harness --help"] = min(seconds(("--help",), folder) for _ in range(3))
        found["preset=smoke"] = seconds(SMOKE, folder)
        found["preset=smoke again"] = seconds(SMOKE, folder)
        if not options.quick:
            found["default"] = seconds(DEFAULT, folder)
            found["default again"] = seconds(DEFAULT, folder)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<20}{value:8.2f} s")


if __name__ == "__main__":
    main()
