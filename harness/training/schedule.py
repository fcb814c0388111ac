"""How long, how fast and on what a fit trains, and what it reports at its marks; plain values, no torch."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import accumulate
from pathlib import Path
from typing import Literal, get_args

from harness.errors import TrainingError
from harness.store.keys import Json

Precision = Literal["auto", "float32", "bfloat16"]
HALF = 2  # code version of a fit in bfloat16; 2: a reference is scored in it, a teacher's head is not called in it
ADAPTER = 2  # code version of a fit of an adapter; 2: a new one begins at values that the fit's seed draws
# said in a key where they are used
SWITCHES = ("lora", "recompute", "packing", "precision", "processes", "accelerate", "restarts", "tokens")
COUNTS = {  # fields that are 1 or more, by the user's word for them
    "updates": "budget.updates",
    "batch": "train.batch",
    "max_tokens": "train.max_tokens",
    "threads": "threads",
    "micro_batches": "train.micro_batches",
    "processes": "train.processes",
}


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter in place of all weights (arXiv 2106.09685)."""

    rank: int = 16
    alpha: int = 32  # the adapter's output is scaled by alpha / rank
    targets: tuple[str, ...] = ("all-linear",)  # names of layers, or peft's word for all linear ones but the head

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not self.targets:
            raise TrainingError(
                f"train.lora: rank={self.rank}, alpha={self.alpha}, targets={','.join(self.targets)}; expected 1 or "
                "more, above 0, and one name or more (all-linear: every linear layer but the head)."
            )

    def key(self) -> list[Json]:
        """Return the settings as JSON has them."""
        return [self.rank, self.alpha, list(self.targets)]


@dataclass(frozen=True)
class Schedule:
    """The optimiser's side of a fit. Exactly `updates` × `batch` rows are visited, whatever the data set's size."""

    updates: int  # optimiser steps
    batch: int = 16  # examples per update; a pair counts as one
    learning_rate: float = 2e-3
    warmup: int = 10  # updates of linear rise
    final_ratio: float = 0.05  # of the learning rate, where the linear fall ends
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    max_tokens: int = 2048  # longest sequence, prompt and end token included; longer ones are left out, never cut
    threads: int = 1
    device: str = "cpu"  # or "cuda": the one visible device
    marks: tuple[int, ...] = ()  # update counts at which the model is written out; none: after the last
    micro_batches: int = 1  # forward passes an update is split into, to save memory
    lora: Lora | None = None  # None: all weights are trained
    recompute: bool = False  # activations once more in the backward pass: less memory, a third more time
    packing: bool = False  # several sequences in one row of a forward pass
    precision: Precision = "auto"  # of the forward pass; weights and optimiser are float32
    processes: int = 1  # that share the work of every update; more than one are launched as a command of their own
    accelerate: str = ""  # accelerate's configuration file for that command, which then says how many processes
    restarts: tuple[int, ...] = ()  # update counts after which optimiser and learning rate start afresh
    tokens: int = 0  # that may go forward in each mark's share, which ends where they are spent; 0: no limit

    def __post_init__(self) -> None:
        for name, key in COUNTS.items():
            if getattr(self, name) < 1:
                raise TrainingError(f"{key}={getattr(self, name)}: expected 1 or more.")
        if self.batch % (self.micro_batches * self.processes):
            raise TrainingError(
                f"train.batch={self.batch}: expected a multiple of train.micro_batches={self.micro_batches} × "
                f"train.processes={self.processes}, as every one of them takes as many examples."
            )
        if self.accelerate and not Path(self.accelerate).is_file():
            raise TrainingError(
                f"train.accelerate={self.accelerate}: no such file. Write one with `accelerate config --config_file "
                "FILE`, or say train.processes=2 for plain data-parallel processes."
            )
        if self.precision not in get_args(Precision):
            raise TrainingError(f"train.precision={self.precision}: expected {', '.join(get_args(Precision))}.")
        if self.learning_rate <= 0 or self.warmup < 0 or not 0 <= self.final_ratio <= 1:
            raise TrainingError(
                f"train: learning_rate={self.learning_rate:g}, warmup={self.warmup}, final_ratio={self.final_ratio:g}; "
                "expected above 0, 0 or more, and 0 to 1."
            )
        if self.device not in ("cpu", "cuda"):
            raise TrainingError(f"device={self.device}: expected cpu or cuda.")
        if list(self.restarts) != sorted(set(self.restarts)) or any(not 1 <= at < self.updates for at in self.restarts):
            raise TrainingError(
                f"restarts={joined(self.restarts)}: expected rising update counts, 1 or more and below {self.updates} "
                "(budget.updates × cycles). The recipe gives them: mend its lab.fit_through(restarts=…)."
            )
        if list(self.marks) != sorted(set(self.marks)) or any(not 1 <= mark <= self.updates for mark in self.marks):
            raise TrainingError(
                f"marks={joined(self.marks)}: expected rising update counts from 1 to {self.updates} (budget.updates × "
                "cycles). Whoever makes the Schedule gives them: mend them there, or leave them out."
            )

    def key(self) -> dict[str, Json]:
        """Return what decides the outcome, without what is at rest: a new switch leaves the keys of old fits alone."""
        content = asdict(self)
        at_rest = {one.name: one.default for one in fields(self) if one.name in SWITCHES}
        if self.lora is not None:
            content["lora"]["version"] = ADAPTER
        if self.bf16:
            content["half"] = HALF
        if self.accelerate:
            content["accelerate"] = hashlib.sha256(Path(self.accelerate).read_bytes()).hexdigest()
        return {name: value for name, value in content.items() if name not in at_rest or value != at_rest[name]}

    @property
    def launched(self) -> bool:
        """Tell whether the fit runs as processes of its own."""
        return self.processes > 1 or bool(self.accelerate)

    @property
    def bf16(self) -> bool:
        """Tell whether forward passes compute in bfloat16: below 3M parameters it costs time on a CPU, a GPU gains."""
        return self.precision == "bfloat16" or (self.precision == "auto" and self.device == "cuda")

    def within(self, costs: Sequence[int]) -> Schedule:
        """Return the schedule whose shares end where their tokens are spent; `costs` are the tokens of each update.

        What one share leaves goes to the next, and each has at least one update.
        """
        if not self.tokens:
            return self
        spent, marks, last = list(accumulate(costs)), list[int](), 0
        for number, mark in enumerate(self.all_marks, 1):
            last = max(last + 1, min(mark, bisect_right(spent, number * self.tokens)))
            marks.append(last)
        restarts = tuple(at for at in self.restarts if at < last)
        return replace(self, updates=last, marks=tuple(marks), restarts=restarts, tokens=0)

    @property
    def all_marks(self) -> tuple[int, ...]:
        """Return the marks asked for, or the one after the last update."""
        return self.marks or (self.updates,)

    def rate(self, done: int) -> float:
        """Return the learning rate, as a share of its peak, of the update that follows `done` finished ones."""
        begun = max((at for at in self.restarts if at <= done), default=0)
        done, updates = done - begun, min((at for at in self.restarts if at > done), default=self.updates) - begun
        if done < self.warmup:
            return (done + 1) / (self.warmup + 1)
        left = (updates - done) / max(1, updates - self.warmup)
        return self.final_ratio + (1.0 - self.final_ratio) * left


def joined(numbers: Sequence[int]) -> str:
    """Return numbers as a key's value has them."""
    return ",".join(map(str, numbers))


@dataclass(frozen=True)
class Mark:
    """The model as it was after `update` optimiser steps, and what had been spent and lost until then."""

    update: int
    folder: Path
    tokens: int  # that went forward so far, padding excluded, rejected texts included
    examples: int  # rows visited so far
    losses: dict[str, float]  # mean of each term since the mark before: nats per token, pair terms per pair
    shares: dict[str, float]  # of each term in the gradients' norms at the head, a norm a forward pass; {} for one term
    micro_batches: int  # forward passes that an update was split into in the end
    own_texts: int = 0  # of the student's own, drawn and trained on so far
    own_tokens: int = 0  # of these, their end tokens included
    left_out: dict[str, int] = field(default_factory=dict[str, int])  # examples that could not be trained on, by reason
    cached: dict[str, int] = field(default_factory=dict[str, int])  # labels whose distributions came from a cache

    def told(self) -> dict[str, Json]:
        """Return what is measured at the mark, as it is recorded."""
        counts: dict[str, dict[str, int]] = {"left_out": self.left_out, "cached": self.cached}
        return {
            "update": self.update,
            "tokens": self.tokens,
            "examples": self.examples,
            "losses": {**self.losses},
            "shares": {**self.shares},
            "own_texts": self.own_texts,
            "own_tokens": self.own_tokens,
            "micro_batches": self.micro_batches,
            **{name: {**count} for name, count in counts.items() if count},
        }
