"""Answers only from a recorded run: nothing is asked, and what is not recorded is an error that shows the request."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, TeacherError, suggest
from harness.store.database import Store
from harness.store.keys import Json
from harness.teachers.base import Teacher
from harness.teachers.calls import Call, Reply, reply_from_json
from harness.teachers.oracle import Oracle
from harness.teachers.requests import KINDS, Answer, Request, request_key
from harness.teachers.settings import Teaching, one_teacher

LONGEST = 800  # signs of a request that an error shows


class Recording:
    """The store of a finished run, opened when the first step is looked up."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder, self.place = folder, store
        self.store: Store | None = None

    def payload(self, key: str) -> dict[str, Any] | None:
        """Return what a step found, None where the run did not need it."""
        if self.store is None:
            self.store = Store(self.place, "" if "://" not in self.place else str(self.folder / "artifacts"))
        record = self.store.get([key]).get(key)
        return None if record is None else record.payload

    def demand(self, key: str, request: str) -> dict[str, Any]:
        found = self.payload(key)
        if found is None:
            raise TeacherError(
                f"teacher=replay:{self.folder}: that run holds no answer to this request, and a replay asks nobody:\n"
                f"{request[:LONGEST]}\nRepeat the run with its own settings (see {self.folder / 'run.json'}), or "
                "choose a teacher that can be asked."
            )
        return found

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None


def read_run(name: str) -> tuple[Recording, Teaching]:
    """Return a run's recording and the settings of its teacher. Raises ConfigError for what is no run."""
    folder = Path(name)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        given = config["run"]["teacher"]
    except (OSError, ValueError, KeyError, TypeError) as err:
        near = suggest(folder.name, [one.parent.name for one in folder.parent.glob("*/config.json")])
        raise ConfigError(
            f"teacher=replay:{name}: no run there{near} ({type(err).__name__}). Expected a folder that "
            "`harness compare` wrote."
        ) from err
    place = str(facts["store"])
    if "://" not in place and not (Path(place) / "steps.db").is_file():
        raise ConfigError(
            f"teacher=replay:{name}: its answers lay in {place}, where no store is now. Put the store back, or mend "
            f"`store` in {folder / 'run.json'}."
        )
    known = {one.name for one in dataclasses.fields(Teaching)}
    return Recording(folder, place), Teaching(**{key: value for key, value in given.items() if key in known})


class ReplayBackend:
    """Replies of a recorded model. Its identity is that model's, so that its steps have the same keys."""

    def __init__(self, recording: Recording, identity: dict[str, Json]) -> None:
        self.recording, self.identity = recording, identity

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        for position, call in enumerate(calls):
            shown = "\n".join(f"[{role}] {text}" for role, text in call.messages)
            yield position, reply_from_json(self.recording.demand(call.key, shown))

    def committed(self, keys: Sequence[str]) -> None:
        pass

    def close(self) -> None:
        self.recording.close()


class ReplayedOracle(Oracle):
    """The oracle's answers as a run recorded them."""

    def __init__(self, recording: Recording, original: Teacher) -> None:
        self.recording = recording
        self.name, self.version = original.name, original.version  # of the steps that it looks up

    def payload(self, key: str, request: Request) -> dict[str, Any]:
        """Return the recorded answer of a step, as JSON. Raises TeacherError where there is none."""
        return self.recording.demand(key, json.dumps(request_key(request), indent=1, ensure_ascii=False))

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        raise TeacherError(f"teacher=replay:{self.recording.folder}: a replay answers recorded steps only.")

    def close(self) -> None:
        self.recording.close()


def recorded_kinds(name: str) -> tuple[str, ...]:
    """Return the kinds of requests that a run sent to others than its main teacher."""
    _, given = read_run(name)
    return tuple(kind for kind in KINDS if getattr(given, kind))


def replayed(settings: Teaching, kind: str = "") -> Teaching:
    """Return the settings of who answered a kind in the run that a replay names; of the main teacher if none is named.

    Raises ConfigError where that was a replay itself.
    """
    _, given = read_run(settings.model)
    chosen = one_teacher(given, kind if kind and getattr(given, kind) else "")
    if chosen.name == "replay":
        raise ConfigError(f"teacher=replay:{settings.model}: that run was a replay itself. Name the run it replayed.")
    return chosen
