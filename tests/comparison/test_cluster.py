"""Comparisons on clusters: rows as on one machine, a lost node or a preempted job made good, odd nodes refused."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.comparison import cell, cluster
from harness.comparison.compare import Elsewhere
from harness.errors import ConfigError
from harness.executors.judges import Judges
from harness.settings.config import Judging, OnRay, OnSlurm, Run
from harness.teachers.settings import Teaching
from harness.terminal.status import LOG, events
from tests.command import TINY, run, start
from tests.executors import cluster as ray_cluster
from tests.processes import state_and_parent
from tests.store.server import server

LONG = ("budget.updates=150",)  # so that a cell is still training when its node is lost
WORDS = (
    "compare",
    "recipe=standard_kd,persd",
    "run=run",
    *LONG,
    *(one for one in TINY if one[:15] != "budget.updates="),
)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the rows of the comparison as this machine alone finds them."""
    folder = tmp_path_factory.mktemp("alone")
    run(*WORDS, folder=folder)
    return (folder / "run" / "rows.jsonl").read_bytes()


def log_of(folder: Path) -> list[dict[str, Any]]:
    return events(folder / "run" / LOG)


def waited(folder: Path, process: subprocess.Popen[str], job: int, what: str, kind: str = "") -> dict[str, Any]:
    """Wait until a job has reported an event, of steps of a kind where one is named, and return that."""
    end = time.monotonic() + 200
    while time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        found = [one for one in log_of(folder) if one.get("job") == job and one["event"] == what]
        found = [one for one in found if not kind or one.get("kind") == kind]
        if found:
            return found[-1]
        time.sleep(0.05)
    raise AssertionError(f"job {job} did not report {what}")


@pytest.fixture(scope="module")
def nodes() -> Iterator[ray_cluster.Cluster]:
    with ray_cluster.cluster(3) as one:
        yield one


@pytest.mark.slow
@pytest.mark.compare
def test_rows_on_ray_are_those_of_one_machine_though_a_node_is_killed(
    nodes: ray_cluster.Cluster, expected: bytes, tmp_path: Path
) -> None:
    with server() as database:
        place = (f"store={database.url()}", f"artifacts={tmp_path / 'artifacts'}")
        database.sql("GRANT CREATE ON SCHEMA public TO harness;")
        words = (*WORDS, "executor=ray", f"ray.address={nodes.address}", *place)
        process = start(*words, folder=tmp_path)
        waited(tmp_path, process, 1, "progress")
        found = state_and_parent(waited(tmp_path, process, 1, "placed")["process"])
        assert found is not None and found[1] in nodes.raylets
        nodes.lose(found[1])
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert (tmp_path / "run" / "rows.jsonl").read_bytes() == expected
    assert any(one["event"] == "again" and one["job"] == 1 for one in log_of(tmp_path))
    assert "raylet" not in out + err  # Ray's own pages stay out of ours


def judging(nodes: ray_cluster.Cluster) -> int:
    """Return the raylet of a node that holds a judge."""
    for entry in Path("/proc").iterdir():
        found = state_and_parent(int(entry.name)) if entry.name.isdigit() else None
        if found is not None and found[1] in nodes.raylets and b"Judge" in (entry / "cmdline").read_bytes():
            return found[1]
    raise AssertionError("no node holds a judge")


@pytest.mark.slow
@pytest.mark.compare
def test_rows_are_the_same_where_other_nodes_judge_and_one_of_them_is_killed(expected: bytes, tmp_path: Path) -> None:
    with ray_cluster.cluster(3) as nodes, server() as database:
        place = (f"store={database.url()}", f"artifacts={tmp_path / 'artifacts'}")
        database.sql("GRANT CREATE ON SCHEMA public TO harness;")
        words = (*WORDS, "executor=ray", f"ray.address={nodes.address}", "ray.judges=2", *place)
        process = start(*words, folder=tmp_path)
        waited(tmp_path, process, 2, "progress", "verdicts")  # persd judges again and again
        nodes.lose(judging(nodes))
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert (tmp_path / "run" / "rows.jsonl").read_bytes() == expected
    assert not any(one["event"] == "again" for one in log_of(tmp_path))  # no cell was lost with the judge
    assert "; 2 judges of 1 core(s)" in out + err and "its programs are judged elsewhere" in out + err


@pytest.mark.slow
@pytest.mark.compare
def test_a_preempted_batch_job_is_submitted_again_and_the_rows_are_the_same(expected: bytes, tmp_path: Path) -> None:
    process = start(*WORDS, "executor=slurm", "slurm.cluster=local", "jobs=2", folder=tmp_path)
    waited(tmp_path, process, 1, "progress")
    os.kill(waited(tmp_path, process, 1, "placed")["process"], signal.SIGUSR2)  # as submitit asks a job to leave
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, out + err
    assert (tmp_path / "run" / "rows.jsonl").read_bytes() == expected
    assert any(one["event"] == "again" and one["job"] == 1 for one in log_of(tmp_path))


HERE = {"host": "a", "harness": "0.3", "Python": "3.11", "torch": "2.13"}
FULL: dict[str, Any] = {"level": "full", "missing": ()}
WEAK: dict[str, Any] = {"level": "process-only", "missing": ("namespaces: refused",)}


def refused(run: Run, **nodes: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        cluster.check_nodes(run, HERE, nodes)
    return caught.value.problems


def test_nodes_like_this_machine_are_accepted() -> None:
    cluster.check_nodes(Run(), HERE, {"n1": HERE, "n2": HERE})


def test_a_node_with_another_version_is_refused_and_both_are_named() -> None:
    [problem] = refused(Run(), n1=HERE, n2={**HERE, "torch": "2.12"})
    assert problem.startswith("node n2: torch is 2.12 there and 2.13 here")


def proving(monkeypatch: pytest.MonkeyPatch, nodes: dict[str, dict[str, Any]]) -> list[str]:
    """Let nodes be up that give such isolation, and return whoever is asked to prove it, as it is asked."""
    asked: list[str] = []

    def everywhere(look: Any) -> dict[str, dict[str, Any]]:
        asked.extend(nodes)
        return nodes

    monkeypatch.setattr("harness.executors.ray.everywhere", everywhere)
    monkeypatch.setattr(
        "harness.executors.ray.nodes_up", lambda: [{"NodeManagerHostname": one, "NodeID": one} for one in nodes]
    )
    cluster.isolations_of.cache_clear()
    return asked


def on_nodes(monkeypatch: pytest.MonkeyPatch, run: Run, **nodes: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the isolation of a run typed on a machine that gives all of it."""
    proving(monkeypatch, nodes)
    return cluster.weakest(run, "full", ())


def test_the_weakest_nodes_isolation_is_the_runs_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = on_nodes(monkeypatch, Run(executor="ray"), n1=FULL, n2=WEAK)
    assert found == ("process-only", ("namespaces: refused (node n2)",))


def test_a_node_below_the_level_that_is_demanded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(executor="ray", sandbox=Judging(level="full"))
    with pytest.raises(
        ConfigError, match=r"node n2: its sandbox is process-only, sandbox\.level=full .*Install bubble"
    ):
        on_nodes(monkeypatch, run, n1=FULL, n2=WEAK)


def test_a_node_that_cannot_judge_may_have_cells_where_others_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(executor="ray", sandbox=Judging(level="full"), ray=OnRay(judges=1))
    assert on_nodes(monkeypatch, run, n1=FULL, n2=WEAK, n3={"error": "no sandbox"}) == ("full", ())
    with pytest.raises(ConfigError, match="node n3: its sandbox is none"):
        on_nodes(monkeypatch, run, n3={"error": "no sandbox"})


def test_judges_that_leave_no_room_for_a_cell_are_refused_before_anything_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = {"Alive": True, "Resources": {"CPU": 2.0}, "NodeID": "n1", "NodeManagerHostname": "n1"}
    monkeypatch.setattr("harness.executors.ray.connect", str)
    monkeypatch.setattr("harness.executors.ray.package", lambda: SimpleNamespace(nodes=lambda: [node]))
    with pytest.raises(ConfigError, match=r"ray\.judges=2: 1 judges of 1 core\(s\) fit"):
        cluster.check(Run(executor="ray", ray=OnRay(judges=2)))


def test_a_node_without_the_harness_is_named() -> None:
    [problem] = refused(Run(), n1={"error": "No module named 'harness'"})
    assert "node n1" in problem and "No module named 'harness'" in problem


def test_several_machines_cannot_share_sqlite() -> None:
    [problem] = refused(Run(), n1={**HERE, "host": "b"})
    assert "SQLite cannot be shared by 2 machines (a, b)" in problem
    cluster.check_nodes(Run(store="postgresql://u@h/d"), HERE, {"n1": {**HERE, "host": "b"}})


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_missing_package_is_named_with_its_extra(
    executor: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return whole(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigError, match=rf"pip install 'distil-harness\[{executor}\]'"):
        cluster.check(Run(executor=executor, slurm=OnSlurm(cluster="local") if executor == "slurm" else OnSlurm()))


def test_a_cluster_with_another_version_is_refused_in_rays_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ray:
        def is_initialized(self) -> bool:
            return False

        def init(self, **options: Any) -> None:
            raise RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.59.0\n This process: 2.60.0")

    monkeypatch.setattr("harness.executors.ray.package", Ray)
    with pytest.raises(ConfigError, match=r"Ray: 2\.59\.0 This process: 2\.60\.0\). Install the same versions"):
        cluster.check(Run(executor="ray"))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:x", "head"])
def test_a_wrong_address_is_told_at_once(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="HOST:PORT"):
        cluster.check(Run(executor="ray", ray=OnRay(address=address)))


def test_a_cell_that_no_node_could_ever_take_is_refused_before_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"Alive": True, "Resources": {"CPU": 2.0}}
    monkeypatch.setattr("harness.executors.ray.connect", str)
    monkeypatch.setattr("harness.executors.ray.package", lambda: SimpleNamespace(nodes=lambda: [node]))
    with pytest.raises(ConfigError, match="takes 4 cores and 0 GPUs, and no node that is up has as many"):
        cluster.check(Run(executor="ray", threads=4))


HOSTED = Teaching(name="openai:m@http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("run", "shared"),
    [
        (Run(executor="ray"), []),
        (Run(executor="ray", ray=OnRay(judges=2)), ["judges"]),
        (Run(executor="ray", teacher=HOSTED), ["pacer"]),
        (Run(executor="ray", teacher=Teaching(refine=HOSTED.name), ray=OnRay(judges=2)), ["judges", "pacer"]),
    ],
)
def test_cells_share_judges_where_asked_for_and_a_pace_where_a_teacher_is_hosted(
    run: Run, shared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    @contextmanager
    def hired(*what: Any) -> Iterator[str]:
        name = "judges" if what else "pacer"
        yield f"told of {name}"
        ended.append(name)

    monkeypatch.setattr("harness.executors.judges.hired", hired)
    monkeypatch.setattr("harness.executors.pacing.hired", hired)
    proving(monkeypatch, {"n1": FULL})
    monkeypatch.setattr(cluster, "judges_at", lambda run, names: ["n1"] * run.ray.judges)
    with ExitStack() as actors:
        assert cluster.shared_by_cells(run, "full", actors) == {name: f"told of {name}" for name in shared}
        assert not ended
    assert sorted(ended) == shared


def test_a_node_proves_its_isolation_once_while_the_same_ones_are_up(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {"n1": FULL}
    asked = proving(monkeypatch, nodes)
    run = Run(executor="ray", ray=OnRay(judges=1))
    monkeypatch.setattr("harness.executors.judges.hired", lambda *what: ExitStack())
    monkeypatch.setattr(cluster, "judges_at", lambda run, names: list(names))
    cluster.weakest(run, "full", ())
    with ExitStack() as actors:
        cluster.shared_by_cells(run, "full", actors)
        assert asked == ["n1"]
        nodes["n2"] = FULL
        cluster.shared_by_cells(run, "full", actors)
        assert asked == ["n1", "n1", "n2"]


def test_a_cell_of_one_machine_shares_nothing_but_the_store() -> None:
    assert cell.elsewhere_of({"words": [], "cell": 0, "level": "full"}, print) == Elsewhere()


def test_a_cell_that_was_told_of_judges_opens_no_sandbox_of_its_own() -> None:
    told = {"namespace": "n", "names": ["judge-0"], "address": "h:1"}
    jail = cell.elsewhere_of({"judges": told, "level": "full"}, print).jail
    assert jail is not None
    found = jail()
    assert isinstance(found, Judges) and found.level == "full" and found.hired == told


def test_keys_of_another_executor_are_refused() -> None:
    with pytest.raises(ConfigError, match="a key of executor=ray, and this is local"):
        cluster.check(Run(ray=OnRay(address="auto", restarts=1)))


def test_the_executor_is_no_part_of_a_runs_configuration() -> None:
    from harness.settings.config import Command

    here, there = Command(Run(), (), "default", ()), Command(Run(executor="ray"), (), "default", ())
    assert here.content() == there.content() and dataclasses.asdict(there.run)["executor"] == "ray"
    assert "ray" not in json.dumps(there.content()["run"])


def test_ray_and_submitit_are_not_loaded_unless_asked_for() -> None:
    script = "import sys\nfrom harness.comparison import cell, cluster, driver\n"
    script += "from harness.executors import judges, pacing, ray, slurm\n"
    script += "print([name for name in ('ray', 'submitit') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
