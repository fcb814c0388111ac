"""Holds a run against a stored baseline, problem by problem: passed, regressed or inconclusive.

Every benchmark of the baseline is gated. The whole passes only if each does, so a pass needs no adjustment; it
regresses if any does, so there p is adjusted by Holm. What was not measured alike is refused, never compared.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, DataError, suggest
from harness.results import baseline
from harness.results.baseline import Results, Scored
from harness.stats import noninferiority
from harness.stats.multiplicity import holm
from reports.verdict import Flip, Gate, Gated

EXIT = {"passed": 0, "regressed": 1, "inconclusive": 3}


@dataclass(frozen=True)
class Rules:
    """What is gated on, from `[tool.harness.gate]` of a pyproject.toml or a YAML file; the command line goes before."""

    baseline: str = ""  # the baseline's file, from where the command is run
    margin: float = 0.02  # a loss of this share of problems or more is a regression
    alpha: float = 0.05  # one-sided, of each answer
    margins: Mapping[str, float] = field(default_factory=dict[str, float])  # of single benchmarks


def read_rules(path: Path | None, *, margin: float | None = None, baseline: Path | None = None) -> Rules:
    """Return the rules of a file, changed by what the command line says.

    Without `path` it is ./pyproject.toml where that has such a table. Raises DataError for a file that cannot be
    read, ConfigError with every bad key.
    """
    where = path or Path("pyproject.toml")
    content = read_table(where) if path or where.is_file() else {}
    names = [one.name for one in fields(Rules)]
    problems = [
        f"{where}: {key}: no such key{suggest(str(key), names)}. Keys: {', '.join(names)}."
        for key in content
        if key not in names
    ]
    if problems:
        raise ConfigError(problems)
    rules = replace(Rules(), **content)
    rules = replace(rules, margin=rules.margin if margin is None else margin)
    rules = replace(rules, baseline=rules.baseline if baseline is None else str(baseline))
    check_rules(rules)
    return rules


def read_table(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".toml":
            tools: Any = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
            found: Any = tools.get("harness", {}).get("gate", {})
        else:
            import yaml

            try:
                found = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            except yaml.YAMLError as err:
                raise DataError(f"{path}: not YAML ({err}). Expected keys such as margin: 0.02.") from err
    except OSError as err:
        raise DataError(f"{path}: no rules here ({err.strerror}). Expected a pyproject.toml or a YAML file.") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise DataError(f"{path}: not TOML ({err}). Expected a table [tool.harness.gate].") from err
    if not isinstance(found, dict):
        raise DataError(f"{path}: found {found!r:.60}, expected keys such as margin = 0.02.")
    return found


def check_rules(rules: Rules) -> None:
    """Raise ConfigError with every value that is out of range or of the wrong type."""
    problems: list[str] = []

    def share(name: str, value: Any, most: float) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < most:
            problems.append(f"{name}={value}: expected a share above 0 and below {most:g}, as in {name}=0.02.")

    share("margin", rules.margin, 1)
    share("alpha", rules.alpha, 0.5)
    if isinstance(rules.margins, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - it came from a file
        for name, own in rules.margins.items():
            share(f"margins.{name}", own, 1)
    else:
        problems.append(f"margins={rules.margins}: expected a table of benchmark = share.")
    if not rules.baseline:
        problems.append('baseline: none given. Say --baseline FILE, or baseline = "FILE" in [tool.harness.gate].')
    if problems:
        raise ConfigError(problems)


def check(run: Path, rules: Rules, words: Sequence[str] = ()) -> Gate:
    """Gate the student of `run` that `words` pick against the rules' baseline.

    Of a run of several recipes the baseline's is meant, unless they name one. Raises ConfigError where they pick no
    student or a margin names no benchmark, DataError for a baseline that cannot be read or was measured otherwise,
    StoreError for a run that is not finished.
    """
    stored = baseline.read(Path(rules.baseline))
    if unknown := [name for name in rules.margins if name not in stored.benchmarks]:
        raise ConfigError(
            f"margins.{unknown[0]}: not a benchmark of the baseline{suggest(unknown[0], stored.benchmarks)}. "
            f"Benchmarks: {', '.join(stored.benchmarks)}."
        )
    return compare(baseline.of_run(run, words, usual=stored.name.partition(" ")[0]), stored, rules)


def compare(candidate: Results, stored: Results, rules: Rules) -> Gate:
    """Hold results against a baseline's; DataError, naming what changed, where they were not measured alike."""
    refuse(candidate, stored, rules)
    names = list(stored.benchmarks)
    pairs = {name: (candidate.benchmarks[name], stored.benchmarks[name]) for name in names}
    margins = {name: rules.margins.get(name, rules.margin) for name in names}
    sizes = {name: (ours.samples, theirs.samples) for name, (ours, theirs) in pairs.items()}
    counts = {name: aligned(*pair) for name, pair in pairs.items()}
    units = {name: families(*pair) for name, pair in pairs.items()}
    losses = {n: noninferiority.measure(*counts[n], sizes[n], margins[n], rules.alpha, units[n]) for n in names}
    adjusted = dict(zip(names, holm([losses[name].p_worse for name in names]), strict=True))
    found: list[Gated] = []
    for name in names:
        loss, margin = losses[name], margins[name]
        verdict = noninferiority.decide(loss, margin, adjusted[name], rules.alpha)
        needed = None
        if verdict == "inconclusive":
            needed = noninferiority.needed(*counts[name], sizes[name], loss, margin, rules.alpha)
        lost, gained = flipped(name, candidate, *pairs[name])
        found.append(Gated(name, verdict, loss, adjusted[name], margin, needed, sizes[name], lost, gained))
    verdicts = {one.verdict for one in found}
    whole = "regressed" if "regressed" in verdicts else "passed" if verdicts == {"passed"} else "inconclusive"
    return Gate(whole, tuple(found), named(candidate), f"{named(stored)} ({rules.baseline})", rules.alpha)


def named(results: Results) -> str:
    seed = "" if results.seed is None else f", seed {results.seed}"
    return f"{results.name}{seed}, cycle {results.cycle}, weights {results.weights[:12]}"


def aligned(ours: Scored, theirs: Scored) -> tuple[list[int], list[int]]:
    return [ours.passed[name] for name in theirs.passed], list(theirs.passed.values())


def families(ours: Scored, theirs: Scored) -> list[str]:
    """Return the family of each problem, in the order of `aligned`; empty where the benchmark has none."""
    return [ours.families[name] for name in theirs.passed] if ours.families else []


def refuse(candidate: Results, stored: Results, rules: Rules) -> None:
    """Raise DataError with everything in which candidate and baseline were measured differently."""
    told: list[str] = []
    for name, theirs in stored.benchmarks.items():
        ours = candidate.benchmarks.get(name)
        if ours is None:
            told.append(f"{name}: the run was not evaluated on it, only on {', '.join(candidate.benchmarks)}")
            continue
        for kind, expected in theirs.hashes.items():
            if ours.hashes[kind] != expected:
                told.append(f"{name}: {kind} changed: {changed(kind, ours, theirs)}")
        if not told and ours.passed.keys() != theirs.passed.keys():
            odd = sorted(ours.passed.keys() ^ theirs.passed.keys())
            told.append(f"{name}: {len(odd)} problems are on one side only, {', '.join(odd[:3])} among them")
    if told:
        raise DataError(
            f"{rules.baseline}: measured otherwise than the run, so nothing is compared.\n  "
            + "\n  ".join(told)
            + "\nRun the comparison as the baseline was, or make a new baseline with `harness baseline`."
        )


def changed(kind: str, ours: Scored, theirs: Scored) -> str:
    """Return what of a group changed, as `old → new`."""
    if kind == "benchmark":
        return f"data {theirs.benchmark_hash[:12]} → {ours.benchmark_hash[:12]}"
    known = {key for keys in baseline.GROUPS.values() for key in keys}
    own = [
        key
        for key in {*ours.protocol, *theirs.protocol}
        if key in baseline.GROUPS[kind] or (kind == "judge" and key not in known)
    ]
    return "; ".join(
        f"{key} {theirs.protocol.get(key, 'not stated')} → {ours.protocol.get(key, 'not stated')}"
        for key in sorted(own)
        if theirs.protocol.get(key) != ours.protocol.get(key)
    )


def flipped(name: str, candidate: Results, ours: Scored, theirs: Scored) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    """Return the problems that were lost and gained, the largest change first."""
    lost: list[tuple[float, Flip]] = []
    gained: list[tuple[float, Flip]] = []
    for problem, before in theirs.passed.items():
        now = ours.passed[problem]
        change = now / ours.samples - before / theirs.samples
        if change:
            reason = candidate.reasons.get((name, problem), "") if change < 0 else ""
            flip = Flip(problem, f"{before}/{theirs.samples}", f"{now}/{ours.samples}", reason)
            (lost if change < 0 else gained).append((-abs(change), flip))
    return tuple(one for _, one in sorted(lost, key=first)), tuple(one for _, one in sorted(gained, key=first))


def first(pair: tuple[float, Flip]) -> float:
    return pair[0]
