"""The sentences of `harness eval`, `benchmarks` and `decontaminate`: scores, differences, what was found where."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.benchmarks.registry import Listed
from harness.decontaminate import SPAN
from harness.scoring.clean import Cleaned
from harness.scoring.evaluate import Evaluation
from harness.scoring.flips import Flips
from harness.scoring.score import Proof
from harness.stats import clusters
from harness.stats.passk import Estimate

SHOWN = 5  # problems of a list
KINDS = {
    "prompt": "a benchmark's prompt",
    "words": f"{SPAN} words in a row of a prompt",
    "code": "a function of the same syntax",
    "name": "a function of the same distinctive name",
}


def evaluation(found: Evaluation) -> Iterator[str]:
    """Yield how one model's samples scored, and all that the score depends on."""
    asked = len(found.correct) + len(found.missing)
    yield f"{found.benchmark} v{found.version}: {found.samples:,} samples of {len(found.correct)} of {asked} problems"
    for k, one in found.pass_at_k.items():
        yield f"  pass@{k:<4} {percent(one)}  95 % interval over {units(found)}"
    for k, why in found.without.items():
        yield f"  pass@{k:<4}     -    {why}"
    yield f"  verdicts  {', '.join(f'{count:,} {status}' for status, count in found.statuses.items())}"
    if found.in_process:
        yield f"  {found.in_process} samples were tested inside the candidate's own process"
    if found.missing:
        yield f"  missing   {len(found.missing)} problems, not in the score: {some(found.missing)}"
    slow = found.slowest[:3]
    yield f"  slowest   {'; '.join(f'{one.problem_id} {one.cpu_s:.2f} s CPU ({one.status})' for one in slow)}"
    for one in found.odd:
        yield f"  note      {one}"
    yield from conditions(found)
    yield f"Results: {found.results}"
    if found.row is not None:
        yield f"Row:     {found.row}"


def units(found: Evaluation) -> str:
    """Return what an interval covers the draw of."""
    several = len(set(clusters.units(list(found.families.values()))))
    return f"{several} families of problems" if found.families else "problems"


def conditions(found: Evaluation) -> Iterator[str]:
    """Yield what a score depends on beside the samples."""
    told = "; ".join(f"{key} {text}" for key, text in found.protocol.items() if key != "version")
    yield f"{told}; data {found.digest[:12]}"


def percent(one: Estimate) -> str:
    return f"{100 * one.value:5.1f} %  [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def table(found: Sequence[Evaluation], extractors: Sequence[str]) -> Iterator[str]:
    """Yield several scores, one a line, with the spread over extractors where there are several of a model."""
    first = found[0]
    asked = len(first.correct) + len(first.missing)
    yield f"{first.benchmark} v{first.version}, {asked} problems: pass@k in % with 95 % interval over {units(first)}"
    ks = list(dict.fromkeys(k for one in found for k in (*one.pass_at_k, *one.without)))
    several = len(extractors) > 1
    wide = max(5, *(min(30, len(one.name)) for one in found))
    titles = "".join(f"{f'pass@{k}':<20}" for k in ks)
    yield f"{'model':<{wide}}  {'extractor     ' if several else ''}{titles}{'samples':>9}"
    for one in found:
        by = f"{one.protocol['extractor']:<14}" if several else ""
        shares = "".join(f"{short(one.pass_at_k[k]) if k in one.pass_at_k else '-':<20}" for k in ks)
        yield f"{one.name[:wide]:<{wide}}  {by}{shares}{one.samples:>9,}"
    for one in found[:: len(extractors)]:
        if one.missing:
            yield f"{one.name}: {len(one.missing)} problems are missing and not in the score: {some(one.missing)}"
        for note in one.odd:
            yield f"{one.name}: {note}"
    if several:
        for name in dict.fromkeys(one.name for one in found):
            yield spread([one for one in found if one.name == name])
    told = {key: text for key, text in first.protocol.items() if key not in ("version", "extractor")}
    extractor = "" if several else f"extractor {first.protocol['extractor']}; "
    yield f"{extractor}{'; '.join(f'{key} {text}' for key, text in told.items())}; data {first.digest[:12]}"
    for folder in dict.fromkeys(one.results.parent for one in found):
        yield f"Results: {folder}/*_results.jsonl"


def short(one: Estimate) -> str:
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def spread(found: Sequence[Evaluation]) -> str:
    """Return how far apart the extractors put one model, at the first k."""
    k = next(iter(found[0].pass_at_k), None)
    if k is None:
        return f"{found[0].name}: no k has an estimate"
    values = {one.protocol["extractor"]: 100 * one.pass_at_k[k].value for one in found}
    low, high = min(values, key=lambda name: values[name]), max(values, key=lambda name: values[name])
    points = values[high] - values[low]
    if points == 0:
        return f"{found[0].name}: every extractor gives the same pass@{k}"
    return f"{found[0].name}: {points:.1f} points of pass@{k} between extractors {low} and {high}"


def flips(found: Flips) -> Iterator[str]:
    """Yield the paired difference of two models and the problems that flipped."""
    interval = f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    yield (
        f"{found.second} minus {found.first}: {100 * found.difference:+.1f} points of pass@{found.k} {interval}, "
        f"paired over {found.problems} problems"
    )
    p = f"p = {found.p:.4f}" if found.p >= 0.0001 else "p < 0.0001"
    yield f"  {p} ({found.test}); it is about these two sets of samples, not about how they were made"
    for name, own in ((found.first, found.only_first), (found.second, found.only_second)):
        yield f"  better in {name}: {len(own)} problems{': ' if own else ''}{', '.join(own)}"
    if found.left_out:
        yield f"  {found.left_out} problems that only one of the two answers are left out"


def proof(found: Proof) -> Iterator[str]:
    """Yield whether a benchmark's references all pass and programs known to be bad all fail."""
    yield f"{found.name}: {found.problems - len(found.failed)} of {found.problems} references pass"
    for one in found.failed[:SHOWN]:
        yield f"  fails: {one}"
    yield f"  {found.bad - len(found.fooled):,} of {found.bad:,} programs known to be bad fail"
    for problem, what in found.fooled[:SHOWN]:
        yield f"  passes: {what} on {problem}"
    if found.spared:
        yield f"  spared of those: {len(found.spared)} problems whose source takes any answer ({some(found.spared)})"


def listed(one: Listed) -> Iterator[str]:
    """Yield one benchmark: its size, its digest, where its data was found, or why it cannot be had."""
    if one.trouble:
        yield f"{one.name:<22}     -  not here: {one.trouble}"
        return
    faulty = f", {one.errata} known faulty" if one.errata else ""
    yield f"{one.name:<22}{one.problems:>6,}  {one.digest[:12]}  v{one.version}  {one.where}{faulty}"


def cleaned(found: Cleaned) -> Iterator[str]:
    """Yield how many rows of a file stand in a benchmark, in which, and how it was seen."""
    yield f"{found.seen:,} rows checked against {', '.join(found.benchmarks)}"
    if found.absent:
        yield f"not checked, as their data is not here: {', '.join(found.absent)}"
    yield f"{found.removed:,} left out, {found.seen - found.removed:,} kept"
    for kind, count in found.kinds.most_common():
        yield f"  {count:>7,}  {KINDS[kind]}"
    for name, count in found.sources.most_common():
        yield f"  {count:>7,}  of {name}"
    yield f"Kept:     {found.clean}"
    yield f"Left out: {found.hits}"
