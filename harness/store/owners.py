"""Who is alive: one locked file per process, so that a claim of a killed process is known to be dead.

The kernel drops a file lock when its process ends, however it ends; unlike a process id it is never reused, and
unlike a heartbeat it does not depend on clocks. It holds for processes that share a file system.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from pathlib import Path


class Owner:
    """This process's mark of life below `folder`, held until `close` or death."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.name = uuid.uuid4().hex
        # locked under a name that `living` does not look at, then renamed: never seen unlocked by a neighbour
        draft = folder / f"{self.name}.new"
        self.file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.path = folder / f"{self.name}.alive"
        draft.rename(self.path)

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self.file)

    def living(self) -> set[str]:
        """Return the names of all processes that are alive, and remove the files of the dead."""
        names = {self.name}
        for path in self.folder.glob("*.alive"):
            if path == self.path:
                continue
            try:
                other = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # it ended between the listing and now
            try:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                names.add(path.stem)
            else:
                path.unlink(missing_ok=True)
            finally:
                os.close(other)
        return names
