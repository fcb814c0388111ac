"""Runs a command until it ends or our input does, and then ends its whole process group. Not a command for people.

    python -m harness.students.keeper WORD...

A server that the harness starts must not outlive it, however the harness ends: its end closes our input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

GRACE_S = 10.0  # between asking a command to end and ending it


def main() -> int:
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    threading.Thread(target=end_with_input, args=(process,), daemon=True).start()
    return process.wait()


def end_with_input(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 1024):
        continue
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


if __name__ == "__main__":
    sys.exit(main())
