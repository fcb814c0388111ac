"""What a collector of OpenTelemetry is told of a command: decoded by a receiver of OTLP over HTTP on loopback."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from harness.comparison import telemetry
from harness.errors import ConfigError
from harness.settings.config import Command, Run
from harness.store.database import Store
from harness.store.ledger import Entry, Ledger
from harness.teachers.settings import Teaching
from tests.command import TINY, run

JOBS = ("untrained", "sft seed=0")
STEP = {"event": "step", "kind": "verdicts", "items": 5, "cached": 3, "made": 2, "began": 1.7e9, "seconds": 0.25}


class Collector:
    """What a receiver has been sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[tuple[str, bytes]] = []

    def spans(self) -> list[Any]:
        sent = [ExportTraceServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/traces"]
        return [
            one for each in sent for resource in each.resource_spans for s in resource.scope_spans for one in s.spans
        ]

    def counters(self) -> dict[tuple[str, frozenset[tuple[str, Any]]], float]:
        """Return the last value of each counter by its name and attributes."""
        found: dict[tuple[str, frozenset[tuple[str, Any]]], float] = {}
        sent = [ExportMetricsServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/metrics"]
        for one in (m for each in sent for r in each.resource_metrics for s in r.scope_metrics for m in s.metrics):
            for point in one.sum.data_points:
                found[one.name, frozenset(attributes(point).items())] = point.as_int or point.as_double
        return found


def attributes(one: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in one.attributes}


@contextmanager
def collecting(answer: Callable[[str], int] = lambda path: 200) -> Generator[Collector]:
    """Serve as a collector on loopback; `answer` gives the status of a reply by its path, and may take its time."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.bodies.append((self.path, body))
            self.send_response(answer(self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    found = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        yield found


def command(**keys: Any) -> Command:
    return Command(Run(recipe=("sft",), telemetry="otlp", **keys), (), "default", ("recipe=sft", "x=SECRET-WORD"))


def told(*events: tuple[int, dict[str, Any]], of: Command | None = None) -> list[dict[str, Any]]:
    """Have a command's events told, and return what its watcher saw."""
    seen: list[dict[str, Any]] = []
    with telemetry.telling(of or command(), JOBS, lambda job, event: seen.append(event)) as see:
        for job, event in events:
            see(job, event)
    return seen


def test_a_run_holds_its_cells_and_a_cell_its_steps(collector: Collector) -> None:
    told((1, {"event": "stage", "stage": "cycle 1 of 3"}), (1, STEP), (1, {"event": "exit", "code": 0}))
    spans = {one.name: one for one in collector.spans()}
    assert spans.keys() == {"run", "cell", "step verdicts"}
    assert spans["step verdicts"].parent_span_id == spans["cell"].span_id
    assert spans["cell"].parent_span_id == spans["run"].span_id and not spans["run"].parent_span_id
    assert len({one.trace_id for one in spans.values()}) == 1


def test_a_step_tells_its_kind_items_and_seconds(collector: Collector) -> None:
    told((1, STEP))
    [span] = [one for one in collector.spans() if one.name == "step verdicts"]
    assert attributes(span) == {
        "harness.step.kind": "verdicts",
        "harness.step.items": 5,
        "harness.step.cached": 3,
        "harness.step.made": 2,
    }
    assert span.end_time_unix_nano - span.start_time_unix_nano == 250_000_000


def test_steps_are_counted_by_kind_and_source(collector: Collector) -> None:
    told((0, STEP), (1, STEP))
    made = frozenset({("harness.step.kind", "verdicts"), ("harness.step.source", "made")})
    assert collector.counters()["harness.steps", made] == 4


def test_the_ledgers_sums_are_told_by_cell_and_teacher(collector: Collector, tmp_path: Path) -> None:
    asked = command(store=str(tmp_path), teacher=Teaching(name="openai:m"))
    with Store(tmp_path) as store:
        Ledger(store).settle((asked.name, JOBS[1], "openai:m"), [Entry("k", 2, 30, 0, 12, 0.5)])
    told((1, {"event": "exit", "code": 0}), of=asked)
    who = frozenset({("harness.ledger.cell", JOBS[1]), ("harness.ledger.teacher", "openai:m")})
    sums = {
        name.removeprefix("harness.teacher."): value for (name, by), value in collector.counters().items() if by == who
    }
    assert (sums["calls"], sums["tries"], sums["tokens_in"], sums["tokens_out"], sums["usd"]) == (1, 2, 30, 12, 0.5)


def test_a_cell_that_lost_its_machine_is_a_failed_span_and_then_another(collector: Collector) -> None:
    told(
        (1, {"event": "placed", "host": "n1", "process": 7}),
        (1, {"event": "again", "text": "n1 is gone"}),
        (1, {"event": "placed", "host": "n2", "process": 8}),
        (1, {"event": "exit", "code": 0}),
    )
    cells = [one for one in collector.spans() if one.name == "cell"]
    assert [attributes(one)["host.name"] for one in cells] == ["n1", "n2"]
    assert [one.status.code == Status.STATUS_CODE_ERROR for one in cells] == [True, False]


def test_a_command_that_fails_ends_all_its_spans_as_failed(collector: Collector) -> None:
    with pytest.raises(ConfigError), telemetry.telling(command(), JOBS, lambda job, event: None) as see:
        see(1, {"event": "error", "text": "SECRET-ERROR", "usage": True})
        raise ConfigError("SECRET-ERROR")
    codes = {one.name: one.status.code for one in collector.spans()}
    assert codes == dict.fromkeys(("run", "cell"), Status.STATUS_CODE_ERROR)


def test_neither_words_nor_errors_nor_notes_nor_keys_are_told(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "SECRET-KEY")
    told(
        (1, {"event": "note", "text": "SECRET-NOTE"}),
        (1, {"event": "error", "text": "SECRET-ERROR", "usage": False}),
        (1, {"event": "again", "text": "SECRET-TEXT"}),
        (1, {"event": "exit", "code": 1}),
    )
    assert len(collector.spans()) == 3 and not any(b"SECRET" in body for _, body in collector.bodies)


def seconds_with(url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[float, list[dict[str, Any]]]:
    """Return how long a command took whose collector is there, and what its watcher saw."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    began = time.monotonic()
    seen = told((1, STEP), (1, {"event": "exit", "code": 0}))
    return time.monotonic() - began, seen


def test_a_collector_that_is_down_is_told_of_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    took, seen = seconds_with("http://user:SECRET@127.0.0.1:1/?key=SECRET", monkeypatch)
    [note] = [one["text"] for one in seen if one["event"] == "note"]
    assert note.startswith("telemetry: the collector at http://127.0.0.1:1 does not take")
    assert took < telemetry.END_S + 1


def test_a_collector_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    with collecting(lambda path: 200 if over.wait(20) else 500) as found:
        took, seen = seconds_with(found.url, monkeypatch)
        over.set()
    assert took < telemetry.END_S + 1
    assert [one["event"] for one in seen] == ["step", "exit", "note"]


def test_what_is_refused_once_is_told_while_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")  # milliseconds between two sendings
    seen: list[dict[str, Any]] = []
    with collecting(lambda path: 400) as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        with telemetry.telling(command(), JOBS, lambda job, event: seen.append(event)) as see:
            for _ in range(500):
                see(1, STEP)
                time.sleep(0.01)
                if seen[-1]["event"] == "note":
                    break
            during = len(seen)
    assert seen[-1]["event"] == "note" and len(seen) == during


def test_a_collector_of_spans_alone_gets_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")  # milliseconds between two sendings
    with collecting(lambda path: 200 if path == "/v1/traces" else 404) as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        with telemetry.telling(command(), JOBS, lambda job, event: None) as see:
            see(1, STEP)
            for _ in range(1000):
                if any(path == "/v1/metrics" for path, _ in found.bodies):
                    break
                time.sleep(0.01)
    assert any(path == "/v1/metrics" for path, _ in found.bodies)
    assert {one.name for one in found.spans()} == {"run", "cell", "step verdicts"}


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = importlib.import_module

    def without(name: str) -> Any:
        if name.startswith("opentelemetry.exporter"):
            raise ImportError(name)
        return whole(name)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigError, match=r"pip install 'distil-harness\[telemetry\]'"):
        telemetry.check(Run(telemetry="otlp"))


@pytest.mark.parametrize(
    ("name", "value"), [("ENDPOINT", "localhost:4318"), ("TRACES_ENDPOINT", "grpc://x"), ("PROTOCOL", "grpc")]
)
def test_a_variable_that_cannot_be_is_refused_before_anything_runs(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"OTEL_EXPORTER_OTLP_{name}", value)
    with pytest.raises(ConfigError, match=f"OTEL_EXPORTER_OTLP_{name}"):
        telemetry.check(Run(telemetry="otlp"))
    telemetry.check(Run())  # off: nobody looks


def test_what_the_sdk_refuses_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    telemetry.check(Run(telemetry="otlp"))
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "0")
    with pytest.raises(ConfigError, match=r"interval value 0\.0 is invalid and needs"):
        telemetry.check(Run(telemetry="otlp"))


def test_telemetry_is_no_part_of_a_runs_configuration() -> None:
    assert command().content() == Command(Run(recipe=("sft",)), (), "default", ()).content()


def test_opentelemetry_is_not_loaded_unless_asked_for() -> None:
    script = (
        "import sys\nfrom harness.comparison import driver, telemetry\n"
        "from harness.settings.config import Command, Run\n"
        "telemetry.check(Run())\n"
        "with telemetry.telling(Command(Run(), (), '', ()), (), print) as see: assert see is print\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.compare
def test_a_comparison_is_told_whole_and_its_rows_do_not_depend_on_it(collector: Collector, tmp_path: Path) -> None:
    words = ("compare", "recipe=standard_kd", "cycles=1", "run=run", *TINY)
    run(*words, "telemetry=otlp", folder=tmp_path)
    rows = (tmp_path / "run" / "rows.jsonl").read_bytes()
    spans = collector.spans()
    cells = {attributes(one)["harness.cell.name"]: one.span_id for one in spans if one.name == "cell"}
    kinds = {one.name for one in spans if one.parent_span_id == cells["standard_kd seed=0"]}
    assert {"step answers", "step checkpoint", "step samples", "step verdicts"} <= kinds
    run(*words, folder=tmp_path)
    assert (tmp_path / "run" / "rows.jsonl").read_bytes() == rows
