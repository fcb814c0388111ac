"""The process of one cell: reads which cell on its input, reports events as JSON lines on its output.

Started by the driver as `python -P -m harness.comparison.cell`; not a command for people.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

from harness.comparison.compare import Elsewhere, run_cell
from harness.comparison.evaluation import Emit
from harness.errors import HarnessError, UsageError
from harness.settings.resolve import resolve

INPUT, OUTPUT, ERRORS = 0, 1, 2  # descriptors
PARENT_GONE = 70  # exit code, seen by nobody


def main() -> int:
    message = json.loads(sys.stdin.readline())
    gc.set_threshold(100_000, 50, 50)  # records live to the end: walking them so often costs a quarter of a re-reading
    sys.path.append(os.getcwd())  # a recipe of the user's own may stand where the command was typed
    signal.signal(signal.SIGTERM, stop)
    # Our input ends with the driver. A recipe that reads its own input finds none there, instead of waiting for ever.
    lifeline = os.dup(INPUT)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), INPUT)
    threading.Thread(target=watch_parent, args=(lifeline,), daemon=True).start()
    # Whatever a library, its C code or a child process prints must not mix with the events: only we hold their pipe.
    events = os.fdopen(os.dup(OUTPUT), "w", buffering=1)
    os.dup2(ERRORS, OUTPUT)
    sys.stdout = sys.stderr

    def emit(event: dict[str, Any]) -> None:
        events.write(json.dumps(event) + "\n")

    try:
        command, elsewhere = resolve(message["words"]), elsewhere_of(message, emit)
        run_cell(command, message["cell"], message["level"], emit, message["sharing"], elsewhere)
    except KeyboardInterrupt:
        return 130
    except HarnessError as err:
        emit({"event": "error", "text": str(err), "usage": isinstance(err, UsageError)})
        return 2
    # Whatever else ends a cell is told to the driver with its traceback: an unforeseen error must not be lost.
    except (Exception, SystemExit):
        emit({"event": "error", "text": traceback.format_exc(), "usage": False})
        return 1
    return 0


def elsewhere_of(message: dict[str, Any], emit: Emit) -> Elsewhere:
    """Return what the executor has for the cells of this command together: judges, a pace."""
    found = Elsewhere()
    if "judges" in message:
        from harness.executors.judges import Judges

        def jail() -> Judges:
            return Judges(message["judges"], message["level"], lambda text: emit({"event": "note", "text": text}))

        found = replace(found, jail=jail)
    if "pacer" in message:
        from harness.executors import pacing

        found = replace(found, share_pace=partial(pacing.share, message["pacer"]))
    return found


def stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def watch_parent(lifeline: int) -> None:
    """End with the driver, however it ends: its end closes our input."""
    # A raw read: at exit the interpreter would wait for the lock of a buffered one.
    while os.read(lifeline, 1024):
        continue
    os._exit(PARENT_GONE)


if __name__ == "__main__":
    sys.exit(main())
