"""Runs all cells of a command side by side, gathers their rows, and fills the run's folder."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.benchmarks.base import Benchmark
from harness.comparison import cluster, telemetry
from harness.comparison.base import (
    EMBEDDED,
    check_logits,
    check_student,
    demand_room,
    logits_source,
    student_folder,
)
from harness.comparison.compare import benchmarks_of, data_folder, teacher_of
from harness.comparison.evaluation import UNTRAINED
from harness.comparison.problems import GENERATED, check_spec, lacking_problems, load_pool
from harness.comparison.prompting import asked, style_warning
from harness.comparison.runs import RunFolder
from harness.errors import ConfigError, HarnessError, SandboxError, TrainingError, UsageError
from harness.executors import local
from harness.lab.terms import schedule_of
from harness.sandbox import Level, Sandbox, selftest
from harness.settings import catalog
from harness.settings.config import Cell, Command, Run
from harness.settings.resolve import build
from harness.source.programs import assemble
from harness.steps.engine import StepEngine
from harness.store.cache import cache_folder
from harness.store.database import Store
from harness.store.rows import row_from_json
from harness.teachers.base import Teacher
from harness.teachers.requests import KINDS
from harness.training.launch import demand_configuration
from harness.types import Row


@dataclass
class Outcome:
    """The rows of a finished command in table order, their timings, and where they were written."""

    rows: list[Row] = field(default_factory=list[Row])
    timings: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    folder: Path = Path()
    steps_run: int = 0  # by this command; the others were recorded


def job_names(command: Command) -> list[str]:
    """Return the names of a command's jobs: the untrained student, then every cell."""
    return [UNTRAINED, *(cell.name for cell in command.cells)]


PROBED = 64  # problems of a generated pool that show how long its prompts are

Watch = Callable[[int, dict[str, Any]], None]


def check(command: Command) -> None:
    """Check that everything a command names can be had, before anything is written or spent.

    Raises ConfigError with all that is wrong: teacher, student, benchmarks, problems, and requests of a recipe that
    the teacher cannot serve.
    """
    run = command.run
    problems: list[str] = []
    looks: list[Callable[[], object]] = [
        lambda: demand(command, teacher_of(run)),
        lambda: style_warning(run, student_folder(run)),
        lambda: check_keys(run),
        lambda: check_student(run),
        *((lambda: check_logits(run, teacher_of(run)),) if asks_logits(command) else ()),
        lambda: check_spec(run.problems, data=data_folder(run)),
        lambda: check_room(run),
        lambda: check_device(run),
        lambda: check_training(run),
        lambda: check_choices(run),
        lambda: cluster.check(run),
        lambda: telemetry.check(run),
        # One problem shows that a generated benchmark can be had; a fixed one is read whole whatever the size.
        *((lambda name=name: asked(name, run, size=1)) for name in run.benchmark),
    ]
    for look in looks:
        try:
            look()
        except UsageError as err:
            problems += err.problems if isinstance(err, ConfigError) else (str(err),)
    if problems:
        raise ConfigError(tuple(dict.fromkeys(problems)))


def check_keys(run: Run) -> None:
    """Raise ConfigError for keys of `harness eval`, which would be ignored here."""
    wrong = [key for key, given in (("rule", run.rule != "own"), ("workers", run.workers != 0)) if given]
    if wrong:
        raise ConfigError([f"{key}: it belongs to harness eval; a comparison does not take it." for key in wrong])


def check_room(run: Run) -> None:
    """Raise ConfigError where a student of one's own cannot hold the training problems; some show that of a pool."""
    if student_folder(run) is not None:
        some = PROBED if run.problems in GENERATED else None
        demand_room(run, [one.prompt for one in load_pool(run.problems, size=some, seed=0, data=data_folder(run))])


def check_device(run: Run) -> None:
    """Raise ConfigError unless this machine, where it is to train, has the GPUs that a fit takes.

    Of Ray's nodes `cluster.check` asks that; Slurm is asked for GPUs with each batch job, and nobody looks before.
    """
    if run.device != "cuda" or run.executor != "local":
        return
    import torch  # slow to load, so only where it is asked for

    found, wanted = torch.cuda.device_count(), run.train.processes
    if not torch.cuda.is_available() or not found:
        raise ConfigError("device=cuda: torch sees no CUDA device here. Say device=cpu.")
    if wanted > found:
        raise ConfigError(
            f"train.processes={wanted}: each takes a GPU, and {found} are visible here. Lower it, or make more visible "
            "(CUDA_VISIBLE_DEVICES)."
        )
    if wanted == 1 and found > 1 and not run.train.accelerate:
        raise ConfigError(
            f"device=cuda: {found} GPUs are visible here and a fit takes one. Say CUDA_VISIBLE_DEVICES=0 before the "
            f"command, or train.processes={found} to share every update among them."
        )


def check_training(run: Run) -> None:
    """Raise ConfigError for settings of the trainer that cannot be, or that need what is not installed."""
    try:
        schedule_of(run.train, run.threads, run.device, (run.budget.updates,))
        if run.train.accelerate:
            demand_configuration(run.train.accelerate, run.device, adapter=run.train.lora.rank > 0)
    except TrainingError as err:
        raise ConfigError(str(err)) from err
    if run.train.lora.rank and importlib.util.find_spec("peft") is None:
        raise ConfigError("train.lora.rank: needs peft. Install it: pip install 'distil-harness[lora]'.")
    for name in run.report_to:
        if importlib.util.find_spec(name) is None:
            raise ConfigError(f"report_to={name}: not installed. Install it: pip install {name}.")


LOGITS = "logits"  # what a recipe needs if it learns from a teacher's distributions
WHOLE = "whole logits"  # and of these more than the likeliest tokens: at another temperature all of them count


def asks_logits(command: Command) -> bool:
    """Tell whether a cell of the command, as it is configured, learns from a teacher's distributions."""
    return any(LOGITS in needs_of(cell) for cell in command.cells)


def logits_of(command: Command) -> str:
    """Return whose distributions the command's recipes learn; empty if none of them does."""
    if not asks_logits(command):
        return ""
    source = logits_source(command.run, teacher_of(command.run))
    made = f", trained here on {command.run.world.teacher_examples:,} solutions" if source == EMBEDDED else ""
    return f"{source}{made}"


def needs_of(cell: Cell) -> tuple[str, ...]:
    """Return what a cell needs as it is configured: kinds of requests, (whole) logits, checks, references."""
    recipe = catalog.find(cell.recipe)
    return recipe.needs(build(type(recipe.config), dict(cell.config), []))


def demand(command: Command, teacher: Teacher) -> None:
    """Raise ConfigError with every cell that needs what the teacher cannot do or the problems do not have."""
    source = command.run.problems
    without = lacking_problems(source, data=data_folder(command.run))
    wrong: dict[str, None] = {}
    for cell in command.cells:
        needed = set(needs_of(cell))
        asked = sorted(needed & set(KINDS) - teacher.serves(source))
        if asked:
            wrong[
                f"recipe={cell.label}: it asks the teacher to {', '.join(asked)}, which teacher={teacher.name} cannot "
                f"for problems={source}. Choose another teacher or recipe."
            ] = None
        if WHOLE in needed and command.run.train.logits_top_k:
            wrong[
                f"recipe={cell.label}: at its temperature (tau) the whole distribution counts, and "
                f"train.logits_top_k={command.run.train.logits_top_k} keeps a part of it. Say train.logits_top_k=0, or "
                "tau=1."
            ] = None
        for what in sorted(needed & without.keys()):
            wrong[
                f"recipe={cell.label}: it needs problems with {what}, and {without[what]} of problems={source} have "
                "none. Add them to the file, or choose a recipe without that need: harness list recipes."
            ] = None
    if wrong:
        raise ConfigError(tuple(wrong))


def sandbox_level(command: Command) -> tuple[Level, tuple[str, ...]]:
    """Return the isolation under which the command's programs run and the layers that are refused: of a cluster the
    weakest.

    Raises SandboxError if that is less than the command demands, or if the sandbox fails its self-test.
    """
    with Sandbox(workers=1, minimum=command.run.sandbox.level) as sandbox:
        selftest(sandbox)
        level, missing = sandbox.level, sandbox.missing
    return cluster.weakest(command.run, level, missing)


def proven_benchmarks(command: Command, level: Level) -> list[Benchmark]:
    """Return the command's benchmarks, judged: SandboxError unless all references pass and all faults fail."""
    run = command.run
    with Store(run.store, run.artifacts) as store, StepEngine(store, run.sandbox, level) as engine:
        benchmarks = benchmarks_of(run, store)
        for benchmark in benchmarks:
            pairs = [(problem, assemble(problem, problem.reference)) for problem in benchmark.problems]
            verdicts, _ = engine.judge(pairs, benchmark.cpu_s or run.sandbox.cpu_s)
            judged = zip(pairs, verdicts, strict=True)
            failed = [f"{problem.id} ({one.reason})" for (problem, _), one in judged if not one.passed]
            if failed:
                raise SandboxError(
                    f"benchmark={benchmark.name}: {len(failed)} of {len(pairs)} reference solutions fail here, so no "
                    f"score would mean anything: {'; '.join(failed[:3])}. Raise sandbox.cpu_s, or run `harness doctor`."
                )
            demand_faults_fail(engine, benchmark, run.sandbox.cpu_s)
    return benchmarks


def demand_faults_fail(engine: StepEngine, benchmark: Benchmark, cpu_s: float) -> None:
    """Raise SandboxError where a program that a benchmark calls faulty passes here."""
    pairs = [(one, assemble(one, one.fault)) for one in benchmark.problems if one.fault]
    verdicts, _ = engine.judge(pairs, benchmark.cpu_s or cpu_s)
    passed = [one.id for (one, _), verdict in zip(pairs, verdicts, strict=True) if verdict.passed]
    if passed:
        raise SandboxError(
            f"benchmark={benchmark.name}: {len(passed)} of {len(pairs)} faulty programs pass here, so a preference "
            f"would mean nothing: {'; '.join(passed[:3])}. Run `harness doctor`."
        )


def check_choices(run: Run) -> None:
    """Raise ConfigError for several samples of a benchmark that has one answer: which of two is preferred."""
    choices = [name for name in run.benchmark if asked(name, run, size=1).choice]
    if choices and max(run.k) > 1:
        raise ConfigError(f"k={max(run.k)}: benchmark={choices[0]} has one answer to a problem. Say k=1 with it.")


def compare(command: Command, folder: RunFolder, level: str, watch: Watch) -> Outcome:
    """Run every cell, the untrained student among them; `watch` sees each event with its job's number.

    Raises the first cell's error once all cells have ended or been ended; finished steps are kept.
    """
    run = command.run
    numbers, names = [-1, *range(len(command.cells))], job_names(command)
    cpus, gpus = cluster.needs_of(run)
    jobs = [
        local.Job(
            "harness.comparison.cell",
            {"words": command.words, "cell": number, "level": level, "sharing": min(workers(command), len(numbers))},
            folder.path / "logs" / f"cell{number + 1}.log",
            Path.cwd(),
            cpus,
            gpus,
        )
        for number in numbers
    ]
    found: dict[int, list[dict[str, Any]]] = {place: [] for place in range(len(jobs))}
    before = recorded(run)
    execute = cluster.executor_of(run, folder.path)
    with (
        telemetry.telling(command, names, watch) as watch,
        closing(execute(jobs, workers(command), environment(run.threads))) as events,
    ):
        for place, event in events:
            watch(place, event)
            if event["event"] == "row":
                found[place].append(event)
            elif event["event"] == "again":  # its machine was lost: what it had told comes anew
                found[place].clear()
            elif event["event"] == "error":
                kind = UsageError if event["usage"] else HarnessError
                raise kind(f"{names[place]}: {event['text']}")
            elif event["event"] == "exit" and event["code"] != 0:
                raise HarnessError(
                    f"{names[place]}: its process ended with code {event['code']}; see {jobs[place].errors}. Run the "
                    "same command again: it goes on from the last finished step."
                )
    for place, events in found.items():
        expected = len(run.benchmark) * (run.cycles if place else 1)
        whole = sum("step" not in event["row"]["protocol"] for event in events)  # further steps beside
        if whole != expected:
            raise HarnessError(
                f"{names[place]}: it ended with {whole} of {expected} rows. See {jobs[place].errors}; a recipe "
                "must not end its process."
            )
    outcome = gather(found, folder.path)
    outcome.steps_run = recorded(run) - before
    folder.write_rows(outcome.rows, outcome.timings)
    return outcome


def recorded(run: Run) -> int:
    with Store(run.store, run.artifacts) as store:
        return sum(store.count().values())


def gather(found: dict[int, list[dict[str, Any]]], folder: Path) -> Outcome:
    outcome = Outcome(folder=folder)
    for place in sorted(found):
        for event in found[place]:
            row = row_from_json(event["row"])
            outcome.rows.append(row)
            outcome.timings.append(
                {
                    "recipe": row.recipe,
                    "settings": row.settings,
                    "seed": row.seed,
                    "cycle": row.cycle,
                    "benchmark": row.benchmark,
                    "seconds": event["seconds"],
                    "evaluation_s": event["evaluation_s"],
                    **({"training": event["training"]} if event.get("training") else {}),
                }
            )
    return outcome


def workers(command: Command) -> int:
    """Return how many cells run at a time: one per core, or one on a GPU, unless `jobs` says otherwise.

    A cluster is given all of them: it knows best what it can take.
    """
    if command.run.jobs:
        return command.run.jobs
    if command.run.executor != "local":
        return len(job_names(command))
    return 1 if command.run.device == "cuda" else max(1, available_cores() // command.run.threads)


def available_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


MOVES_NUMBERS = ("MKL_", "ATEN_", "ONEDNN_", "DNNL_", "KMP_", "OMP_", "PYTHONOPTIMIZE")


def environment(threads: int) -> dict[str, str | None]:
    """Return what a cell's environment must hold before its libraries are loaded; None takes a variable out.

    Switches that move the last bits of a number are no part of a step's key, so they are not passed on.
    """
    count = str(threads)
    unset: dict[str, str | None] = {f"{name}*": None for name in MOVES_NUMBERS}
    return unset | {
        "OMP_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONHASHSEED": "0",
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # what deterministic sums on a GPU need
        "TORCHINDUCTOR_CACHE_DIR": str(cache_folder() / "torchinductor"),  # or torch leaves a folder in /tmp
    }
