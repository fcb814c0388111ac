"""One process of a launched fit: reads its job from a file and reports to another. Not a command for people."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.training import job as jobs
from harness.training.launch import EVENTS

PARENT_GONE = 70  # exit code, seen by nobody


def main() -> int:
    threading.Thread(target=watch_parent, daemon=True).start()
    said: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    work = Path(said["work"])

    def emit(event: dict[str, Any]) -> None:
        with (work / EVENTS).open("a") as stream:
            stream.write(json.dumps(event) + "\n")

    from harness.training.resume import Checkpoints
    from harness.training.trainer import Fitting, more_parts, out_of_memory, tell_split

    fitting = Fitting(jobs.from_json(said, lambda done, updates: emit({"event": "progress", "done": done})))
    try:
        marks = fitting.attempt(Checkpoints(work), said["save_every_s"])
    except RuntimeError as err:
        if not out_of_memory(err):
            raise
        width = fitting.job.schedule.batch // int(os.environ.get("WORLD_SIZE", "1"))
        try:
            parts = more_parts(width, fitting.micro_batches, str(err))
            tell_split(parts)
            emit({"event": "memory", "micro_batches": parts})
        except HarnessError as hopeless:
            emit({"event": "error", "text": str(hopeless)})
        return 1
    except HarnessError as err:
        emit({"event": "error", "text": str(err)})
        return 1
    if os.environ.get("RANK", "0") == "0":
        emit({"event": "marks", "marks": [jobs.mark_to_json(one) for one in marks]})
    return 0


def watch_parent() -> None:
    """End with the process that launched us, however it ends: its end closes our input."""
    while os.read(0, 1024):
        continue
    os._exit(PARENT_GONE)


if __name__ == "__main__":
    sys.exit(main())
