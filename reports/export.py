"""A table as JSON (everything it holds) and as CSV (one line per score); for other programs, not for eyes."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from typing import Any

from reports.table import Comparison, Line, Score, Table

SCORED = ("recipe", "settings", "seeds", "benchmark", "k", "cycle", "value", "low", "high", "covers", "n", "samples")
COMPARED = (
    "difference",
    "difference_low",
    "difference_high",
    "p",
    "adjusted_p",
    "test",
    "difference_covers",
    "detectable",
)
SPENT = ("teacher_calls", "student_samples", "programs", "updates", "training_tokens", "teacher_usd")
COLUMNS: tuple[str, ...] = (*SCORED, "reference", "adjustment", *COMPARED, *SPENT, "seconds")


def to_json(table: Table) -> str:
    """Return the table as one JSON object; shares are in [0, 1] and an infinite number is null."""
    return json.dumps(finite(dataclasses.asdict(table)), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """Return plain data with every infinite number replaced by None, which JSON can hold."""
    if isinstance(value, dict):
        return {key: finite(own) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return [finite(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_csv(table: Table) -> str:
    """Return one line per recipe, benchmark, k and cycle; difference and cost stand with the final cycle only."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    samples = {one.name: one.samples for one in table.benchmarks}
    for line in table.lines:
        for score in line.scores:
            record = own_columns(line, score) | {
                "samples": samples[score.benchmark],
                "reference": table.reference,
                "adjustment": table.adjust,
            }
            if score.cycle == line.final_cycle:
                record |= {name: f"{line.spent[name]:.10g}" for name in SPENT}
                record["seconds"] = "" if line.seconds is None else f"{line.seconds:.1f}"
                for one in line.comparisons:
                    if (one.benchmark, one.k) == (score.benchmark, score.k):
                        record |= compared_columns(one)
            writer.writerow(record)
    return text.getvalue()


def own_columns(line: Line, score: Score) -> dict[str, object]:
    return {
        "recipe": line.recipe,
        "settings": line.settings,
        "seeds": " ".join(str(seed) for seed in line.seeds if seed is not None),
        "benchmark": score.benchmark,
        "k": score.k,
        "cycle": score.cycle,
        "value": f"{score.estimate.value:.6f}",
        "low": f"{score.estimate.low:.6f}",
        "high": f"{score.estimate.high:.6f}",
        "covers": score.covers,
        "n": score.estimate.n,
    }


def compared_columns(one: Comparison) -> dict[str, object]:
    return {
        "difference": f"{one.difference.value:.6f}",
        "difference_low": f"{one.difference.low:.6f}",
        "difference_high": f"{one.difference.high:.6f}",
        "p": f"{one.difference.p:.6g}",
        "adjusted_p": f"{one.adjusted_p:.6g}",
        "test": one.difference.test,
        "difference_covers": one.difference.covers,
        "detectable": f"{one.detectable:.6f}",
    }
