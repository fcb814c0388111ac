"""Result rows as JSON lines: the product of a run, from which every table is made."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.errors import StoreError, suggest
from harness.types import Row, Spent


def row_to_json(row: Row) -> dict[str, Any]:
    content = dataclasses.asdict(row)
    if not row.families:  # a row of a benchmark without families has the bytes that it had before there were any
        del content["families"]
    return content


def row_from_json(content: dict[str, Any]) -> Row:
    fields: dict[str, Any] = dict(content)
    fields["spent"] = Spent(**content["spent"])
    fields["correct"], fields["levels"] = tuple(content["correct"]), tuple(content["levels"])
    fields["families"] = tuple(content.get("families", ()))
    return Row(**fields)


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines atomically: a reader sees the old file or the new one, never half of one."""
    write_parts(path, (json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically and make it last."""
    write_parts(path, [text])


def write_parts(path: Path, parts: Iterable[str]) -> None:
    """Write a text file atomically from parts, which need not all be in memory."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with draft.open("w", encoding="utf-8", errors="surrogatepass") as stream:
            stream.writelines(parts)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as err:
        with suppress(OSError):  # of a folder that cannot be written to
            draft.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: {err.strerror}. Mend this and run the same command again; finished steps are kept."
        ) from err


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a run folder's `rows.jsonl`.

    Raises StoreError with the line that does not hold a row.
    """
    if not path.is_file():
        near = suggest(path.parent.name, [one.parent.name for one in path.parent.parent.glob(f"*/{path.name}")])
        raise StoreError(
            f"{path}: no rows here{near}. Expected the folder of a finished run; `harness compare` writes one."
        )
    rows: list[Row] = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="surrogatepass").split("\n"), 1):
        if not line:
            continue
        try:
            rows.append(row_from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError) as err:
            raise StoreError(
                f"{path}:{number}: not a result row ({err}). Run the command of this run again; it is written anew."
            ) from err
    return rows
