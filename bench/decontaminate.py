"""Measures decontamination: how much of what was planted is found, how much of what was not is taken for it, how fast.

    python bench/decontaminate.py --data DATA [--quick] [--rows N] [--json]

Planted are the problems of every benchmark whose data is here, each changed in one way: layout, names, names translated
(into German words), docstring paraphrased word by word, all of these at once, and the paraphrase with another program,
which nothing here can find. Training pools that share no source with the benchmarks they are held against show what is
taken by mistake: MBPP's train split less what MBPP+ holds, GSM8k's train split, and, where DATA has them, the
instructions of methods/*.jsonl.gz. The time is that of `harness decontaminate` on `--rows` rows of those, repeated.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.benchmarks.base import Benchmark
from harness.benchmarks.registry import load
from harness.comparison.problems import mbpp_train
from harness.decontaminate import Index, index_of
from harness.scoring.clean import clean_file, programs_of, texts_of
from harness.settings.config import Run
from harness.source.syntax import own_names, parse
from harness.types import Problem

BENCHMARKS = ("humaneval", "humaneval+", "mbpp:test", "mbpp:validation", "mbpp-sanitized:test", "mbpp+", "gsm8k:test")
QUICK = 60  # problems of each benchmark
WORDS = """
write:create|function:routine|find:determine|return:give back|given:provided|list:sequence|number:value|numbers:values
check:test|string:text|strings:texts|whether:if|all:every|elements:items|element:item|array:vector|remove:drop|using:with
integers:whole values|integer:whole value|count:tally|the:a|calculate:compute|sum:total|each:every|has:holds|of:out of
first:leading|second:next|is:is, say,|and:and also|in:within
"""  # of benchmark texts, with what means the same here
SAME = {old: new for old, _, new in (pair.partition(":") for pair in re.split(r"[|\n]", WORDS.strip()))}
GERMAN = ("zahl", "liste", "wert", "summe", "laenge", "feld", "zeichen", "wort", "satz", "ergebnis", "anfang", "ende")
OTHER = "    answer = []\n    for step in range(10):\n        answer.append(step)\n    return answer\n"

Change = Callable[[str, random.Random], str]


def formatted(program: str, rng: random.Random) -> str:
    """Other layout, comments and quotes."""
    del rng
    tree = parse(program)
    assert tree is not None
    return "# copied\n" + re.sub(r"^( +)", lambda found: found[1] * 2, ast.unparse(tree), flags=re.MULTILINE)


def renamed(program: str, rng: random.Random) -> str:
    """Names of one letter and a number."""
    return with_names(program, lambda number: f"{rng.choice('abcxyz')}{number}")


def translated(program: str, rng: random.Random) -> str:
    """Names that are German words."""
    return with_names(program, lambda number: f"{rng.choice(GERMAN)}_{GERMAN[number % len(GERMAN)]}{number}")


def with_names(program: str, name: Callable[[int], str]) -> str:
    tree = parse(program)
    assert tree is not None
    names = {old: name(number) for number, old in enumerate(sorted(own_names(ast.walk(tree))))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            node.name = names.get(node.name, node.name)
        elif isinstance(node, ast.keyword) and node.arg:
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [names.get(one, one) for one in node.names]
    return ast.unparse(tree)


def paraphrased(program: str, rng: random.Random) -> str:
    """The docstrings word by word in other words, examples left out."""
    tree = parse(program)
    assert tree is not None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node):
            text = ast.get_docstring(node) or ""
            node.body[0] = ast.Expr(ast.Constant(reworded(text, rng)))
    return ast.unparse(ast.fix_missing_locations(tree))


def reworded(text: str, rng: random.Random) -> str:
    text = re.split(r">>>|\nassert|\nExample|\n\n", text)[0]
    words = [SAME.get(word.lower(), word) for word in text.split()]
    for at in range(7, len(words), 8):  # something in between, so that no run of ten words is left
        words[at] = f"{words[at]} {rng.choice(['that is', 'as said', 'in other words', 'so to speak'])}"
    return " ".join(words)


def everything(program: str, rng: random.Random) -> str:
    """Paraphrased, translated and in another layout."""
    return formatted(translated(paraphrased(program, rng), rng), rng)


def another(program: str, rng: random.Random) -> str:
    """The paraphrase with a program that is not the benchmark's: only meaning is left of it."""
    tree = parse(translated(paraphrased(program, rng), rng))
    assert tree is not None
    heads = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    head = heads[-1]
    return f"def {head.name}(data):\n    {ast.get_docstring(head)!r}\n{OTHER}"


CHANGES: dict[str, Change] = {
    "as it is": lambda program, rng: program,
    "reformatted": formatted,
    "renamed": renamed,
    "identifiers translated": translated,
    "docstring paraphrased": paraphrased,
    "all of these": everything,
    "paraphrased, another program": another,
}


def planted(benchmarks: Sequence[Benchmark], change: Change, most: int | None) -> Iterator[tuple[Problem, str]]:
    for benchmark in benchmarks:
        for number, problem in enumerate(benchmark.problems[:most]):
            yield problem, change(problem.prompt + problem.reference, random.Random(number))


def recall(index: Index, benchmarks: Sequence[Benchmark], most: int | None) -> dict[str, dict[str, int]]:
    """Return, for each change, how many were planted, how many were found, and how many by each kind of match."""
    found: dict[str, dict[str, int]] = {}
    for name, change in CHANGES.items():
        counts: dict[str, int] = {"planted": 0, "found": 0}
        for _, text in planted(benchmarks, change, most):
            matches = index.matches([text], [text])
            counts["planted"] += 1
            counts["found"] += bool(matches)
            for one in matches:
                counts[one.kind] = counts.get(one.kind, 0) + 1
        found[name] = counts
    return found


def others(data: Path) -> dict[str, list[dict[str, Any]]]:
    """Return pools that were not made of the benchmarks, as rows of training data."""
    pools = {
        "mbpp:train less MBPP+": [{"prompt": one.prompt, "completion": one.reference} for one in mbpp_train(data)],
        "gsm8k:train": [
            {"prompt": one.prompt, "completion": one.reference} for one in load("gsm8k:train", data=data).problems
        ],
    }
    for path in sorted((data / "methods").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            pools[path.name] = [json.loads(line) for line in stream]
    return pools


def mistaken(index: Index, pools: dict[str, list[dict[str, Any]]], most: int | None) -> dict[str, dict[str, Any]]:
    """Return, for each pool, its rows, those that match, by kind of match, and a few of them."""
    found: dict[str, dict[str, Any]] = {}
    for name, rows in pools.items():
        counts: dict[str, Any] = {"rows": 0, "matching": 0, "examples": []}
        for row in rows[:most]:
            texts = list(texts_of(row))
            matches = index.matches(texts, list(programs_of(row, texts)))
            counts["rows"] += 1
            counts["matching"] += bool(matches)
            for one in matches:
                counts[one.kind] = counts.get(one.kind, 0) + 1
            if matches and len(counts["examples"]) < 40:
                counts["examples"].append(f"{matches[0].kind}: {matches[0].problem} {matches[0].what}")
        found[name] = counts
    return found


def speed(pools: dict[str, list[dict[str, Any]]], data: Path, count: int) -> dict[str, Any]:
    """Return the seconds of `harness decontaminate` on that many different rows against all benchmarks."""
    rows = [row for name, pool in pools.items() if name != "gsm8k:train" for row in pool]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("w", encoding="utf-8") as out:
            for number in range(count):
                out.write(json.dumps({**rows[number % len(rows)], "number": number}) + "\n")
        size = path.stat().st_size
        began = time.monotonic()
        found = clean_file(path, Run(benchmark=("all",), data=str(data)))
        seconds = time.monotonic() - began
    return {"rows": found.seen, "bytes": size, "benchmarks": len(found.benchmarks), "seconds": round(seconds, 1)}


def show(table: dict[str, Any]) -> None:
    print(f"{'planted':<32}{'found':>7}{'of':>7}   by prompt, words, code, name")
    for name, one in table["recall"].items():
        kinds = ", ".join(str(one.get(kind, 0)) for kind in ("prompt", "words", "code", "name"))
        print(f"{name:<32}{one['found']:>7}{one['planted']:>7}   {kinds}")
    print(f"\n{'not planted':<44}{'matches':>8}{'of':>7}   by prompt, words, code, name")
    for name, one in table["mistaken"].items():
        kinds = ", ".join(str(one.get(kind, 0)) for kind in ("prompt", "words", "code", "name"))
        print(f"{name:<44}{one['matching']:>8}{one['rows']:>7}   {kinds}")
    if "speed" in table:
        one = table["speed"]
        megabytes = one["bytes"] / 1e6
        print(f"\n{one['rows']:,} rows, {megabytes:.0f} MB, {one['benchmarks']} benchmarks: {one['seconds']} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} problems of each benchmark, no speed")
    parser.add_argument("--rows", type=int, default=100_000, help="of the speed measurement")
    parser.add_argument("--examples", action="store_true", help="show what was taken by mistake")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    benchmarks = [load(name, data=options.data) for name in BENCHMARKS]
    index = index_of(benchmarks)
    most = QUICK if options.quick else None
    pools = others(options.data)
    table: dict[str, Any] = {
        "recall": recall(index, benchmarks, most),
        "mistaken": mistaken(index, pools, most),
    }
    if not options.quick:
        table["speed"] = speed(pools, options.data, options.rows)
    if options.json:
        print(json.dumps(table))
        return
    show(table)
    if options.examples:
        for name, one in table["mistaken"].items():
            print(f"\n{name}:")
            for example in one["examples"]:
                print(f"  {example}")


if __name__ == "__main__":
    main()
