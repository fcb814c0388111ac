"""The sentences under and over a table: what was measured, how, what the intervals cover, and the command again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from harness.types import CHOSEN
from reports import cells
from reports.table import UNTRAINED, Ablation, Benchmark, Line, Table

ONE_SEED = "one seed: this table decides nothing about a recipe; differences below are between checkpoints"

FAMILIES = "families, not problems, are the units of its intervals and tests"
ADJUSTED = {"holm": "Holm", "bh": "BH"}


def headline(table: Table) -> str:
    """Return what must be read before the numbers: empty where all were trained to the end, with several seeds."""
    return "; ".join(text for text in (*table.warnings, untrained(table), seeds(table)) if text)


def untrained(table: Table) -> str:
    """Name the lines that show the student as it was: nothing was left to train on."""
    idle = [line.label for line in table.lines if line.recipe != UNTRAINED and not line.spent["updates"]]
    return f"never trained, as no example was left (see the notes): {', '.join(idle)}" if idle else ""


def seeds(table: Table) -> str:
    if table.one_seed:
        return ONE_SEED
    if max(len(line.seeds) for line in table.lines) == 2:
        return "two seeds: too few to tell a recipe's spread, so intervals are wide and rough; take three, better five"
    single = [line.label for line in table.lines if len(line.seeds) == 1 and line.recipe != UNTRAINED]
    return f"one seed, so only a checkpoint and not a recipe: {', '.join(single)}" if single else ""


def score_title(benchmark: Benchmark, k: int) -> str:
    per = "1 sample each" if benchmark.samples == 1 else f"{benchmark.samples} samples each"
    return f"{benchmark.name}: {metric(benchmark, k)} in %, {problems(benchmark)}, {per}"


def problems(benchmark: Benchmark) -> str:
    """Return how many problems there are, and of how many families, which are then the units of every interval."""
    return count(benchmark.n, "problem") + (f" of {benchmark.families} families" if benchmark.families else "")


def metric(benchmark: Benchmark, k: int) -> str:
    """Return what is counted: where a student only chose the likelier of two programs, nothing was written."""
    return "preference accuracy" if benchmark.protocol.get("decoding") == CHOSEN else f"pass@{k}"


def difference_title(table: Table, benchmark: Benchmark) -> str:
    points = f"points of {metric(benchmark, table.ks[0])}"
    return f"{benchmark.name}: final cycle minus {table.reference}, in {points}, paired by problem"


def coverage(lines: Iterable[tuple[str, str]]) -> str:
    """Return what the intervals cover, from (label, covers) of each line."""
    named: dict[str, list[str]] = {}
    for label, covers in lines:
        named.setdefault(covers, []).append(label)
    if len(named) == 1:
        return f"[95 % interval] over {next(iter(named))}"
    return "[95 % interval] over seeds and problems; over problems only: " + ", ".join(named.get("problems", []))


def score_note(table: Table) -> str:
    return coverage((line.label, line.scores[0].covers) for line in table.lines)


def difference_note(table: Table, benchmark: str) -> str:
    """Return how the differences on one benchmark were tested."""
    found = [(line.label, c) for line in table.lines for c in line.comparisons if c.benchmark == benchmark]
    tests = list(dict.fromkeys(comparison.difference.test for _, comparison in found))
    covers = coverage((label, comparison.difference.covers) for label, comparison in found)
    family = f"{corrected(table)}: over the {count(table.comparisons, 'comparison')} of this table"
    return (
        f"{covers}. p: {', '.join(tests)}. {family}; "
        f"result: at {100 * cells.ALPHA:.0f} % of {corrected(table)}. detects: true difference in points that "
        "this comparison would find in 80 % of cases"
    )


def corrected(table: Table) -> str:
    """Return what the adjusted p is called."""
    return f"{ADJUSTED[table.adjust]} p"


def spent_title(table: Table) -> str:
    several = not table.one_seed
    return "spent up to the final cycle" + (", mean of a line's seeds" if several else "")


def seed_title(table: Table, benchmark: Benchmark) -> str:
    return f"{benchmark.name}: {metric(benchmark, table.ks[0])} in % by seed, final cycle"


def level_title(benchmark: Benchmark, k: int, sizes: dict[int, int]) -> str:
    alike = set(sizes.values())
    each = f"{alike.pop()} problems each" if len(alike) == 1 else ""
    listed = each or "problems: " + ", ".join(f"{level}: {n}" for level, n in sizes.items())
    return f"{benchmark.name}: {metric(benchmark, k)} in % by level, final cycle ({listed})"


def ablation_title(ablation: Ablation, benchmark: Benchmark, k: int) -> str:
    points = f"points of {metric(benchmark, k)}"
    return f"{benchmark.name}: less {ablation.base}, final cycle, in {points}, paired by problem"


def ablation_note(table: Table, ablation: Ablation) -> str:
    tests = dict.fromkeys(one.difference.test for change in ablation.changes for one in change.comparisons)
    comparisons = sum(len(change.comparisons) for change in ablation.changes)
    return f"p: {', '.join(tests)}. {corrected(table)}: over the {count(comparisons, 'comparison')} of this ablation"


def gain_title(benchmark: Benchmark, k: int) -> str:
    point = f"point of {metric(benchmark, k)}"
    return f"{benchmark.name}: spent for each {point} gained over the untrained student, final cycle"


GAIN_NOTE = f"{cells.MISSING}: the gain's interval is not above 0, so a point has no price"
PUBLISHED_TITLE = "published numbers, for orientation: other students, data and settings, so not compared"


def caption(table: Table) -> str:
    """Return what a table says of itself where it stands alone: student, teacher, budget, decoding, judge, seeds."""
    protocol = table.benchmarks[0].protocol
    hashes = ", ".join(f"{one.name} {one.hash[:12]} ({problems(one)})" for one in table.benchmarks)
    parts = [
        *(f"{name} {text}" for name, text in table.about.items()),
        f"budget {table.budget}" if table.budget else "",
        f"decoding {protocol['decoding']}" if "decoding" in protocol else "",
        f"judge {protocol['isolation']}" if "isolation" in protocol else "",
        f"seeds {seed_list(table.lines)}" if table.seeds else "",
        f"data {hashes}",
        f"command {table.command}" if table.command else "",
    ]
    return "; ".join(part for part in parts if part)


def footer(table: Table) -> list[tuple[str, str]]:
    """Return the facts below a table as (name, text), without the command."""
    found: list[tuple[str, str]] = []
    for one in table.benchmarks:
        sizes = f"{problems(one)}, {count(one.samples, 'sample')} each"
        found.append((one.name, f"{sizes}, hash {one.hash[:12]}{f'; {FAMILIES}' if one.families else ''}"))
    protocols = [one.protocol for one in table.benchmarks]
    if all(protocol == protocols[0] for protocol in protocols):
        found.append(("protocol", stated(protocols[0])))
    else:
        common = {key: text for key, text in protocols[0].items() if all(p.get(key) == text for p in protocols)}
        found.append(("protocol", stated(common)))
        for one in table.benchmarks:
            found.append((f"  {one.name}", stated({k: v for k, v in one.protocol.items() if k not in common})))
    found += list(table.about.items())
    found.append(("seeds", seed_list(table.lines)))
    found.append(("budget", table.budget))
    found.append(("cut short", truncation(table.lines)))
    found += [("note", note) for note in table.notes]
    return [(name, text) for name, text in found if text]


def stated(protocol: dict[str, str]) -> str:
    return ", ".join(f"{key}={text}" for key, text in protocol.items())


def seed_list(lines: Sequence[Line]) -> str:
    """Return the seeds once where all recipes have the same, else by line."""
    own = {line.label: cells.seeds(line) for line in lines if line.seeds != (None,)}
    if len(set(own.values())) <= 1:
        return next(iter(own.values()), "")
    return "; ".join(f"{label}: {seeds}" for label, seeds in own.items())


def truncation(lines: Sequence[Line]) -> str:
    """Return the largest share of completions that a length limit cut, and whose it is."""
    points = [(line.label, point) for line in lines for point in line.checkpoints]
    shares = [(share, label, name) for label, point in points for name, share in point.truncated.items()]
    worst = max(shares, default=(0.0, "", ""), key=lambda found: found[0])
    if worst[0] == 0:
        return "no completion"
    return f"by a length limit: at most {100 * worst[0]:.1f} % of completions ({worst[1]}, {worst[2]})"


def count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
