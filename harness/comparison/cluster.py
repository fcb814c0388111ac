"""Where a command's cells run: processes of this machine, a Ray cluster, or Slurm; and what is checked before they do.

It knows machines and executors, and nothing of what a cell computes.
"""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import ConfigError, HarnessError
from harness.executors import local
from harness.executors.local import Events, Job
from harness.sandbox import LEVELS, Level, Sandbox, selftest
from harness.settings.config import OnRay, OnSlurm, Run
from harness.steps.engine import limits_of
from harness.store.database import is_url
from harness.teachers.requests import KINDS

DECIDE_NUMBERS = ("torch", "transformers", "tokenizers", "numpy")  # whose versions are part of a step's key
Execute = Callable[[Sequence[Job], int, Mapping[str, str | None]], Events]


def check(run: Run) -> None:
    """Raise ConfigError unless the run's executor can be had, and every node of its cluster is like this machine."""
    check_keys(run)
    if run.executor == "slurm":
        from harness.executors import slurm

        slurm.executor(queue_of(run, Path()))
        if run.slurm.cluster == "slurm" and not is_url(run.store):
            raise ConfigError(
                f"store={run.store}: SQLite cannot be shared by several machines. Say store=postgresql://USER@HOST/"
                "DATABASE and artifacts=PLACE that all of them reach."
            )
    if run.executor == "ray":
        from harness.executors import ray

        variables_of(run)
        ray.connect(run.ray.address)
        cpus, gpus = needs_of(run)
        up = ray.nodes_up()
        if not any(ray.takes(node, cpus, gpus) for node in up):
            raise ConfigError(
                f"ray.address={run.ray.address}: a cell takes {cpus} cores and {gpus} GPUs, and no node that is up has "
                "as many. Lower threads or train.processes, or start such a node."
            )
        if run.ray.judges:
            judges_at(run, [ray.name_of(node) for node in up])
        check_nodes(run, look(), ray.everywhere(look))


def check_keys(run: Run) -> None:
    """Raise ConfigError for keys of an executor that is not the one asked for: they would be ignored."""
    groups = (("ray", run.ray != OnRay()), ("slurm", run.slurm != OnSlurm()))
    wrong = [name for name, changed in groups if changed and run.executor != name]
    if wrong:
        raise ConfigError(
            [
                f"{name}.…: a key of executor={name}, and this is {run.executor}. Say executor={name}, or leave it out."
                for name in wrong
            ]
        )


def look() -> dict[str, Any]:
    """Return what decides whether a cell finds the same here as elsewhere."""
    found = {"host": platform.node(), "harness": __version__, "Python": ".".join(platform.python_version_tuple()[:2])}
    for name in DECIDE_NUMBERS:
        found[name] = ".".join(metadata.version(name).split(".")[:2])
    return found


def isolation() -> dict[str, Any]:
    """Return the isolation that a machine gives, once its sandbox has proved itself, and the layers that it refuses."""
    try:
        with Sandbox() as sandbox:
            selftest(sandbox)
            return {"level": sandbox.level, "missing": sandbox.missing}
    except HarnessError as err:
        return {"error": str(err)}


def isolations() -> dict[str, dict[str, Any]]:
    """Return the isolation that each node of the cluster gives, by the node's name."""
    from harness.executors import ray

    return isolations_of(frozenset(ray.name_of(node) for node in ray.nodes_up()))


@functools.cache
def isolations_of(up: frozenset[str]) -> dict[str, dict[str, Any]]:
    """Ask all nodes, once while the same ones are up: for the run's level, and again when its judges are placed."""
    from harness.executors import ray

    return ray.everywhere(isolation)


def check_nodes(run: Run, own: dict[str, Any], nodes: dict[str, dict[str, Any]]) -> None:
    """Raise ConfigError with every node that would find other numbers, and for a store that they cannot share."""
    wrong: list[str] = []
    for name, found in nodes.items():
        if "error" in found:
            wrong.append(
                f"node {name}: cannot run the harness there ({found['error']}). Install the same version on all nodes: "
                f"distil-harness {__version__}."
            )
        wrong += [
            f"node {name}: {what} is {found[what]} there and {own[what]} here. Install the same."
            for what in own
            if "error" not in found and what != "host" and found[what] != own[what]
        ]
    hosts = {found["host"] for found in nodes.values() if "host" in found} | {own["host"]}
    if len(hosts) > 1 and not is_url(run.store):
        wrong.append(
            f"store={run.store}: SQLite cannot be shared by {len(hosts)} machines ({', '.join(sorted(hosts))}). Say "
            "store=postgresql://USER@HOST/DATABASE and artifacts=PLACE that all of them reach."
        )
    if wrong:
        raise ConfigError(wrong)


def weakest(run: Run, level: Level, missing: Sequence[str]) -> tuple[Level, tuple[str, ...]]:
    """Return the weakest isolation among this machine and the nodes where programs are judged, and what is refused
    there: a run has one level, which stands in its rows. Raises ConfigError for nodes below `sandbox.level`.
    """
    found = (level, tuple(missing))
    if run.executor == "ray":
        for name, node in judging_nodes(run, isolations()).items():
            if LEVELS.index(node["level"]) > LEVELS.index(found[0]):
                found = (node["level"], tuple(f"{one} (node {name})" for one in node["missing"]))
    return found


def judging_nodes(run: Run, nodes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the nodes that reach `sandbox.level`. Raises ConfigError for the others, unless these have judges."""
    minimum = run.sandbox.level
    able = {
        name: found
        for name, found in nodes.items()
        if "error" not in found and LEVELS.index(found["level"]) <= LEVELS.index(minimum)
    }
    wrong = [
        f"node {name}: its sandbox is {found.get('level', 'none')}, sandbox.level={minimum} is demanded "
        f"({found.get('error') or '; '.join(found['missing'])}). Install bubblewrap there (`harness doctor` tells what "
        "is refused), take the node out of the cluster, or have programs judged on other nodes: ray.judges=N."
        for name, found in nodes.items()
        if name not in able
    ]
    if wrong and not (run.ray.judges and able):
        raise ConfigError(wrong)
    return able


def judges_at(run: Run, names: Collection[str]) -> list[str]:
    """Return the node of each judge, among those named. Raises ConfigError if they have not room for all."""
    from harness.executors import judges, ray

    up = ray.nodes_up()
    able = {node["NodeID"] for node in up if ray.name_of(node) in names}
    return judges.places(up, able, run.ray.judges, run.ray.judge_cores, needs_of(run))


def variables_of(run: Run) -> dict[str, str]:
    """Return the variables of this machine that the cells of a cluster are given. Raises ConfigError for unset ones."""
    unset = [name for name in run.ray.variables if name not in os.environ]
    if unset:
        raise ConfigError([f"ray.variables={name}: not set here. Set it, or leave it out." for name in unset])
    return {name: os.environ[name] for name in run.ray.variables}


def told(run: Run) -> str:
    """Return where the cells run, in words; empty for this machine."""
    if run.executor == "ray":
        judged = f"; {run.ray.judges} judges of {run.ray.judge_cores} core(s)" if run.ray.judges else ""
        return f"Ray, ray.address={run.ray.address}{judged}"
    return f"Slurm, slurm.cluster={run.slurm.cluster}" if run.executor == "slurm" else ""


def needs_of(run: Run) -> tuple[int, int]:
    """Return how many cores and GPUs one cell takes."""
    return run.threads * run.train.processes, run.train.processes if run.device == "cuda" else 0


def executor_of(run: Run, folder: Path) -> Execute:
    """Return what runs jobs as `executor` says; `folder` is the run's."""
    if run.executor == "ray":
        from harness.executors import ray

        variables = variables_of(run)

        def on_ray(jobs: Sequence[Job], workers: int, environment: Mapping[str, str | None]) -> Events:
            with ExitStack() as actors:
                shared = shared_by_cells(run, jobs[0].message["level"], actors)
                told = [replace(job, message={**job.message, **shared}) for job in jobs]
                yield from ray.run(told, workers, {**environment, **variables}, run.ray.restarts)

        return on_ray
    if run.executor == "slurm":
        from harness.executors import slurm

        return partial(slurm.run, queue=queue_of(run, folder / "logs" / "slurm"))
    return local.run


def shared_by_cells(run: Run, level: Level, actors: ExitStack) -> dict[str, Any]:
    """Start the actors that a command's cells share on Ray, and return what cells are told of them."""
    from harness.executors import judges, pacing

    told: dict[str, Any] = {}
    if run.ray.judges:
        able = judging_nodes(run, isolations())
        terms = judges.Terms(level, limits_of(run.sandbox), run.ray.judge_cores)
        told["judges"] = actors.enter_context(judges.hired(judges_at(run, able), terms, run.ray.restarts))
    if any(name.startswith("openai") for name in (run.teacher.name, *(getattr(run.teacher, kind) for kind in KINDS))):
        told["pacer"] = actors.enter_context(pacing.hired())
    return told


def queue_of(run: Run, folder: Path) -> Any:
    from harness.executors.slurm import Queue

    asked = run.slurm
    return Queue(asked.cluster, folder, asked.partition, round(60 * asked.hours), asked.memory_gb, asked.restarts)
