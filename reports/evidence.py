"""What a page shows behind a table's numbers: counts by problem, answers with their verdicts, within a size limit.

It chooses which answers to keep and says how many it left out; it renders nothing and reads no file itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.stats.passk import Estimate
from harness.types import Row
from reports.checks import line_label, settings_label
from reports.export import finite
from reports.near import MOST, Nearest
from reports.table import Table, mean

TEXT_BYTES = 1_600_000  # of answers, prompts and failing calls in one page, as they stand in it
NEAR_BYTES = 500_000  # of training examples; all else is far smaller
LONGEST = 4_000  # characters of one text; a runaway answer is cut, and says so
CUT = "\n[cut here by the report]"
Samples = Callable[[Row], list[dict[str, Any]]]
Examples = Callable[[Row], list[dict[str, Any]] | None]  # that a row's cell trained on; None where none were kept


@dataclass(frozen=True)
class Run:
    """Finished runs as a page needs them beside their table."""

    rows: Sequence[Row]
    samples: Samples
    prompts: Mapping[str, Mapping[str, str]]  # by benchmark and problem; empty where the data is not at hand
    configuration: Sequence[Mapping[str, Any]]
    examples: Examples = lambda row: None


def as_json(value: Any) -> str:
    """Return JSON that cannot end the element it stands in, whatever texts it holds."""
    text = json.dumps(finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Texts:
    """Texts that a page holds once each, until its limit is reached."""

    def __init__(self, limit: int) -> None:
        self.all: list[str] = []
        self.places: dict[str, int] = {}
        self.left = limit
        self.full = False  # a text was turned away

    def add(self, text: str) -> int | None:
        """Return the text's place, None where it does not fit any more."""
        if len(text) > LONGEST:
            text = text[:LONGEST] + CUT
        if text in self.places:
            return self.places[text]
        size = len(as_json(text)) + 8
        if size > self.left:
            self.full = True
            return None
        self.left -= size
        self.places[text] = len(self.all)
        self.all.append(text)
        return self.places[text]


def gather(table: Table, run: Run, limit: int = TEXT_BYTES) -> dict[str, Any]:
    """Return the page's data: columns of counts, the answers kept, and how many were left out.

    Final cycles go first, and in them the problems on which lines disagree: those are what a reader opens.
    """
    texts = Texts(limit)
    columns = [column(row, number) for number, row in enumerate(run.rows)]
    ids: dict[str, list[str]] = {}
    samples = {number: run.samples(row) for number, row in enumerate(run.rows)}
    for number, row in enumerate(run.rows):
        ids.setdefault(row.benchmark, list(dict.fromkeys(one["task_id"] for one in samples[number])))
    prompts: dict[str, list[int | None]] = {name: [None] * len(own) for name, own in ids.items()}
    answers: list[dict[int, list[Any]]] = [{} for _ in run.rows]
    kept = 0
    total = sum(len(own) for own in samples.values())
    places = {number: starts(samples[number]) for number in samples}
    for number, at in wanted(table, run.rows):
        row = run.rows[number]
        name = ids[row.benchmark][at]
        if prompts[row.benchmark][at] is None and (prompt := run.prompts.get(row.benchmark, {}).get(name)):
            prompts[row.benchmark][at] = texts.add(prompt)
        found = [answer(one, texts) for one in places[number][name]]
        if None in found:
            break
        answers[number][at] = found
        kept += len(found)
    texts.left, texts.full = NEAR_BYTES, False
    return {
        "ids": ids,
        "near": near(table, run, texts, ids),
        "columns": columns,
        "levels": {row.benchmark: list(row.levels) for row in run.rows},
        "prompts": prompts,
        "answers": answers,
        "texts": texts.all,
        "kept": kept,
        "total": total,
    }


def column(row: Row, number: int) -> dict[str, Any]:
    return {
        "label": line_label(row.recipe, settings_label(row.settings)),
        "seed": row.seed,
        "cycle": row.cycle,
        "benchmark": row.benchmark,
        "samples": row.samples,
        "correct": list(row.correct),
        "statuses": row.statuses,
        "number": number,
    }


def starts(samples: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for one in samples:
        found.setdefault(one["task_id"], []).append(one)
    return found


def wanted(table: Table, rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    """Yield (row, problem) in the order in which their answers are worth keeping."""
    last = {line.label: line.final_cycle for line in table.lines}
    final = [n for n, row in enumerate(rows) if row.cycle == last[line_label(row.recipe, settings_label(row.settings))]]
    rest = [number for number in range(len(rows)) if number not in set(final)]
    for group in (final, rest):
        for benchmark in dict.fromkeys(rows[number].benchmark for number in group):
            own = [number for number in group if rows[number].benchmark == benchmark]
            order = sorted(range(rows[own[0]].n), key=lambda at: (agree(rows, own, at), at))
            for at in order:
                for number in own:
                    yield number, at


def near(table: Table, run: Run, texts: Texts, ids: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return, by benchmark, problem and line, the training examples nearest to a problem, within the texts' limit.

    Each line's are of its first seed: `sets` says which, and how many examples there are; None where none were kept.
    """
    sets: list[list[Any] | None] = []
    found: dict[str, dict[int, list[Any]]] = {name: {} for name in ids}
    searched: list[tuple[int, list[dict[str, Any]], Nearest]] = []
    for place, line in enumerate(table.lines):
        row = next(row for row in run.rows if line_label(row.recipe, settings_label(row.settings)) == line.label)
        examples = run.examples(row) if row.seed is not None else None
        sets.append(None if examples is None else [row.seed, len(examples), min(len(examples), MOST)])
        if examples:
            searched.append((place, examples, Nearest([one["prompt"] for one in examples])))
    for benchmark, at in dict.fromkeys((run.rows[number].benchmark, at) for number, at in wanted(table, run.rows)):
        prompt = run.prompts.get(benchmark, {}).get(ids[benchmark][at])
        if not prompt or not searched:
            continue
        own = [
            [place, *shown]
            for place, examples, nearest in searched
            for where, share in nearest.of(prompt)
            if (shown := example(examples[where], share, texts)) is not None
        ]
        if texts.full:
            break
        found[benchmark][at] = own
    return {"sets": sets, "found": found, "problems": sum(map(len, found.values()))}


def example(one: Mapping[str, Any], share: float, texts: Texts) -> list[Any] | None:
    """Return a training example as the page holds it: similarity, origin, then places of its texts."""
    parts = [texts.add(str(one[name] or "")) for name in ("prompt", "completion", "rejected")]
    return None if None in parts else [round(share, 3), one["origin"], *parts]


def agree(rows: Sequence[Row], numbers: Sequence[int], at: int) -> bool:
    return len({rows[number].correct[at] for number in numbers}) == 1


def answer(sample: Mapping[str, Any], texts: Texts) -> list[Any] | None:
    """Return a sample as the page holds it: status, then places of its texts; None where they do not fit."""
    fail = sample["first_fail"] or {}
    parts = [texts.add(str(one)) for one in (
        sample["completion"], sample["reason"], fail.get("input", ""), fail.get("got", ""), fail.get("expected", ""),
    )]  # fmt: skip
    return None if None in parts else [sample["status"], *parts]


def pass_at_ks(table: Table, rows: Sequence[Row]) -> dict[str, dict[str, list[list[float]]]]:
    """Return pass@k of every line's final cycle by benchmark, for k up to the samples: k, value, bounds."""
    found: dict[str, dict[str, list[list[float]]]] = {}
    for line in table.lines:
        for benchmark in table.benchmarks:
            own = [
                row
                for row in rows
                if line_label(row.recipe, settings_label(row.settings)) == line.label
                and (row.benchmark, row.cycle) == (benchmark.name, line.final_cycle)
            ]
            if own and benchmark.samples > 1:
                ks = sorted({k for k in (1, 2, 3, 5, 10, 20, 50, 100) if k < benchmark.samples} | {benchmark.samples})
                found.setdefault(line.label, {})[benchmark.name] = [bounds(k, mean(own, k)) for k in ks]
    return found


def bounds(k: int, one: Estimate) -> list[float]:
    return [k, one.value, one.low, one.high]
