"""Times the store as it grows by factors of ten: lookups, commits, opening, and the memory and disk they need.

    python bench/scale.py [--steps 1000000] [--store URL --artifacts PLACE] [--quick] [--json]

Steps are synthetic answers of half a kilobyte under real keys. A lookup is of one key drawn at random, as a recipe's
single request; a batch is 100 new answers with their claims, as a call on the lab commits them. The default store is
SQLite in a temporary folder; `--store postgresql://…` times a server (its database should be empty).
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.store.database import Store
from harness.store.keys import Json, digest
from harness.store.steps import Step, run

BATCH, LOOKUPS = 100, 200
STEP = Step("answers", 1, {"teacher": "synthetic"})
TEXT = "    return sorted(set(values))\n" * 16


def filled(store: Store, have: int, wanted: int) -> None:
    """Add steps up to a number of them, many in a transaction."""
    for start in range(have, wanted, 5000):
        rows: list[tuple[str, str, dict[str, Json], float]] = [
            (STEP.key(number), STEP.kind, {"text": TEXT, "number": number}, 0.1)
            for number in range(start, min(start + 5000, wanted))
        ]
        store.put(rows)


def median_ms(times: list[float]) -> float:
    return 1e3 * statistics.median(times)


def measured(place: str, artifacts: str, steps: int, rng: random.Random) -> dict[str, Any]:
    began = time.perf_counter()
    with Store(place, artifacts) as store:
        opened_s = time.perf_counter() - began
        lookups: list[float] = []
        for _ in range(LOOKUPS):
            key = STEP.key(rng.randrange(steps))
            began = time.perf_counter()
            assert store.get([key])
            lookups.append(time.perf_counter() - began)
        batches: list[float] = []
        for turn in range(5):
            items = [digest([steps, turn, number]) for number in range(BATCH)]
            began = time.perf_counter()
            run(store, STEP, items, lambda todo: ((index, {"text": TEXT}) for index in todo))
            batches.append(time.perf_counter() - began)
    size = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file()) if "://" not in place else 0
    return {
        "steps": steps,
        "open ms": 1e3 * opened_s,
        "lookup ms": median_ms(lookups),
        f"{BATCH} new ms": median_ms(batches),
        "disk MiB": size / 2**20,
        "memory MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="the largest store")
    parser.add_argument("--store", default="", help="a postgresql:// URL in place of SQLite")
    parser.add_argument("--artifacts", default="", help="with --store")
    parser.add_argument("--quick", action="store_true", help="up to 10,000 steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    most, rng = 10_000 if options.quick else options.steps, random.Random(0)
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        place, have, steps = options.store or folder, 0, 1000
        while steps <= most:
            with Store(place, options.artifacts) as store:
                filled(store, have, steps)
            found.append(measured(place, options.artifacts, steps, rng))
            have, steps = steps, 10 * steps
            if not options.json:
                if len(found) == 1:
                    print("".join(f"{name:>14}" for name in found[0]))
                values = found[-1].values()
                print(
                    "".join(f"{one:>14,.2f}" if isinstance(one, float) else f"{one:>14,}" for one in values), flush=True
                )
    if options.json:
        print(json.dumps({"sizes": found}))


if __name__ == "__main__":
    main()
