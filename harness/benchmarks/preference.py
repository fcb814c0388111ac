"""Preference: which of two programs, one right and one faulty, does a student find likelier? Nothing is written.

Paper: the claim of IterKD (arXiv 2408.03680) that faulty code teaches a student to tell it. Licence: the project's.
Source: the problems of `pipelines`, whose behaviours training never shows; the right program is the reference. Split
`oracle` has one wrong step each, which the problem's checks tell from the right one; split `mutator` one edit of the
syntax tree, its type drawn from syntax, type, name and timeout. That each right program passes and each faulty one
fails is judged in the sandbox before any score is believed. A problem that no fault can be made of is left out.
The default sets are pinned by hash; another size is another set, with a digest of its own.

Changelog
1  2026-11  first version
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.benchmarks import base
from harness.source.programs import completion_of, remainder
from harness.teachers.oracle import Oracle
from harness.teachers.requests import Corrupt, Fault
from harness.types import Problem
from harness.world import pool

VERSION = 1
FAULTS: dict[str, tuple[Fault, ...]] = {"oracle": ("logic",), "mutator": ("syntax", "type", "name", "timeout")}
DATA_HASH = {
    "oracle": "5e0bba320f0bad9a6861fe6bb437ad8fd72837b8db202a9a51f6b103871d5d91",
    "mutator": "1b245ea791a3046d04d8a54cc215dc7f46aea3bea3bc5cb3d3d877beb3572bfc",
}
SPLITS = tuple(FAULTS)
CPU_S = 0.1  # of a program: a right one takes a millisecond, a quarter of the mutator's never ends
RULE = "the right one has the higher mean log-probability of a token"


def problems(split: str, size: int | None = None) -> Iterator[Problem]:
    """Yield problems with their faults."""
    oracle = Oracle()
    for one in pool.test_set(size or pool.TEST_SIZE):
        fault = random.Random(f"preference {split} {one.id}").choice(FAULTS[split])
        for _, answer in oracle.answer([Corrupt(one, one.prompt + one.reference, fault)], seed=0):
            text = (completion_of(one, answer.code) or remainder(one, answer.code)) if answer.code else None
            if text:
                yield replace(one, fault=text)


def benchmark(split: str, *, size: int | None, data: Path | None, style: base.Style, draw: base.Draw) -> base.Benchmark:
    """Return the pairs made of `size` problems."""
    del data
    key = {"preference": split, "size": size or pool.TEST_SIZE, "version": VERSION, "oracle": Oracle.version}
    found = draw({**key}, lambda: tuple(problems(split, size)))
    made = base.build(
        f"preference:{split}", VERSION, found, style=style, rule=RULE, max_new_tokens=1, where="made here"
    )
    if size in (None, pool.TEST_SIZE):
        base.check_pinned(made, DATA_HASH[split])
    return replace(made, choice=True, cpu_s=CPU_S, extractor="none")
