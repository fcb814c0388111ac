"""A Ray cluster of several nodes on this machine: one raylet each, ended with the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.executors import ray
from tests.executors.jobs import ROOT
from tests.needs import missing

PROGRAM = """
import os, signal, sys, threading
import ray
from ray.cluster_utils import Cluster

small = {"object_store_memory": 80 << 20}
cluster = Cluster(initialize_head=True, head_node_args={**small, "num_cpus": 0, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1, **small) for _ in range(int(sys.argv[1]))]
raylets = [one.all_processes["raylet"][0].process.pid for one in nodes]
print(cluster.address, *raylets, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


class Cluster:
    """A running cluster: its address, and the process of each node's raylet."""

    def __init__(self, address: str, raylets: list[int]) -> None:
        self.address = address
        self.raylets = raylets

    def lose(self, raylet: int) -> None:
        """Kill a node's raylet: what the others see of a machine that has gone."""
        os.kill(raylet, signal.SIGKILL)
        self.raylets.remove(raylet)


@contextmanager
def cluster(nodes: int) -> Iterator[Cluster]:
    """Start a head without a CPU and nodes of one CPU each."""
    try:
        import ray  # noqa: F401 - whether it is there
    except ImportError:
        missing("Ray", "pip install 'distil-harness[ray]'")
    with (  # a socket's path must be short, hence /tmp
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        (Path(folder) / "errors.log").open("wb") as errors,
    ):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(nodes)],
            env={
                **os.environ,
                "PYTHONPATH": ROOT,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_TMPDIR": folder,
                "PYTHONWARNINGS": "ignore",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        assert process.stdin is not None and process.stdout is not None
        words = process.stdout.readline().split()
        assert words, (Path(folder) / "errors.log").read_text()
        try:
            yield Cluster(words[0], [int(one) for one in words[1:]])
        finally:
            process.stdin.close()
            process.wait(60)
            process.stdout.close()


@contextmanager
def connected(nodes: int) -> Iterator[Cluster]:
    """Start a cluster and connect this process to it."""
    with cluster(nodes) as one:
        with pytest.MonkeyPatch.context() as patch:  # Ray's nodes have this machine's address, which tests may not call
            patch.setattr(ray, "knock", lambda address: None)
            ray.connect(one.address)
        try:
            yield one
        finally:
            ray.package().shutdown()
