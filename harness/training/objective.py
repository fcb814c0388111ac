"""What a fit minimises: likelihood of the completions plus named, weighted terms; plain values, no tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from harness.errors import TrainingError


@dataclass(frozen=True)
class Margin:
    """Hinge between `completion` and `rejected` of an example, on log-probabilities per token."""

    name: ClassVar[str] = "margin"

    margin: float = 0.2  # m, nats per token by which the completion is to lead
    weight: float = 0.5  # λ, weight beside the likelihood; 0 is plain SFT
    tokens: Literal["code", "all"] = "code"  # code: the text alone; all: its end token too

    def __post_init__(self) -> None:
        for field, value in (("margin", self.margin), ("weight", self.weight)):
            if not (math.isfinite(value) and value >= 0):
                raise TrainingError(f"contrast {field} is {value}; expected a finite number, 0 or more")
        if self.tokens not in ("code", "all"):
            raise TrainingError(f"contrast tokens is {self.tokens!r}; expected 'code' or 'all'")


@dataclass(frozen=True)
class Objective:
    """`nll`, which is always there with weight 1, plus the terms given here. Each is logged under its own name."""

    contrast: Margin | None = None

    @property
    def uses_pairs(self) -> bool:
        """Tell whether rejected texts go forward at all; if not, training is plain SFT to the last bit."""
        return self.contrast is not None and self.contrast.weight > 0
