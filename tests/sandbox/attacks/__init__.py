"""The corpus: hostile programs by group, none of which may pass, and harmless ones, all of which must."""

from __future__ import annotations

from tests.sandbox.attacks import (
    changed_arguments,
    early_exit,
    escapes,
    harmless,
    inheritance,
    interpreter,
    lying_values,
    reading_answers,
    resources,
    sabotage,
    time_attacks,
    writing_verdict,
)
from tests.sandbox.attacks.attack import Attack, Harmless
from tests.sandbox.attacks.inheritance import Legacy

GROUPS: dict[str, tuple[Attack, ...]] = {
    "early exit": early_exit.ATTACKS,
    "lying values": lying_values.ATTACKS,
    "reading the answers": reading_answers.ATTACKS,
    "writing the verdict": writing_verdict.ATTACKS,
    "sabotage": sabotage.ATTACKS,
    "time": time_attacks.ATTACKS,
    "resources": resources.ATTACKS,
    "escapes": escapes.ATTACKS,
    "interpreter": interpreter.ATTACKS,
    "changed arguments": changed_arguments.ATTACKS,
}
HARMLESS: tuple[Harmless, ...] = harmless.HARMLESS + changed_arguments.HARMLESS
LEGACIES: tuple[Legacy, ...] = inheritance.LEGACIES

__all__ = ["GROUPS", "HARMLESS", "LEGACIES", "Attack", "Harmless", "Legacy"]
