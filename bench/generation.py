"""Times generation for an evaluation against transformers' own batched `generate`, side by side in one run.

    python bench/generation.py [--quick] [--rounds 3] [--student FOLDER] [--continuous] [--json]

Everyone answers the embedded benchmark's problems greedily, sorted by length, with one thread on a CPU, at most 96 new
tokens. Ours ends an answer at the end of the function, as evaluations do, and is timed a second time without that;
`generate` ends at the end token. Printed are medians of ratios of CPU seconds to ours, above 1 where ours is faster,
and the best batch size of each. Without `--student` a 0.3M student is trained first, so that answers end. `--quick`
answers 120 problems instead of 400 with one round. `--continuous` adds transformers' continuous batching, which is
made for GPUs, on an eighth of the problems.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.benchmarks.base import STOPS
from harness.students import continuous
from harness.students.compute import computing
from harness.students.decoding import Decoding
from harness.students.engine import Loaded, generate, load
from harness.students.tokens import encode_prompts
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import TrainingSet
from harness.world.pool import test_set
from harness.world.student import corpus, create

MOST = 96  # new tokens
BATCHES = (64, 128, 256)
UPDATES = 250  # of a student that is trained here: enough for answers that end


def student(folder: Path) -> Path:
    """Train a 0.3M student that ends its answers."""
    create("tiny-0.3M", folder / "blank", seed=0)
    schedule = Schedule(updates=UPDATES, learning_rate=6e-3, warmup=20)
    data = TrainingSet(corpus(16 * UPDATES, seed=0))
    [mark] = fit(folder / "blank", data, Objective(), schedule, 0, lambda update: folder / "trained")
    return mark.folder


def chunks(prompts: Sequence[str], size: int) -> list[list[str]]:
    ordered = sorted(prompts, key=len)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def ours(loaded: Loaded, prompts: Sequence[str], size: int, stop: tuple[str, ...] = STOPS) -> int:
    decoding = Decoding(max_new_tokens=MOST, stop=stop)
    return sum(
        one.tokens for part in chunks(prompts, size) for one in generate(loaded, part, decoding, [0] * len(part))
    )


def theirs(loaded: Loaded, prompts: Sequence[str], size: int) -> int:
    """The loop that one would write by hand: left padding, `generate`, decoded texts."""
    import torch

    model: Any = loaded.model
    made = 0
    with computing(loaded.device, loaded.threads), torch.inference_mode():
        for part in chunks(prompts, size):
            encoded = encode_prompts(loaded.tokenizer, part)
            longest = max(map(len, encoded))
            ids = torch.tensor([[loaded.pad] * (longest - len(one)) + one for one in encoded])
            seen = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in encoded])
            out = model.generate(
                input_ids=ids, attention_mask=seen, max_new_tokens=MOST, do_sample=False, pad_token_id=loaded.pad
            )[:, longest:]
            loaded.tokenizer.batch_decode(out, skip_special_tokens=True)
            made += int((out != loaded.pad).sum())
    return made


def at_once(loaded: Loaded, prompts: Sequence[str], size: int) -> int:
    decoding = Decoding(max_new_tokens=MOST, stop=STOPS)
    return sum(one.tokens for one in continuous.generate(loaded, prompts[::8], decoding, [0]))


def cpu_seconds(action: Callable[[], int]) -> tuple[float, int]:
    began = time.process_time()
    tokens = action()
    return time.process_time() - began, tokens


def race(loaded: Loaded, prompts: Sequence[str], rounds: int, with_continuous: bool) -> dict[str, Any]:
    """Return each contestant's best batch, new tokens a CPU second and ratio to ours."""
    entrants: dict[str, Callable[[int], int]] = {
        "ours": lambda size: ours(loaded, prompts, size),
        "ours, to the end token": lambda size: ours(loaded, prompts, size, ()),
        "generate": lambda size: theirs(loaded, prompts, size),
    }
    if with_continuous:
        entrants["continuous, an eighth"] = lambda size: at_once(loaded, prompts, size)
    entrants["ours"](BATCHES[0])  # imports and first touches are nobody's fault
    seen: dict[str, dict[int, list[tuple[float, int]]]] = {name: {} for name in entrants}
    for _ in range(rounds):
        for size in BATCHES:
            for name, action in entrants.items():
                seen[name].setdefault(size, []).append(cpu_seconds(lambda action=action, size=size: action(size)))
    found: dict[str, Any] = {}
    for name, by_size in seen.items():
        times = {size: statistics.median(one for one, _ in runs) for size, runs in by_size.items()}
        best = min(times, key=lambda size: times[size])
        found[name] = {"batch": best, "seconds": times[best], "tokens": by_size[best][0][1]}
    for one in found.values():
        one["ratio"] = one["seconds"] / found["ours"]["seconds"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="120 problems, one round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--student", type=Path, help="a student's folder; none: one is trained here")
    parser.add_argument("--continuous", action="store_true", help="continuous batching too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    prompts = [one.prompt for one in test_set(120 if options.quick else 400)]
    with tempfile.TemporaryDirectory() as scratch:
        loaded = load(options.student or student(Path(scratch)))
        found = race(loaded, prompts, 1 if options.quick else options.rounds, options.continuous)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{len(prompts)} problems              batch   CPU s  new tokens  time over ours")
    for name, one in found.items():
        print(f"{name:<24}{one['batch']:>9}{one['seconds']:8.2f}{one['tokens']:12}{one['ratio']:16.2f}")


if __name__ == "__main__":
    main()
