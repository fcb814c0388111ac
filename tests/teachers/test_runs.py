"""Whole commands against a server on loopback: nothing is paid twice, nothing secret is written, nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench.stub_server import KEY, Behaviour, Server, digest
from harness.comparison.compare import teacher_of
from harness.errors import BudgetError, ConfigError
from harness.settings.resolve import resolve
from harness.store.database import Store
from harness.store.ledger import Ledger
from harness.teachers.model import ModelTeacher
from harness.teachers.requests import Solve
from harness.terminal import asking
from harness.types import Problem
from tests.command import ROOT, TINY, only_run, run

ASKER = """
import sys
from harness.terminal.asking import recorder
from harness.store.database import Store
from harness.teachers.opening import Terms, open_teacher
from harness.store.ledger import Ledger
from harness.teachers.requests import Solve
from harness.teachers.settings import Teaching
from harness.types import Problem

place, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = Teaching(name=f"openai:stub@{url}", concurrency=8)
requests = [Solve(Problem(f"p/{i}", f'def f(x):\\n    "question {i}"\\n', "f", (), "")) for i in range(count)]
with Store(place) as store:
    teacher = open_teacher(settings, Terms(ledger=Ledger(store), run="run", cell="cell", allow_unpriced=True))
    answers, _ = teacher.ask(recorder(store), requests, 0)
    teacher.close()
print(sum(answer.code is not None for answer in answers))
"""


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def asker(place: Path, server: Server, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ASKER, str(place), server.url, str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_after_a_kill_only_what_was_in_flight_is_asked_again_and_counted_as_lost(tmp_path: Path) -> None:
    count, place = 120, tmp_path / "store"
    with Server(Behaviour(latency_s=0.1)) as server:
        with asker(place, server, count) as first:
            while server.served < count // 2 and first.poll() is None:
                time.sleep(0.02)
            first.send_signal(signal.SIGKILL)
        with Store(place) as store:
            kept = store.count()["answers"]
            lost = Ledger(store).bills("run")[0].lost
        assert 0 < kept < count
        assert finished(asker(place, server, count)) == [str(count)]
        assert len(server.keys) == count
        again = sum(times == 2 for times in server.keys.values())
        assert max(server.keys.values()) <= 2
        assert again <= lost <= count - kept  # nothing that reached the store was asked again
        with Store(place) as store:
            [account] = Ledger(store).bills("run")
        assert account.calls + account.lost >= count
        asked = sum(server.keys.values())
        assert finished(asker(place, server, count)) == [str(count)]
        assert sum(server.keys.values()) == asked


def finished(process: subprocess.Popen[str]) -> list[str]:
    with process:
        out, _ = process.communicate(timeout=60)
    return out.split()


def say(question: str, body: dict[str, Any]) -> str:
    """Answer any of the prompts in a readable form, and repeat whatever a careless endpoint might."""
    name = (re.findall(r"def (\w+)\(", question) or ["f"])[-1]
    mark = digest(question)
    return (
        f"The key is {KEY}.\n```python\ndef {name}(xs):\n    '''Return {' '.join(mark)} of xs.'''\n    return xs\n```\n"
        "R1: 1\nR2: 1\nR3: 0\nR4: 1\nR5: 1"
    )


@pytest.mark.compare
@pytest.mark.slow
def test_a_comparison_with_a_served_teacher_from_end_to_end(tmp_path: Path) -> None:
    prices = tmp_path / "prices.yaml"
    with Server(Behaviour(say=say)) as server:
        prices.write_text(f"127.0.0.1:{server.port}: {{stub: {{in: 1, out: 2, as_of: 2026-11-21}}}}\n")
        words = ["recipe=standard_kd,uniform", *TINY, f"teacher=openai:stub@{server.url}", f"teacher.prices={prices}"]
        planned = run("plan", *words, folder=tmp_path)
        assert re.search(r"about 0\.\d+, at most 0\.\d+ USD", planned), planned
        assert server.served == 0
        out = run("compare", *words, "budget.teacher_usd=1", folder=tmp_path)
        assert "honours" in out
        asked = server.served
        assert asked > 20
        again = run("compare", *words, "budget.teacher_usd=1", folder=tmp_path)
        assert "none run" in again
        assert server.served == asked
        table = run("ledger", str(only_run(tmp_path)), folder=tmp_path)
        assert "standard_kd seed=0" in table
        with Store(tmp_path / "runs" / "store") as store:
            accounts = Ledger(store).bills(only_run(tmp_path).name)  # of a run that has no name of its own
        assert sum(one.tries for one in accounts) == asked
        assert sum(one.calls for one in accounts) == asked + 1  # the probe asks for two answers in one request
        assert sum(one.usd for one in accounts) > 0
    assert_no_secret(tmp_path)
    # and the same comparison anew, from the recording alone: the server is gone
    words[-2:] = [f"teacher=replay:{only_run(tmp_path)}"]
    replayed = run("compare", *words, "store=other", "run=replayed", folder=tmp_path)
    assert pass_rates(replayed) == pass_rates(again)
    missed = run("compare", *words, "store=third", "seed=1", folder=tmp_path, code=1)
    assert "holds no answer to this request" in missed


def pass_rates(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("standard_kd ", "uniform "))][:2]


def assert_no_secret(folder: Path) -> None:
    """Raise unless no file of a run holds the key, whole or nearly so."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert KEY[:-4].encode() not in path.read_bytes(), path


def told(words: list[str]) -> str:
    """Return what `harness teacher probe WORDS` prints, or the error it ends with."""
    try:
        return "\n".join(asking.look(resolve(words, need_recipe=False)))
    except ConfigError as err:
        return str(err)


BAD = [
    (["teacher=openai:stub@{url}"], {"OPENAI_API_KEY": "sk-wrong"}, "key in OPENAI_API_KEY is not accepted"),
    (["teacher=openai:stbu@{url}"], {}, "no such model there (did you mean stub?)"),
    (["teacher=openai:stub@http://127.0.0.1:9/v1"], {}, "nobody answers"),
    (["teacher=openai:stub@ftp://h/v1"], {}, "not an address"),
    (["teacher=openai:stub@http://me:secret@h/v1"], {}, "holds a user, a password or a query"),
    (["teacher=openai"], {}, "which model?"),
    (["teacher=opanai:stub"], {}, "no such teacher (did you mean openai?)"),
    (["teacher=openai:stub@{url}", "teacher.max_tokens=0"], {}, "teacher.max_tokens=0: expected a number above 0"),
    (["teacher=openai:stub@{url}", "teacher.judge=nobody"], {}, "teacher.judge=nobody: no such teacher"),
    (["teacher=openai:stub@{url}", "teacher.key_env=sk-abc-def"], {}, "expected the name of an environment variable"),
    (["teacher=openai:stub@{url}", "teacher.modle=x"], {}, "did you mean"),
    (["teacher=local:nowhere"], {}, "no model there"),
    (["teacher=replay:nowhere"], {}, "no run there"),
    (["teacher=openai:stub@{url}", "budget.allow_unpriced=false"], {}, "no price is known for model stub"),
]


@pytest.mark.parametrize(("words", "environment", "said"), BAD, ids=lambda one: str(one)[:60])
def test_a_teacher_that_cannot_be_asked_is_told_at_once(
    words: list[str], environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Server() as server:
        given = [word.format(url=server.url) for word in words]
        allowed = [] if any("allow_unpriced" in word for word in words) else ["budget.allow_unpriced=true"]
        monkeypatch.chdir(tmp_path)
        out = told([*given, *allowed])
        assert said in out, out
        assert "sk-wrong" not in out
        assert server.served == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(plain="<html>welcome</html>"), "does not speak OpenAI's protocol; it says '<html>welcome"),
        (Behaviour(context=400), "the model holds 400 tokens"),
        (Behaviour(plain='{"answer": 42}'), "in another form than OpenAI's protocol"),
        (Behaviour(plain='{"data": 5}'), "in another form than OpenAI's protocol"),
        (Behaviour(plain='["models"]'), "no JSON object (found a list"),
        (Behaviour(models_route=False, always="404"), "no model stub there, or no such API"),
        (Behaviour(redirect="https://login.example"), "it redirects to https://login.example/v1/models. Give"),
    ],
)
def test_a_server_that_will_not_do_is_told_at_once_and_leaves_no_file(
    behaviour: Behaviour, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(behaviour) as server:
        out = told([f"teacher=openai:stub@{server.url}", "budget.allow_unpriced=true"])
        assert said in out, out
        assert server.served == 0
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", "/api"])  # /v1 left out; Ollama's own protocol instead of OpenAI's
def test_an_address_beside_the_api_is_told_with_the_right_one(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(Behaviour(root="/v1")) as server:
        wrong = server.url.removesuffix("/v1") + path
        out = told([f"teacher=openai:stub@{wrong}", "budget.allow_unpriced=true"])
        assert f"One begins at {server.url}: give that address" in out


def test_prompts_that_the_model_has_no_room_for_are_told_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    problems = tmp_path / "problems.jsonl"
    rest = {"entry_point": "f", "canonical_solution": "    return x\n", "test": "def check(c):\n    assert c(1) == 1\n"}
    long = "a long story " * 700
    lines = [{"task_id": f"p/{i}", "prompt": f'def f(x):\n    """{long}{i}"""\n', **rest} for i in range(20)]
    problems.write_text("".join(json.dumps(one) + "\n" for one in lines))
    with Server(Behaviour(context=1200)) as server:
        teacher = [f"teacher=openai:stub@{server.url}", "budget.allow_unpriced=true", "teacher.max_tokens=400"]
        command = resolve(["recipe=seqkd", *TINY, *teacher, f"problems={problems}"])
        with pytest.raises(ConfigError, match=r"20 of 20 prompts do not fit into the 1200 tokens .* 400 of them kept"):
            asking.look(command)
        assert server.served == 0
    assert [one.name for one in tmp_path.iterdir()] == ["problems.jsonl"]


def test_a_probe_tells_what_a_server_ignores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(Behaviour(honours_n=False, usage=False, rate=1000)) as server:
        words = [f"teacher=openai:stub@{server.url}", "budget.allow_unpriced=true"]
        out = told(words)
        assert "ignores n, logprobs, seed" in out
        assert "draws nothing" in out
        assert "tells no tokens" in out
        assert "60000 requests a minute" in out
        asked = server.served
        assert told(words) == out
        assert server.served == asked  # once in the lifetime of a store


def test_a_probe_tells_before_a_run_that_a_temperature_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Server(Behaviour(refuses=("temperature",))) as server:
        out = told([f"teacher=openai:stub@{server.url}", "budget.allow_unpriced=true"])
    assert "refuses temperature: calls go without it, so every answer is drawn at the model's own temperature" in out
    assert "refuses seed" not in out


def test_a_raised_cap_goes_on_in_the_same_folder_with_the_same_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    requests = [Solve(Problem(f"p/{i}", f'def f(x):\n    "question {i}"\n', "f", (), "")) for i in range(40)]
    spent: list[float] = []
    folders: set[str] = set()
    with Server() as server:
        prices = tmp_path / "prices.yaml"
        prices.write_text(f"127.0.0.1:{server.port}: {{stub: {{in: 0, out: 10000, as_of: 2026-11-21}}}}\n")
        teacher = [f"teacher=openai:stub@{server.url}", f"teacher.prices={prices}", "teacher.max_tokens=64"]
        for cap in (1, 2):
            command = resolve(["recipe=standard_kd", *teacher, f"budget.teacher_usd={cap}"])
            name = command.name
            with Store(command.run.store) as store:
                asked = teacher_of(command.run, store=store, who=(name, "cell"))
                assert isinstance(asked, ModelTeacher)
                with pytest.raises(BudgetError):
                    asked.ask(asking.recorder(store), requests, 0)
                asked.close()
                spent.append(Ledger(store).total(name))
            folders.add(command.folder())
    assert len(folders) == 1
    assert 0 < spent[0] <= 1 < spent[1] <= 2


@pytest.mark.parametrize("command", ["probe", "ledger"])
def test_the_command_line_tells_it_with_exit_code_two(command: str, tmp_path: Path) -> None:
    words = ["teacher", "probe", "teacher=opanai"] if command == "probe" else ["ledger", "nowhere"]
    out = run(*words, folder=tmp_path, code=2)
    assert "error: " in out
    assert "Traceback" not in out


@pytest.mark.slow
def test_a_try_shows_prompt_answer_and_reading(tmp_path: Path) -> None:
    with Server(Behaviour(say=say)) as server:
        words = [f"teacher=openai:stub@{server.url}", "budget.allow_unpriced=true"]
        out = run("teacher", "try", "Return x.", *words, folder=tmp_path)
        assert re.search(r"prompt +\S+prompts/solve\.txt \(version 1\)\n\[system\]", out)
        assert '"""Return x."""' in out
        assert "answer      stop, 1 call(s)" in out
        assert "read        as asked" in out
        out = run("teacher", "try", "Return x.", *words, "--kind", "judge", folder=tmp_path)
        assert "1, 1, 0, 1, 1" in out
