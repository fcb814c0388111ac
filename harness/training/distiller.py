"""The subclass of transformers' Trainer that every fit runs on: its loss, optimiser and rates are ours, all else its.

Importing this module loads torch and transformers; `trainer.fit` does so when it is called.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers.trainer import Trainer
from transformers.trainer_callback import PrinterCallback, TrainerCallback
from transformers.training_args import TrainingArguments

from harness.errors import NotFinite, TrainingError
from harness.students.engine import Loaded
from harness.students.logp import Score, chosen_logp, label_scores, scattered, states_kept
from harness.training.batches import MicroBatch
from harness.training.divergences import TopK
from harness.training.launch import SHARED_OUT, demand_whole
from harness.training.layout import Layout, first
from harness.training.objective import Objective
from harness.training.on_policy import OwnTexts
from harness.training.packing import Feed, Lead
from harness.training.schedule import Schedule
from harness.training.terms import Term, objective_terms, own_terms
from harness.training.whitebox import cached_divergence, live_divergence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.training.recorder import Recorder

SHARES_EVERY = 16  # updates between two looks at how much each term pulls
RETAINED = "kd_retained"  # beside the terms: the mean mass of the teacher's tokens that are cached
SAVE_AFTER_S = 10.0  # at least between two checkpoints of a fit
SLOW_DISK = 2e8  # bytes a second
REPORT_EVERY = 10  # updates between two lines to the services that are reported to


class Distiller(Trainer):
    """transformers' Trainer with our objective in place of the model's own loss."""

    loss_is_scaled_for_ga = True  # every term is divided by the count of the whole optimiser step

    def __init__(
        self,
        objective: Objective,
        teacher: PreTrainedModel | None,
        layout: Layout,
        own: tuple[OwnTexts, Loaded] | None = None,
        *,
        schedule: Schedule,
        **arguments: Any,
    ) -> None:
        super().__init__(train_dataset=layout, **arguments)
        self.schedule = schedule
        self.objective = objective
        self.teacher = teacher
        self.layout = layout
        self.own = own  # draws the student's own texts; the student in it is the one that is trained
        self.lead: Lead | None = None  # what the teacher alone reads before every prompt
        self.drawn: dict[int, dict[str, Any]] = {}  # this update's own texts as inputs, by place
        self.sums: dict[str, dict[str, float]] = {}  # since the last mark, by term: total, count, pull if weighed

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Make the optimiser when the library asks for it: weights that are shared out (FSDP) are so only by then."""
        if getattr(self, "optimizer", None) is None:
            cut: Any = model or self.model
            self.optimizer = torch.optim.AdamW(
                parameter_groups(cut, self.schedule.weight_decay),
                lr=self.schedule.learning_rate,
                betas=self.schedule.betas,
                fused=True,
            )
        return self.optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """Make the learning rates of the schedule."""
        if getattr(self, "lr_scheduler", None) is None:
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, self.schedule.rate)
        return self.lr_scheduler

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        assert not return_outputs, "the trainer never evaluates"
        own = self.due(self.state.global_step)
        if own:
            inputs = dict(self._prepare_inputs(self.own_inputs(inputs["place"])))
        batch, feed = MicroBatch.from_inputs(inputs), Feed(*inputs["feed"])
        with states_kept(model) as states:
            given: dict[str, Any] = {} if feed.positions is None else {"positions": feed.positions}
            score = self.score(batch, feed, inputs["labels"])
            scores = label_scores(model, feed.ids, feed.mask, score, **given)  # [N, 1 or 2]
        apart = scores[: batch.mask[: len(batch.weights)].sum(), 1] if scores.shape[1] > 1 else None
        if own and apart is not None:
            terms = own_terms(self.objective, batch, apart)
        else:
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
        return loss * self.accelerator.num_processes  # whose gradients are averaged

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Tell each term's mean since the last mark, and its share of the gradients' norms, beside the library's."""
        means, shares = told(self.all_sums())
        super().log(logs | means | {f"{name}_gradient_share": share for name, share in shares.items()}, start_time)

    def due(self, update: int) -> bool:
        """Tell whether the update after `update` finished ones trains on the student's own texts."""
        return self.own is not None and self.own[0].due(update)

    def own_inputs(self, place: int) -> dict[str, Any]:
        """Return the micro-batch of that place with the student's own texts, all of this process' drawn at once."""
        assert self.own is not None
        if place not in self.drawn:
            texts, loaded = self.own
            layout, update = self.layout, self.state.global_step
            turn = self.accelerator.process_index
            places = range(update * layout.parts + turn, (update + 1) * layout.parts, layout.processes)
            width = len(layout.part(place))
            firsts = [(one % layout.parts) * width + row for one in places for row in range(width)]
            rows = [row for one in places for row in layout.part(one)]
            loaded.model.eval()
            with torch.no_grad():
                found = texts.rows(loaded, rows, update, firsts)
            loaded.model.train()
            count = torch.tensor(sum(len(row.completion) for row in found), device=self.args.device)
            whole: Any = self.accelerator.reduce(count)  # of all processes
            tokens = int(whole)
            self.drawn = {
                one: layout.inputs(found[number * width : (number + 1) * width], tokens)
                for number, one in enumerate(places)
            }
        return self.drawn[place]

    def score(self, batch: MicroBatch, feed: Feed, labels: tuple[torch.Tensor, ...]) -> Score:
        """Return what is computed from each label's logits: its log-probability and, with a teacher, the divergence."""
        logp = chosen_logp(batch.ids[:, 1:][batch.mask])
        kd, teacher, cache = self.objective.soft, self.teacher, self.layout.labels
        if kd is not None and cache is not None and labels:
            cached = TopK(*labels)
            self.add(RETAINED, "total", float(cached.retained.sum()))
            self.add(RETAINED, "count", len(cached.tail))
            divergence = cached_divergence(kd, cached, cache.vocabulary)
        elif kd is not None and teacher is not None:
            front = feed.front()  # the completions come first, so do their labels
            divergence = live_divergence(kd, teacher, front if self.lead is None else front.behind(self.lead))
        else:
            return logp

        def both(logits: torch.Tensor, at: slice) -> torch.Tensor:
            apart = divergence(logits, at)  # fewer than logits where rejected texts follow
            columns = [logp(logits, at)[:, 0], torch.nn.functional.pad(apart, (0, len(logits) - len(apart)))]
            return torch.stack(columns, dim=1)

        return both

    def note_pulls(self, terms: dict[str, Term], states: torch.Tensor, inputs: dict[str, Any]) -> None:
        """Add up the norm of each term's gradient at the head's input, through which all of them reach the weights."""
        for name, term in terms.items():
            if term.weight > 0:
                [pull] = torch.autograd.grad(term.weight * term.total / inputs[term.per], states, retain_graph=True)
                self.add(name, "pull", float(pull.norm()))

    def add(self, name: str, what: str, value: float) -> None:
        found = self.sums.setdefault(name, {})
        found[what] = found.get(what, 0) + value

    def all_sums(self) -> dict[str, dict[str, float]]:
        """Return the sums over all processes; every process has to call it."""
        whole: dict[str, dict[str, float]] = {}
        for sums in self.gathered(self.sums):
            for name, found in sums.items():
                own = whole.setdefault(name, {})
                for what, value in found.items():
                    own[what] = own.get(what, 0) + value
        return whole

    def own_counts(self) -> dict[str, int]:
        """Return how many texts of the student's own were trained on so far, and their tokens; called by all."""
        if self.own is None:
            return {"texts": 0, "tokens": 0, "forward": 0}
        counts = self.gathered(self.own[0].counts)
        return {name: sum(one[name] for one in counts) for name in counts[0]}

    @property
    def sharded(self) -> bool:
        """Tell whether no process holds all weights."""
        return self.accelerator.distributed_type.value in SHARED_OUT

    def whole_weights(self) -> dict[str, torch.Tensor] | None:
        """Return the weights put together from all processes, or None where each holds them all; called by all."""
        if not self.sharded:
            return None
        whole: Any = self.accelerator.get_state_dict(self.model_wrapped)
        return whole

    def gathered(self, own: Any) -> list[Any]:
        """Return what every process has of something, in their order."""
        if self.accelerator.num_processes == 1:
            return [own]
        from accelerate.utils import gather_object

        return gather_object([own])

    def mean_terms(self) -> tuple[dict[str, float], dict[str, float]]:
        """Return the mean of each term since the last call and its share of the gradients' norms, and start anew."""
        sums = self.all_sums()
        self.sums = {}
        return told(sums)


def told(sums: dict[str, dict[str, float]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the mean of each term, and its share of the gradients' norms where there are several.

    A term that was weighed and pulled nowhere, such as a satisfied hinge, has a share of 0: the others have it all.
    """
    means = {name: found["total"] / found["count"] for name, found in sums.items()}
    pulls = {name: found["pull"] for name, found in sums.items() if "pull" in found}
    whole = sum(pulls.values())
    return means, {name: pull / whole if whole else 0.0 for name, pull in pulls.items()}


class Watcher(TrainerCallback):
    """Tells progress after every update, hands over after chosen ones, and has a checkpoint made now and then."""

    def __init__(self, recorder: Recorder, marks: Sequence[int], restarts: Sequence[int], save_every_s: float) -> None:
        self.recorder, self.marks, self.restarts = recorder, frozenset(marks), frozenset(restarts)
        self.save_every_s = save_every_s
        self.saved = self.asked = time.monotonic()
        self.wait_s: float | None = None  # to the next checkpoint, by what one costs

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.recorder.tell(state.global_step)
        if state.global_step in self.marks:
            self.recorder.mark(state.global_step)
        if state.global_step in self.restarts:  # before a checkpoint is made, which then holds the fresh optimiser
            unwrapped(kwargs["optimizer"]).state.clear()
        # whether and when one is made changes no number, so the clock may decide
        self.asked = time.monotonic()
        if self.wait_s is None:  # nothing is known of the disk yet: weights and two moments at a slow one's pace
            numbers = sum(parameter.numel() for parameter in kwargs["model"].parameters())
            self.wait_s = wait_for(12 * numbers / SLOW_DISK, self.save_every_s)
        due = self.asked - self.saved >= self.wait_s and state.global_step < state.max_steps
        control.should_save = self.recorder.agree(due)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.recorder.seal(state.global_step)
        self.saved = time.monotonic()
        self.wait_s = wait_for(self.saved - self.asked, self.save_every_s)


def wait_for(save_s: float, most_s: float) -> float:
    """Return the seconds between two checkpoints that cost `save_s` each: a fiftieth of the time, `most_s` at most."""
    return most_s if most_s == math.inf else min(most_s, max(SAVE_AFTER_S, 50 * save_s))


def unwrapped(optimizer: Any) -> torch.optim.Optimizer:
    """Return the optimiser that accelerate has wrapped."""
    return getattr(optimizer, "optimizer", optimizer)


def build(
    model: PreTrainedModel,
    objective: Objective,
    schedule: Schedule,
    seed: int,
    layout: Layout,
    scratch: str,
    teacher: PreTrainedModel | None = None,
    own: tuple[OwnTexts, Loaded] | None = None,
    report_to: Sequence[str] = (),
) -> Distiller:
    """Assemble the trainer, which makes a fresh optimiser."""
    arguments = arguments_of(model, schedule, seed, layout, scratch, report_to)
    layout.processes = arguments.world_size
    if schedule.batch % layout.parts:
        raise TrainingError(
            f"train.batch={schedule.batch}: expected a multiple of {layout.processes} processes × "
            f"{layout.micro_batches} micro-batches. Say another train.batch, or train.micro_batches=1."
        )
    if teacher is not None:
        moved: Any = teacher
        moved.to(arguments.device)
    if own is not None:
        own = own[0], replace(own[1], device=str(arguments.device))
    trainer = Distiller(
        objective,
        teacher,
        layout,
        own,
        schedule=schedule,
        model=model,
        args=arguments,
        data_collator=first,
    )
    kind = str(trainer.accelerator.distributed_type.value)  # the environment's, whatever the configuration says
    demand_whole(schedule.accelerate, kind, adapter=schedule.lora is not None, own_texts=own is not None)
    trainer.remove_callback(PrinterCallback)
    return trainer


def arguments_of(
    model: PreTrainedModel, schedule: Schedule, seed: int, layout: Layout, scratch: str, report_to: Sequence[str]
) -> TrainingArguments:
    """Return the library's own settings; making them also joins the processes of a launched fit."""
    return TrainingArguments(
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
        bf16=schedule.bf16,
        use_cache=bool(getattr(model.config, "use_cache", True)),  # written into the marks; training itself uses none
        save_strategy="no",
        logging_strategy="steps" if report_to else "no",
        logging_steps=REPORT_EVERY,
        report_to=list(report_to),
        disable_tqdm=True,
        dataloader_pin_memory=schedule.device == "cuda",
        ddp_find_unused_parameters=False,
    )


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay matrices only; norms and biases are not pulled to zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]
