"""Runs jobs on a Ray cluster, each held by an actor on the node that Ray chose; Ray is loaded when it is asked for.

All nodes see the working folder under the same path, so that nothing but words and events is sent. A job whose node or
actor is lost begins again elsewhere. It starts no cluster, unless its address is `local`.
"""

from __future__ import annotations

import atexit
import importlib
import logging
import os
import platform
import queue
import shutil
import signal
import socket
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from harness.errors import ConfigError
from harness.executors.local import GRACE_S, Events, Job, listen, start, stop

OBJECTS_BYTES = 80 << 20  # of a cluster that we start: Ray's least, and nothing large is put there
KNOCK_S = 10.0  # in which a cluster's head takes a connection
LOOK_S = 120.0  # for all nodes to be looked at
LOST = 75  # exit code of a job that was lost too often


def package() -> Any:
    """Return Ray. Raises ConfigError if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when it is loaded: no telemetry of ours
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or it warns at every start
    # Or it prints pages among our tables when a node is lost, which we tell in a line.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    try:
        return importlib.import_module("ray")
    except ImportError as err:
        raise ConfigError("executor=ray: needs the extra `ray`: pip install 'distil-harness[ray]'.") from err


def connect(address: str) -> None:
    """Connect this process to a cluster, once.

    Raises ConfigError if Ray is not installed, no cluster answers, or it runs another version of Ray or Python.
    """
    ray = package()
    if ray.is_initialized():
        return
    knock(address)
    ours = own_cluster(ray) if address == "local" else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **ours)
    except (ConnectionError, TimeoutError, ValueError, AssertionError) as err:
        raise ConfigError(
            f"ray.address={address}: no Ray cluster answers there ({one_line(err)}). Start one with `ray start "
            "--head`, name its address, or say ray.address=local for one of this machine alone."
        ) from err
    except RuntimeError as err:  # its own words name both versions
        raise ConfigError(
            f"ray.address={address}: the cluster refuses this machine ({one_line(err)}). Install the same versions of "
            "Ray and Python on both."
        ) from err
    except ImportError as err:
        raise ConfigError(f"ray.address={address}: needs pip install 'ray[client]' ({one_line(err)}).") from err
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there, which would end us without order


def own_cluster(ray: Any) -> dict[str, Any]:
    """Return how a cluster of this machine alone is started; at exit it ends, and its folder with it."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # the path of a socket must be short

    def leave() -> None:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(leave)
    small = {"object_store_memory": OBJECTS_BYTES, "include_dashboard": False, "_temp_dir": folder}
    return {"num_cpus": os.cpu_count(), **small}


def knock(address: str) -> None:
    """Raise ConfigError if nobody listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:
        if address not in ("auto", "local"):
            raise ConfigError(f"ray.address={address}: expected auto, local, HOST:PORT or ray://HOST:PORT.")
        return
    try:
        socket.create_connection((host, int(port)), KNOCK_S).close()
    except (OSError, ValueError, OverflowError) as err:
        raise ConfigError(
            f"ray.address={address}: nobody answers there ({err}). Expected HOST:PORT of `ray start --head`, by "
            "default port 6379, or ray://HOST:10001."
        ) from err


def one_line(err: Exception) -> str:
    return " ".join(str(err).split())[:400]


def everywhere(look: Callable[[], dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what a function finds on every node, by the node's name; {"error": …} where it cannot be run."""
    ray = package()
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    asked: dict[str, Any] = {}
    for node in nodes_up():
        place = strategies.NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        reply = ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote()
        asked[name_of(node)] = reply
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=LOOK_S)
    found: dict[str, dict[str, Any]] = {}
    for name, reply in asked.items():
        try:
            found[name] = ray.get(reply, timeout=0.1)
        except ray.exceptions.RayError as err:
            found[name] = {"error": str(err).strip().splitlines()[-1]}
    return found


def nodes_up() -> list[dict[str, Any]]:
    """Return what Ray tells of each node that is up."""
    return [node for node in package().nodes() if node["Alive"]]


def name_of(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"


def takes(node: Mapping[str, Any], cpus: int, gpus: int) -> bool:
    """Tell whether a node could take such a job."""
    has = node["Resources"]
    return has.get("CPU", 0) >= cpus and has.get("GPU", 0) >= gpus


class Runner:
    """The actor that holds one job: a process of its node, whose events it hands over."""

    def __init__(self, job: Job, environment: Mapping[str, str | None]) -> None:
        self.events: queue.SimpleQueue[tuple[int, dict[str, Any]]] = queue.SimpleQueue()
        self.process = None
        self.put({"event": "placed", "host": platform.node(), "process": os.getpid()})
        if not (job.folder / job.errors).parent.is_dir():
            text = (
                f"node {platform.node()} does not see {(job.folder / job.errors).parent}. All nodes need the working "
                "folder under the same path: run the command in a folder of a shared file system."
            )
            self.put({"event": "error", "text": text, "usage": True})
            self.put({"event": "exit", "code": 2})
            return
        os.chdir(job.folder)
        self.process = start(job, environment)
        threading.Thread(target=listen, args=(0, job, self.process, self.events), daemon=True).start()

    def put(self, event: dict[str, Any]) -> None:
        self.events.put((0, event))

    def next(self) -> list[dict[str, Any]]:
        """Return the events since the last call, at least one."""
        found = [self.events.get()[1]]
        with suppress(queue.Empty):
            while True:
                found.append(self.events.get_nowait()[1])
        return found

    def end(self) -> None:
        if self.process is not None:
            stop([self.process])


def run(jobs: Sequence[Job], workers: int, environment: Mapping[str, str | None], restarts: int) -> Events:
    """Yield (job's index, event) as the local executor does, and {"event": "placed"} where a job runs.

    {"event": "again"} says that a job was lost and begins again: what it has reported is void.
    """
    ray = package()
    kind = ray.remote(Runner)
    waiting, losses = deque(range(len(jobs))), Counter[int]()
    actors: dict[int, Any] = {}
    awaited: dict[Any, int] = {}  # the calls whose replies bring the next events
    try:
        while waiting or actors:
            while waiting and len(actors) < workers:
                index = waiting.popleft()
                needs = {"num_cpus": jobs[index].cpus, "num_gpus": jobs[index].gpus}
                # two calls at a time: one waits for events while the other ends the job
                options = kind.options(**needs, max_concurrency=2, scheduling_strategy="SPREAD")
                actors[index] = options.remote(jobs[index], dict(environment))
                awaited[actors[index].next.remote()] = index
            [reply], _ = ray.wait(list(awaited), num_returns=1)
            index = awaited.pop(reply)
            try:
                events = ray.get(reply)
            except ray.exceptions.RayActorError as err:
                losses[index] += 1
                discard(ray, [actors.pop(index)])
                if losses[index] <= restarts:
                    waiting.appendleft(index)
                yield from lost(index, losses[index], restarts, one_line(err))
                continue
            if events[-1]["event"] == "exit":
                discard(ray, [actors.pop(index)])
            else:
                awaited[actors[index].next.remote()] = index
            yield from ((index, event) for event in events)
    finally:
        ends = [actor.end.remote() for actor in actors.values()]
        if ends:
            ray.wait(ends, num_returns=len(ends), timeout=GRACE_S + 2)
        discard(ray, actors.values())


def lost(index: int, times: int, restarts: int, why: str) -> Events:
    """Yield what is told of a job whose actor is gone."""
    if times <= restarts:
        text = f"its node or process was lost; it begins again elsewhere, from its last step ({why[:160]})"
        yield index, {"event": "again", "text": text}
        return
    yield index, {"event": "error", "text": f"lost {times} times, last: {why}", "usage": False}
    yield index, {"event": "exit", "code": LOST}


def discard(ray: Any, actors: Iterable[Any]) -> None:
    for actor in actors:
        with suppress(ray.exceptions.RayError):
            ray.kill(actor)
