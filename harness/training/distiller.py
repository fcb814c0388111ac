"""The subclass of transformers' Trainer that every fit runs on: it overrides the loss, and nothing else.

Importing this module loads torch and transformers; `trainer.fit` does so when it is called.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import Dataset
from transformers.trainer import Trainer
from transformers.trainer_callback import PrinterCallback, TrainerCallback
from transformers.training_args import TrainingArguments

from harness.errors import NotFinite
from harness.students.logp import Score, chosen_logp, label_scores, label_states, scattered, states_kept
from harness.training import divergences
from harness.training.batches import MicroBatch, TokenRow, collate
from harness.training.objective import Objective
from harness.training.schedule import Schedule
from harness.training.terms import Term, objective_terms

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SHARES_EVERY = 16  # updates between two looks at how much each term pulls


class Layout(Dataset[dict[str, Any]]):
    """The micro-batches of the whole fit in order, each with the counts of its whole optimiser step."""

    def __init__(
        self, rows: Sequence[TokenRow], batches: Sequence[Sequence[int]], micro_batches: int, pad: int
    ) -> None:
        self.rows, self.batches, self.micro_batches, self.pad = rows, batches, micro_batches, pad

    def __len__(self) -> int:
        return len(self.batches) * self.micro_batches

    def __getitem__(self, place: int) -> dict[str, Any]:
        update, part = divmod(place, self.micro_batches)
        step = [self.rows[index] for index in self.batches[update]]
        width = len(step) // self.micro_batches
        here = step[part * width : (part + 1) * width]
        return collate(here, self.pad).as_inputs() | {
            "tokens": sum(len(row.completion) for row in step),
            "pairs": sum(row.rejected is not None for row in step),
            "examples": [row.example for row in here],
        }


class Distiller(Trainer):
    """transformers' Trainer with our objective in place of the model's own loss."""

    loss_is_scaled_for_ga = True  # every term is divided by the count of the whole optimiser step

    def __init__(self, objective: Objective, teacher: PreTrainedModel | None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.objective = objective
        self.teacher = teacher
        self.sums: dict[str, dict[str, float]] = {}  # of each term since the last mark: total, count, pull

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        assert not return_outputs, "the trainer never evaluates"
        batch = MicroBatch.from_inputs(inputs)
        with states_kept(model) as states:
            scores = label_scores(model, batch.ids, batch.mask, self.score(batch))  # [N, 1 or 2]
        apart = scores[: batch.mask[: len(batch.weights)].sum(), 1] if self.teacher is not None else None
        terms = objective_terms(self.objective, scattered(scores[:, 0], batch.mask), batch, apart)
        if len(terms) > 1 and self.state.global_step % SHARES_EVERY == 0:
            self.note_pulls(terms, states[-1], inputs)
        loss = torch.zeros((), device=scores.device)
        for name, term in terms.items():
            value = term.total.item()
            if not math.isfinite(value):
                raise NotFinite(name, value, self.state.global_step + 1, inputs["examples"])
            loss = loss + term.weight * term.total / inputs[term.per]
            self.add(name, "total", value)
            self.add(name, "count", term.count)
        return loss

    def score(self, batch: MicroBatch) -> Score:
        """Return what is computed from each label's logits: its log-probability and, with a teacher, the divergence."""
        logp = chosen_logp(batch.ids[:, 1:][batch.mask])
        kd, teacher = self.objective.soft, self.teacher
        if kd is None or teacher is None:
            return logp
        rows = len(batch.weights)  # B; the completions come first, so do their labels
        with torch.no_grad():
            states, head = label_states(teacher, batch.ids[:rows], batch.mask[:rows])

        def both(logits: torch.Tensor, at: slice) -> torch.Tensor:
            with torch.no_grad():
                theirs = head(states[at])  # fewer than logits where rejected texts follow
            apart = divergences.from_logits(
                kd.divergence, theirs, logits[: len(theirs)], tau=kd.tau, parameter=kd.parameter
            )
            columns = [logp(logits, at)[:, 0], torch.nn.functional.pad(apart, (0, len(logits) - len(theirs)))]
            return torch.stack(columns, dim=1)

        return both

    def note_pulls(self, terms: dict[str, Term], states: torch.Tensor, inputs: dict[str, Any]) -> None:
        """Add up the norm of each term's gradient at the head's input, through which all of them reach the weights."""
        for name, term in terms.items():
            if term.weight > 0:
                [pull] = torch.autograd.grad(term.weight * term.total / inputs[term.per], states, retain_graph=True)
                self.add(name, "pull", float(pull.norm()))

    def add(self, name: str, what: str, value: float) -> None:
        found = self.sums.setdefault(name, {"total": 0.0, "count": 0, "pull": 0.0})
        found[what] += value

    def mean_terms(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the mean of each term since the last call and its share of the gradients' norms, and start anew."""
        means = {name: found["total"] / found["count"] for name, found in self.sums.items()}
        whole = sum(found["pull"] for found in self.sums.values())
        shares = {name: found["pull"] / whole for name, found in self.sums.items() if found["pull"] > 0}
        self.sums = {}
        return means, shares


class Watcher(TrainerCallback):
    """Tells progress after every update, hands over after chosen ones, and has a checkpoint made now and then."""

    def __init__(
        self,
        marks: Sequence[int],
        progress: Callable[[int], None],
        write: Callable[[int], None],
        seal: Callable[[int], None],
        save_every_s: float,
    ) -> None:
        self.marks, self.progress, self.write, self.seal = frozenset(marks), progress, write, seal
        self.save_every_s, self.saved = save_every_s, time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.progress(state.global_step)
        if state.global_step in self.marks:
            self.write(state.global_step)
        # whether and when one is made changes no number, so the clock may decide
        control.should_save = time.monotonic() - self.saved >= self.save_every_s and state.global_step < state.max_steps

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.seal(state.global_step)
        self.saved = time.monotonic()


def build(
    model: PreTrainedModel,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    layout: Layout,
    scratch: str,
    teacher: PreTrainedModel | None = None,
) -> Distiller:
    """Assemble the trainer with a fresh optimiser."""
    arguments = TrainingArguments(
        output_dir=scratch,
        per_device_train_batch_size=1,  # one item of the layout is one micro-batch
        gradient_accumulation_steps=layout.micro_batches,
        max_steps=schedule.updates,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        max_grad_norm=schedule.clip,
        activation_checkpointing=schedule.recompute,
        activation_checkpointing_kwargs={"use_reentrant": False} if schedule.recompute else None,
        seed=seed,
        use_cpu=schedule.device == "cpu",
        bf16=schedule.device == "cuda",
        use_cache=bool(getattr(model.config, "use_cache", True)),  # written into the marks; training itself uses none
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=schedule.device == "cuda",
    )
    optimizer = torch.optim.AdamW(
        parameter_groups(model, schedule.weight_decay),
        lr=schedule.learning_rate,
        betas=schedule.betas,
        fused=True,
    )
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule.rate)
    trainer = Distiller(
        objective,
        teacher,
        model=model,
        args=arguments,
        train_dataset=layout,
        data_collator=first,
        optimizers=(optimizer, rates),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only; norms and biases are not pulled to zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def first(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Collate a list of one item: the layout has already made it a batch."""
    assert len(items) == 1, f"{len(items)} items"
    return items[0]
