"""A baseline: what one student passed, problem by problem, and how it was measured; a file small enough for git.

One problem a line, sorted, so that a diff shows which problems changed. Made from a finished run; compared by
`harness/results/gate.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, DataError, suggest
from harness.results.export import pick
from harness.results.finished import Finished, load
from harness.store.keys import Json, digest
from harness.store.rows import write_text
from harness.types import Row
from reports.checks import line_label, settings_label

VERSION = 1
GROUPS = {  # what a protocol's keys belong to, as a refusal names them
    "prompt": ("prompt", "style", "template", "stop", "extractor", "step", "feedback"),
    "judge": ("version", "limits", "isolation", "rule", "errata"),
    "decoding": ("decoding", "max_new_tokens", "generation"),
}


@dataclass(frozen=True)
class Scored:
    """One benchmark: its data's hash, how it was measured, and the passing samples of each problem."""

    benchmark_hash: str
    protocol: dict[str, str]
    samples: int  # of each problem
    passed: dict[str, int]  # by problem id
    families: dict[str, str] = field(default_factory=dict[str, str])  # of each problem, if it has any; a run's only

    @property
    def hashes(self) -> dict[str, str]:
        """Return what must match, by name: the benchmark's data, the prompt, the judge and the decoding."""
        known = {key: group for group, keys in GROUPS.items() for key in keys}
        parts: dict[str, dict[str, Json]] = {group: {} for group in GROUPS}
        for key, text in self.protocol.items():
            parts[known.get(key, "judge")][key] = text  # a key of a later version may change a verdict
        return {"benchmark": self.benchmark_hash} | {group: digest(own)[:16] for group, own in parts.items()}


@dataclass(frozen=True)
class Results:
    """One student's results by problem: a baseline, or the candidate that is held against one."""

    name: str  # recipe and settings
    seed: int | None
    cycle: int
    weights: str
    command: str
    benchmarks: dict[str, Scored]
    reasons: dict[tuple[str, str], str]  # why the first failing sample of a problem failed; a run's only


def of_run(folder: Path, words: Sequence[str] = (), usual: str = "") -> Results:
    """Return the results of the student of a run that `words` pick (recipe=, seed=, cycle=, settings).

    Words may be left out while they leave one student; of several recipes `usual` is meant, if it is there. Raises
    ConfigError otherwise, StoreError for a run that is unfinished or whose samples are gone.
    """
    finished = load([folder])
    recipes = sorted({row.recipe for row in finished.rows if row.seed is not None})
    if not any(word.startswith("recipe=") for word in words):
        if len(recipes) != 1 and usual not in recipes:
            raise ConfigError(f"recipe: this run holds {', '.join(recipes)}. Say which, as in recipe={recipes[0]}.")
        words = [*words, f"recipe={usual if usual in recipes else recipes[0]}"]
    chosen = pick(finished.rows, words)
    rows = [
        row
        for row in finished.rows
        if (row.recipe, row.settings, row.seed, row.cycle)
        == (chosen.recipe, chosen.settings, chosen.seed, chosen.cycle)
    ]
    reasons: dict[tuple[str, str], str] = {}
    return Results(
        name=line_label(chosen.recipe, settings_label(chosen.settings)),
        seed=chosen.seed,
        cycle=chosen.cycle,
        weights=chosen.weights,
        command=finished.facts[0]["command"],
        benchmarks={row.benchmark: scored(finished, row, reasons) for row in rows},
        reasons=reasons,
    )


def scored(finished: Finished, row: Row, reasons: dict[tuple[str, str], str]) -> Scored:
    passed: dict[str, int] = {}
    for sample in finished.samples(row):
        name = sample["task_id"]
        passed[name] = passed.get(name, 0) + bool(sample["passed"])
        if not sample["passed"]:
            reasons.setdefault((row.benchmark, name), f"{sample['status']}: {sample['reason']}".rstrip(": "))
    families = dict(zip(passed, row.families, strict=True)) if row.families else {}
    return Scored(row.benchmark_hash, dict(row.protocol), row.samples, passed, families)


def write(results: Results, path: Path) -> None:
    """Write a baseline; an equal one has equal bytes."""
    body = asdict(results)
    del body["reasons"]
    for one in body["benchmarks"].values():
        one["passed"] = dict(sorted(one["passed"].items()))
        del one["families"]  # the benchmark's hash stands for them
    for name, one in results.benchmarks.items():
        body["benchmarks"][name]["hashes"] = one.hashes
    content = {"version": VERSION, "digest": digest(body)} | body
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> Results:
    """Return the baseline of a file; DataError for one that is missing, damaged, edited, or of a newer version."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = suggest(path.name, [one.name for one in path.parent.glob("*.json")])
        raise DataError(f"{path}: no baseline here{near}. Make one with `harness baseline RUN --to {path}`.") from None
    except (OSError, ValueError) as err:
        raise DataError(f"{path}: not a baseline ({err}). Make one with `harness baseline RUN --to {path}`.") from err
    if not isinstance(content, dict) or not isinstance(content.get("version"), int):
        raise DataError(f"{path}: not a baseline: no version. Make one with `harness baseline RUN --to {path}`.")
    if content["version"] > VERSION:
        raise DataError(
            f"{path}: a baseline of version {content['version']}, this harness reads up to {VERSION}. Update the "
            "harness, or make the baseline again with this one."
        )
    body: dict[str, Any] = {key: value for key, value in content.items() if key not in ("version", "digest")}
    if content.get("digest") != digest(body):
        raise DataError(
            f"{path}: damaged or edited by hand: its digest does not fit its content. Restore it from git, or make it "
            "again with `harness baseline`."
        )
    try:
        benchmarks = {
            name: Scored(one["benchmark_hash"], one["protocol"], one["samples"], one["passed"])
            for name, one in body.pop("benchmarks").items()
        }
        return Results(**body, benchmarks=benchmarks, reasons={})
    except (KeyError, TypeError, AttributeError) as err:
        raise DataError(f"{path}: not a baseline ({err}). Make one with `harness baseline RUN --to {path}`.") from err
