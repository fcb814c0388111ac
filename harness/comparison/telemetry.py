"""Tells an OpenTelemetry collector how a command goes, where `telemetry=otlp` asks for it: spans and counters.

A span for the run, in it one for each cell, in it one for each call of a step: its kind, its items, how many of them
were recorded already. Counters: steps, and the ledger's sums. All of it comes from the events that every executor hands
to the driver, so that cells and their machines know nothing of it. Prompts, answers, errors and the command's words are
not told. Where the collector is, and what it is sent with, the OTEL_* variables say; no run waits for it.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from harness import __version__
from harness.errors import ConfigError, HarnessError
from harness.settings.config import Command, Run
from harness.store.database import Store
from harness.store.ledger import Bill, Ledger
from harness.store.schema import SUMS
from harness.teachers.settings import Teaching

Watch = Callable[[int, dict[str, Any]], None]

END_S = 2.0  # that the end of a run waits for what is still to be delivered
SIGNALS = ("", "TRACES_", "METRICS_")
DEFAULT = "http://localhost:4318"  # the collector's place, as OpenTelemetry has it
PROTOCOL = "http/protobuf"
EXPORTERS = "opentelemetry.exporter.otlp.proto.http"
TOLD = ("cycle", "benchmark", "n", "samples")  # of a row; its score beside them


def check(run: Run) -> None:
    """Raise ConfigError where a collector is to be told, and the packages lack or the OTEL_* variables cannot be."""
    if run.telemetry == "off":
        return
    wrong: list[str] = []
    try:
        importlib.import_module("opentelemetry.sdk")
        importlib.import_module(f"{EXPORTERS}.trace_exporter")
    except ImportError:
        wrong.append(
            "telemetry=otlp: needs OpenTelemetry's SDK and its exporter. Install them: pip install "
            "'distil-harness[telemetry]'."
        )
    for signal in SIGNALS:
        name = f"OTEL_EXPORTER_OTLP_{signal}PROTOCOL"
        if (found := os.environ.get(name, PROTOCOL)) != PROTOCOL:
            wrong.append(f"{name}={found}: expected {PROTOCOL}. Name a collector's port for that, mostly 4318.")
        name = f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT"
        if urlsplit(os.environ.get(name) or DEFAULT).scheme not in ("http", "https"):
            wrong.append(f"{name}: not a URL of http or https. Expected one as {DEFAULT}.")
    if not wrong:
        try:
            Delivery().close()
        except ValueError as err:
            wrong.append(
                f"telemetry=otlp: a variable OTEL_… cannot be ({' '.join(str(err).split())}). Mend or unset it."
            )
    if wrong:
        raise ConfigError(wrong)


@contextmanager
def telling(command: Command, jobs: Sequence[str], watch: Watch) -> Generator[Watch]:
    """Yield what sees each event of the command's jobs in place of `watch`, which is handed them first."""
    if command.run.telemetry == "off":
        yield watch
        return
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would write a page into ours for each failure
    delivery = Delivery()
    if command.run.teacher != Teaching():  # the embedded one costs nothing and has no bill
        observe(delivery.meter, command)
    told = Spans(command, jobs, delivery)

    def see(job: int, event: dict[str, Any]) -> None:
        watch(job, event)
        told.see(job, event)
        if trouble := delivery.trouble():
            watch(job, {"event": "note", "text": trouble})

    try:
        with told:
            yield see
    finally:
        delivery.close()
        if trouble := delivery.trouble():
            watch(0, {"event": "note", "text": trouble})


class Spans:
    """The spans of one command. Use as a context manager."""

    def __init__(self, command: Command, jobs: Sequence[str], delivery: Delivery) -> None:
        self.api = importlib.import_module("opentelemetry.trace")
        self.tracer = delivery.tracer
        self.steps = delivery.meter.create_counter(
            "harness.steps", "{step}", "Items of steps, made and recorded already."
        )
        self.jobs = jobs
        run = command.run
        facts = {"name": command.name, "recipes": run.recipe, "benchmarks": run.benchmark, "seeds": run.seed}
        self.run = self.tracer.start_span("run", attributes=named("run", {**facts, "executor": run.executor}))
        self.cells: dict[int, Any] = {}  # of the jobs that are at work, by their number

    def __enter__(self) -> Spans:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        for cell in self.cells.values():
            cell.end()
        if kind is not None:
            self.failed(self.run, kind.__name__)
        self.run.end()

    def see(self, job: int, event: dict[str, Any]) -> None:
        what = event["event"]
        if job not in self.cells:
            self.cells[job] = self.below(self.run, "cell", named("cell", {"name": self.jobs[job]}))
        cell = self.cells[job]
        if what == "stage":
            cell.add_event("stage", named("stage", {"name": event["stage"]}))
        elif what == "row":
            row = event["row"]
            score = sum(row["correct"]) / max(1, row["n"] * row["samples"])
            cell.add_event("row", named("row", {**{name: row[name] for name in TOLD}, "pass_at_1": score}))
        elif what == "step":
            self.step(cell, event)
        elif what == "placed":
            cell.set_attribute("host.name", event["host"])
        elif what == "error":
            self.failed(cell, "it ended with an error, which stands in logs/events.jsonl")
        elif what == "again":
            self.ended(job, "its machine was lost; it begins anew")
        elif what == "exit":
            cell.set_attribute("process.exit.code", event["code"])
            self.ended(job, f"exit code {event['code']}" if event["code"] else "")

    def step(self, cell: Any, event: dict[str, Any]) -> None:
        """Tell of one call of a step, which has ended."""
        began = round(1e9 * event["began"])
        facts = {name: event[name] for name in ("kind", "items", "made", "cached")}
        span = self.below(cell, f"step {event['kind']}", named("step", facts), began)
        span.end(began + round(1e9 * event["seconds"]))
        for source in ("made", "cached"):
            self.steps.add(event[source], named("step", {"kind": event["kind"], "source": source}))

    def below(self, parent: Any, name: str, attributes: dict[str, Any], began: int | None = None) -> Any:
        context = self.api.set_span_in_context(parent)
        return self.tracer.start_span(name, context, attributes=attributes, start_time=began)

    def ended(self, job: int, fault: str) -> None:
        cell = self.cells.pop(job)
        if fault:
            self.failed(cell, fault)
        cell.end()

    def failed(self, span: Any, why: str) -> None:
        span.set_status(self.api.Status(self.api.StatusCode.ERROR, why))


class Delivery:
    """What sends spans and counters in threads of its own, and how that goes."""

    def __init__(self) -> None:
        traces = importlib.import_module("opentelemetry.sdk.trace")
        metrics = importlib.import_module("opentelemetry.sdk.metrics")
        resource = own_resource()
        self.failing = {"spans": False, "counters": False}  # whether the last sending failed
        self.said = False
        spans = importlib.import_module(f"{EXPORTERS}.trace_exporter").OTLPSpanExporter()
        self.traces = traces.TracerProvider(resource=resource, shutdown_on_exit=False)
        self.traces.add_span_processor(traces.export.BatchSpanProcessor(self.watched("spans", spans)))
        sums = importlib.import_module(f"{EXPORTERS}.metric_exporter").OTLPMetricExporter()
        reader = metrics.export.PeriodicExportingMetricReader(self.watched("counters", sums))
        self.metrics = metrics.MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self.tracer, self.meter = self.traces.get_tracer("harness"), self.metrics.get_meter("harness")

    def watched(self, what: str, exporter: Any) -> Any:
        """Note how an exporter's sendings end; it tries several times before it gives one up."""
        export = exporter.export

        def noted(*given: Any, **options: Any) -> Any:
            found = export(*given, **options)
            self.failing[what] = found.name != "SUCCESS"
            return found

        exporter.export = noted
        return exporter

    def close(self) -> None:
        """Deliver what is left, for at most END_S seconds; what takes longer is let go with the process."""
        threads = {
            what: threading.Thread(target=provider.shutdown, daemon=True)
            for what, provider in (("spans", self.traces), ("counters", self.metrics))
        }
        for thread in threads.values():
            thread.start()
        deadline = time.monotonic() + END_S
        for what, thread in threads.items():
            if not self.failing[what]:
                thread.join(max(0.0, deadline - time.monotonic()))
            self.failing[what] = self.failing[what] or thread.is_alive()

    def trouble(self) -> str:
        """Return, once, what the collector does not take."""
        failing = [what for what, so in self.failing.items() if so]
        if self.said or not failing:
            return ""
        self.said = True
        places = [os.environ.get(f"OTEL_EXPORTER_OTLP_{one}ENDPOINT") for one in SIGNALS]
        at = urlsplit(next((place for place in places if place), DEFAULT))
        host = at.netloc.rpartition("@")[2]  # not more of the URL: it may hold a key
        return f"telemetry: the collector at {at.scheme}://{host} does not take {' and '.join(failing)}"


def own_resource() -> Any:
    """Return who tells: as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say, else by this project's name."""
    package = importlib.import_module("opentelemetry.sdk.resources")
    found = package.Resource.create()
    own = {"service.version": __version__}
    if str(found.attributes["service.name"]).startswith("unknown_service"):
        own["service.name"] = "distil-harness"
    return found.merge(package.Resource(own))


def observe(meter: Any, command: Command) -> None:
    """Have the ledger's sums read whenever counters are sent."""
    observation = importlib.import_module("opentelemetry.metrics").Observation
    known: tuple[float, list[Bill]] = (-END_S, [])

    def look(name: str) -> Callable[[Any], Iterator[Any]]:
        def read(options: Any) -> Iterator[Any]:
            nonlocal known
            if time.monotonic() - known[0] > END_S / 2:  # once for all sums of one sending
                known = (time.monotonic(), bills(command))
            for one in known[1]:
                yield observation(asdict(one)[name], named("ledger", {"cell": one.cell, "teacher": one.teacher}))

        return read

    for name in SUMS:
        unit = "USD" if name.endswith("usd") else "{token}" if name.startswith("tokens") else "{call}"
        meter.create_observable_counter(f"harness.teacher.{name}", [look(name)], unit)


def bills(command: Command) -> list[Bill]:
    """Return the bills of a command's teachers; none where they cannot be read: the run itself will say why."""
    try:
        with Store(command.run.store, command.run.artifacts) as store:
            return Ledger(store).bills(command.name)
    except HarnessError:
        return []


def named(what: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts as attributes, `harness.WHAT.NAME`."""
    return {f"harness.{what}.{name}": value for name, value in facts.items()}
