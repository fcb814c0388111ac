"""Opens the teacher that the settings name: its backend, its prompts, its prices, and who else answers what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.store.database import Store
from harness.store.ledger import Ledger
from harness.teachers import probe
from harness.teachers.base import Teacher
from harness.teachers.calls import Backend
from harness.teachers.composed import Composed
from harness.teachers.fallible import Fallible
from harness.teachers.local import LocalBackend, LocalTeacher
from harness.teachers.model import ModelTeacher
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.oracle import Oracle
from harness.teachers.prices import host_of, price_of
from harness.teachers.prompts import Prompts, folders_for
from harness.teachers.purse import Purse
from harness.teachers.replay import ReplayBackend, ReplayedOracle, read_run, recorded_kinds, replayed
from harness.teachers.requests import KINDS
from harness.teachers.settings import Teaching, one_teacher


@dataclass(frozen=True)
class Terms:
    """What the opener of a teacher knows beside its settings."""

    method: str = ""  # whose prompts: the name of the recipe's module
    beside: Path | None = None  # the folder of that module
    stops: tuple[str, ...] = ()  # where a continuation of a prompt ends
    ledger: Ledger | None = None
    store: Store | None = None  # where a probe's findings lie
    run: str = ""  # for the ledger
    cell: str = ""
    cap_usd: float = 0.0  # of the run; 0: none
    allow_unpriced: bool = False
    sharing: int = 1  # processes that share the endpoint's limits
    asks: bool = True  # False: it is only looked at, so it needs neither a key nor a price


def open_teacher(settings: Teaching, terms: Terms) -> Teacher:
    """Return the teacher. Nothing is sent yet.

    Raises ConfigError for a missing key, an unknown price, a wrong prompt or a model that is not there.
    """
    chosen = one_teacher(settings)
    main = open_one(chosen, terms)
    recorded = recorded_kinds(chosen.model) if chosen.name == "replay" else ()
    others = {kind: open_one(chosen, terms, kind) for kind in recorded}
    others |= {kind: open_one(one_teacher(settings, kind), terms, kind) for kind in KINDS if getattr(settings, kind)}
    return Composed(main, others) if others else main


def open_one(settings: Teaching, terms: Terms, kind: str = "") -> Teacher:
    """Open one member of a composition, the one that answers a kind (empty: the main one)."""
    if settings.name == "oracle":
        return Fallible(settings.errs, settings.varies) if settings.errs or settings.varies else Oracle()
    if settings.name == "replay":
        recording, _ = read_run(settings.model)
        original = replayed(settings, kind)
        if original.name == "oracle":
            return ReplayedOracle(recording, open_one(original, terms))
        original = replace(original, prompts=settings.prompts or original.prompts)
        inner = backend_of(original, replace(terms, asks=False))
        backend = ReplayBackend(recording, inner.identity)
        found = probe.recorded(recording.payload, backend)
        recording.close()  # opened again by the first answer: who only looks leaves nothing open
        return ModelTeacher(original, prompts_of(original, terms), backend, terms.stops, draws=draws(found))
    backend, prompts = backend_of(settings, terms), prompts_of(settings, terms)
    if settings.name == "local":
        return LocalTeacher(settings, prompts, backend, terms.stops)
    key = probe.step(backend).key(0)
    record = terms.store.get([key]).get(key) if terms.store is not None else None
    return ModelTeacher(settings, prompts, backend, terms.stops, draws=draws(record.payload if record else None))


def draws(probed: Mapping[str, Any] | None) -> bool:
    """Tell from a probe's findings whether two draws of a question can differ: they can unless it is known better."""
    return probed is None or probed["draws"] is not False


def prompts_of(settings: Teaching, terms: Terms) -> Prompts:
    prompts = Prompts(folders_for(terms.method, terms.beside, settings.prompts))
    prompts.check()
    return prompts


def backend_of(settings: Teaching, terms: Terms) -> Backend:
    if settings.name == "local":
        return LocalBackend(settings)
    price = price_of(settings.model, settings.base_url, settings.prices)
    if terms.asks and price is None and not terms.allow_unpriced:
        raise ConfigError(unpriced(settings))
    if terms.asks and price is None and terms.cap_usd:
        raise ConfigError(
            f"budget.teacher_usd={terms.cap_usd:g}: a cap cannot be kept for {settings.label}, whose price is not "
            "known. Put it into a file (teacher.prices=FILE), or leave budget.teacher_usd out."
        )
    who = (terms.run, terms.cell, settings.label)
    return OpenAIBackend(settings, Purse(price, terms.ledger, who, terms.cap_usd), terms.sharing, asks=terms.asks)


def unpriced(settings: Teaching) -> str:
    host = host_of(settings.base_url)
    return (
        f"teacher={settings.label}: no price is known for model {settings.model} at {host}. Put it into a file and say "
        f"teacher.prices=FILE (`{host}: {{{settings.model}: {{in: USD, out: USD, as_of: DATE}}}}`, US dollars per "
        "million tokens), or say budget.allow_unpriced=true if it costs nothing or you do not want to know."
    )


def members(teacher: Teacher) -> Sequence[Teacher]:
    """Return the teachers that a teacher is made of."""
    return teacher.members() if isinstance(teacher, Composed) else [teacher]


def close(teacher: Teacher) -> None:
    """Give back what a teacher holds."""
    getattr(teacher, "close", lambda: None)()
