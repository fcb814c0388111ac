"""A results table as data, made from stored rows; it renders nothing, reads no file and runs nothing.

One line for each recipe and its settings, seeds joined. A line with one seed is a checkpoint and its intervals cover
problems only; a line with several is a recipe and its intervals cover seeds and problems.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UsageError, suggest
from harness.stats import clusters, paired, passk, power, seeds
from harness.stats.multiplicity import Adjust, adjusted
from harness.stats.paired import Difference
from harness.stats.passk import Estimate
from harness.types import Row, Spent
from reports.checks import check, line_label, settings_label
from reports.claims import Finding
from reports.published import Published

Covers = Literal["problems", "seeds and problems"]
UNTRAINED = "untrained"
Seconds = Mapping[tuple[str, str, int | None], float]  # by recipe, settings label, seed


@dataclass(frozen=True)
class Score:
    """Mean pass@k after a cycle."""

    benchmark: str
    k: int
    cycle: int
    estimate: Estimate
    covers: Covers


@dataclass(frozen=True)
class LevelScore:
    """Mean pass@k over the problems of one level after the final cycle."""

    benchmark: str
    k: int
    level: int
    estimate: Estimate
    covers: Covers


@dataclass(frozen=True)
class Comparison:
    """The final cycle less the reference's, problem by problem."""

    benchmark: str
    k: int
    difference: Difference
    adjusted_p: float  # over all comparisons of the table, as `Table.adjust` says
    detectable: float  # the true difference that this comparison would find with 80 % power


@dataclass(frozen=True)
class Checkpoint:
    """One seed's student after the final cycle."""

    seed: int | None
    cycle: int
    weights: str
    pass_at_k: dict[str, float]  # by benchmark, at the table's first k
    truncated: dict[str, float]  # share of completions cut by a limit, by benchmark


@dataclass(frozen=True)
class Line:
    """One recipe with its settings; `spent` and `seconds` are means over seeds, up to the final cycle."""

    label: str
    recipe: str
    settings: str
    seeds: tuple[int | None, ...]
    final_cycle: int
    scores: tuple[Score, ...]
    levels: tuple[LevelScore, ...]
    comparisons: tuple[Comparison, ...]  # empty for the reference
    checkpoints: tuple[Checkpoint, ...]
    spent: dict[str, float]  # the fields of types.Spent
    seconds: float | None  # None where no time was recorded
    gains: dict[str, Difference] = field(default_factory=dict[str, Difference])  # over the untrained, by benchmark


@dataclass(frozen=True)
class Benchmark:
    """What was measured on, and how: the same for every line."""

    name: str
    hash: str
    n: int
    samples: int
    protocol: dict[str, str]
    families: int = 0  # of problems, which are then the units of intervals and tests; 0: its problems stand alone


@dataclass(frozen=True)
class Change:
    """One line of an ablation less the line it is held against."""

    label: str
    changed: str  # the settings in which the two differ, as `margin=0.1`
    comparisons: tuple[Comparison, ...]  # one for each benchmark; p is adjusted over the ablation


@dataclass(frozen=True)
class Ablation:
    """The lines of one recipe, each held against the one with the fewest settings of its own."""

    recipe: str
    base: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Table:
    lines: tuple[Line, ...]
    benchmarks: tuple[Benchmark, ...]
    ks: tuple[int, ...]  # the first is the one that is compared and graded by level
    reference: str  # the label of the line that the others are compared with
    comparisons: int  # in the family that p-values are adjusted over
    one_seed: bool  # no recipe has a second seed
    budget: str
    command: str
    notes: tuple[str, ...]
    ablations: tuple[Ablation, ...] = ()
    about: dict[str, str] = field(default_factory=dict[str, str])  # student, teacher, training problems
    warnings: tuple[str, ...] = ()  # what a line lacks
    published: tuple[Published, ...] = ()  # beside our rows, in no test
    claims: tuple[Finding, ...] = ()  # of papers, held against these rows
    adjust: Adjust = "holm"  # how p-values are adjusted

    @property
    def seeds(self) -> list[int]:
        """Return every seed that a line of the table was run with."""
        return sorted({seed for line in self.lines for seed in line.seeds if seed is not None})


class Group:
    """The rows of one line, found by benchmark, cycle and seed."""

    def __init__(self, recipe: str, settings: str) -> None:
        self.recipe, self.settings, self.label = recipe, settings, line_label(recipe, settings)
        self.rows: dict[tuple[str, int, int | None], Row] = {}
        self.seeds: list[int | None] = []

    def add(self, row: Row) -> None:
        self.rows[row.benchmark, row.cycle, row.seed] = row
        if row.seed not in self.seeds:
            self.seeds.append(row.seed)
            self.seeds.sort(key=lambda seed: -1 if seed is None else seed)

    @property
    def cycles(self) -> list[int]:
        """Return the cycles that every seed has on every benchmark of this line."""
        benchmarks = {benchmark for benchmark, _, _ in self.rows}
        cycles = sorted({cycle for _, cycle, _ in self.rows})
        return [c for c in cycles if all((b, c, s) in self.rows for b in benchmarks for s in self.seeds)]

    def at(self, benchmark: str, cycle: int) -> list[Row]:
        """Return one row for each seed; empty where the line was not evaluated on the benchmark."""
        return [self.rows[benchmark, cycle, s] for s in self.seeds if (benchmark, cycle, s) in self.rows]


def build(
    rows: Sequence[Row],
    *,
    reference: str = UNTRAINED,
    seconds: Seconds | None = None,
    ks: Sequence[int] = (1,),
    budget: str = "",
    command: str = "",
    notes: Sequence[str] = (),
    adjust: Adjust = "holm",
) -> Table:
    """Make the table of `rows`, every line compared with `reference` (a recipe's name, or its name and settings).

    Raises SandboxError if any row holds programs without a verdict, and UsageError if rows of one benchmark differ in
    its hash or protocol, if no line is called `reference`, or if a `k` exceeds the samples per problem.
    """
    check(rows)
    groups = grouped(rows)
    names = list(dict.fromkeys(row.benchmark for row in rows))
    base = find(groups, reference)
    warnings = [*unfinished(groups), *absent(groups, names)]
    found = {g.label: differences(g, base, names, ks[0]) for g in groups if g is not base}
    flat = [difference for per in found.values() for difference in per.values()]
    comparisons = compared(found, ks[0], adjust)
    start = next((g for g in groups if g.recipe == UNTRAINED), None)
    gains = {g.label: differences(g, start, names, ks[0]) for g in groups if start and g.recipe != UNTRAINED}
    return Table(
        lines=tuple(
            make_line(g, names, ks, comparisons.get(g.label, ()), seconds or {}, gains.get(g.label, {})) for g in groups
        ),
        benchmarks=tuple(facts(next(row for row in rows if row.benchmark == name)) for name in names),
        ks=tuple(ks),
        reference=base.label,
        comparisons=len(flat),
        one_seed=all(len(g.seeds) == 1 for g in groups),
        budget=budget,
        command=command,
        notes=tuple(notes),
        warnings=tuple(warnings),
        ablations=ablations(groups, names, ks[0], adjust),
        adjust=adjust,
    )


def compared(
    found: Mapping[str, Mapping[str, Difference]], k: int, adjust: Adjust
) -> dict[str, tuple[Comparison, ...]]:
    """Return comparisons by label; p is adjusted over all that is given, as one family."""
    found_p = iter(adjusted([difference.p for per in found.values() for difference in per.values()], adjust))
    return {
        label: tuple(
            Comparison(name, k, difference, next(found_p), power.detectable_at(difference.se, difference.df))
            for name, difference in per.items()
        )
        for label, per in found.items()
    }


def unfinished(groups: Sequence[Group]) -> list[str]:
    """Return which lines have a seed or a benchmark that lacks their last cycles."""
    last = {g.label: (g.cycles[-1], max(cycle for _, cycle, _ in g.rows)) for g in groups}
    told = [f"{label} is shown up to cycle {done} of {all_}" for label, (done, all_) in last.items() if done < all_]
    return [f"unfinished: {', '.join(told)}"] if told else []


def absent(groups: Sequence[Group], benchmarks: Sequence[str]) -> list[str]:
    """Return which lines lack benchmarks that others have, as joined runs may; one note for all that lack the same."""
    found: dict[str, list[str]] = {}
    for g in groups:
        if missing := [name for name in benchmarks if not g.at(name, g.cycles[-1])]:
            found.setdefault(", ".join(missing), []).append(g.label)
    return [f"not evaluated on {missing}: {', '.join(labels)}" for missing, labels in found.items()]


def ablations(groups: Sequence[Group], benchmarks: Sequence[str], k: int, adjust: Adjust) -> tuple[Ablation, ...]:
    """Return an ablation for each recipe with several lines: settings swept within one recipe."""
    found: list[Ablation] = []
    for recipe in dict.fromkeys(g.recipe for g in groups if g.recipe != UNTRAINED):
        own = [g for g in groups if g.recipe == recipe]
        if len(own) < 2:
            continue
        base = min(own, key=lambda g: len(g.settings.split()))
        others = {g.label: g for g in own if g is not base}
        results = compared({label: differences(g, base, benchmarks, k) for label, g in others.items()}, k, adjust)
        changes = tuple(Change(label, changed(g, base), results[label]) for label, g in others.items())
        found.append(Ablation(recipe, base.label, changes))
    return tuple(found)


def changed(group: Group, base: Group) -> str:
    """Return the settings of a line that its base lacks, and those of the base that it leaves at their default."""
    ours, theirs = group.settings.split(), base.settings.split()
    keys = {word.partition("=")[0] for word in ours}
    unset = [f"{key}: default" for key in (word.partition("=")[0] for word in theirs) if key not in keys]
    return " ".join([*(word for word in ours if word not in theirs), *unset])


def grouped(rows: Sequence[Row]) -> list[Group]:
    """Return the lines in the order of their first row, the untrained student first."""
    groups: dict[tuple[str, str], Group] = {}
    for row in rows:
        key = (row.recipe, settings_label(row.settings))
        groups.setdefault(key, Group(*key)).add(row)
    for group in groups.values():
        if not group.cycles:
            raise UsageError(
                f"{group.label}: its seeds have no cycle in common on every benchmark; run the same command again to "
                "finish them"
            )
    return sorted(groups.values(), key=lambda group: group.recipe != UNTRAINED)


def find(groups: Sequence[Group], reference: str) -> Group:
    """Return the line called `reference`; the recipe's name alone will do while only one line bears it."""
    exact = [group for group in groups if group.label == reference]
    named = [group for group in groups if group.recipe == reference]
    if exact or len(named) == 1:
        return (exact or named)[0]
    labels = [group.label for group in groups]
    problem = f"{len(named)} lines bear that name" if named else f"no such line{suggest(reference, labels)}"
    raise UsageError(f"reference={reference}: {problem}. Lines: {'; '.join(labels)}")


def differences(group: Group, base: Group, benchmarks: Sequence[str], k: int) -> dict[str, Difference]:
    """Return the paired difference of two lines' final cycles on each benchmark that both were evaluated on."""
    result: dict[str, Difference] = {}
    for benchmark in benchmarks:
        ours, theirs = group.at(benchmark, group.cycles[-1]), base.at(benchmark, base.cycles[-1])
        if ours and theirs:
            result[benchmark] = contrast(ours, theirs, k)
    return result


def contrast(ours: Sequence[Row], theirs: Sequence[Row], k: int) -> Difference:
    """Compare as recipes where both sides have seeds to speak for them, else one checkpoint with another."""
    samples, families = ours[0].samples, ours[0].families
    fixed = [row.seed for row in theirs] == [None]  # the untrained student: one checkpoint by design, not a draw
    if len(ours) > 1 and (fixed or len(theirs) > 1):
        same = [row.seed for row in ours] == [row.seed for row in theirs]
        a, b = [row.correct for row in ours], [row.correct for row in theirs]
        return seeds.two_level(a, b, samples, k, paired=same or fixed, families=families)
    shared = [(a, b) for a in ours for b in theirs if a.seed == b.seed] or [(ours[0], theirs[0])]
    return paired.compare(shared[0][0].correct, shared[0][1].correct, samples, k, families=families)


def make_line(
    group: Group,
    benchmarks: Sequence[str],
    ks: Sequence[int],
    comparisons: tuple[Comparison, ...],
    seconds: Seconds,
    gains: dict[str, Difference],
) -> Line:
    cycles, final = group.cycles, group.cycles[-1]
    here = [name for name in benchmarks if group.at(name, final)]
    last = [[row for row in group.rows.values() if (row.cycle, row.seed) == (final, seed)] for seed in group.seeds]
    times = [seconds.get((group.recipe, group.settings, seed)) for seed in group.seeds]
    known = [time for time in times if time is not None]
    covers: Covers = "problems" if len(group.seeds) == 1 else "seeds and problems"
    return Line(
        label=group.label,
        recipe=group.recipe,
        settings=group.settings,
        seeds=tuple(group.seeds),
        final_cycle=final,
        scores=tuple(
            Score(name, k, cycle, mean(group.at(name, cycle), k), covers)
            for name in here
            for k in ks
            for cycle in cycles
        ),
        levels=tuple(score for name in here for score in by_level(group.at(name, final), ks[0], covers)),
        comparisons=comparisons,
        checkpoints=tuple(checkpoint(rows, ks[0]) for rows in last),
        spent=mean_spent([rows[0].spent for rows in last]),
        seconds=math.fsum(known) / len(known) if len(known) == len(times) else None,
        gains=gains,
    )


def mean(rows: Sequence[Row], k: int, keep: Sequence[int] | None = None) -> Estimate:
    """Return the score of one line, over seeds where there are several; `keep` picks problems by their place."""
    picked = [row.correct if keep is None else [row.correct[i] for i in keep] for row in rows]
    families = rows[0].families if keep is None else tuple(rows[0].families[i] for i in keep if rows[0].families)
    if len(rows) > 1:
        return seeds.estimate(picked, rows[0].samples, k, families=families)
    if families:
        return clusters.rate(passk.scores(picked[0], rows[0].samples, k), families)
    return passk.estimate(picked[0], rows[0].samples, k)


def by_level(rows: Sequence[Row], k: int, covers: Covers) -> list[LevelScore]:
    levels = rows[0].levels
    places = {level: [i for i, own in enumerate(levels) if own == level] for level in sorted(set(levels))}
    return [LevelScore(rows[0].benchmark, k, level, mean(rows, k, keep), covers) for level, keep in places.items()]


def checkpoint(rows: Sequence[Row], k: int) -> Checkpoint:
    """Describe one seed's final student from its rows, one for each benchmark."""
    return Checkpoint(
        seed=rows[0].seed,
        cycle=rows[0].cycle,
        weights=rows[0].weights,
        pass_at_k={row.benchmark: passk.estimate(row.correct, row.samples, k).value for row in rows},
        truncated={row.benchmark: row.truncated / (row.n * row.samples) for row in rows},
    )


def mean_spent(all_spent: Sequence[Spent]) -> dict[str, float]:
    names = [field.name for field in dataclasses.fields(Spent)]
    return {name: math.fsum(getattr(spent, name) for spent in all_spent) / len(all_spent) for name in names}


def facts(row: Row) -> Benchmark:
    families = len(set(clusters.units(row.families)))
    return Benchmark(row.benchmark, row.benchmark_hash, row.n, row.samples, dict(row.protocol), families)
