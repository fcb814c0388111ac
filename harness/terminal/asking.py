"""What the command line does with teachers: looks at them before a run, samples them for a plan, tries one, accounts.

The asking itself is `harness/teachers/`; the sentences that are printed come from here as lines.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.comparison.compare import benchmarks_of, teacher_of
from harness.comparison.plan import Forecast, forecast
from harness.errors import ConfigError, StoreError
from harness.settings.config import Command, Run
from harness.store import steps
from harness.store.database import Record, Store, existing, is_url
from harness.store.keys import Json
from harness.store.ledger import Bill, Ledger
from harness.store.schema import SUMS
from harness.store.steps import Payload, Step
from harness.teachers import estimate, probe
from harness.teachers.local import LocalBackend
from harness.teachers.model import ModelTeacher, RunStep
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.opening import close, members
from harness.teachers.requests import FAULTS, Answer, Corrupt, Judge, Pose, Rate, Refine, Request, RequestKind, Solve
from harness.teachers.requests import Tests as TestsRequest
from harness.teachers.room import Room, crowding
from harness.types import Problem

CENT = 0.01  # US dollars; no call that costs is told as 0.00
PLAN, TRY = "plan", "try"  # cells of the ledger that are none of a comparison
BLANK = '    """'  # what a one-line problem is wrapped in


def look(command: Command, forecasts: Sequence[Forecast] = ()) -> list[str]:
    """Look at every endpoint of a command, free of charge, probe those that no run has probed, and return what is told.

    Raises ConfigError where one cannot be asked, or has no room for the prompts: nothing has been written or spent
    then. The prompts are those of `forecasts`, else of a rehearsal where the room is small enough to matter.
    """
    return acquaint(command.run, command.name, lambda rooms: crowded(rooms, forecasts or rehearsed(command, rooms)))


def acquaint(run: Run, name: str, crowded: Callable[[dict[str, Room]], list[str]] = lambda rooms: []) -> list[str]:
    """Look at a run's teachers and probe their endpoints; `crowded` is told how much each model holds, if known."""
    teacher = teacher_of(run, asks=True, who=(name, "probe"))
    try:
        asked = [one for one in members(teacher) if isinstance(one, ModelTeacher)]
        rooms = {one.name: room for one in asked if (room := room_of(one)) is not None}
        lines = crowded(rooms)
        backends = [one.backend for one in asked if isinstance(one.backend, OpenAIBackend)]
        return [*lines, *probe.lines_for(backends, probed(run, backends) if backends else [])]
    finally:
        close(teacher)


def room_of(teacher: ModelTeacher) -> Room | None:
    """Return how much a teacher's model holds, None where that is not known. Raises ConfigError as `probe.look`."""
    backend = teacher.backend
    if isinstance(backend, LocalBackend):
        return backend.room()
    tokens = probe.look(backend) if isinstance(backend, OpenAIBackend) else None
    return None if tokens is None else Room(tokens, teacher.settings.max_tokens)


def rehearsed(command: Command, rooms: dict[str, Room]) -> Sequence[Forecast]:
    """Rehearse one cell of every recipe, where a room is small enough for its prompts to matter."""
    if all(room.ample for room in rooms.values()):
        return ()
    cells = {cell.label: cell for cell in command.cells}
    one_each = replace(command, cells=tuple(cells.values()))
    return forecast(one_each, benchmarks_of(command.run))


def crowded(rooms: dict[str, Room], forecasts: Sequence[Forecast]) -> list[str]:
    """Return what is to be told of prompts that may not fit. Raises ConfigError where too many cannot."""
    calls = {key: asked for one in forecasts for key, asked in one.calls.items()}
    return [
        line
        for name, room in rooms.items()
        if (own := [one for one in calls.values() if one.teacher.name == name])
        for line in crowding(name, own, room)
    ]


def probed(run: Run, backends: Sequence[OpenAIBackend]) -> list[probe.Honours]:
    """Return what endpoints honour, found out once in the store's lifetime.

    A store that is not there yet is made when all have been probed: a server that will not do leaves no folder.
    """
    early: dict[str, probe.Honours] = {}
    if not is_there(run.store):
        for backend in backends:
            key = probe.step(backend).key(0)
            early[key] = early.get(key) or probe.probe(backend)
    found: list[probe.Honours] = []
    with Store(run.store, run.artifacts) as store:
        for backend in backends:
            backend.purse.write_to(Ledger(store))
            step = probe.step(backend)
            known = early.get(step.key(0))

            def compute(
                todo: list[int], backend: OpenAIBackend = backend, known: probe.Honours | None = known
            ) -> Iterator[tuple[int, Payload]]:
                yield todo[0], probe.to_json(known or probe.probe(backend))

            [record] = steps.run(store, step, [0], compute)
            found.append(probe.Honours(**record.payload))
    return found


def is_there(store: str) -> bool:
    """Tell whether a store has been made; one of a database server counts as made."""
    return is_url(store) or (Path(store) / "steps.db").is_file()


def recorder(store: Store) -> RunStep:
    """Return what runs the steps of a teacher outside a comparison."""

    def run(
        step: Step, items: Sequence[Json], compute: steps.Compute, *, committed: Callable[[list[str]], None]
    ) -> list[Record]:
        return steps.run(store, step, items, compute, committed=committed)

    return run


# --- plan ------------------------------------------------------------------------------------------------------------


def money(command: Command, forecasts: Sequence[Forecast], count: int) -> Iterator[str]:
    """Yield what a command's calls will cost, from `count` real answers of each kind where there are some."""
    calls = {key: asked for one in forecasts for key, asked in one.calls.items()}
    if not calls:
        return
    here = {one.teacher.name: one.teacher.backend for one in calls.values()}
    rooms = {name: backend.room() for name, backend in here.items() if isinstance(backend, LocalBackend)}
    yield from crowded(rooms, forecasts)
    known = sampled(command, forecasts, list(calls.values()), count) if count else {}
    yield ""
    for one in forecasts:
        if one.calls:
            found = estimate.money(one.calls.values(), known)
            yield f"{one.name[:29]:<30}{found.calls:>8,} calls  {dollars(found)}"
    total = estimate.money(calls.values(), known)
    yield f"{'all, shared ones asked once':<30}{total.calls:>8,} calls  {dollars(total)}"
    yield from basis(known, count)
    yield (
        f"  at most: a token for every byte of a prompt, {command.run.teacher.max_tokens:,} tokens an answer, "
        f"{1 + command.run.teacher.parse_retries} draw(s) of each; calls are counted without further draws."
    )
    cap = command.run.budget.teacher_usd
    if cap:
        yield f"budget.teacher_usd={cap:g}: no call is sent that may bring the run above that."
    elif total.most_usd:
        yield "budget.teacher_usd is not set: say budget.teacher_usd=5 to have no call sent beyond 5 US dollars."


def dollars(found: estimate.Money) -> str:
    if found.unpriced == found.calls:
        return "at no known price"
    about = f"about {found.usd:.2f}" if found.usd >= CENT or not found.usd else "less than 0.01"
    return f"{about}, at most {max(found.most_usd, CENT if found.most_usd else 0.0):.2f} USD"


def basis(known: dict[tuple[str, str], estimate.Size], count: int) -> Iterator[str]:
    """Yield what an estimate of money rests on."""
    for (_, kind), size in sorted(known.items()):
        told = f"{size.bytes_per_token:.1f} bytes a token, {size.tokens_out:.0f} tokens an answer"
        yield f"  {kind}: {told} ({count} asked)"
    if not known:
        yield (
            f"  assumed: {estimate.BYTES_PER_TOKEN:g} bytes a token, {estimate.TOKENS_OUT:g} tokens an answer, all "
            "readable at once. --sample 3 asks three of each kind and keeps their answers."
        )


def sampled(
    command: Command, forecasts: Sequence[Forecast], calls: Sequence[estimate.Asked], count: int
) -> dict[tuple[str, str], estimate.Size]:
    """Ask a few calls of each kind, as recorded steps that the run will find, and return their sizes."""
    run = command.run
    chosen = estimate.samples(calls, count)
    look(command, forecasts)
    with Store(run.store, run.artifacts) as store:
        teacher = teacher_of(run, command.cells[0].recipe, store, who=(command.name, PLAN))
        asked = {one.name: one for one in members(teacher) if isinstance(one, ModelTeacher)}
        answers: list[Answer] = []
        try:
            for one in chosen:
                found, _ = asked[one.teacher.name].ask(recorder(store), [one.request], one.seed)
                answers += found
        finally:
            close(teacher)
    return estimate.sizes(chosen, answers)


# --- try -------------------------------------------------------------------------------------------------------------


def attempt(run: Run, text: str, kind: RequestKind, method: str, about: dict[str, str]) -> Iterator[str]:
    """Yield the rendered prompt, the answer and what was read in it, for one problem given as a text."""
    request = request_of(kind, problem_of(text), about)
    if not any(isinstance(one, ModelTeacher) for one in members(teacher_of(run, method))):
        raise ConfigError("teacher=oracle: it has no prompts to try. Say teacher=openai:MODEL or local:FOLDER.")
    acquaint(run, TRY)  # a server that is away is told at once, and before a folder is made for its answer
    with Store(run.store, run.artifacts) as store:
        teacher = teacher_of(run, method, store, who=(TRY, TRY))
        try:
            member = next(one for one in members(teacher) if isinstance(one, ModelTeacher))
            template = member.prompts.template(kind)
            yield f"prompt      {template.path} (version {template.version})"
            for role, message in member.call(request, 0).messages:
                yield f"[{role}]"
                yield from message.split("\n")
            [answer], _ = member.ask(recorder(store), [request], 0)
        finally:
            close(teacher)
    yield ""
    yield (
        f"answer      {answer.finish_reason}, {answer.calls} call(s), {answer.tokens_in} tokens in, "
        f"{answer.tokens_out} out, {answer.usd:.6f} USD"
    )
    yield from answer.text.split("\n")
    yield ""
    yield from read(answer)


def read(answer: Answer) -> Iterator[str]:
    """Yield what was read in an answer."""
    if logp := answer.logprobs:
        yield f"log-probs   {sum(logp) / len(logp):.3f} nats a token over {len(logp)} tokens, least {min(logp):.3f}"
    yield f"read        {answer.fault or 'as asked'}{f': {answer.reason}' if answer.reason else ''}"
    if answer.code is not None:
        yield from answer.code.rstrip("\n").split("\n")
    if answer.problem is not None:
        yield from answer.problem.prompt.rstrip("\n").split("\n")
    if answer.scores is not None:
        yield ", ".join("n/a" if one is None else f"{one:g}" for one in answer.scores)
    for check in answer.checks or ():
        yield f"{check.args!r} → {'any value' if check.rule == 'anything' else repr(check.expected)}"


def problem_of(text: str) -> Problem:
    """Return the problem that a text states: a header with its docstring, or a sentence put into one."""
    from harness.source.syntax import parse

    if text.lstrip().startswith(("def ", "import ", "from ")):
        prompt = text.replace("\\n", "\n").rstrip("\n") + "\n"
    else:
        prompt = f"def solution(*args):\n{BLANK}{text}{BLANK.strip()}\n"
    tree = parse(prompt) or parse(f"{prompt}    pass\n")
    names = [str(getattr(one, "name", "")) for one in tree.body if hasattr(one, "args")] if tree else []
    if not names:
        raise ConfigError(f"{text!r}: not a problem. Expected a sentence, or a header `def f(x):` with a docstring.")
    return Problem("try/1", prompt, names[-1], (), "", source="try")


def request_of(kind: RequestKind, problem: Problem, about: dict[str, str]) -> Request:
    """Return the request of a kind about one problem; `about` holds what else it needs."""
    attempt = about.get("attempt") or "    return None\n"
    match kind:
        case "solve":
            return Solve(problem)
        case "corrupt":
            return Corrupt(problem, about.get("attempt") or f"{problem.prompt}    return None\n", FAULTS[1])
        case "refine":
            return Refine(problem, attempt, about.get("feedback") or "wrong value")
        case "pose":
            return Pose(problem, "similar")
        case "judge":
            return Judge(problem, attempt)
        case "rate":
            return Rate(problem, attempt, attempt)
        case "tests":
            return TestsRequest(problem)


# --- ledger ----------------------------------------------------------------------------------------------------------


def bills_of(folder: Path) -> list[Bill]:
    """Return the bills of a run. Raises StoreError for what is no run."""
    try:
        facts: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise StoreError(
            f"{folder}: no run here ({type(err).__name__}). Expected the folder of a run; `harness compare` makes one."
        ) from err
    place, artifacts = str(facts["store"]), str(facts.get("artifacts", ""))
    if is_url(place) and not artifacts:  # an older run does not say where checkpoints lie, and none are needed here
        artifacts = str(folder / "artifacts")
    with existing(place, artifacts) as store:
        return Ledger(store).bills(str(facts.get("name", folder.resolve().name)))


def ledger(bills: Sequence[Bill]) -> Iterator[str]:
    """Yield who spent what, and what is counted how."""
    if not bills:
        yield "No call of a priced or served teacher was made by this run."
        return
    yield f"{'who':<28}{'calls':>7}{'tries':>7}{'lost':>6}{'tokens in':>11}{'out':>9}{'USD':>10}"
    for one in bills:
        yield line(f"{one.cell}", one)
        yield f"  {one.teacher}" + (f", {one.tokens_cached:,} of its tokens cached" if one.tokens_cached else "")
    yield line("all", functools.reduce(joined, bills))
    if unpriced := sum(one.unpriced for one in bills):
        yield (
            f"unpriced: {unpriced:,} calls at no known price; what they cost is in no sum. Put the price into a file "
            "(teacher.prices=FILE) and later runs are priced."
        )
    lost = sum(one.lost for one in bills)
    if lost:
        yield (
            f"lost: in flight when a process was killed; they are asked again under the same idempotency key, and "
            f"count at the most that they can have cost ({sum(one.lost_usd for one in bills):.4f} USD, in the sum)."
        )


def line(name: str, one: Bill) -> str:
    counts = f"{one.calls:>7,}{one.tries:>7,}{one.lost:>6,}{one.tokens_in:>11,}{one.tokens_out:>9,}"
    return f"{name[:27]:<28}{counts}{paid(one):>10}"


def paid(one: Bill) -> str:
    """Return the money of a bill; at least that much, or none known, where a price was not known."""
    usd = one.usd + one.lost_usd
    if one.unpriced:
        return f"≥{usd:.4f}" if usd else "unpriced"
    return f"{usd:.4f}"


def joined(one: Bill, other: Bill) -> Bill:
    return Bill(one.run, "", "", *(getattr(one, name) + getattr(other, name) for name in SUMS))
