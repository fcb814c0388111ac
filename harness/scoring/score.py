"""What `harness eval` does: which models, under which conditions, and whether judge and benchmark can be believed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.benchmarks.acceptance import WALL, acceptance_of
from harness.benchmarks.base import Benchmark
from harness.benchmarks.extractors import EXTRACTORS, Extractor
from harness.benchmarks.prove import demand_proof, fooled, known_bad, lenient, prove
from harness.benchmarks.registry import available, errata_of, load
from harness.errors import ConfigError, DataError, suggest
from harness.sandbox import Limits, Sandbox, selftest
from harness.scoring import samples as files
from harness.scoring.evaluate import Evaluation, Progress, evaluate
from harness.scoring.samples import Counted, Samples
from harness.settings.config import Judging, Run


def score(
    models: Sequence[Samples],
    run: Run,
    extractors: Sequence[Extractor],
    *,
    allow_missing: bool = False,
    progress: Progress | None = None,
) -> list[Evaluation]:
    """Score every model under every extractor on the run's one benchmark, models first.

    Every file is checked, and sandbox and references have proved themselves, before anything is scored.
    """
    if len(run.benchmark) != 1:
        raise ConfigError(f"benchmark={','.join(run.benchmark)}: samples answer one benchmark. Name that one.")
    data = Path(run.data) if run.data else None
    benchmark = load(run.benchmark[0], size=run.world.test, data=data, errata=run.errata)
    judging = judging_of(run, benchmark)
    by_id = {one.id: one for one in benchmark.problems}
    if run.errata == "exclude":
        faulty = errata_of(run.benchmark[0])
        left_out = frozenset(faulty) | {name.rpartition("/")[2] for name in faulty}  # or by its bare number
        models = [replace(one, left_out=left_out) for one in models]
    counted = [files.check(one, by_id, allow_missing=allow_missing) for one in models]
    demand_enough(models, counted, run.k)
    several = len(extractors) > 1
    with sandbox_of(run, judging) as sandbox:
        selftest(sandbox)
        demand_proof(benchmark, sandbox, judging.cpu_s)
        return [
            evaluate(
                model,
                replace(benchmark, extractor=extractor),
                sandbox,
                run.k,
                count,
                protocol=protocol(run, judging, benchmark, extractor, sandbox.level),
                suffix=f"_extractors/{extractor}" if several else "",
                rows=not several,
                cpu_s=judging.cpu_s,
                progress=progress,
            )
            for model, count in zip(models, counted, strict=True)
            for extractor in extractors
        ]


def demand_enough(models: Sequence[Samples], counted: Sequence[Counted], ks: Sequence[int]) -> None:
    """Raise ConfigError where no k that was asked for can be estimated for any model."""
    fewest = [min((n, name) for name, n in count.samples.items()) for count in counted]
    (most, name), model = max(zip(fewest, models, strict=True), key=lambda pair: pair[0])
    if min(ks) > most:
        raise ConfigError(
            f"k={','.join(map(str, ks))}: pass@k needs k samples of every problem; {model.path} has {most} of {name}. "
            f"Say k={most}{' or less' if most > 1 else ''}, or add samples."
        )


def judging_of(run: Run, benchmark: Benchmark) -> Judging:
    """Return the limits that hold: a source's where the command names one, else the command's own."""
    source = acceptance_of(run.rule, benchmark)
    if source is None:
        return run.sandbox
    return replace(run.sandbox, cpu_s=source.cpu_s, wall_s=WALL * source.cpu_s, memory_mb=source.memory_mb)


def sandbox_of(run: Run, judging: Judging) -> Sandbox:
    limits = Limits(cpu_s=judging.cpu_s, wall_s=judging.wall_s, memory_bytes=judging.memory_mb * 2**20)
    return Sandbox(run.workers or run.jobs or os.cpu_count() or 1, minimum=judging.level, limits=limits)


def protocol(run: Run, judging: Judging, benchmark: Benchmark, extractor: str, level: str) -> dict[str, str]:
    """Return everything beside samples and problems on which a score depends; it is a part of the row's key."""
    return {
        "version": str(benchmark.version),
        "extractor": extractor,
        "rule": benchmark.rule if run.rule == "own" else f"{run.rule}'s, on {benchmark.rule}",
        "errata": run.errata,
        "limits": f"{judging.cpu_s:g} s CPU, {judging.wall_s:g} s wall, {judging.memory_mb} MB",
        "isolation": level,
    }


def extractors_named(words: str | None, chosen: Extractor) -> tuple[Extractor, ...]:
    """Return the extractors that `--extractors` names; without it the one that the run's key names."""
    if words is None:
        return (chosen,)
    if words == "all":
        return tuple(EXTRACTORS)
    named: dict[str, Extractor] = {name: name for name in EXTRACTORS}
    wrong = [word for word in words.split(",") if word not in named]
    if wrong:
        raise ConfigError(
            f"--extractors {words}: no extractor {wrong[0]}{suggest(wrong[0], named)}. Known: {', '.join(named)}, all."
        )
    return tuple(dict.fromkeys(named[word] for word in words.split(",")))


@dataclass(frozen=True)
class Proof:
    """Whether the judge judges a benchmark right: its references pass and programs known to be bad do not."""

    name: str
    problems: int
    failed: tuple[str, ...]  # references that do not pass, and why
    bad: int  # programs known to be bad
    fooled: tuple[tuple[str, str], ...]  # those that pass: problem, what it was
    spared: tuple[str, ...]  # problems known to accept wrong programs

    @property
    def right(self) -> bool:
        return not self.failed and not self.fooled


def selftested(run: Run) -> Iterator[Proof]:
    """Judge references and known-bad programs of the run's benchmarks, `all` for every one whose data is here."""
    data = Path(run.data) if run.data else None
    names = available() if run.benchmark == ("all",) else run.benchmark
    for name in names:
        try:
            benchmark = load(name, size=run.world.test, data=data)
        except DataError:
            if run.benchmark == ("all",):
                continue
            raise
        judging = judging_of(run, benchmark)
        with sandbox_of(run, judging) as sandbox:
            selftest(sandbox)
            spared = tuple(one.id for one in benchmark.problems if lenient(one))
            failed = tuple(f"{one} ({verdict.reason})" for one, verdict in prove(benchmark, sandbox, judging.cpu_s))
            fooling = fooled(benchmark, sandbox, judging.cpu_s)
        bad = sum(len(known_bad(one)) for one in benchmark.problems if one.id not in spared)
        yield Proof(benchmark.name, len(benchmark.problems), failed, bad, tuple(fooling), spared)
