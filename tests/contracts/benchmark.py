"""The suite that any benchmark must pass: `check_benchmark(benchmark)`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from harness.benchmarks.base import Benchmark
from harness.benchmarks.prove import prove
from harness.sandbox import Limits, Sandbox
from harness.source.programs import assemble
from harness.steps.engine import program_of
from harness.store.content import content_hash
from harness.types import Text

WRONG = "    return 'nothing that anybody asked for'\n"
WRONG_TEXT = "?? 123456789"


def check_benchmark(benchmark: Benchmark, errata: Collection[str] = ()) -> None:
    """Raise AssertionError, saying what is missing, unless the benchmark keeps the contract.

    `errata` are problems of which it is known, and told, that a wrong program passes them.
    """
    problems = benchmark.problems
    assert benchmark.name and benchmark.version >= 1 and len(benchmark.digest) == 64
    assert len({one.id for one in problems}) == len(problems), "two problems share an id"
    assert len({content_hash(replace(one, id="")) for one in problems}) == len(problems), "a problem stands twice"
    for one in problems:
        assert "" not in benchmark.stop and not any(stop in one.reference for stop in benchmark.stop), one.id
        if isinstance(one.checks, Text):  # how a text goes on may be anything, a blank or a letter
            assert benchmark.program(one, one.reference) == one.reference, f"{one.id}: the answer was not kept"
            continue
        assert benchmark.prompt(one).endswith("\n"), f"{one.id}: the prompt does not end its line"
        assert one.reference.strip() not in benchmark.prompt(one), f"{one.id}: the prompt holds the reference"
        assert benchmark.program(one, one.reference).startswith(one.prompt), f"{one.id}: the header was not kept"
    with Sandbox() as sandbox:
        assert prove(benchmark, sandbox) == [], "reference solutions fail"
        wrong = [one.id for one in problems if one.reference.strip() != WRONG.strip() and one.id not in errata]
        tried = [(one, WRONG_TEXT if isinstance(one.checks, Text) else WRONG) for one in problems]
        programs = [program_of(one, assemble(one, text), Limits.cpu_s) for one, text in tried]
        passed = [programs[place].id for place, verdict in sandbox.judge(programs) if verdict.passed]
        assert not set(passed) & set(wrong), f"a wrong program passes {passed}"
