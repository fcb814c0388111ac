"""One cell of a comparison: run its recipe, evaluate every student that it yields, and report rows.

The benchmarks are held here and never handed to a recipe. What runs several cells, and what becomes of their rows,
is `harness/comparison/driver.py`'s.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.benchmarks.base import STOPS, Benchmark, draw_now
from harness.comparison.base import base_student, logits_teacher
from harness.comparison.evaluation import UNTRAINED, Emit, Evaluation, evaluate
from harness.comparison.problems import GENERATED, load_pool
from harness.comparison.prompting import asked
from harness.comparison.runs import cell_name, keep_student
from harness.decontaminate import VERSION as DECONTAMINATE
from harness.decontaminate import index_of
from harness.errors import HarnessError
from harness.lab import Lab
from harness.lab.terms import Terms
from harness.settings import catalog
from harness.settings.config import Cell, Command, Run
from harness.settings.resolve import build
from harness.steps.engine import OpenJail, Progress, StepEngine
from harness.store import steps
from harness.store.content import problem_from_json, problem_to_json
from harness.store.database import Store
from harness.store.journal import Journal
from harness.store.keys import Json
from harness.store.ledger import Ledger
from harness.store.rows import write_lines
from harness.store.steps import Payload, Step
from harness.teachers.base import Teacher
from harness.teachers.opening import Terms as TeacherTerms
from harness.teachers.opening import close, open_teacher
from harness.teachers.settings import Teaching
from harness.types import Problem, Spent, Student
from harness.world import tinypy
from harness.world.grammar import SOURCE
from harness.world.pool import WORLD_VERSION

CHECKED = "training problems checked against the benchmarks"
BASE = "base student"  # the stage in which one cell makes it and the others wait
EMBEDDED_TOKENS, OTHER_TOKENS = 96, 512  # longest attempt at a training problem
KEPT = 2  # of a kept pool's record; 2: with its counts
ATTEMPT_BATCH = 128  # attempts generated together; fixed, as it belongs to a sample's key
EMBEDDED_CPU_S = 0.1  # a solution takes about a millisecond, and a fifth of IterKD's faults are endless loops


def benchmarks_of(run: Run, store: Store | None = None) -> list[Benchmark]:
    """Load the run's benchmarks; generated problems are made once and kept in the store, where there is one."""

    def draw(key: Json, make: Callable[[], Sequence[Problem]]) -> tuple[Problem, ...]:
        return draw_now(key, make) if store is None else kept(store, key, 0, lambda: (make(), {}))[0]

    return [asked(name, run, size=run.world.test, draw=draw) for name in run.benchmark]


def kept(
    store: Store, key: Json, item: Json, make: Callable[[], tuple[Sequence[Problem], dict[str, int]]]
) -> tuple[tuple[Problem, ...], dict[str, int]]:
    """Return generated problems and counts about them, made on first use and then read from the store."""

    def compute(todo: list[int]) -> Iterator[tuple[int, Payload]]:
        problems, counts = make()
        yield todo[0], {"problems": [problem_to_json(one) for one in problems], "counts": {**counts}}

    [record] = steps.run(store, Step("problems", KEPT, [WORLD_VERSION, key]), [item], compute)
    return tuple(problem_from_json(one) for one in record.payload["problems"]), record.payload["counts"]


def data_folder(run: Run) -> Path | None:
    return Path(run.data) if run.data else None


def teacher_of(
    run: Run,
    recipe: str = "",
    store: Store | None = None,
    *,
    who: tuple[str, str] = ("", ""),
    sharing: int = 1,
    asks: bool = False,
) -> Teacher:
    """Return the run's teacher with the prompts of a recipe's method; `who`: run and cell, for the store's ledger.

    Without a store it is only looked at and needs no key, unless `asks` says otherwise. Raises ConfigError for what
    cannot be asked.
    """
    module = catalog.find(recipe).module if recipe else ""
    source = importlib.import_module(module).__file__ if module else None
    return open_teacher(
        run.teacher,
        TeacherTerms(
            method=module.rpartition(".")[2],
            beside=Path(source).parent if source else None,
            stops=terms(run).stop,
            ledger=Ledger(store) if store is not None and run.teacher != Teaching() else None,
            store=store,
            run=who[0],
            cell=who[1],
            cap_usd=run.budget.teacher_usd,
            allow_unpriced=run.budget.allow_unpriced,
            sharing=sharing,
            asks=asks or store is not None,
        ),
    )


@dataclass(frozen=True)
class Elsewhere:
    """What the cells of a command share beside the store, where its executor has such things."""

    jail: OpenJail | None = None  # what judges programs; None: a sandbox of the cell's own
    share_pace: Callable[[Teacher], None] = lambda teacher: None  # has a teacher's calls go at the command's pace


def run_cell(
    command: Command, number: int, level: str, emit: Emit, sharing: int = 1, elsewhere: Elsewhere | None = None
) -> None:
    """Run one cell (−1: the untrained student), one of `sharing` at a time, and emit its rows as it goes."""
    elsewhere = elsewhere or Elsewhere()
    run = command.run

    def progress(event: Progress) -> None:
        emit({"event": "progress", "kind": event.kind, "done": event.done, "total": event.total})

    with Store(run.store, run.artifacts) as store:
        name = UNTRAINED if number < 0 else command.cells[number].name
        log = Path(command.folder()) / "logs" / f"steps{number + 1}.jsonl"
        store.journal = Journal(log, name, lambda call: emit({"event": "step", **call}))
        benchmarks = benchmarks_of(run, store)
        engine = StepEngine(
            store,
            run.sandbox,
            level,
            threads=run.threads,
            device=run.device,
            report_to=run.report_to,
            generation=run.generation,
            jail=elsewhere.jail,
            progress=progress,
        )
        with engine:
            emit({"event": "stage", "stage": BASE})
            student = base_student(engine, run)
            if number < 0:
                emit({"event": "stage", "stage": "evaluating"})
                evaluate(Evaluation(engine, command, None), student, 0, benchmarks, Spent(), {}, {"seconds": 0.0}, emit)
            else:
                cell = command.cells[number]
                teacher = teacher_of(run, cell.recipe, store, who=(command.name, cell.name), sharing=sharing)
                engine.resources.callback(close, teacher)
                elsewhere.share_pace(teacher)
                problems, counts = pool(command, cell, benchmarks, emit, store)
                lab = Lab(
                    engine,
                    terms(run),
                    student,
                    problems,
                    teacher,
                    index_of(benchmarks, keep=run.decontaminate == "off"),
                    cell.seed,
                    logits=lambda: logits_teacher(engine, run, teacher),
                )
                lab.notes.update(counts)
                train_and_evaluate(Evaluation(engine, command, cell), lab, benchmarks, emit)


def terms(run: Run) -> Terms:
    embedded = run.problems == SOURCE
    texts = run.problems == tinypy.SOURCE
    most = run.train.attempt_tokens or (EMBEDDED_TOKENS if embedded or texts else OTHER_TOKENS)
    stops = tinypy.STOP if texts else STOPS
    cpu_s = run.sandbox.training_cpu_s or (EMBEDDED_CPU_S if embedded else run.sandbox.cpu_s)
    return Terms(run.cycles, run.budget, run.train, run.threads, run.device, ATTEMPT_BATCH, most, stops, cpu_s)


def pool(
    command: Command, cell: Cell, benchmarks: list[Benchmark], emit: Emit, store: Store | None = None
) -> tuple[tuple[Problem, ...], dict[str, int]]:
    """Return the cell's training problems, without those that stand in a benchmark, and counts of what was left out.

    With decontaminate=off nothing is left out, only counted. Those of the embedded world are drawn and cleaned once
    and kept in the store, where there is one.
    """
    run = command.run
    size = run.cycles * run.budget.examples
    off = run.decontaminate == "off"

    def make() -> tuple[list[Problem], dict[str, int]]:
        drawn = load_pool(
            run.problems, size=size if run.problems in GENERATED else None, seed=cell.seed, data=data_folder(run)
        )
        clean, dropped = index_of(benchmarks).clean(drawn)
        return (list(drawn) if off else clean)[:size], {CHECKED: len(drawn), **counted(dropped.values())}

    if run.problems == SOURCE and store is not None:
        against: Json = [DECONTAMINATE, off, *(one.digest for one in benchmarks)]
        found, counts = kept(store, {"size": size, "checked against": against}, cell.seed, make)
    else:
        found, counts = make()
    if dropped := sum(counts.values()) - counts[CHECKED]:
        done = "kept (decontaminate=off)" if off else "left out"
        emit({"event": "note", "text": f"{cell.name}: {dropped} training problems stand in a benchmark, {done}"})
    if not found:
        raise HarnessError(f"problems={run.problems}: nothing is left after decontamination. Choose other problems.")
    return tuple(found), counts


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """Count problems by the first reason for which they stand in a benchmark."""
    return dict(Counter(f"training problems: {reason.partition(';')[0]}" for reason in reasons))


def train_and_evaluate(evaluation: Evaluation, lab: Lab, benchmarks: list[Benchmark], emit: Emit) -> None:
    """Drive a recipe to its end, evaluating each student it yields; its number of cycles is the command's."""
    cell = evaluation.cell
    assert cell is not None
    recipe = catalog.find(cell.recipe)
    config = build(type(recipe.config), dict(cell.config), [])
    yielded: list[tuple[Student, float]] = []
    emit({"event": "stage", "stage": f"cycle 1 of {lab.cycles}"})
    for cycle, student in enumerate(recipe.train(lab, config), 1):
        if cycle > lab.cycles:
            raise HarnessError(
                f"recipe={cell.recipe}: it yields more than cycles={lab.cycles} students. Mend its loop."
            )
        beside = {"seconds": lab.seconds, "training": lab.training}
        score = evaluate(evaluation, student, cycle, benchmarks, lab.spent, dict(lab.notes), beside, emit)
        yielded.append((student, score))
        emit({"event": "stage", "stage": f"cycle {min(cycle + 1, lab.cycles)} of {lab.cycles}"})
    if len(yielded) != lab.cycles:
        raise HarnessError(
            f"recipe={cell.recipe}: it yielded {len(yielded)} students, expected cycles={lab.cycles}. Mend its loop."
        )
    keep(evaluation, yielded)
    examples = evaluation.folder / "examples" / f"{cell_name(cell.recipe, cell.settings, cell.seed)}.jsonl"
    write_lines(examples, map(asdict, lab.trained_on))


def keep(evaluation: Evaluation, yielded: list[tuple[Student, float]]) -> None:
    """Put the students that `keep` names into the run folder."""
    assert evaluation.cell is not None
    best = max(range(len(yielded)), key=lambda place: yielded[place][1])
    chosen = {"last": [len(yielded) - 1], "best": [best], "all": list(range(len(yielded)))}[evaluation.command.run.keep]
    for place in chosen:
        target = evaluation.folder / "students" / evaluation.name(place + 1)
        keep_student(evaluation.engine.folder(yielded[place][0]), target, yielded[place][0].weights)
