"""What every recipe of a comparison shares, and the schedule that follows for a fit; it trains and spends nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.settings.config import Budget, Train
from harness.training.schedule import Lora, Schedule


@dataclass(frozen=True)
class Terms:
    """What every recipe of a comparison shares."""

    cycles: int
    budget: Budget
    train: Train
    threads: int
    device: str
    batch: int  # prompts generated together
    max_new_tokens: int  # of an attempt
    stop: tuple[str, ...]  # where an attempt ends: at the next statement of the top level
    cpu_s: float  # of a program on a training problem


def schedule_of(
    settings: Train, threads: int, device: str, marks: tuple[int, ...], restarts: tuple[int, ...] = ()
) -> Schedule:
    """Return the schedule of a fit that ends at the last of its marks; TrainingError for settings that cannot be."""
    lora = settings.lora
    return Schedule(
        updates=marks[-1],
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        warmup=settings.warmup,
        final_ratio=settings.final_ratio,
        max_tokens=settings.max_tokens,
        threads=threads,
        device=device,
        marks=marks,
        micro_batches=settings.micro_batches,
        lora=Lora(lora.rank, lora.alpha, lora.targets) if lora.rank else None,
        recompute=settings.recompute,
        packing=settings.packing,
        precision=settings.precision,
        processes=settings.processes,
        accelerate=settings.accelerate,
        restarts=restarts,
    )
