"""macOS: the profile and the command by which sandbox-exec confines a zygote.

Written from Apple's and Chromium's published rules and tested as text only: it has never run on a Mac. There are no
namespaces, no system-call filter and no dependable memory limit there, so the level stands below no-namespaces.
"""

from __future__ import annotations

import os
import sys

from harness.sandbox.jail import isolation

PROGRAM = "/usr/bin/sandbox-exec"
PRIVATE = ("/Users", "/Volumes", "/private/var", "/private/tmp", "/private/etc", "/opt", "/usr/local")


def quoted(path: str) -> str:
    """Return a path as a string of the profile's language."""
    text = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def profile(python: str, folders: list[str]) -> str:
    """Return the rules: no network, no writing, no other program, no private file; the last rule that matches counts.

    `folders` are the libraries and our own modules; installed packages below them stay closed.
    """
    closed = " ".join(f"(subpath {quoted(path)})" for path in PRIVATE)
    opened = " ".join(f"(subpath {quoted(path)})" for path in folders)
    packages = sorted({path for folder in folders for path in isolation.packages_below(folder)})
    lines = [
        "(version 1)",
        "(allow default)",
        "(deny network* system-socket)",
        "(deny mach-register appleevent-send iokit-open)",
        "(deny ipc-posix* ipc-sysv*)",
        "(deny signal)",
        "(allow signal (target same-sandbox))",
        "(deny file-write*)",
        '(allow file-write* (literal "/dev/null") (literal "/dev/zero"))',
        f"(deny file-read* {closed})",
        f"(allow file-read* (literal {quoted(python)}) {opened})",
        "(allow file-read-metadata)",
        *(f"(deny file-read* (subpath {quoted(path)}))" for path in packages),
        "(deny process-exec*)",
        f"(allow process-exec (literal {quoted(python)}))",
    ]
    return "\n".join(lines) + "\n"


def command(argv: list[str], own_folder: str) -> list[str]:
    """Return `argv`, which starts an interpreter, wrapped in sandbox-exec."""
    python = os.path.realpath(argv[0])
    rules = profile(python, [*isolation.library_folders(), sys.base_prefix, own_folder])
    return [PROGRAM, "-p", rules, python, *argv[1:]]
