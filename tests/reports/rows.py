"""Rows made by hand or drawn from a seed, for the tests of reports."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from harness.types import Row, Spent

PROTOCOL = {
    "style": "header",
    "extractor": "v1",
    "decoding": "greedy",
    "max_new_tokens": "96",
    "stop": r"\ndef|\nclass|\nprint",
    "cpu_s": "5.0",
    "wall_s": "30.0",
    "memory_mb": "1024",
    "isolation": "full",
    "rule": "strict",
}


def row(
    recipe: str = "untrained",
    correct: Sequence[int] = (1, 0, 0, 0),
    *,
    seed: int | None = None,
    cycle: int = 0,
    benchmark: str = "pipelines",
    samples: int = 1,
    settings: dict[str, str] | None = None,
    levels: Sequence[int] = (),
    spent: Spent | None = None,
) -> Row:
    return Row(
        recipe=recipe,
        settings=settings or {},
        seed=seed,
        cycle=cycle,
        benchmark=benchmark,
        benchmark_hash="0123456789abcdef" * 4,
        protocol=dict(PROTOCOL),
        n=len(correct),
        samples=samples,
        correct=tuple(correct),
        levels=tuple(levels),
        truncated=0,
        statuses={"passed": sum(correct), "wrong": samples * len(correct) - sum(correct)},
        weights=f"{recipe}-{seed}-{cycle}",
        spent=spent or Spent(),
    )


def example(
    gains: dict[str, float], *, seeds: Sequence[int] = (0,), cycles: int = 3, samples: int = 1, humaneval: bool = False
) -> list[Row]:
    """Draw a comparison: recipes named as in `gains` (settings after a blank), with the gain in skill per cycle."""
    rng = random.Random(7)
    sizes = {"pipelines": 400} | ({"humaneval": 164} if humaneval else {})
    rows: list[Row] = []
    for benchmark, n in sizes.items():
        levels = [1 + i * 4 // n for i in range(n)] if benchmark == "pipelines" else []
        ease = [rng.gauss(1.6 - 1.3 * (levels[i] if levels else 2.5), 2.0) for i in range(n)]

        def draw(skill: float, ease: Sequence[float] = ease) -> list[int]:
            return [sum(e + rng.gauss(skill, 1.0) > 0 for _ in range(samples)) for e in ease]

        rows.append(row("untrained", draw(0.0), benchmark=benchmark, levels=levels, samples=samples))
        for label, gain in gains.items():
            recipe, *words = label.split()
            for seed in seeds:
                luck = rng.gauss(0, 0.15)
                for cycle in range(1, cycles + 1):
                    spent = Spent(
                        teacher_calls=800 * cycle, student_samples=1200 * cycle, programs=2000 * cycle,
                        training_tokens=61_234 * cycle, updates=100 * cycle,
                    )  # fmt: skip
                    made = row(
                        recipe, draw(gain * cycle**0.5 + luck), seed=seed, cycle=cycle, benchmark=benchmark,
                        settings=dict(word.split("=") for word in words), levels=levels, spent=spent, samples=samples,
                    )  # fmt: skip
                    rows.append(replace(made, truncated=rng.randrange(9)))
    return rows
