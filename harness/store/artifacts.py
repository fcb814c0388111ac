"""Large artifacts (checkpoints) as folders named by the hash of their content, written atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from pathlib import Path

from harness.errors import StoreError


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files below `folder`, in sorted order."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


class Artifacts:
    """Folders of files below `root`, each named by its content; a half-written one never has such a name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def scratch(self, owner: str) -> Path:
        """Return a new empty folder on the same file system, named after its `owner` for the sweeper."""
        folder = self.root / "scratch" / f"{owner}-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        return folder

    def adopt(self, folder: Path) -> str:
        """Move a finished scratch folder to its final name and return its hash; an equal one is kept."""
        for file in folder.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        name = hash_folder(folder)
        final = self.root / name[:2] / name
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(folder)  # another process adopted the same content first
        return name

    def path(self, name: str) -> Path:
        """Return the folder of an adopted artifact.

        Raises StoreError if it is not there: the record outlived its files.
        """
        folder = self.root / name[:2] / name
        if not folder.is_dir():
            raise StoreError(
                f"{folder}: a checkpoint that the store records is missing. Expected a folder with this name; "
                "put it back, or start with a new store (store=NEW_FOLDER)."
            )
        return folder

    def holds(self, name: str) -> bool:
        return (self.root / name[:2] / name).is_dir()

    def sweep(self, alive: set[str]) -> None:
        """Remove scratch folders whose owner is not among the living."""
        for folder in (self.root / "scratch").glob("*"):
            if folder.name.rsplit("-", 1)[0] not in alive:
                shutil.rmtree(folder, ignore_errors=True)
