"""What holds for every executor: local processes, a Ray cluster, Slurm by submitit's own local queue."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.executors import local, ray, slurm
from tests.executors.cluster import Cluster, connected
from tests.executors.jobs import Jobs
from tests.needs import missing
from tests.processes import gone

QUEUE = {"cluster": "local", "partition": "", "minutes": 5, "memory_gb": 0, "restarts": 1}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    """Two nodes of one CPU each, and this process connected to them."""
    with connected(2) as one:
        yield one


CLUSTERS = [pytest.param("ray", marks=pytest.mark.slow), pytest.param("slurm", marks=pytest.mark.slow)]


@pytest.fixture(params=["local", *CLUSTERS])
def jobs(request: pytest.FixtureRequest, tmp_path: Path) -> Jobs:
    if request.param == "local":
        return Jobs(tmp_path, local.run)
    if request.param == "ray":
        request.getfixturevalue("nodes")
        return Jobs(tmp_path, functools.partial(ray.run, restarts=1))
    try:
        import submitit  # noqa: F401 - whether it is there
    except ImportError:
        missing("submitit", "pip install 'distil-harness[slurm]'")
    return Jobs(tmp_path, functools.partial(slurm.run, queue=slurm.Queue(folder=tmp_path / "queue", **QUEUE)))


def test_events_come_in_order_and_the_exit_is_last(jobs: Jobs) -> None:
    job = jobs.job("counts", 'for n in range(message["n"]): emit(event="n", n=n)', n=50)
    assert jobs.own(job) == [(0, {"event": "n", "n": n}) for n in range(50)] + [(0, {"event": "exit", "code": 0})]


def test_each_event_carries_its_jobs_number(jobs: Jobs) -> None:
    both = [jobs.job("names", 'emit(event="name", own=message["own"])', own=own) for own in ("a", "b")]
    found = jobs.own(*both, workers=2)
    assert sorted(index for index, event in found if event["event"] == "exit") == [0, 1]
    assert {index: event["own"] for index, event in found if event["event"] == "name"} == {0: "a", 1: "b"}


def test_a_job_cannot_report_its_own_exit(jobs: Jobs) -> None:
    job = jobs.job("liar", 'emit(event="exit", code=0)\nemit(event="after")\nsys.exit(4)')
    assert [event for _, event in jobs.own(job)] == [{"event": "after"}, {"event": "exit", "code": 4}]


def test_a_job_that_dies_by_a_signal_gives_its_number(jobs: Jobs) -> None:
    job = jobs.job("dies", 'emit(event="a")\nos.kill(os.getpid(), signal.SIGKILL)')
    assert jobs.own(job) == [(0, {"event": "a"}), (0, {"event": "exit", "code": -signal.SIGKILL})]


def test_garbage_is_kept_in_the_jobs_log(jobs: Jobs) -> None:
    job = jobs.job("noisy", 'emit(event="a")\nos.write(1, b"Loading weights\\n")\nos.write(2, b"a warning\\n")')
    assert [event["event"] for _, event in jobs.own(job)] == ["a", "exit"]
    assert {"Loading weights", "a warning"} <= set(job.errors.read_text().splitlines())


def test_a_variable_that_is_none_is_taken_from_the_environment(jobs: Jobs) -> None:
    body = 'emit(event="seen", names=sorted({"GIVEN", "HOME", "PATH"} & set(os.environ)))'
    (_, event), _ = jobs.own(jobs.job("looks", body), GIVEN="here", HOM=None, **{"HOM*": None})
    assert event["names"] == ["GIVEN", "PATH"]


def test_never_more_jobs_run_than_the_workers(jobs: Jobs) -> None:
    body = """
    own = Path(message["folder"], f"{os.getpid()}.running")
    own.touch()
    emit(event="together", n=len(list(own.parent.glob("*.running"))))
    time.sleep(0.3)
    own.unlink()
    """
    three = [jobs.job("crowd", body, folder=str(jobs.folder)) for _ in range(3)]
    together = [event["n"] for _, event in jobs.own(*three, workers=1) if event["event"] == "together"]
    assert together == [1, 1, 1]


def test_leaving_early_leaves_no_process_nor_what_it_started(jobs: Jobs) -> None:
    body = """
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdin=0, stdout=2)
    emit(event="pids", pids=[os.getpid(), child.pid])
    time.sleep(60)
    """
    running = jobs.run(jobs.job("parent", body))
    event = next(event for _, event in running if event["event"] == "pids")
    running.close()
    assert gone(event["pids"], 5)


@pytest.mark.parametrize("jobs", CLUSTERS, indirect=True)
def test_a_job_that_is_lost_begins_again_and_the_second_loss_is_its_end(jobs: Jobs) -> None:
    body = """
    os.kill(os.getppid(), signal.SIGKILL)  # what holds it is gone, as with a node
    time.sleep(60)
    """
    found = [event for _, event in jobs.own(jobs.job("lost", body))]
    assert [event["event"] for event in found] == ["again", "error", "exit"]
    assert "2" in found[1]["text"] and not found[1]["usage"] and found[2]["code"] == 75


@pytest.mark.parametrize("jobs", CLUSTERS, indirect=True)
def test_what_a_lost_job_does_when_it_begins_again_counts(jobs: Jobs) -> None:
    body = """
    mark = Path(message["folder"], "begun")
    emit(event="n", n=int(mark.exists()))
    if not mark.exists():
        mark.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    """
    found = [event for _, event in jobs.own(jobs.job("twice", body, folder=str(jobs.folder)))]
    at = [event["event"] for event in found].index("again")
    assert found[at + 1 :] == [{"event": "n", "n": 1}, {"event": "exit", "code": 0}]
