"""Keeps benchmarks out of training data: fingerprints of their problems, and what in a text or problem matches them.

An index holds fingerprints and problem ids only, no problem, so it can be handed to code that must not see a benchmark.
It finds copies: an equal prompt up to layout and case, ten words in a row of a prompt, a function of the same
distinctive name, a function of the same syntax under other names and layout. It does not find a paraphrase whose code
is new (docs/benchmarks.md measures what it finds). Worlds that hold their test problems out are special cases.
Pipelines' sentences are short and made from templates and its programs are a few lines, so words and trees would drop
many of its own training problems; there only an equal prompt or an equal behaviour counts. TinyPy holds out by prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, Protocol

from harness.errors import DataError
from harness.source.syntax import function_forms
from harness.types import Example, Problem
from harness.world import tinypy
from harness.world.grammar import parse
from harness.world.pool import fingerprint

VERSION = 2  # of what is taken for a copy; a pool that was cleaned by another is cleaned anew
WORLD = "pipelines"
HELD_OUT = (WORLD, tinypy.SOURCE)
SPAN = 10  # words in a row that may not be shared
LEAST_NODES = 16  # syntax nodes; smaller functions (`return len(xs)`) are equal by chance (bench/decontaminate.py)
LEAST_PARTS = 4  # words of a distinctive name: `sum_of_odd_factors`; `is_perfect_square` may be anybody's

WORDS = re.compile(r"[^\W\d_][\w']*")  # with a letter first: rows of numbers in examples are no sentence
HEADERS = re.compile(r"^[ \t]*(?:async[ \t]+)?def\b.*$", re.MULTILINE)
PHRASES = re.compile(
    r"\b(?:write|create|implement|define) an? (?:python )?(?:function|program)(?: to| that| which)?\b", re.I
)
DOCSTRING = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)
PLAIN = re.compile(r">>>|\n\s*assert\b")  # where the examples of a docstring begin
LEAST_WORDS = 5  # of a docstring that counts as a prompt by itself
DEFINED = re.compile(r"\bdef[ \t]+(\w+)")
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")

Kind = Literal["prompt", "behaviour", "words", "code", "name"]
Origin = tuple[str, str]  # benchmark, problem id


class Named(Protocol):
    """The part of a benchmark that is indexed."""

    @property
    def name(self) -> str: ...

    @property
    def problems(self) -> tuple[Problem, ...]: ...


@dataclass(frozen=True)
class Match:
    """Why something stands in a benchmark: how it matched, whose problem it is, and what of the text matched."""

    kind: Kind
    benchmark: str
    problem: str
    what: str = ""

    def __str__(self) -> str:
        return {
            "prompt": f"same prompt as in {self.benchmark}",
            "behaviour": f"same behaviour as in {self.benchmark}",
            "words": f"shares {SPAN} words in a row with {self.benchmark}",
            "code": f"same function as in {self.benchmark}",
            "name": f"same distinctive name as in {self.benchmark}",
        }[self.kind]


@dataclass(frozen=True)
class Index:
    """Fingerprints of benchmarks; each leads to the problem that has it."""

    prompts: dict[str, Origin] = field(default_factory=dict[str, Origin])
    spans: dict[str, Origin] = field(default_factory=dict[str, Origin])
    functions: dict[str, Origin] = field(default_factory=dict[str, Origin])
    names: dict[str, Origin] = field(default_factory=dict[str, Origin])
    behaviours: dict[str, Origin] = field(default_factory=dict[str, Origin])
    keep: bool = False  # what matches is counted, but not to be left out

    def matches(self, texts: Sequence[str], programs: Sequence[str] = ()) -> tuple[Match, ...]:
        """Return what of some texts and programs stands in a benchmark, the first match of each kind."""
        found: dict[Kind, Match] = {}
        for text in texts:
            if "prompt" not in found and (match := self.same_prompt(text)):
                found["prompt"] = match
            if self.spans and "words" not in found and (match := self.shared_words(text)):
                found["words"] = match
        for program in programs:
            if "def " not in program:
                continue
            if "code" not in found and (match := self.same_function(program)):
                found["code"] = match
            if "name" not in found and (match := self.same_name(program)):
                found["name"] = match
        return tuple(found.values())

    def of_problem(self, problem: Problem) -> tuple[Match, ...]:
        """Return why a problem stands in a benchmark; nothing if it does not."""
        found = self.matches([problem.prompt], [problem.prompt + problem.reference])
        own = behaviour_of(problem) if self.behaviours else None
        if own is not None and (origin := self.behaviours.get(own)):
            found = (Match("behaviour", *origin), *found)
        return found

    def of_example(self, example: Example) -> tuple[Match, ...]:
        """Return why a training example stands in a benchmark, by its answer or by its faulty one."""
        answers = [example.completion, *([example.rejected] if example.rejected else [])]
        return self.matches([example.prompt, *answers], [example.prompt + one for one in answers])

    def hits(self, found: Problem | str) -> tuple[str, ...]:
        """Return in words why a problem (or a text) stands in a benchmark; nothing if it does not."""
        matches = self.matches([found], [found]) if isinstance(found, str) else self.of_problem(found)
        return tuple(map(str, matches))

    def same_prompt(self, text: str) -> Match | None:
        """Return the match of a whole text, or of a docstring in it."""
        if origin := self.prompts.get(mark(plain_text(text))):
            return Match("prompt", *origin)
        for said in docstrings(text):
            if origin := self.prompts.get(mark(said)):
                return Match("prompt", *origin, said)
        return None

    def shared_words(self, text: str) -> Match | None:
        words = words_of(text)
        lower = [word.lower() for word in words]
        for at in range(len(words) - SPAN + 1):
            if origin := self.spans.get(mark(" ".join(lower[at : at + SPAN]))):
                return Match("words", *origin, " ".join(words[at : at + SPAN]))
        return None

    def same_function(self, program: str) -> Match | None:
        """Return the match of one of the program's functions."""
        if not self.functions:
            return None
        for form in function_forms(program):
            if form.nodes >= LEAST_NODES and (origin := self.functions.get(mark(form.text))):
                return Match("code", *origin)
        return None

    def same_name(self, program: str) -> Match | None:
        for name in DEFINED.findall(program) if self.names else ():
            if origin := self.names.get(mark(name.lower())):
                return Match("name", *origin, name)
        return None

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


def index_of(benchmarks: Sequence[Named], *, keep: bool = False) -> Index:
    """Take the fingerprints of benchmarks."""
    index = Index(keep=keep)
    for benchmark in benchmarks:
        for problem in benchmark.problems:
            origin = (benchmark.name, problem.id)
            index.prompts.setdefault(mark(plain_text(problem.prompt)), origin)
            if problem.source in HELD_OUT:
                if found := behaviour_of(problem):
                    index.behaviours.setdefault(found, origin)
                continue
            for said in docstrings(problem.prompt):
                index.prompts.setdefault(mark(said), origin)
            for one in spans(problem.prompt):
                index.spans.setdefault(one, origin)
            for form in function_forms(problem.prompt + problem.reference):
                if form.nodes >= LEAST_NODES:
                    index.functions.setdefault(mark(form.text), origin)
            if distinctive(problem.entry_point):
                index.names.setdefault(mark(problem.entry_point.lower()), origin)
    return index


def mark(text: str) -> str:
    """Return the fingerprint of a text."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def plain_text(text: str) -> str:
    """Return a text without what layout and case add to it."""
    return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))


def words_of(text: str) -> list[str]:
    """Return the words of a text's sentences: headers and the phrases that every such text opens with say nothing."""
    return WORDS.findall(PHRASES.sub(" ", HEADERS.sub(" ", text)))


def docstrings(text: str) -> list[str]:
    """Return what the docstrings in a text say, as plain words, examples left out; short ones are anybody's."""
    said = (PLAIN.split(one or other, maxsplit=1)[0] for one, other in DOCSTRING.findall(text))
    found = [WORDS.findall(one.lower()) for one in said]
    return [" ".join(words) for words in found if len(words) >= LEAST_WORDS]


def spans(text: str) -> list[str]:
    """Return the fingerprints of all runs of ten words."""
    words = words_of(text.lower())
    return [mark(" ".join(words[at : at + SPAN])) for at in range(len(words) - SPAN + 1)]


def distinctive(name: str) -> bool:
    """Tell whether two people would hardly give a function this name by chance."""
    return len(PARTS.findall(name)) >= LEAST_PARTS


def behaviour_of(problem: Problem) -> str | None:
    """Return the world's fingerprint of what a problem asks for; None for one that it did not make."""
    if problem.source != WORLD:
        return None
    try:
        return fingerprint(parse(problem.id))
    except DataError:
        return None
