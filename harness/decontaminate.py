"""Keeps benchmarks out of training data: fingerprints of their problems, and what in a text or problem matches them.

An index holds fingerprints only, no problem, so it can be handed to code that must not see a benchmark. It finds
copies: equal prompts, a shared word 10-gram with a prompt, a function with the same normalised syntax tree. It does
not find paraphrases. Pipelines is a special case. Its sentences are short and made from templates and its programs
are a few lines, so 10-grams and trees would drop many of its own training problems; its benchmark is held out by
behaviour instead (see `world`), and here only an equal prompt or an equal behaviour counts against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from harness.errors import DataError
from harness.syntax import function_forms
from harness.types import Problem
from harness.world.grammar import parse
from harness.world.pool import fingerprint

WORLD = "pipelines"
SPAN = 10  # words in a row that may not be shared
LEAST_NODES = 24  # syntax nodes; smaller functions (`return len(xs)`) are equal by chance

WORDS = re.compile(r"[^\W\d_][\w']*")  # with a letter first: rows of numbers in examples are no sentence


class Named(Protocol):
    """The part of a benchmark that is indexed."""

    @property
    def name(self) -> str: ...

    @property
    def problems(self) -> tuple[Problem, ...]: ...


@dataclass(frozen=True)
class Index:
    """Fingerprints of benchmarks; each leads to the name of a benchmark that has it."""

    prompts: dict[str, str]
    spans: dict[str, str]
    functions: dict[str, str]
    behaviours: dict[str, str]

    def hits(self, found: Problem | str) -> tuple[str, ...]:
        """Return why a problem (or a text) stands in a benchmark; nothing if it does not."""
        text = found if isinstance(found, str) else found.prompt
        code = text if isinstance(found, str) else found.prompt + found.reference
        reasons: list[str] = []
        if name := self.prompts.get(mark(plain_text(text))):
            reasons.append(f"same prompt as in {name}")
        if self.behaviours and isinstance(found, Problem) and (own := behaviour_of(found)) in self.behaviours:
            reasons.append(f"same behaviour as in {self.behaviours[own or '']}")
        if name := next((self.spans[one] for one in spans(text) if one in self.spans), None):
            reasons.append(f"shares {SPAN} words in a row with {name}")
        if name := self.same_function(code):
            reasons.append(f"same function as in {name}")
        return tuple(reasons)

    def same_function(self, code: str) -> str | None:
        """Return the benchmark that has one of the code's functions."""
        if not self.functions or "def " not in code:
            return None
        return next((self.functions[one] for one in map(mark, large_forms(code)) if one in self.functions), None)

    def holds_code(self, code: str) -> bool:
        """Tell whether a function of the code is a benchmark's."""
        return self.same_function(code) is not None

    def clean(self, problems: Iterable[Problem]) -> tuple[list[Problem], dict[str, str]]:
        """Return the problems that stand in no benchmark, and for each other its id and the reason."""
        kept: list[Problem] = []
        dropped: dict[str, str] = {}
        for problem in problems:
            reasons = self.hits(problem)
            if reasons:
                dropped[problem.id] = "; ".join(reasons)
            else:
                kept.append(problem)
        return kept, dropped


def index_of(benchmarks: Sequence[Named]) -> Index:
    """Take the fingerprints of benchmarks."""
    prompts: dict[str, str] = {}
    words: dict[str, str] = {}
    functions: dict[str, str] = {}
    behaviours: dict[str, str] = {}
    for benchmark in benchmarks:
        for problem in benchmark.problems:
            prompts.setdefault(mark(plain_text(problem.prompt)), benchmark.name)
            if problem.source == WORLD:
                if found := behaviour_of(problem):
                    behaviours.setdefault(found, benchmark.name)
                continue
            for one in spans(problem.prompt):
                words.setdefault(one, benchmark.name)
            for form in large_forms(problem.prompt + problem.reference):
                functions.setdefault(mark(form), benchmark.name)
    return Index(prompts, words, functions, behaviours)


def mark(text: str) -> str:
    """Return the fingerprint of a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def plain_text(text: str) -> str:
    """Return a text without what layout and case add to it."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def spans(text: str) -> list[str]:
    """Return the fingerprints of all runs of ten words."""
    words = WORDS.findall(text.lower())
    return [mark(" ".join(words[at : at + SPAN])) for at in range(len(words) - SPAN + 1)]


def large_forms(code: str) -> list[str]:
    """Return the normalised trees of the code's functions that are large enough to be somebody's."""
    return [form for form in function_forms(code) if form.count("(") >= LEAST_NODES]


def behaviour_of(problem: Problem) -> str | None:
    """Return the world's fingerprint of what a problem asks for; None for one that it did not make."""
    if problem.source != WORLD:
        return None
    try:
        return fingerprint(parse(problem.id))
    except DataError:
        return None
