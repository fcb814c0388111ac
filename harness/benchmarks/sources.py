"""Where benchmark data is found (data folder, the hub's cache), and that it is the pinned one. It fetches nothing."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError
from harness.store.keys import Json, digest


@dataclass(frozen=True)
class Published:
    """A data set: what its file is called, what its rows must be, and where it may lie or be had."""

    names: tuple[str, ...]  # of the file, below the data folder
    sha256: str  # of the rows' content; neither the layout of the file nor the order of its keys counts
    url: str
    hub: str = ""
    configuration: str = ""
    splits: tuple[str, ...] = ()  # of the hub's data set, that make up the rows together


def rows_of(what: str, one: Published, data: Path | None) -> tuple[str, list[Any]]:
    """Return where the rows were found, and the rows; DataError if they are nowhere or not the pinned ones.

    The data folder comes first, then the hub's cache. Rows with a task_id come in its order.
    """
    path = find(one.names, data)
    if path is not None:
        where, rows = str(path), read_rows(path, f"Fetch {one.url} anew.")
    else:
        cached = from_hub(one.hub, one.configuration, one.splits) if one.hub else None
        if cached is None:
            raise missing(what, one.names, data, one.url, one.hub)
        where, rows = f"hub:{one.hub}", cached
    if rows and isinstance(rows[0], dict) and "task_id" in rows[0]:
        rows = sorted(rows, key=lambda row: row["task_id"])
    check_hash(where, rows, one.sha256, f"Fetch {one.url}")
    return where, rows


def check_hash(what: str, rows: Json, expected: str, remedy: str) -> None:
    """Raise DataError unless the data is what this version of the benchmark was written for."""
    found = digest(rows)
    if found != expected:
        raise DataError(f"{what}: the data has sha256 {found}, this version expects {expected}. {remedy}")


def data_folder(data: Path | None) -> Path | None:
    """Return the folder of benchmark data: as given, else what the environment's HARNESS_DATA says."""
    named = os.environ.get("HARNESS_DATA", "")
    return data or (Path(named) if named else None)


def find(names: Iterable[str], data: Path | None) -> Path | None:
    """Return the first of the files that lies in the data folder."""
    folder = data_folder(data)
    return next((folder / name for name in names if (folder / name).is_file()), None) if folder else None


def missing(what: str, names: Iterable[str], data: Path | None, url: str, cached: str = "") -> DataError:
    """Return the error that says where data was sought and how to get it."""
    folder = data_folder(data)
    tried = ", ".join(str(folder / name) for name in names) if folder else ""
    sought = f"looked for {tried}" if folder else "no data folder was given"
    also = f", and {cached} is not in the cache of this user" if cached else ""
    return DataError(
        f"{what}: {sought}{also}. Put the file there, or name its folder with data=FOLDER or HARNESS_DATA. It is "
        f"published at {url}"
    )


FROM_HUB = """
import json, sys
import datasets
from datasets.exceptions import DatasetsError
name, configuration, *splits = json.loads(sys.argv[1])
try:
    parts = [datasets.load_dataset(name, configuration, split=one) for one in splits]
except (OSError, ValueError, DatasetsError):  # not there, or not whole
    sys.exit(3)
json.dump([row for part in parts for row in part], sys.stdout)
"""


def from_hub(name: str, configuration: str, splits: Iterable[str]) -> list[Any] | None:
    """Return the rows of a data set that lies in the hub's cache on this machine; None if it does not.

    A process of its own reads it: only there can `datasets` be told to stay off the network, as it is loaded.
    """
    asked = json.dumps([name, configuration, *splits])
    alone = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", FROM_HUB, asked],
        capture_output=True,
        env={**os.environ, **alone},
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def read_rows(path: Path, remedy: str) -> list[Any]:
    """Return the objects of a file of JSON lines, or of one JSON list, unpacked if it is gzip.

    Raises DataError for one that is damaged.
    """
    try:
        text = unpacked(path, remedy).decode("utf-8")
        if text.lstrip()[:1] == "[":
            return json.loads(text)
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{path}: not JSON ({error}). {remedy}") from None


def unpacked(path: Path, remedy: str) -> bytes:
    """Return the bytes of a file, unpacked if it is gzip; DataError for a packed one that is cut off."""
    content = path.read_bytes()
    try:
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error}). {remedy}") from None
