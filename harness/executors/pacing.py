"""One pace for all cells of a command: an actor of a Ray cluster says when which call may go to an endpoint.

A cell asks it for a turn before each call and tells it what the endpoint said of its limits; keys, prompts and answers
stay with the cell, and so do its connections. Without the actor a cell goes on at its share of the limits.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.executors.ray import connect, discard, package
from harness.teachers.base import Teacher
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.opening import members
from harness.teachers.pace import Pace
from harness.teachers.settings import Teaching

NAME = "pacer"
WAIT_S = 5.0  # for a turn, before a cell goes on at its share: its calls stand still as long
ALONE_S = 60.0  # for which it then does not ask again
LIMITS = ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")  # headers that the pace reads

log = logging.getLogger("harness.executors")


@dataclass(frozen=True)
class Endpoint:
    """What has limits of its own: a model at an address, asked under one key; and the limits that are known."""

    base_url: str
    model: str
    key_env: str
    rpm: float
    tpm: float


def endpoint_of(settings: Teaching) -> Endpoint:
    return Endpoint(settings.base_url, settings.model, settings.key_env, settings.rpm, settings.tpm)


class Pacer:
    """The actor: a pace for each endpoint, on a clock of its own; what it tells are spans of time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.paces: dict[Endpoint, Pace] = {}

    def address(self) -> str:
        """Return where the cluster is, as its nodes reach it."""
        return str(package().get_runtime_context().gcs_address)

    def of(self, endpoint: Endpoint) -> Pace:
        return self.paces.setdefault(endpoint, Pace(endpoint.rpm, endpoint.tpm))

    def slot(self, endpoint: Endpoint, tokens: int) -> tuple[float, float]:
        """Return in how many seconds a call may go, and for how many the endpoint is paused."""
        pace, now = self.of(endpoint), self.clock()
        return pace.slot(tokens, now) - now, pace.paused_until - now

    def refused(self, endpoint: Endpoint, seconds: float, alone: bool) -> float:
        """Take a refusal in, and return for how many seconds the endpoint is paused."""
        pace, now = self.of(endpoint), self.clock()
        pace.refused(seconds, now, alone=alone)
        return pace.paused_until - now

    def answered(self, endpoint: Endpoint, limits: Mapping[str, str]) -> None:
        self.of(endpoint).answered(limits, self.clock())


class SharedPace(Pace):
    """A cell's way to the command's pace; itself the cell's share of the limits, for when the actor is gone."""

    def __init__(self, actor: Any, endpoint: Endpoint, sharing: int) -> None:
        super().__init__(endpoint.rpm, endpoint.tpm, sharing)
        self.actor, self.endpoint = actor, endpoint
        self.alone_until = 0.0

    def slot(self, tokens: int, now: float) -> float:
        told = self.ask(now, self.actor.slot, tokens)
        if told is None:
            return super().slot(tokens, now)
        wait, pause = told
        self.paused_until = max(self.paused_until, now + pause)
        return max(now + wait, self.paused_until)

    def refused(self, seconds: float, now: float, *, alone: bool = False) -> None:
        pause = self.ask(now, self.actor.refused, seconds, alone)
        if pause is None:
            super().refused(seconds, now, alone=alone)
        else:
            self.paused_until = max(self.paused_until, now + pause)

    def answered(self, headers: Mapping[str, str], now: float) -> None:
        super().answered(headers, now)
        self.actor.answered.remote(self.endpoint, {name: headers[name] for name in LIMITS if name in headers})

    def ask(self, now: float, method: Any, *words: Any) -> Any:
        """Return what the actor answers; None where it is away, or was a short while ago."""
        if now < self.alone_until:
            return None
        ray = package()
        try:
            return ray.get(method.remote(self.endpoint, *words), timeout=WAIT_S)
        except ray.exceptions.RayError as err:
            log.warning("no pace is shared, this cell keeps to its share of the limits for %.0f s: %s", ALONE_S, err)
            self.alone_until = now + ALONE_S  # each question would hold up all calls of the cell
            return None


@contextmanager
def hired() -> Generator[dict[str, str], None, None]:
    """Start the actor and yield how cells reach it; it takes no core, and begins again where it is lost."""
    ray = package()
    namespace = f"harness-{uuid.uuid4().hex}"
    options = ray.remote(Pacer).options(name=NAME, namespace=namespace, num_cpus=0, max_restarts=-1)
    actor = options.remote()
    try:
        yield {"namespace": namespace, "address": ray.get(actor.address.remote())}
    finally:
        discard(ray, [actor])


def share(told: Mapping[str, str], teacher: Teacher) -> None:
    """Have a teacher's calls to hosted and served models go at the command's pace."""
    connect(told["address"])
    actor = package().get_actor(NAME, namespace=told["namespace"])
    for member in members(teacher):
        backend = getattr(member, "backend", None)
        if isinstance(backend, OpenAIBackend):
            backend.go_at(SharedPace(actor, endpoint_of(backend.settings), backend.pace.sharing))
