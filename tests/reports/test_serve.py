"""Run folders in a browser."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.results import serve
from harness.results.serve import HOST, Entry, Runs, reply, server
from tests.reports.folders import write_run
from tests.reports.rows import row

BASE = row("untrained", [1, 0, 0, 0])
OURS = row("iterkd", [1, 1, 0, 0], seed=0, cycle=1)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "one+a", [BASE, OURS])
    write_run(tmp_path / "runs" / "two", [BASE, replace(OURS, recipe="persd")])
    return tmp_path / "runs"


def test_list_links_every_finished_run_and_says_how_each_stands(runs: Path) -> None:
    status, body = reply(Runs(runs), "/")
    assert status == 200 and "/page?run=one%2Ba" in body and 'value="two"' in body
    assert "state     finished" in body and 'http-equiv="refresh"' not in body


def test_unfinished_run_is_listed_without_a_page(runs: Path) -> None:
    (runs / "two" / "rows.jsonl").unlink()
    body = reply(Runs(runs), "/")[1]
    assert "/page?run=two" not in body and "two" in body


def test_several_runs_make_one_page(runs: Path) -> None:
    status, body = reply(Runs(runs), "/page?run=one%2Ba&run=two")
    assert status == 200 and "iterkd" in body and "persd" in body


def test_page_is_made_anew_when_the_rows_change(runs: Path) -> None:
    shown = Runs(runs)
    before = reply(shown, "/page?run=two")[1]
    assert reply(shown, "/page?run=two")[1] is before
    for path in sorted((runs / "two").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (runs / "two").rmdir()
    write_run(runs / "two", [BASE, replace(OURS, recipe="uniform")])
    assert "uniform" in reply(shown, "/page?run=two")[1]


@pytest.mark.parametrize("path", ["/page?run=..", "/page?run=/etc", "/page", "/other", "/page?run=one%2Ba&run=..%2F"])
def test_only_runs_of_the_folder_are_opened(runs: Path, path: str) -> None:
    assert reply(Runs(runs), path)[0] == 404


def test_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run in it"):
        Runs(tmp_path)


@pytest.fixture
def port(runs: Path) -> Iterator[int]:
    with server(runs, 0) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield int(found.server_address[1])
        found.shutdown()
        thread.join()


@pytest.mark.parametrize(("host", "status"), [(None, 200), ("localhost:1", 200), ("evil.example:80", 403), ("", 403)])
def test_requests_that_name_another_host_are_refused(port: int, host: str | None, status: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.request("GET", "/", headers={} if host is None else {"Host": host})
    assert connection.getresponse().status == status
    connection.close()


def test_port_that_is_taken_is_told(runs: Path, port: int) -> None:
    with pytest.raises(UsageError, match=f"--port {port}: cannot listen there"):
        server(runs, port)


@pytest.mark.slow
def test_ticks_stay_while_the_list_looks_again(browser: Any, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {"one": Entry("one", ("finished",), True, False), "two": Entry("two", ("step 1",), False, True)}
    monkeypatch.setattr(serve, "REFRESH_S", 0.2)

    def entries(runs: Runs) -> list[Entry]:
        del runs
        return list(shown.values())

    def note(told: Any) -> None:
        if told.type == "error":
            errors.append(told.text)

    errors: list[str] = []
    monkeypatch.setattr(Runs, "entries", entries)
    page = browser.new_page()
    page.on("console", note)
    page.goto(f"http://{HOST}:{port}/")
    page.check("input[value=one]")
    for entry in (Entry("two", ("step 2",), False, True), Entry("two", ("finished, too",), True, False)):
        shown["two"] = entry
        page.wait_for_function("text => document.body.innerText.includes(text)", arg=entry.lines[0])
        assert page.is_checked("input[value=one]")
        assert page.evaluate("document.activeElement.value") == "one"
    assert not page.is_checked("input[value=two]") and page.inner_text("#told") == "" and not errors
