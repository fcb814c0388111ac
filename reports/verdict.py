"""A gate's answer as data, and as text: terminal, Markdown, JUnit XML, GitHub annotations; it decides nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from tabulate import tabulate

from harness.stats.noninferiority import Loss, Needed, Verdict
from harness.stats.stability import Stability
from reports.cells import p_value
from reports.render import Grid, block, plain

SHOWN = 10  # flipped problems that are told of each kind; the JUnit file holds all
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
CELL = re.compile(r"[|`<>&\\*_\[\]]")


@dataclass(frozen=True)
class Flip:
    """A problem that candidate and baseline passed unequally often."""

    problem: str
    before: str  # passing samples of all, as in 1/1
    now: str
    reason: str  # why the candidate failed it; empty where it did not


@dataclass(frozen=True)
class Gated:
    """One benchmark's answer."""

    benchmark: str
    verdict: Verdict
    loss: Loss
    p_worse: float  # adjusted by Holm over the benchmarks of this gate
    margin: float
    needed: Needed | None  # where inconclusive
    samples: tuple[int, int]  # the candidate's and the baseline's, of each problem
    lost: tuple[Flip, ...]
    gained: tuple[Flip, ...]


@dataclass(frozen=True)
class Gate:
    """The answer over all benchmarks."""

    verdict: Verdict
    benchmarks: tuple[Gated, ...]
    candidate: str
    baseline: str
    alpha: float


def points(share: float) -> str:
    return f"{100 * share:+.1f}"


def sentence(one: Gated, alpha: float) -> str:
    """Say one benchmark's answer and why."""
    sure = f"{100 * (1 - alpha):g} %"
    loss, margin = one.loss, f"{100 * one.margin:g} points"
    if one.verdict == "passed":
        return f"a loss of {margin} is excluded: at {sure} the difference is above {points(loss.low)}"
    if one.verdict == "regressed":
        return f"worse by {margin} or more, and at {sure} the difference is below {points(loss.high)}"
    return f"neither a loss of {margin} nor no loss is excluded at {sure}. {decides(one)}"


def decides(one: Gated) -> str:
    """Say what would decide an inconclusive comparison if the truth is as observed."""
    needed, families = one.needed, one.loss.families
    if families == 1:
        return "What would decide it: problems of other families, as those of one tell nothing of them"
    if needed is None or (needed.units is None and needed.samples is None):
        return "No number of samples would decide a difference as observed"
    kind, now = ("families of problems", families) if families else ("problems", one.loss.n)
    parts = [f"about {needed.units:,} {kind} (now {now:,})"] if needed.units else []
    if needed.samples:
        parts.append(f"{needed.samples:,} samples of each problem on both sides (now {max(one.samples)})")
    tail = ""
    if not needed.samples:
        single = "not known, as one sample shows no spread (a greedy answer has none)"
        tail = f"; more samples alone: {single if min(one.samples) < 2 else 'never, as the problems differ too much'}"
    return f"What would decide it, four times in five: {' or '.join(parts)}{tail}"


def numbers(gate: Gate) -> list[list[str]]:
    return [
        [
            one.benchmark,
            one.verdict,
            f"{points(one.loss.value)} [{points(one.loss.low)}, {points(one.loss.high)}]",
            f"{100 * one.margin:g}",
            p_value(one.loss.p_safe),
            p_value(one.p_worse),
            str(one.loss.n),
            f"{one.samples[0]}/{one.samples[1]}",
            f"{one.loss.lost}/{one.loss.gained}",
        ]
        for one in gate.benchmarks
    ]


HEADER = ["benchmark", "verdict", "difference", "margin", "p safe", "p worse", "n", "samples", "lost/gained"]


def terminal(gate: Gate) -> Iterator[str]:
    """Yield the answer for a terminal."""
    yield f"gate: {gate.verdict.upper()}"
    yield f"candidate  {gate.candidate}"
    yield f"baseline   {gate.baseline}"
    yield ""
    rows = [[clean(row[0]), *row[1:7], row[8]] for row in numbers(gate)]
    yield from plain(Grid("", [*HEADER[:7], "-/+"], rows)).splitlines()
    bounds = f"one-sided {100 * (1 - gate.alpha):g} % bounds"
    yield f"difference in points with {bounds}, paired by problem; -/+: problems lost and gained"
    for one in gate.benchmarks:
        yield ""
        yield f"{one.benchmark}: {one.verdict}: {sentence(one, gate.alpha)}."
        yield from flips("lost", one.lost)
        yield from flips("gained", one.gained)


def stayed(found: Sequence[tuple[str, Stability]], width: int) -> str:
    """Return, for a terminal, how many verdicts of each row stayed when its completions were judged again."""
    rows = [
        [
            place,
            str(one.same.n),
            f"{100 * one.same.value:.2f} [{100 * one.same.low:.2f}, {100 * one.same.high:.2f}]",
            *(str(len(moved)) for moved in (one.lost, one.gained, one.other)),
        ]
        for place, one in found
    ]
    header = ["", "verdicts", "stayed %", "lost", "gained", "other"]
    changed = sum(len(one.lost) + len(one.gained) + len(one.other) for _, one in found)
    told = f"{changed} verdicts changed" if changed else "every verdict stayed"
    note = f"[95 % interval] over verdicts; lost and gained: passes, other: failed otherwise. {told}"
    return f"{block(Grid('verdicts of the same completions, judged again', header, rows, note), width)}\n"


def flips(kind: str, found: Sequence[Flip]) -> Iterator[str]:
    for one in found[:SHOWN]:
        status = clean(one.reason.partition(":")[0])
        yield f"  {kind:<7}{clean(one.problem)}  {one.before} -> {one.now}  {status}".rstrip()
    if len(found) > SHOWN:
        yield f"  {kind:<7}and {len(found) - SHOWN} more"


def clean(text: str) -> str:
    """Return text on one line: a name may hold what would start another, or steer a terminal or a CI's log."""
    return "".join(char if char.isprintable() else "?" for char in text)


def markdown(gate: Gate) -> str:
    """Return the answer as a CI job's summary."""
    rows = [[cell(text) for text in row] for row in numbers(gate)]
    parts = [
        f"## Quality gate: {gate.verdict}",
        f"Candidate: {cell(gate.candidate)}  \nBaseline: {cell(gate.baseline)}",
        tabulate(rows, headers=HEADER, tablefmt="pipe", disable_numparse=True),
        f"Difference in points, candidate less baseline, paired by problem, with one-sided "
        f"{100 * (1 - gate.alpha):g} % bounds. p worse is adjusted by Holm over the benchmarks.",
    ]
    for one in gate.benchmarks:
        parts.append(f"**{cell(one.benchmark)}: {one.verdict}**: {sentence(one, gate.alpha)}.")
        for kind, found in (("lost", one.lost), ("gained", one.gained)):
            if found:
                lines = [f"- {cell(x.problem)}: {x.before} → {x.now} {cell(x.reason)}".rstrip() for x in found]
                told = f"{len(found)} problem{'s' if len(found) > 1 else ''} {kind}"
                parts.append("\n".join([f"<details><summary>{told}</summary>", "", *lines, "", "</details>"]))
    return "\n\n".join(parts) + "\n"


def cell(text: str) -> str:
    """Return text that Markdown and HTML leave as it is."""
    return CELL.sub(lambda found: f"&#{ord(found[0])};", clean(text))


def junit(gate: Gate) -> str:
    """Return JUnit XML, a case for each benchmark: a regression fails, what is inconclusive is skipped and says so."""
    verdicts = [one.verdict for one in gate.benchmarks]
    suite = ElementTree.Element(
        "testsuite",
        name="harness gate",
        tests=str(len(gate.benchmarks)),
        failures=str(verdicts.count("regressed")),
        skipped=str(verdicts.count("inconclusive")),
        errors="0",
    )
    for one in gate.benchmarks:
        case = ElementTree.SubElement(suite, "testcase", classname="harness.results.gate", name=xml(one.benchmark))
        told = f"{one.benchmark}: {sentence(one, gate.alpha)}"
        if one.verdict == "regressed":
            ElementTree.SubElement(case, "failure", message=xml(told)).text = xml("\n".join(all_flips(one)))
        elif one.verdict == "inconclusive":
            ElementTree.SubElement(case, "skipped", message=xml(f"inconclusive: {told}"))
        ElementTree.SubElement(case, "system-out").text = xml("\n".join([told, *all_flips(one)]))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def all_flips(one: Gated) -> Iterator[str]:
    for kind, found in (("lost", one.lost), ("gained", one.gained)):
        for flip in found:
            yield f"{kind}: {clean(flip.problem)} {flip.before} -> {flip.now} {clean(flip.reason)}".rstrip()


def xml(text: str) -> str:
    """Return text without the characters that XML 1.0 cannot hold in any form."""
    return NOT_XML.sub("?", text)


def workflow_commands(gate: Gate) -> Iterator[str]:
    """Yield GitHub's workflow commands, one for each benchmark that did not pass."""
    for one in gate.benchmarks:
        if one.verdict != "passed":
            kind = "error" if one.verdict == "regressed" else "warning"
            lost = ", ".join(flip.problem for flip in one.lost[:SHOWN])
            told = f"{sentence(one, gate.alpha)}{f'. Lost: {lost}' if lost else ''}"
            yield f"::{kind} title={value(f'{one.benchmark} {one.verdict}')}::{escaped(told)}"


def escaped(text: str) -> str:
    return clean(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def value(text: str) -> str:
    return escaped(text).replace(":", "%3A").replace(",", "%2C")
