"""The corpus: hostile programs by group, none of which may pass, and harmless ones, all of which must."""

from __future__ import annotations

from tests.sandbox.attacks import (
    early_exit,
    escapes,
    harmless,
    lying_values,
    reading_answers,
    resources,
    sabotage,
    time_attacks,
    writing_verdict,
)
from tests.sandbox.attacks.attack import Attack, Harmless

GROUPS: dict[str, tuple[Attack, ...]] = {
    "early exit": early_exit.ATTACKS,
    "lying values": lying_values.ATTACKS,
    "reading the answers": reading_answers.ATTACKS,
    "writing the verdict": writing_verdict.ATTACKS,
    "sabotage": sabotage.ATTACKS,
    "time": time_attacks.ATTACKS,
    "resources": resources.ATTACKS,
    "escapes": escapes.ATTACKS,
}
HARMLESS: tuple[Harmless, ...] = harmless.HARMLESS

__all__ = ["GROUPS", "HARMLESS", "Attack", "Harmless"]
