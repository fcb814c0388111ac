"""Judges on a Ray cluster: programs go out in shards to actors that hold a sandbox each, and verdicts come back.

All cells of a command share its judges. A shard whose judge is lost goes to another one; large checks lie in Ray's
object store once, however many programs are held against them. It does not choose what level is good enough.
"""

from __future__ import annotations

import importlib
import pickle
import platform
import uuid
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

from harness import __version__
from harness.errors import ConfigError, SandboxError
from harness.executors.local import GRACE_S
from harness.executors.ray import connect, discard, one_line, package, takes
from harness.sandbox import Level, Limits, Program, Sandbox, Verdict, selftest
from harness.sandbox.recent import Recent
from harness.store.versions import version_of

SHARD = 32  # programs at most: what is judged again where a judge is lost
SHARES = 4  # shards that what is left would make for each judge: smaller ones towards the end, so that all end together
AHEAD = 2  # shards of one cell that a judge has: one under way and one waiting, so that it idles for no round trip
LARGE_BYTES = 1 << 14  # checks of which more than so many would travel go by reference
KEPT = 1024  # checks whose size or place is remembered; HumanEval+ has 164 problems, of 100 kB each
LOSSES = 3  # judges that one shard may lose before it is thought to be what ends them
PLACE_S = 120.0  # in which the first judge has to be there, and one of them again where all were lost
OPENING = "opening"  # the calls that a judge answers beside its work: whether it is there is told at once

Told = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """What all judges of a command have in common."""

    level: Level  # of the run: no judge may be weaker, and none is stronger
    limits: Limits
    workers: int = 1  # programs side by side, a core each


@dataclass
class Shard:
    """Programs that go to a judge together, by their places in the call."""

    places: list[int]
    losses: int = 0


def versions() -> dict[str, str]:
    """Return the versions that may decide a verdict."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"harness": __version__, "Python": python, "numpy": str(version_of("numpy").get("numpy"))}


class Judge:
    """The actor: a sandbox on its node, opened before anything is judged, and again where Ray begins it anew."""

    def __init__(self, terms: Terms, expected: Mapping[str, str]) -> None:
        self.terms, self.expected = terms, expected
        self.sandbox: Sandbox | None = None
        self.checks: Recent[bytes, Any] = Recent(KEPT)

    def open(self) -> Told:
        """Return where this is; {"error": …} where it must not judge. The sandbox proves itself first."""
        told: Told = {"host": platform.node(), "address": package().get_runtime_context().gcs_address}
        own = versions()
        odd = [
            f"{name} is {own[name]} there and {want} here" for name, want in self.expected.items() if own[name] != want
        ]
        if odd:
            return told | {"error": "; ".join(odd)}
        if self.sandbox is None:
            sandbox = Sandbox(self.terms.workers, self.terms.level, self.terms.limits, strongest=self.terms.level)
            try:
                selftest(sandbox.__enter__())
            except SandboxError as err:
                sandbox.close()
                return told | {"error": str(err)}
            self.sandbox = sandbox
        return told

    def judge(self, programs: Sequence[tuple[int, Program, Any]]) -> list[tuple[int, Verdict]] | None:
        """Return (place, verdict) of each (place, program, reference of its checks or None); None before `open`."""
        if self.sandbox is None:
            return None
        whole = [one if at is None else replace(one, checks=self.checks_at(at)) for _, one, at in programs]
        return [(programs[index][0], verdict) for index, verdict in self.sandbox.judge(whole)]

    def checks_at(self, reference: Any) -> Any:
        """Return checks from the object store, the same object each time: the sandbox keeps them ready by identity."""
        found = self.checks.recall(reference.binary())
        if found is None:
            found = package().get(reference)
            self.checks.keep(reference.binary(), found)
        return found

    def close(self) -> None:
        sandbox, self.sandbox = self.sandbox, None
        if sandbox is not None:
            sandbox.close()


def places(
    up: Sequence[Mapping[str, Any]], able: Collection[str], judges: int, cpus: int, cell: tuple[int, int]
) -> list[str]:
    """Return the node of each judge, spread over those that are `able` so that one cell still fits beside them.

    `up` is what Ray tells of its nodes. Raises ConfigError where there is not room for all.
    """
    cores = {str(node["NodeID"]): int(node["Resources"].get("CPU", 0)) for node in up}
    for_cell = [str(node["NodeID"]) for node in up if takes(node, *cell)]
    if for_cell:  # one that could not judge anyway, else the one with most cores
        cores[max(for_cell, key=lambda node: (node not in able, cores[node]))] -= cell[0]
    room = Counter({node: cores[node] // cpus for node in cores if node in able})
    chosen: list[str] = []
    for _ in range(judges):
        node, left = room.most_common(1)[0] if room else ("", 0)
        if left < 1:
            raise ConfigError(
                f"ray.judges={judges}: {len(chosen)} judges of {cpus} core(s) fit on the {len(able)} nodes that can "
                f"judge, beside one cell of {cell[0]} core(s) and {cell[1]} GPUs. Lower ray.judges or ray.judge_cores, "
                "or start more nodes."
            )
        room[node] -= 1
        chosen.append(node)
    return chosen


@contextmanager
def hired(nodes: Sequence[str], terms: Terms, restarts: int) -> Generator[Told, None, None]:
    """Start a judge on each node named and yield how cells reach them; all are ended on the way out.

    Ray begins a lost judge again, elsewhere where its node is gone, up to `restarts` times. Raises SandboxError where
    one must not judge, ConfigError where no core is free for any.
    """
    ray = package()
    affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    namespace = f"harness-{uuid.uuid4().hex}"
    names = [f"judge-{number}" for number in range(len(nodes))]
    common = {"namespace": namespace, "num_cpus": terms.workers, "max_restarts": restarts}
    actors: list[Any] = []
    try:
        for name, node in zip(names, nodes, strict=True):
            kind = ray.remote(concurrency_groups={OPENING: 1})(Judge)
            options = kind.options(name=name, scheduling_strategy=affinity(node, soft=True), **common)
            actors.append(options.remote(terms, versions()))
        first, _ = ray.wait([opened(actor) for actor in actors], num_returns=1, timeout=PLACE_S)
        if not first:
            raise ConfigError(
                f"ray.judges={len(nodes)}: no judge got its {terms.workers} core(s) within {PLACE_S:.0f} s. Others use "
                "the cluster: try later, or lower ray.judges."
            )
        try:
            told = ray.get(first[0])
        except ray.exceptions.RayError as err:
            raise SandboxError(
                f"ray.judges={len(nodes)}: the first judge was lost before it could open ({one_line(err)[:160]}). Look "
                "at its node with `ray status`, and run the same command again."
            ) from err
        if "error" in told:
            raise SandboxError(
                f"node {told['host']}: no programs can be judged there ({told['error']}). Mend the node or take it out "
                "of the cluster, and run the same command again."
            )
        yield {"namespace": namespace, "names": names, "address": told["address"]}
    finally:
        ends = [actor.close.remote() for actor in actors]
        if ends:
            ray.wait(ends, num_returns=len(ends), timeout=GRACE_S + 2)
        discard(ray, actors)


def opened(judge: Any) -> Any:
    """Ask a judge to open, however often it has to begin again before it answers; other cells' programs go on."""
    return judge.open.options(max_task_retries=-1, concurrency_group=OPENING).remote()


@dataclass
class Call:
    """One call of `Judges.judge`: its programs, and what became of them."""

    programs: list[Program]
    waiting: deque[int]
    again: deque[Shard] = field(default_factory=deque[Shard])  # after the loss of a judge
    flying: dict[Any, tuple[Any, Shard]] = field(default_factory=dict[Any, "tuple[Any, Shard]"])  # reply → judge, shard

    def next(self, judges: int) -> Shard | None:
        """Return the next shard, None if nothing waits."""
        if self.again:
            return self.again.popleft()
        size = min(SHARD, -(-len(self.waiting) // (SHARES * judges)))
        return Shard([self.waiting.popleft() for _ in range(size)]) if self.waiting else None


class Judges:
    """What a cell judges with in place of a sandbox of its own: the command's judges, reached by name.

    A context manager. `tell` is told of each judge that is lost or must not judge.
    """

    def __init__(self, hired: Told, level: str, tell: Callable[[str], None]) -> None:
        self.hired, self.level, self.tell = hired, level, tell
        self.ready: list[Any] = []
        self.opening: dict[Any, Any] = {}  # reply → a judge that has yet to say where it is
        self.hosts: dict[Any, str] = {}
        self.last = ""  # why the last one was given up
        self.known: Recent[int, tuple[object, Any]] = Recent(KEPT)  # checks by identity, and their reference

    def __enter__(self) -> Judges:
        connect(self.hired["address"])
        ray = package()
        for name in self.hired["names"]:
            with suppress(ValueError):  # given up by Ray before this cell began
                judge = ray.get_actor(name, namespace=self.hired["namespace"])
                self.opening[opened(judge)] = judge
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go of the judges; the connection is the process's."""
        self.ready.clear()
        self.opening.clear()

    def judge(self, programs: Iterable[Program]) -> Generator[tuple[int, Verdict], None, None]:
        """Yield (index of the program, verdict), as shards come back."""
        ray = package()
        whole = list(programs)
        call = Call(whole, deque(range(len(whole))))
        try:
            while call.waiting or call.again or call.flying:
                self.deal(call)
                # Nothing flies while no judge is ready: those that begin again may never find a core.
                limit = None if call.flying else PLACE_S
                replies, _ = ray.wait([*call.flying, *self.opening], num_returns=1, timeout=limit)
                if not replies:
                    self.opening.clear()
                    self.last = f"no core was free within {PLACE_S:.0f} s for one to begin again"
                for reply in replies:
                    if reply in self.opening:
                        self.greet(reply)
                    else:
                        yield from self.collect(call, reply)
        finally:
            for reply in call.flying:  # left early: what a judge has not begun need not be judged
                with suppress(ray.exceptions.RayError):
                    ray.cancel(reply)

    def deal(self, call: Call) -> None:
        """Send shards out, to the judge that has fewest of this cell. Raises SandboxError if no judge is left."""
        if not self.ready and not self.opening:
            raise SandboxError(
                f"none of {len(self.hired['names'])} judges is left ({self.last or 'all were lost'}). Mend their nodes "
                "and run the same command again: it goes on from the last finished step."
            )
        busy = Counter(judge for judge, _ in call.flying.values())
        while self.ready:
            judge = min(self.ready, key=lambda one: busy[one])
            shard = call.next(len(self.ready)) if busy[judge] < AHEAD else None
            if shard is None:
                return
            busy[judge] += 1
            sent = [(place, *self.packed(call.programs[place])) for place in shard.places]
            call.flying[judge.judge.remote(sent)] = (judge, shard)

    def packed(self, program: Program) -> tuple[Program, Any]:
        """Return a program as it travels: without its checks, and with their reference, where they are large."""
        found = self.known.recall(id(program.checks))
        if found is None or found[0] is not program.checks:  # kept alive here, so no other object can have its id
            large = len(pickle.dumps(program.checks)) > LARGE_BYTES
            found = (program.checks, package().put(program.checks) if large else None)
            self.known.keep(id(program.checks), found)
        return (program, None) if found[1] is None else (replace(program, checks=()), found[1])

    def greet(self, reply: Any) -> None:
        """Take a judge in that has opened, or give it up."""
        ray, judge = package(), self.opening.pop(reply)
        try:
            told = ray.get(reply)
        except ray.exceptions.RayError as err:  # begun again too often
            told = {"host": self.hosts.get(judge, "?"), "error": one_line(err)[:160]}
        self.hosts[judge] = told["host"]
        if "error" not in told:
            self.ready.append(judge)
            return
        self.last = f"node {told['host']}: {told['error']}"
        self.tell(f"no programs are judged on node {told['host']} any more ({told['error']})")

    def collect(self, call: Call, reply: Any) -> list[tuple[int, Verdict]]:
        """Return a shard's verdicts; none if its judge was lost, and then it waits for another one."""
        ray = package()
        judge, shard = call.flying.pop(reply)
        try:
            found = cast("list[tuple[int, Verdict]] | None", ray.get(reply))
            why = "it began again"
        except ray.exceptions.RayTaskError as err:  # the judge lives, and says what is wrong
            raise SandboxError(f"judge on node {self.hosts[judge]}: {one_line(err.cause)}") from err
        except ray.exceptions.RayError as err:
            found, why = None, one_line(err)[:160]
        if found is not None:
            return found
        if judge in self.ready:
            self.ready.remove(judge)
            self.opening[opened(judge)] = judge
            then = "are judged elsewhere" if self.ready else "wait for a judge that has yet to begin"
            self.tell(f"a judge on node {self.hosts[judge]} was lost; its programs {then}")
        shard.losses += 1
        if shard.losses >= LOSSES:
            raise SandboxError(
                f"{LOSSES} judges were lost one after another with the same {len(shard.places)} programs, the first of "
                f"problem {call.programs[shard.places[0]].id or '?'}; last: {why}. No score is made of this. See "
                "whether their nodes have memory for sandbox.memory_mb, and run the same command again."
            )
        call.again.append(shard)
        return []
