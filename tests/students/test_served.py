"""Answers from a server that is started for a student: the same as in process, in order, and gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.settings.config import Generating, Judging
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.students.decoding import Decoding
from harness.students.engine import generate, load
from harness.students.served import Served
from harness.types import Student
from tests.fakes import tiny_student

COMMAND = f"{sys.executable} -m tests.students.tiny_server"
PROMPTS = ["def f(x):\n", "def g(text, n):\n", "a", "def long(one, two, three):\n", "x" * 400]
GREEDY = Decoding(max_new_tokens=16)

pytestmark = pytest.mark.slow  # interpreters that load torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"), lively=True)


@pytest.fixture(scope="module")
def served(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(folder, COMMAND, "", tmp_path_factory.mktemp("logs") / "serve.log", 150.0) as server:
        yield server


def answers_there(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_a_servers_greedy_answers_are_those_of_this_process(served: Served, folder: Path) -> None:
    assert served.generate(PROMPTS, GREEDY, [0] * 5) == generate(load(folder), PROMPTS, GREEDY, [0] * 5)


def test_each_row_is_drawn_with_its_own_seed_and_answers_keep_their_order(served: Served, folder: Path) -> None:
    drawn = replace(GREEDY, temperature=1.0)
    made = served.generate(PROMPTS[:4] * 2, drawn, range(8))
    assert made == [generate(load(folder), [text], drawn, [seed])[0] for seed, text in enumerate(PROMPTS[:4] * 2)]


def test_a_stop_string_ends_an_answer(served: Served, folder: Path) -> None:
    [free] = served.generate(PROMPTS[:1], GREEDY, [0])
    cut = replace(GREEDY, stop=(free.text[3:5],))
    assert served.generate(PROMPTS[:1], cut, [0]) == generate(load(folder), PROMPTS[:1], cut, [0])


def test_nothing_about_a_draw_is_left_to_the_models_own_settings(folder: Path, tmp_path: Path) -> None:
    drawn = Decoding(0.7, 0.9, max_new_tokens=8)
    with Served(folder, COMMAND, "--broken echoes", tmp_path / "serve.log", 150.0) as server:
        [echoed] = server.generate(PROMPTS[:1], drawn, [3])
    asked = json.loads(echoed.text)
    assert (asked["temperature"], asked["top_p"], asked["seed"], asked["max_tokens"]) == (0.7, 0.9, 3, 8)
    assert (asked["top_k"], asked["min_p"], asked["repetition_penalty"]) == (-1, 0.0, 1.0)
    assert asked["presence_penalty"] == asked["frequency_penalty"] == 0.0


def test_a_closed_server_is_gone(folder: Path, tmp_path: Path) -> None:
    with Served(folder, COMMAND, "--broken silent", tmp_path / "serve.log", 150.0) as server:
        assert answers_there(server.port)
    assert not answers_there(server.port)


def test_a_server_ends_with_the_process_that_started_it(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from harness.students.served import Served\n"
        f"place, log = Path({str(folder)!r}), Path({str(tmp_path / 'log')!r})\n"
        f"server = Served(place, {COMMAND!r}, '--broken silent', log, 150.0)\n"
        "print(server.port, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    port = int(starter.stdout.readline())
    assert answers_there(port)
    os.kill(starter.pid, signal.SIGKILL)
    starter.communicate()
    until = time.monotonic() + 30
    while answers_there(port) and time.monotonic() < until:
        time.sleep(0.2)
    assert not answers_there(port)


@pytest.mark.parametrize(
    ("command", "options", "told"),
    [
        ("no-such-program serve", "", "ended before it served.*no-such-program"),
        (COMMAND, "--broken dies", "ended before it served.*no GPU here"),
        (COMMAND, "--broken name", r"it serves \['another'\], not student"),
        ("sleep 60 #", "", "ended before it served"),
    ],
)
def test_a_server_that_does_not_serve_is_told(
    folder: Path, tmp_path: Path, command: str, options: str, told: str
) -> None:
    with pytest.raises(HarnessError, match=rf"(?s)generation\.command={command.split()[0]}.*{told}"):
        Served(folder, command, options, tmp_path / "log", 150.0)


def test_a_server_that_is_too_slow_is_ended(folder: Path, tmp_path: Path) -> None:
    waits = f"{sys.executable} -c 'import time; time.sleep(60)'"
    with pytest.raises(HarnessError, match=r"generation\.start_s=0\.5 s"):
        Served(folder, waits, "", tmp_path / "log", 0.5)


@pytest.mark.parametrize(("how", "told"), [("refuses", "it answered 400.*too long"), ("silent", "without one choice")])
def test_an_answer_that_cannot_be_used_is_told(folder: Path, tmp_path: Path, how: str, told: str) -> None:
    with (
        Served(folder, COMMAND, f"--broken {how}", tmp_path / "log", 150.0) as server,
        pytest.raises(HarnessError, match=told),
    ):
        server.generate(PROMPTS[:1], GREEDY, [0])


def test_the_engine_feeds_each_students_weights_to_a_server_and_ends_it(folder: Path, tmp_path: Path) -> None:
    other = tiny_student(tmp_path / "other", seed=1, lively=True)
    students = {"one": folder, "other": other}
    prompts = [(str(place), text) for place, text in enumerate(PROMPTS[:4])]
    with (
        Store(tmp_path / "store") as store,
        StepEngine(store, Judging(), "stub", generation=Generating("vllm", COMMAND)) as engine,
        StepEngine(store, Judging(), "stub") as plain,
    ):
        for name, place in students.items():
            engine.folders[name] = plain.folders[name] = place
            found, records = engine.sample(Student(name, name), prompts, GREEDY, 0, 4)
            here, own = plain.sample(Student(name, name), prompts, GREEDY, 0, 4)
            assert found == here and not {one.key for one in records} & {one.key for one in own}
        assert engine.server is not None
        port = engine.server[1].port
    assert not answers_there(port)
