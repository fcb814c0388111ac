"""The sentences of the command line: what a command will do, what is there to choose, how an evaluation went."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import time
import typing
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from harness.benchmarks.registry import available
from harness.comparison import cluster
from harness.comparison.base import student_folder
from harness.comparison.driver import logits_of
from harness.comparison.plan import ATTEMPTS_PASS, START_S, Forecast
from harness.comparison.problems import GENERATED
from harness.comparison.prompting import NOT_USED, RAW_CHAT, style_warning
from harness.comparison.runs import LOGITS_TEACHER
from harness.sandbox import remedies
from harness.sandbox.selftest import Trial
from harness.sandbox.speed import Speed
from harness.settings import catalog
from harness.settings.config import Budget, Command, Run
from harness.settings.legend import legend
from harness.settings.resolve import presets
from harness.stats import power
from harness.store.exchange import Cleaned, Moved
from harness.teachers.requests import KINDS
from harness.teachers.settings import habits
from harness.terminal.display import WAITING, clock
from harness.terminal.status import Status
from harness.types import Row
from reports.checks import settings_label
from reports.table import Table, build
from reports.training import training_notes

Facts = dict[str, Any]  # a run's keys and values
KEY_WIDTH = 30  # of a key with its default, in the list of keys
WORTH = 0.05  # a difference that people ask for, to tell the chance of finding it
DISCORDANT = 0.2  # share of problems on which two students differ, assumed before any is known


def opening(command: Command, level: str, missing: Sequence[str]) -> Iterator[str]:
    """Yield what a command works with, before anything is spent."""
    run = command.run
    size = f" of {run.cycles * run.budget.examples}" if run.problems in GENERATED else ""
    yield f"student     {run.student} on {run.device}, {run.threads} thread(s) a cell"
    yield f"teacher     {run.teacher.label}"
    if logits := logits_of(command):
        yield f"logits      {logits}"
    yield f"problems    {run.problems}{size}, seeds {', '.join(map(str, run.seed))}"
    yield f"benchmark   {', '.join(run.benchmark)}, pass@{','.join(map(str, run.k))} after each of {run.cycles} cycles"
    if warning := style_warning(run, student_folder(run)):
        yield f"warning     {warning}"
    yield f"budget      {budget_text(run.budget)}"
    if place := cluster.told(run):
        yield f"cells       on {place}"
    yield f"sandbox     {level}"
    for one in missing:
        yield f"            refused here: {one}"
    yield f"run         {command.folder()}"


def isolation(level: str, missing: Sequence[str]) -> Iterator[str]:
    """Yield the level of isolation that this machine grants, what it promises, what was refused and how to mend it."""
    yield f"sandbox level: {level}"
    yield f"  promised: {remedies.PROMISES[level]}"
    for one in missing:
        yield f"  note: {one}" if one.startswith(level) else f"  refused here: {one}"
    for one in remedies.remedies(level, missing, remedies.facts()):
        yield f"  to do: {one}"


def budget_text(budget: Budget) -> str:
    most = "at most " if budget.training_tokens else ""
    limits = [f"{budget.examples:,} examples", f"{most}{budget.updates:,} updates"]
    limits += [f"{budget.training_tokens:,} training tokens"] if budget.training_tokens else []
    limits += [f"{budget.attempts:,} attempts"] if budget.attempts else []
    limits += [f"{budget.teacher_calls:,} teacher calls"] if budget.teacher_calls else []
    return f"{', '.join(limits)} per cycle{'' if budget.teacher_calls else '; teacher calls not limited'}"


def plan(command: Command, forecasts: Sequence[Forecast], workers: int, sizes: Sequence[int]) -> Iterator[str]:
    """Yield what would run, be spent and be detectable."""
    yield ""
    yield f"{'cell':<34}{'calls':>8}{'attempts':>10}{'judged':>9}{'updates':>9}{'time':>9}"
    for one in forecasts:
        if one.unknown:
            yield f"{one.name}: could not be rehearsed ({one.unknown}); what it would spend is not known"
            continue
        yield (
            f"{one.name[:33]:<34}{one.spent.teacher_calls:>8,}{one.spent.student_samples:>10,}"
            f"{one.units.get('verdicts', 0):>9,}{one.spent.updates:>9,}{clock(one.seconds):>9}"
        )
    yield ""
    yield (
        f"About {clock(duration(forecasts, workers))} on {workers} core(s) if nothing is recorded yet; "
        "what is recorded costs nothing."
    )
    yield (
        f"Times are the embedded student's. Counts assume that {ATTEMPTS_PASS:.0%} of the attempts pass and that "
        "the teacher answers as asked."
    )
    for name, size in zip(command.run.benchmark, sizes, strict=True):
        effect = 100 * power.detectable(size, DISCORDANT)
        yield (
            f"Detectable on {name} with 80 % power: {effect:.1f} points between two checkpoints, if {DISCORDANT:.0%} "
            f"of its {size} problems are decided differently."
        )
        found = power.power_of(WORTH, math.sqrt(DISCORDANT / size))
        yield (
            f"  A true difference of {100 * WORTH:g} points is found there in {100 * found:.0f} % of comparisons; to "
            f"find it in 80 % takes {power.problems_for(WORTH, DISCORDANT):,} problems."
        )
    if len(command.run.seed) == 1:
        yield "One seed decides nothing about a recipe. Say seed=0,1,2 or more."


def duration(forecasts: Sequence[Forecast], workers: int) -> float:
    """Return about how many seconds jobs take side by side once the base student is there; the longest is not split."""
    base = sum(one.base_s for one in forecasts)
    seconds = [one.seconds - one.base_s for one in forecasts]
    return START_S + base + max(*seconds, sum(seconds) / workers)


def table_of(command: Command, rows: Sequence[Row], timings: Sequence[dict[str, Any]]) -> Table:
    run = command.run
    table = build(
        rows,
        reference=run.reference,
        seconds=seconds_of(timings),
        ks=run.k,
        budget=budget_text(run.budget),
        command=f"harness compare {' '.join(command.words)}",
        notes=[*notes_of(rows), *training_notes(timings)],
    )
    return dataclasses.replace(table, about=about(dataclasses.asdict(run) | {LOGITS_TEACHER: logits_of(command)}))


def about(facts: Facts) -> dict[str, str]:
    """Return what a run's results are of: student, teachers of texts and of distributions, training problems."""
    teacher = facts["teacher"]
    if not isinstance(teacher, str):  # a run of this version states all that its answers rest on
        name, model = str(teacher["name"]), str(teacher.get("model", ""))
        named = f"{name}:{model}" if model and ":" not in name else name
        teacher = " ".join([named, *habits(teacher.get("errs", 0.0), teacher.get("varies", False))])
    logits = {"logits": str(facts[LOGITS_TEACHER])} if facts.get(LOGITS_TEACHER) else {}
    return {"student": str(facts["student"]), "teacher": teacher, **logits, "problems": str(facts["problems"])}


ONE_PASS = (
    "columns before the last: a recipe without a loop trains under one learning-rate schedule over all cycles, so "
    "only the last column compares it with recipes that train anew in every cycle"
)


def notes_of(rows: Sequence[Row]) -> list[str]:
    """Return what stands under a table beside its numbers: how to read its columns, and the recipes' own counts."""
    found = [ONE_PASS] if any(row.cycle > 1 for row in rows) else []
    last = {(row.recipe, settings_label(row.settings), row.seed): row for row in rows}  # rows come in cycle order
    lines: dict[str, list[Row]] = {}
    for (recipe, settings, _), row in last.items():
        if row.notes:
            lines.setdefault(f"{recipe} {settings}".strip(), []).append(row)
    for label, own in lines.items():
        names = list(dict.fromkeys(name for row in own for name in row.notes))
        counts = [f"{name} {sum(row.notes.get(name, 0) for row in own) / len(own):.5g}" for name in names]
        found.append(f"{label}: {'; '.join(counts)}{' (mean of seeds)' if len(own) > 1 else ''}")
    if any(row.protocol.get("template") == NOT_USED for row in rows):
        found.append(RAW_CHAT)
    return [*found, *similarities(rows)]


def similarities(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the edit similarities of benchmarks whose answers are compared by character."""
    last = {(row.benchmark, row.recipe, settings_label(row.settings), row.seed): row.similarity for row in rows}
    for benchmark in dict.fromkeys(row.benchmark for row in rows if row.similarity is not None):
        lines: dict[str, list[float]] = {}
        for (name, recipe, settings, _), share in last.items():
            if name == benchmark and share is not None:
                lines.setdefault(f"{recipe} {settings}".strip(), []).append(100 * share)
        told = "; ".join(f"{label} {sum(own) / len(own):.1f}" for label, own in lines.items())
        yield f"{benchmark}: edit similarity 0 to 100, final cycle, mean of seeds: {told}"


def seconds_of(timings: Sequence[dict[str, Any]]) -> dict[tuple[str, str, int | None], float]:
    """Return each cell's seconds at its last cycle: of the steps it needed, evaluation left out."""
    return {(one["recipe"], settings_label(one["settings"]), one["seed"]): one["seconds"] for one in timings}


def moved(found: Moved) -> str:
    checkpoints = f"all {found.artifacts:,} checkpoints that they refer to are there"
    bills = f"; {found.bills:,} bill{'s' if found.bills > 1 else ''} of teachers" if found.bills else ""
    return f"{found.steps:,} steps, {found.new:,} of them new; {checkpoints}{bills}"


def cleaned(found: Cleaned, dry: bool) -> str:
    verb = "would remove" if dry else "removed"
    return (
        f"{verb} {found.artifacts:,} checkpoints that no step refers to and {found.work:,} folders of unfinished fits: "
        f"{found.bytes / 2**20:,.1f} MiB"
    )


def status(found: Status) -> Iterator[str]:
    """Say how a run stands: who works on it, what each job does, what has been found and spent."""
    yield f"command   {found.command}"
    state = f"running, {found.holder}" if found.holder else "finished" if found.finished else "stopped before its end"
    if found.holder and found.left:
        state += f", {found.left} left"
    yield f"state     {state}"
    if found.began is not None and found.last is not None:
        when = datetime.fromtimestamp(found.began, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        times = f", start {found.starts}" if found.starts > 1 else ""
        last = f"{clock(max(0.0, time.time() - found.last))} ago" if found.holder else ""
        yield f"begun     {when}{times}; last event {last or f'{clock(found.last - found.began)} later'}"
    for job in found.jobs:
        doing = job.tally.doing() if job.code in (None, 0) else f"ended with code {job.code}"
        if not found.holder and job.code is None:
            doing = "not begun" if doing == WAITING else f"not ended; was at {doing}"
        yield f"  {job.name}: {doing}{f' on {job.host}' if job.host else ''}"
        for row in job.rows[-1:]:
            rate = sum(row["correct"]) / (row["n"] * row["samples"])
            spent = row["spent"]
            yield f"    cycle {row['cycle']}: {row['benchmark']} pass@1 {100 * rate:.1f}"
            yield (
                f"    spent {spent['teacher_calls']:,} teacher calls, {spent['teacher_usd']:.2f} usd, "
                f"{spent['updates']:,} updates"
            )
        if job.error:
            yield f"    {job.error.strip().splitlines()[-1]}"


def trials(found: Sequence[Trial]) -> Iterator[str]:
    """Yield what each program of the self-test was judged to be, by calls and by a test script."""
    kinds = list(dict.fromkeys(one.kind for one in found))
    for honest, title in ((True, "honest programs: must pass"), (False, "known cheats: must not pass")):
        yield f"{title:<48}{''.join(f'{kind:<16}' for kind in kinds)}".rstrip()
        for name in dict.fromkeys(one.name for one in found if one.honest == honest):
            own = {one.kind: one for one in found if one.name == name and one.honest == honest}
            told = [f"{one.verdict.status}{'' if one.right else ' (!)'}" if one else "-" for one in map(own.get, kinds)]
            yield f"  {name[:44]:<46}{''.join(f'{text:<16}' for text in told)}".rstrip()
    wrong = [one for one in found if not one.right]
    for one in wrong:
        yield f"misjudged: {one.name} ({one.kind}): {one.verdict.status}, {one.verdict.reason or 'no reason'}"
    yield f"{len(found) - len(wrong)} of {len(found)} judged as they must be"


def speed(found: Speed) -> Iterator[str]:
    """Yield how fast trivial programs were judged."""
    one = found.rates[1]
    yield f"sandbox level: {found.level}"
    yield f"start         {found.first_s:.2f} s from opening the sandbox to the first verdict"
    yield f"a program     {1e3 * found.p50_s:.1f} ms at the median, {1e3 * found.p99_s:.1f} ms at p99"
    for workers, rate in found.rates.items():
        times = "" if workers == 1 else f", {rate / one:.2f} times one"
        yield f"{workers} worker{'s' if workers > 1 else ' '}{rate:>11,.0f} programs a second{times}"
    yield "Trivial programs, none judged from memory. Against other evaluators: python bench/sandbox.py"


def listing(what: str = "") -> Iterator[str]:
    """Yield recipes with their keys, benchmarks, presets and the run's keys with their defaults; or one of these."""
    lists = {
        "recipes": recipes,
        "benchmarks": lambda: iter(available()),
        "presets": lambda: iter(presets()),
        "keys": keys,
    }
    yield from lists[what]() if what else everything()


def recipes() -> Iterator[str]:
    """Yield a line per recipe: its name, what it needs, what it is."""
    for folder, names in catalog.names().items():
        yield f"{folder + ':':<18}{'needs':<18} what it trains on"
        for name in names:
            recipe = catalog.find(name)
            line = f"{name:<15} {needed(recipe.needs(recipe.config)):<18} {recipe.summary}"
            yield from textwrap.wrap(line, 79, initial_indent="  ", subsequent_indent=" " * 37)
    yield "text: teacher's answers; logits: its distributions; given: the problems' own"
    yield "solutions; tests: checks that tell right programs from wrong ones"


def needed(needs: Sequence[str]) -> str:
    """Return what a recipe needs in short."""
    kinds = set(needs) & set(KINDS)
    words = {"logits": "logits", "references": "given", "checks": "tests"}
    return "+".join([*(["text"] if kinds else []), *(word for key, word in words.items() if key in needs)]) or "-"


def everything() -> Iterator[str]:
    """Yield all lists, the recipes with their keys."""
    for folder, names in catalog.names().items():
        yield f"{folder}:"
        for name in names:
            recipe = catalog.find(name)
            line = f"{name:<13} {recipe.summary}"
            yield from textwrap.wrap(line, 78, initial_indent="  ", subsequent_indent=" " * 16)
            yield from wrapped(f"{key}={value}" for key, value in leaves(recipe.config))
    yield "benchmarks:"
    yield f"  {', '.join(available())}"
    yield "presets:"
    yield f"  {', '.join(presets())}"
    yield "keys:"
    yield from wrapped(f"{key}={value}" for key, value in leaves(Run()))


def keys() -> Iterator[str]:
    """Yield a key of the configuration a line, with its default and what it means."""
    told = legend(Run())
    for key, value in leaves(Run()):
        word = f"{key}={value}"
        if len(word) > KEY_WIDTH:
            yield word
            word = ""
        yield from textwrap.wrap(f"{word:<{KEY_WIDTH}} {told[key]}", 79, subsequent_indent=" " * (KEY_WIDTH + 1))


def wrapped(words: typing.Iterable[str], width: int = 78) -> Iterator[str]:
    """Yield indented lines of words, broken only between words."""
    line = "   "
    for word in words:
        if len(line) + 1 + len(word) > width and line.strip():
            yield line
            line = "   "
        line = f"{line} {word}"
    if line.strip():
        yield line


def leaves(config: Any, at: str = "") -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value, f"{at}{field.name}.")
        else:
            values = typing.cast(tuple[Any, ...], value) if isinstance(value, tuple) else (value,)
            yield f"{at}{field.name}", ",".join("null" if one is None else str(one) for one in values)
