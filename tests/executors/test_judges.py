"""Judges on a Ray cluster: where they are put, what comes back, and what becomes of a lost judge's programs."""

from __future__ import annotations

import os
import signal
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, SandboxError
from harness.executors import judges, ray
from harness.executors.judges import Call, Judge, Judges, Terms, hired, opened, places
from harness.sandbox import Check, Limits, Program, Sandbox, Verdict
from tests.executors.cluster import Cluster, connected
from tests.processes import gone, state_and_parent

LIMITS = Limits(cpu_s=1.0)
SMALL = (Check((1,), 2), Check((41,), 42))
LARGE = tuple(Check((list(range(n, n + 200)),), sum(range(n, n + 200))) for n in range(100))


def node(name: str, cpus: int, gpus: int = 0) -> dict[str, Any]:
    return {"NodeID": name, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}


def test_judges_are_spread_over_the_nodes_that_can_judge() -> None:
    up = [node("head", 0), node("a", 4), node("b", 4), node("weak", 8)]
    assert Counter(places(up, {"head", "a", "b"}, 6, 1, (1, 0))) == {"a": 3, "b": 3}


def test_a_place_is_left_for_a_cell() -> None:
    up = [node("plain", 4), node("gpu", 4, gpus=1)]
    assert Counter(places(up, {"plain", "gpu"}, 6, 1, (2, 1))) == {"plain": 4, "gpu": 2}


@pytest.mark.parametrize(("number", "cores"), [(4, 1), (2, 2)])
def test_judges_that_leave_no_room_for_a_cell_are_refused(number: int, cores: int) -> None:
    with pytest.raises(ConfigError, match=rf"ray\.judges={number}: {number - 1} judges of {cores} core\(s\) fit"):
        places([node("a", 2), node("b", 2)], {"a", "b"}, number, cores, (1, 0))


def test_shards_grow_smaller_towards_the_end_and_hold_every_program_once() -> None:
    call = Call([], deque(range(200)))
    sizes: list[int] = []
    seen: list[int] = []
    while shard := call.next(2):
        sizes.append(len(shard.places))
        seen += shard.places
    assert seen == list(range(200))
    assert sizes == sorted(sizes, reverse=True) and sizes[0] == 25 and sizes[-1] == 1


def test_a_node_with_another_version_does_not_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        gcs_address = "here"

    class Ray:
        get_runtime_context = Context

    monkeypatch.setattr(judges, "package", Ray)
    told = Judge(Terms("full", LIMITS), {**judges.versions(), "numpy": "0.1"}).open()
    assert told["error"].endswith("there and 0.1 here") and told["error"].startswith("numpy is ")


def test_an_actor_that_has_not_opened_judges_nothing() -> None:
    assert Judge(Terms("full", LIMITS), judges.versions()).judge([(0, Program("", "f", SMALL), None)]) is None


def programs(count: int, seconds: float = 0.0) -> Iterator[Program]:
    """Yield programs of small and large checks, right and wrong ones, each different; they wait a while if told to."""
    wait = f"import time\ntime.sleep({seconds})\n" if seconds else ""
    for number in range(count):
        checks, value = (LARGE, "sum(x)") if number % 2 else (SMALL, "x + 1")
        source = f"{wait}def f(x):\n    return {value} + {int(number % 3 == 0)} + 0 * {number}\n"
        yield Program(source, "f", checks, id=f"p{number}", cpu_s=1.0)


def decided(found: dict[int, Verdict]) -> list[tuple[Any, ...]]:
    """Return what verdicts say, without times and sizes."""
    return [
        (one.status, one.reason, one.first_fail, one.n_passed, one.n_checks, one.level)
        for one in (found[place] for place in sorted(found))
    ]


@dataclass
class Court:
    """Two judges on a node each, and a cell's way to them."""

    nodes: Cluster
    judges: Judges
    notes: list[str]


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with connected(2) as one:
        yield one


@pytest.fixture
def court(nodes: Cluster) -> Iterator[Court]:
    """Hire judges for one test, which may end them, and wait until both have opened."""
    with Sandbox() as sandbox:
        terms = Terms(sandbox.level, LIMITS)
    up = ray.nodes_up()
    where = places(up, {each["NodeID"] for each in up}, 2, 1, (0, 0))
    assert len(set(where)) == 2
    notes: list[str] = []
    with hired(where, terms, restarts=3) as told, Judges(told, terms.level, notes.append) as found:
        for reply in list(found.opening):
            found.greet(reply)
        yield Court(nodes, found, notes)
    assert gone([actor for raylet in nodes.raylets for actor in actors_on(raylet)], 20)


@pytest.mark.slow
def test_a_judge_at_work_for_one_cell_opens_for_another_at_once(court: Court) -> None:
    judge = court.judges.ready[0]
    at_work = judge.judge.remote([(place, one, None) for place, one in enumerate(programs(20, seconds=0.3))])
    opening = opened(judge)
    replies, _ = ray.package().wait([at_work, opening], num_returns=1)
    assert replies == [opening]
    assert len(ray.package().get(at_work)) == 20


@pytest.mark.slow
def test_verdicts_are_those_of_a_sandbox_here(court: Court) -> None:
    with Sandbox(limits=LIMITS) as sandbox:
        expected = dict(sandbox.judge(programs(60)))
    assert decided(dict(court.judges.judge(programs(60)))) == decided(expected)
    assert {one.status for one in expected.values()} == {"passed", "wrong"}


@pytest.mark.slow
def test_large_checks_are_put_into_the_object_store_once(court: Court, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, put = ray.package(), Counter[int]()

    class Counted:
        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def put(self, checks: Any) -> Any:
            put[len(checks)] += 1
            return whole.put(checks)

    monkeypatch.setattr(judges, "package", Counted)
    court.judges.known.clear()
    for _ in range(2):
        dict(court.judges.judge(programs(40)))
    assert put == {len(LARGE): 1}


@pytest.mark.slow
def test_a_call_that_is_left_early_does_not_disturb_the_next_one(court: Court) -> None:
    left = court.judges.judge(programs(100))
    next(left)
    left.close()
    assert len(dict(court.judges.judge(programs(10)))) == 10


@pytest.mark.slow
def test_a_lost_judges_programs_are_judged_by_the_others(court: Court) -> None:
    found: dict[int, Verdict] = {}
    for place, verdict in court.judges.judge(programs(80, seconds=0.1)):
        if not found:
            os.kill(actors_on(court.nodes.raylets[0])[0], signal.SIGKILL)
        assert place not in found
        found[place] = verdict
    with Sandbox(limits=LIMITS) as sandbox:
        expected = dict(sandbox.judge(programs(80)))
    assert decided(found) == decided(expected)
    assert any("was lost; its programs are judged elsewhere" in one for one in court.notes)


@pytest.mark.slow
def test_no_sandbox_outlives_its_judge(court: Court) -> None:
    actors = [actor for raylet in court.nodes.raylets for actor in actors_on(raylet)]
    sandboxes = [child for actor in actors for child in held_by(actor)]
    assert sandboxes
    ray.discard(ray.package(), [*court.judges.ready, *court.judges.opening.values()])
    assert gone([*actors, *sandboxes], 20)
    with pytest.raises(SandboxError, match="none of 2 judges is left"):
        list(court.judges.judge(programs(1)))


def actors_on(raylet: int) -> list[int]:
    """Return the processes that hold a node's judges."""
    return [one for one in held_by(raylet) if "Judge" in Path(f"/proc/{one}/cmdline").read_text()]


def held_by(process: int) -> list[int]:
    """Return a process's own children."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            state = state_and_parent(int(entry.name))
            if state is not None and state[1] == process and state[0] != "Z":
                found.append(int(entry.name))
    return found
