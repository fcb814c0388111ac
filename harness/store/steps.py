"""A step: a call that costs something, run once in the lifetime of the store.

A step's items are keyed by (kind, code version, what they share, what is their own). Items that are recorded are
read; the others are claimed, computed and committed as they finish; items that another process has claimed are
waited for. So two cells that need the same thing at once run it once, and a killed run loses at most what had not
been committed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.store.database import Record, Store
from harness.store.journal import Call
from harness.store.keys import Json, digest

COMMIT_S = 0.5  # results wait at most about this long for their commit
POLL_S = 0.1  # how often a process looks for results that another one is computing

Payload = dict[str, Json]
Compute = Callable[[list[int]], Iterator[tuple[int, Payload]]]


@dataclass(frozen=True)
class Step:
    """What all items of one call share. `version` is a number beside the code that computes it."""

    kind: str
    version: int
    shared: Json

    def key(self, item: Json) -> str:
        return digest([self.kind, self.version, self.shared, item])


def run(
    store: Store,
    step: Step,
    items: Sequence[Json],
    compute: Compute,
    done: Callable[[int, int], None] = lambda n, total: None,
    committed: Callable[[list[str]], None] = lambda keys: None,
) -> list[Record]:
    """Return one record per item, in order, computing only what no process has computed yet.

    `compute` gets the indices of the items to run and yields (index, payload) in any order. `done` is told how
    many of this call's distinct items are finished, and of how many, whenever that changes; `committed` is told the
    keys of what this process computed, each time that the store has got some.
    """
    keys = [step.key(item) for item in items]
    first: dict[str, int] = {}  # equal items run once
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    began, start, made = time.time(), time.perf_counter(), 0
    found = store.get(list(first))
    cached = len(found)
    done(cached, len(first))
    while missing := [key for key in first if key not in found]:
        mine = store.claim(missing)
        # What was committed between our look and our claim is read, not run again.
        ready = store.get(missing)
        store.release(mine & ready.keys())
        found.update(ready)
        todo = [first[key] for key in missing if key in mine and key not in ready]
        if todo:
            before = len(found)
            told = Told(lambda n, before=before: done(before + n, len(first)), committed)
            computed = work(store, step, keys, todo, compute, told)
            found.update(store.get(computed))
            made += len(todo)
        elif not ready:
            time.sleep(POLL_S)
        done(len(found), len(first))
    if store.journal is not None:
        took = time.perf_counter() - start
        store.journal.called(Call(step.kind, len(first), cached, made, began, took))
    return [found[key] for key in keys]


@dataclass(frozen=True)
class Told:
    """Who is told what while items are computed: how many are done, and which ones the store now has."""

    done: Callable[[int], None]
    committed: Callable[[list[str]], None]


def work(store: Store, step: Step, keys: Sequence[str], todo: list[int], compute: Compute, told: Told) -> list[str]:
    """Compute claimed items, committing as they come; what is not committed is released on the way out."""
    open_claims = {keys[index] for index in todo}
    batch: list[tuple[str, str, Payload, float]] = []
    count, last, committed = 0, time.perf_counter(), time.perf_counter()
    try:
        for index, payload in compute(todo):
            now = time.perf_counter()
            batch.append((keys[index], step.kind, payload, now - last))
            count, last = count + 1, now
            if now - committed > COMMIT_S:
                commit(store, batch, open_claims, told)
                committed = time.perf_counter()
                told.done(count)
        assert count == len(todo), f"step {step.kind}: {count} of {len(todo)} items computed"
    finally:
        if open_claims:
            commit(store, batch, open_claims, told)
            store.release(open_claims)
    return [keys[index] for index in todo]


def commit(store: Store, batch: list[tuple[str, str, Payload, float]], open_claims: set[str], told: Told) -> None:
    if batch:
        store.put(batch)
        if store.journal is not None:
            store.journal.ran(batch)
        keys = [key for key, *_ in batch]
        open_claims.difference_update(keys)
        batch.clear()
        told.committed(keys)
