"""`harness report`, `serve`, `rejudge`, `baseline`, `gate`, `export`: arguments and actions. It prints nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.errors import UsageError
from harness.terminal.console import OK, Add, Say, Show

FORMATS = ("terminal", "markdown", "latex", "csv", "json", "html")

REPORT = """\
examples:
  harness report runs/NAME                          the table again
  harness report runs/ONE runs/OTHER                several runs joined in one table
  harness report runs/NAME --format html --to page.html    one page, no network needed
  harness report runs/NAME --format latex --to table.tex   booktabs tables for a paper

What differs between joined runs (a budget, a student) becomes part of a line's
name. Published numbers stand apart and are in no test.
"""

GATE = """\
examples:
  harness baseline runs/OLD recipe=iterkd seed=0 --to quality.json
  harness gate runs/NEW --baseline quality.json --margin 0.02
  harness gate runs/NEW --junit gate.xml --summary "$GITHUB_STEP_SUMMARY" --annotations

Exit code 0: a loss of the margin is excluded; 1: regressed; 3: inconclusive,
with what would decide; 2: wrong usage, or measured otherwise than the
baseline. Rules may stand in [tool.harness.gate] of pyproject.toml
(baseline, margin, alpha, margins). See docs/gate.md.
"""


def add_all(add: Add, say: Say, show: Show, width: Callable[[], int]) -> None:
    """Add the six commands to a command line; `width` is the terminal's, in columns."""
    about = "tables, figures and a page of finished runs"
    add_report(add("report", lambda options: report(options, say, width()), about, REPORT))
    about = "show runs in a browser of this machine, with live progress"
    one = add("serve", lambda options: serve(options, say), about, "")
    one.add_argument("folder", type=Path, metavar="RUNS", nargs="?", default=Path("runs"))
    one.add_argument("--port", type=int, default=8765, help="of 127.0.0.1; 0 takes a free one (default: 8765)")
    about = "judge a run's completions again: how many verdicts stay?"
    one = add("rejudge", lambda options: judge_again(options, say, show, width()), about, "")
    one.add_argument("folder", type=Path, metavar="RUN")
    about = "store a student's results by problem, for `gate`"
    one = add("baseline", lambda options: store_baseline(options, show), about, GATE)
    one.add_argument("folder", type=Path, metavar="RUN")
    one.add_argument("words", nargs="*", metavar="key=value", help="recipe=NAME seed=N cycle=N and a recipe's settings")
    one.add_argument("--to", type=Path, required=True, metavar="FILE")
    about = "is a run's student worse than a baseline? for CI"
    add_gate(add("gate", lambda options: hold(options, say, show), about, GATE))
    about = "copy a student of a finished run into a model folder with its card"
    one = add("export", lambda options: export_student(options, show), about, "")
    one.add_argument("folder", type=Path, metavar="RUN")
    one.add_argument("words", nargs="*", metavar="key=value", help="recipe=NAME seed=N cycle=N and a recipe's settings")
    one.add_argument("--to", type=Path, required=True, metavar="DIR")


def add_report(one: argparse.ArgumentParser) -> None:
    one.add_argument("folders", type=Path, nargs="+", metavar="RUN", help="several are joined in one table")
    one.add_argument("--format", choices=FORMATS, default="terminal")
    one.add_argument("--reference", default="", metavar="LINE", help="the line that the others are compared with")
    about = "p-values: holm, any false alarm; bh (Benjamini-Hochberg), their share, to explore (default: holm)"
    one.add_argument("--adjust", choices=("holm", "bh"), default="holm", help=about)
    one.add_argument("--published", action="store_true", help="every published number, not only of these benchmarks")
    one.add_argument("--to", type=Path, metavar="FILE", help="write there instead of printing")
    one.add_argument("--figures", type=Path, metavar="DIR", help="write figures as SVG, PDF and PNG too")


def add_gate(one: argparse.ArgumentParser) -> None:
    one.add_argument("folder", type=Path, metavar="RUN")
    one.add_argument("words", nargs="*", metavar="key=value", help="recipe=NAME seed=N cycle=N, if RUN holds several")
    one.add_argument("--baseline", type=Path, metavar="FILE", help="made by `harness baseline`")
    one.add_argument("--margin", type=float, metavar="SHARE", help="of problems, whose loss is a regression (0.02)")
    one.add_argument("--rules", type=Path, metavar="FILE", help="YAML, or TOML with [tool.harness.gate]")
    one.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML")
    one.add_argument("--summary", type=Path, metavar="FILE", help="append Markdown, as to $GITHUB_STEP_SUMMARY")
    one.add_argument("--annotations", action="store_true", help="print GitHub's workflow commands too")


def report(options: argparse.Namespace, say: Say, width: int) -> int:
    from harness.comparison.claims import findings
    from harness.comparison.parts import read_parts
    from harness.results import finished, pages
    from reports import published

    stated = read_parts(options.folders[0]) if len(options.folders) == 1 else {}
    found = finished.load_parts(options.folders[0]) if stated else finished.load(options.folders)
    reference = options.reference or ("untrained" if stated else "")
    table = finished.table_of(found, reference, options.adjust)
    table = replace(table, claims=findings(options.folders[0]) if stated else ())
    numbers = published.load()
    names = [one.name for one in table.benchmarks]
    table = replace(table, published=numbers if options.published else published.of(names, numbers))
    text = pages.rendered(found, table, options.format, width)
    if options.figures:
        from reports.figures import write

        say("".join(f"Wrote {path}.\n" for path in write(table, found.rows, options.figures)))
    if options.to is None:
        say(text if text.endswith("\n") else f"{text}\n")
    else:
        write_output(options.to, text)
        say(f"Wrote {options.to} ({len(text.encode('utf-8', 'replace')):,} bytes).\n")
    return OK


def write_output(path: Path, text: str, *, append: bool = False) -> None:
    """Write what a command was asked to leave behind; UsageError where that cannot be written."""
    try:
        with path.open("a" if append else "w", encoding="utf-8", errors="replace") as stream:
            stream.write(text)
    except OSError as err:
        raise UsageError(f"{path}: cannot be written ({err.strerror}). Choose a file in a folder of your own.") from err


def serve(options: argparse.Namespace, say: Say) -> int:
    from harness.results.serve import server

    with server(options.folder, options.port) as found:
        host, port = found.server_address[:2]
        say(f"http://{host}:{port}/  shows {options.folder}; Ctrl-C ends it.\n")
        try:
            found.serve_forever()
        except KeyboardInterrupt:  # the way to end it
            say("ended\n")
    return OK


def judge_again(options: argparse.Namespace, say: Say, show: Show, width: int) -> int:
    from harness.results.rejudge import rejudge
    from reports.verdict import stayed

    again = list(rejudge(options.folder))
    say(stayed([(one.row, one.found) for one in again], width))
    show(f"{one.row}: {text}" for one in again for text in one.changed[:10])
    return OK


def store_baseline(options: argparse.Namespace, show: Show) -> int:
    from harness.results import baseline

    results = baseline.of_run(options.folder, options.words)
    baseline.write(results, options.to)
    told = ", ".join(
        f"{name} {sum(one.passed.values())} of {one.samples * len(one.passed)}"
        for name, one in results.benchmarks.items()
    )
    show([f"Wrote {options.to}: {results.name}, {told}. Commit it, and hold runs against it with `harness gate`."])
    return OK


def hold(options: argparse.Namespace, say: Say, show: Show) -> int:
    from harness.results import gate
    from reports import verdict

    rules = gate.read_rules(options.rules, margin=options.margin, baseline=options.baseline)
    answer = gate.check(options.folder, rules, options.words)
    show(verdict.terminal(answer))
    if options.annotations:
        say("".join(f"{line}\n" for line in verdict.workflow_commands(answer)))
    if options.junit:
        write_output(options.junit, verdict.junit(answer))
    if options.summary:
        write_output(options.summary, verdict.markdown(answer), append=True)
    return gate.EXIT[answer.verdict]


def export_student(options: argparse.Namespace, show: Show) -> int:
    from harness.results.export import export

    made = export(options.folder, options.words, options.to)
    show([f"Wrote {made}; open it with AutoModelForCausalLM.from_pretrained."])
    return OK
