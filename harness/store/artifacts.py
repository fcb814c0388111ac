"""Large artifacts (checkpoints) as folders named by the hash of their content, written atomically."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, StoreError
from harness.store.cache import cache_folder

PASSWORD = re.compile(r"(://)[^/@:]*:(?!\d+(?:/|$))[^@]*@")  # `://USER:WORD@`, in chained URLs too; no port is meant
REMEDIES = {
    "store": "set PGPASSWORD or use ~/.pgpass",
    "artifacts": "set it where the file system's package looks for it, mostly an environment variable",
}
SECRET = re.compile(r"([?&]\w*(?:password|secret|token|sig|signature)=)[^&]+", re.IGNORECASE)


def hash_folder(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of all files below `folder`, in sorted order."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(file.relative_to(folder).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def synced(path: Path) -> None:
    """Have the disk hold a file's content, or a folder's names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def linked(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


class Artifacts:
    """Folders of files below `root`, each named by its content; a half-written one never has such a name."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.owner = "nobody"  # who makes scratch folders of its own accord here
        self.whole: set[str] = set()  # verified by this process

    def scratch(self, owner: str) -> Path:
        """Return a new empty folder on the same file system, named after its `owner` for the sweeper."""
        folder = self.root / "scratch" / f"{owner}-{uuid.uuid4().hex[:12]}"
        folder.mkdir(parents=True)
        return folder

    def work(self, key: str) -> Path:
        """Return the folder in which the step of that key keeps what it can go on from when it is run again.

        What was adopted of it before gets files of its own: who goes on may write into them.
        """
        folder = self.root / "work" / key
        folder.mkdir(parents=True, exist_ok=True)
        shared = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
        if shared:
            scratch = self.scratch(self.owner)
            for path in shared:
                shutil.copy2(path, scratch / path.name)
                (scratch / path.name).replace(path)
            scratch.rmdir()
        return folder

    def adopt(self, folder: Path) -> str:
        """Move a finished scratch folder to its final name and return its hash; an equal one is kept.

        It has reached the disk, names and all, when this returns: a record of it may follow.
        """
        for path in (folder, *folder.rglob("*")):
            if path.is_file():
                path.chmod(0o644)  # safetensors writes for the owner alone; a team shares its store
            synced(path)
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
        synced(final.parent)
        synced(self.root)
        return name

    def adopt_from(self, work: Path) -> str:
        """Adopt a folder of a step's work, which stays until the step is recorded: its files are linked, not moved.

        They are the artifact's from now on: whoever writes into them asks for `work` first.
        """
        scratch = self.scratch(self.owner)
        shutil.copytree(work, scratch, copy_function=linked, dirs_exist_ok=True)
        return self.adopt(scratch)

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

    def names(self) -> list[str]:
        """Return the names of all adopted artifacts."""
        return sorted(path.name for path in self.root.glob("??/*") if path.is_dir())

    def remove(self, name: str) -> None:
        """Remove an adopted artifact."""
        shutil.rmtree(self.root / name[:2] / name)
        self.whole.discard(name)

    def take(self, folder: Path, name: str) -> None:
        """Copy in an artifact of another store."""
        if self.holds(name):
            return
        scratch = self.scratch(self.owner)
        try:
            shutil.copytree(folder, scratch, dirs_exist_ok=True)
            found = self.adopt(scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        if found != name:
            raise StoreError(f"{folder}: it changed while it was copied. Run the same command again.")

    def discard(self, owner: str) -> None:
        """Remove an owner's scratch folders."""
        for folder in (self.root / "scratch").glob(f"{owner}-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def sweep_work(self, recorded: Callable[[list[str]], Iterable[str]]) -> None:
        """Remove the work of steps that are recorded: they were killed between that and its removal."""
        keys = [folder.name for folder in (self.root / "work").glob("*")]
        for key in recorded(keys) if keys else ():
            shutil.rmtree(self.root / "work" / key, ignore_errors=True)

    def sweep(self, living: Callable[[], set[str]]) -> None:
        """Remove scratch folders whose owner is dead; who lives is asked after the folders are listed."""
        found = list((self.root / "scratch").glob("*"))
        alive = living() if found else set[str]()
        for folder in found:
            if folder.name.rsplit("-", 1)[0] not in alive:
                shutil.rmtree(folder, ignore_errors=True)


class Remote(Artifacts):
    """Artifacts at an fsspec URL, each kept in a local folder too once it was made or asked for here.

    Where files have no rename, a marker that is written last says that an artifact is whole.
    """

    def __init__(self, url: str, root: Path) -> None:
        super().__init__(root)
        self.files, self.base = opened(url)
        self.url = url

    def adopt(self, folder: Path) -> str:
        name = super().adopt(folder)
        self.push(name)
        return name

    def push(self, name: str) -> None:
        place = f"{self.base}/{name[:2]}/{name}"
        if self.files.exists(f"{place}.whole"):
            return
        local = self.root / name[:2] / name
        paths = sorted(path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file())
        for path in paths:
            target = f"{place}/{path}"
            self.files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self.files.put_file(str(local / path), target)
        self.files.pipe_file(f"{place}.whole", json.dumps(paths).encode())

    def path(self, name: str) -> Path:
        if not super().holds(name):
            self.pull(name)
        return super().path(name)

    def holds(self, name: str) -> bool:
        """Tell whether the artifact is there for all and whole."""
        try:
            self.pull(name)
        except StoreError:
            return False
        return super().holds(name)

    def pull(self, name: str) -> None:
        """Fetch an artifact, if it is not here, and check it against its name."""
        place = f"{self.base}/{name[:2]}/{name}"
        if not self.files.exists(f"{place}.whole"):
            raise StoreError(f"{self.url}: checkpoint {name}, which the store records, is missing there.")
        if super().holds(name):
            return
        folder = self.scratch(self.owner)
        try:
            for path in json.loads(self.files.cat_file(f"{place}.whole")):
                target = (folder / path).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise StoreError(f"{self.url}: checkpoint {name} names a file outside of it ({path}).")
                target.parent.mkdir(parents=True, exist_ok=True)
                self.files.get_file(f"{place}/{path}", str(target))
            if hash_folder(folder) != name:
                raise StoreError(f"{self.url}: checkpoint {name} is damaged: its content is not what its name says.")
            super().adopt(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def names(self) -> list[str]:
        marks = self.files.glob(f"{self.base}/??/*.whole")
        return sorted(str(mark).rpartition("/")[2].removesuffix(".whole") for mark in marks)

    def remove(self, name: str) -> None:
        place = f"{self.base}/{name[:2]}/{name}"
        self.files.rm_file(f"{place}.whole")  # first: what has no marker is not there
        self.files.rm(place, recursive=True)
        if (self.root / name[:2] / name).is_dir():
            super().remove(name)


def opened(url: str) -> tuple[Any, str]:
    """Return the file system of an fsspec URL, and the path in it.

    Raises ConfigError for a URL of an unknown kind or with a password, or if its package is not installed.
    """
    if wrong := secret_in("artifacts", url):
        raise ConfigError(wrong)
    import fsspec  # its own file systems are looked up when it is loaded

    try:
        files, base = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as err:
        raise ConfigError(f"artifacts={url}: {err}. Expected a folder or a URL that fsspec knows.") from err
    return files, str(base).rstrip("/")


def secret_in(key: str, place: str) -> str:
    """Return what is wrong with a URL that holds a password or a key, without them; empty where it holds none."""
    masked = SECRET.sub(r"\1***", PASSWORD.sub(r"\1***@", place)) if "://" in place else place
    if masked == place:
        return ""
    return (
        f"{key}={masked}: a password or key in the URL would be written down with every run. Leave it out, and "
        f"{REMEDIES[key]}."
    )


def artifacts_at(place: str) -> Artifacts:
    """Return the artifacts of a folder, or of an fsspec URL with its local copies in the user's cache."""
    if "://" not in place:
        return Artifacts(Path(place))
    return Remote(place, cache_folder() / "artifacts" / hashlib.sha256(place.encode()).hexdigest()[:16])
