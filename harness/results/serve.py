"""Shows run folders in a browser of this machine: a list with live progress, and each finished run's page.

Loopback only, and only to requests that name this machine as their host, so that no web page elsewhere can read it
through the browser. It reads run folders and never writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, quote, urlsplit

from harness.errors import HarnessError, UsageError
from harness.results import finished, pages
from harness.terminal import texts
from harness.terminal.status import read_status
from reports.html import asset, sha256

HOST = "127.0.0.1"
REFRESH_S = 5  # between two looks at runs that are running
MOST_PAGES = 8  # kept in memory; a page has up to 3 MB


@dataclass(frozen=True)
class Entry:
    """One run as the list shows it."""

    name: str
    lines: tuple[str, ...]  # how it stands
    finished: bool
    running: bool


class Runs:
    """The runs below a folder, or the one run that the folder is; pages are made on demand and kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: dict[tuple[str, ...], tuple[tuple[int, ...], str]] = {}
        self.lock = Lock()
        if not self.folders():
            raise UsageError(f"{folder}: no run in it. Expected a run's folder, or one that holds such; try `runs`.")

    def folders(self) -> dict[str, Path]:
        """Return the run folders by name; only these names are ever opened."""
        if (self.folder / "config.json").is_file():
            return {self.folder.resolve().name: self.folder}
        return {path.parent.name: path.parent for path in sorted(self.folder.glob("*/config.json"))}

    def entries(self) -> list[Entry]:
        found: list[Entry] = []
        for name, path in self.folders().items():
            try:
                status = read_status(path)
                found.append(Entry(name, tuple(texts.status(status)), status.finished, bool(status.holder)))
            except HarnessError as err:
                found.append(Entry(name, (str(err),), False, False))
        return found

    def page(self, names: tuple[str, ...]) -> str:
        """Return the page of runs, made anew when their rows have changed."""
        known = self.folders()
        folders = [known[name] for name in names]
        stamp = tuple((path / "rows.jsonl").stat().st_mtime_ns for path in folders if (path / "rows.jsonl").is_file())
        with self.lock:
            if names not in self.pages or self.pages[names][0] != stamp:
                joined = finished.load(folders)
                made = pages.html(joined, finished.table_of(joined, "untrained" if len(folders) > 1 else ""))
                self.pages = dict([*self.pages.items()][1 - MOST_PAGES :]) | {names: (stamp, made)}
            return self.pages[names][1]


def index(entries: list[Entry]) -> str:
    """Return the list of runs as HTML."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    refresh = REFRESH_S if any(one.running for one in entries) else 0
    script = asset("index.js")
    return environment.from_string(asset("index.html.j2")).render(
        entries=entries,
        refresh=refresh,
        style=asset("page.css"),
        script=script,
        script_hash=sha256(script),
        quote=quote,
    )


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Return a server that listens on loopback; port 0 takes a free one. UsageError where it cannot."""
    runs = Runs(folder)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if (self.headers.get("Host") or "").rpartition(":")[0] not in (HOST, "localhost"):
                return self.answer(HTTPStatus.FORBIDDEN, "This server answers to its own machine only.", "text/plain")
            try:
                status, body = reply(runs, self.path)
            except HarnessError as err:
                return self.answer(HTTPStatus.CONFLICT, str(err), "text/plain")
            self.answer(status, body, "text/html" if status == HTTPStatus.OK else "text/plain")

        def answer(self, status: HTTPStatus, body: str, kind: str) -> None:
            data = body.encode("utf-8", "replace")
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the terminal belongs to the command."""

    try:
        return ThreadingHTTPServer((HOST, port), Handler)
    except (OSError, OverflowError) as err:
        raise UsageError(f"--port {port}: cannot listen there ({err}). Choose another, or 0 for a free one.") from err


def reply(runs: Runs, target: str) -> tuple[HTTPStatus, str]:
    """Return what a path shows: `/` the list, `/page?run=A&run=B` a page."""
    parts = urlsplit(target)
    if parts.path == "/":
        return HTTPStatus.OK, index(runs.entries())
    names = tuple(parse_qs(parts.query).get("run", []))
    if parts.path != "/page" or not names or not set(names) <= runs.folders().keys():
        return HTTPStatus.NOT_FOUND, "No such run here. The list of runs is at /."
    return HTTPStatus.OK, runs.page(names)
