"""Large artifacts (checkpoints) as folders named by the hash of their content, written atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable
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
        self.whole: set[str] = set()  # verified by this process

    def scratch(self, owner: str) -> Path:
        """Return a new empty folder on the same file system, named after its `owner` for the sweeper."""
        folder = self.root / "scratch" / f"{owner}-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        return folder

    def work(self, key: str) -> Path:
        """Return the folder in which the step of that key keeps what it can go on from when it is run again."""
        folder = self.root / "work" / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def adopt(self, folder: Path) -> str:
        """Move a finished scratch folder to its final name and return its hash; an equal one is kept."""
        for file in folder.rglob("*"):
            if file.is_file():
                file.chmod(0o644)  # safetensors writes for the owner alone; a team shares its store
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        name = hash_folder(folder)
        final = self.root / name[:2] / name
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir() and hash_folder(final) != name:
            shutil.rmtree(final)  # damaged since: this one replaces it
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(folder)  # the same content was adopted before
        return name

    def path(self, name: str) -> Path:
        """Return the folder of an adopted artifact, its content verified once per process.

        Raises StoreError if it is missing or damaged.
        """
        folder = self.root / name[:2] / name
        if name in self.whole:
            return folder
        if not folder.is_dir() or hash_folder(folder) != name:
            what = "damaged: its content is not what its name says" if folder.is_dir() else "missing"
            raise StoreError(
                f"{folder}: a checkpoint that the store records is {what}. Put it back from a copy, or start with a "
                "new store (store=NEW_FOLDER)."
            )
        self.whole.add(name)
        return folder

    def holds(self, name: str) -> bool:
        """Tell whether the artifact is there and whole."""
        folder = self.root / name[:2] / name
        return folder.is_dir() and hash_folder(folder) == name

    def discard(self, owner: str) -> None:
        """Remove an owner's scratch folders."""
        for folder in (self.root / "scratch").glob(f"{owner}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, living: Callable[[], set[str]]) -> None:
        """Remove scratch folders whose owner is dead; who lives is asked after the folders are listed."""
        found = list((self.root / "scratch").glob("*"))
        alive = living() if found else set[str]()
        for folder in found:
            if folder.name.rsplit("-", 1)[0] not in alive:
                shutil.rmtree(folder, ignore_errors=True)
