"""A whole comparison against a real server on loopback: `transformers serve` with a small model that is made here."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.comparison.base import base_student
from harness.settings.config import Judging
from harness.settings.resolve import resolve
from harness.steps.engine import StepEngine
from harness.store.database import Store
from tests.command import TINY, only_run, run, start

START_S = 200.0  # that loading the server may take beside other work


def small_model(folder: Path) -> Path:
    """Train a model that has seen enough of the embedded world to write programs, most of them wrong."""
    with Store(folder / "store") as store, StepEngine(store, Judging(), "process-only") as engine:
        student = base_student(engine, resolve(["world.base_examples=3200"], need_recipe=False).run)
        return Path(shutil.copytree(engine.folder(student), folder / "model"))


@contextmanager
def served(model: Path) -> Generator[str]:
    """Serve a model's folder and yield where its API begins."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["serve", str(model), "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with (model.parent / "serve.log").open("wb") as log:
        command = [str(Path(sys.executable).parent / "transformers"), *words]
        process = subprocess.Popen(command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=log, stderr=log)
    try:
        began = time.monotonic()
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() - began < START_S, log.name
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()  # it holds nothing that must be put away
        process.wait()


@pytest.mark.compare
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_comparison_is_taught_by_a_model_that_transformers_serves(tmp_path: Path) -> None:
    model = small_model(tmp_path)
    with served(model) as url:
        teacher = [f"teacher=openai:{model}@{url}", "teacher.style=completion", "teacher.max_tokens=64"]
        words = ["recipe=seqkd", *TINY, *teacher, "teacher.parse_retries=0", "budget.allow_unpriced=true"]
        command = start("compare", *words, folder=tmp_path)
        out, err = command.communicate(timeout=700)
        assert command.returncode == 0, err
        assert "ignores n, logprobs" in " ".join(out.split())  # it accepts both
        assert "cycles without examples" not in out  # its programs were read, and the student trained on them
        ledger = run("ledger", str(only_run(tmp_path)), folder=tmp_path)
        assert "unpriced" in ledger
        [mine] = [line.split() for line in ledger.splitlines() if line.startswith("seqkd seed=0")]
        assert int(mine[2]) == 32  # calls: one for each problem of two cycles
    again = run("compare", *words, folder=tmp_path, code=2)  # it is gone, and that is told before anything is done
    assert "nobody answers" in again
