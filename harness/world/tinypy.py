"""Draws TinyPy programs at the curriculum paper's six levels, each with the output that it prints; trains nothing.

After the levels of the authors' generator (MarwaNair/TinyPy-Generator; no licence, so nothing is copied), written anew:

    1.1  initialisations, perhaps one operation, print
    1.2  initialisations, perhaps chained bracketed arithmetic, print
    2.1  initialisations, one if / if-else / if-elif-else with simple conditions, prints
    2.2  and assignments, conditions joined by and, or, not, printed expressions
    3.1  initialisations, one `for … in range` around one print
    3.2  and assignments, a printed expression

Variables are a to z, numbers 0 to 9, the indent is a tab: 53 characters in all. A program that fails, prints more than
`LONGEST_OUTPUT` characters, or was drawn before is left out. A hash of the program says which split it belongs to.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from harness.types import Problem, Text
from harness.world.tinypy_run import printed

TINYPY_VERSION = 1  # raise it when any program changes; the digest in tests/world/ forces that

Split = Literal["train", "validation", "test"]
SOURCE = "tinypy"
LEVELS = ("1.1", "1.2", "2.1", "2.2", "3.1", "3.2")
MOST_INITIAL = {"1.1": 2, "1.2": 4, "2.1": 6, "2.2": 6, "3.1": 3, "3.2": 5}  # initialisations
VARIABLES = "abcdefghijklmnopqrstuvwxyz"
CHARACTERS = "\n\t !#()*+,-./0123456789:<=>" + VARIABLES
MARK = "# output\n"
STOP = ("\n\n",)  # an example ends with a blank line
LONGEST_OUTPUT = 30  # characters behind the mark: as many as the authors' evaluation generates
LONGEST = 250  # characters of a whole example, so that it fits the paper's context of 256


@dataclass(frozen=True)
class Snippet:
    """A program and what it prints."""

    level: str  # one of LEVELS
    program: str  # ends in a newline
    output: str  # one `# LINE` per printed line; `# ` alone for a program that prints nothing

    @property
    def text(self) -> str:
        """The example as a model reads it, without the blank line behind it."""
        return self.program + MARK + self.output


def draw(n: int, *, seed: int | str, split: Split, levels: Sequence[str] = LEVELS) -> tuple[Snippet, ...]:
    """Draw n different snippets of a split, the levels in turn; the same for the same arguments."""
    rng = random.Random(f"tinypy {split} {seed}")
    seen: set[str] = set()
    streams = {level: stream(level, split, rng, seen) for level in levels}
    return tuple(next(streams[levels[number % len(levels)]]) for number in range(n))


def stream(level: str, split: Split, rng: random.Random, seen: set[str]) -> Iterator[Snippet]:
    """Yield snippets of a level and a split that were not seen before, without end."""
    while True:
        program = Writer(level, rng).program()
        lines = printed(program)
        if lines is None or program in seen or split_of(program) != split:
            continue
        found = Snippet(level, program, "".join(f"# {line}\n" for line in lines or [""]))
        if len(found.output) <= LONGEST_OUTPUT and len(found.text) <= LONGEST:
            seen.add(program)
            yield found


def split_of(program: str) -> Split:
    """Return the split that a program belongs to, whoever drew it: eight, one and one of ten."""
    place = int(sha256(program.encode()).hexdigest()[:8], 16) % 10
    return "test" if place == 9 else "validation" if place == 8 else "train"


def execution(snippet: Snippet, id: str) -> Problem:
    """Return the problem of saying what a program prints; its level is the first figure of the snippet's."""
    checks = Text(snippet.output, "numbers")
    return Problem(id, snippet.program + MARK, "", checks, snippet.output, int(snippet.level[0]), SOURCE)


def pool(n: int, *, seed: int) -> tuple[Problem, ...]:
    """Return n training problems: programs whose output is to be said."""
    drawn = draw(n, seed=seed, split="train")
    return tuple(execution(one, f"{SOURCE}/{one.level}/{seed}-{number}") for number, one in enumerate(drawn))


class Writer:
    """Writes one program of a level, line by line."""

    def __init__(self, level: str, rng: random.Random) -> None:
        self.level = level
        self.rng = rng
        self.plain = level.endswith(".1")
        self.known: list[str] = []  # variables with a value, in the order of their first one
        self.last = ""  # the variable that was computed, which a plain print shows

    def program(self) -> str:
        lines = self.initial()
        if self.level == "1.1":
            lines += self.assignment(chained=False)
        elif not self.plain:
            lines += self.assignment(chained=True)
        body = {"1": self.straight, "2": self.branches, "3": self.loop}[self.level[0]]
        return "".join(f"{line}\n" for line in lines + body())

    def initial(self) -> list[str]:
        """One or more `a = 3`: each is the last with even odds."""
        lines: list[str] = []
        while not lines or (len(lines) < MOST_INITIAL[self.level] and self.rng.random() < 0.5):
            name = self.rng.choice(VARIABLES)
            self.learn(name)
            lines.append(f"{name} = {self.digit()}")
        return lines

    def learn(self, name: str) -> None:
        if name not in self.known:
            self.known.append(name)

    def assignment(self, *, chained: bool) -> list[str]:
        """`a = b + 3`, or brackets in a chain, or nothing."""
        forms = [self.operation, self.brackets, None] if chained else [self.operation, None]
        form = self.rng.choice(forms)
        if form is None:
            return []
        value = form()  # before its variable is known
        self.last = self.rng.choice(VARIABLES)
        self.learn(self.last)
        return [f"{self.last} = {value}"]

    def operation(self) -> str:
        return f"{self.term()} {self.operator()} {self.term()}"

    def brackets(self) -> str:
        text = f"({self.operation()})"
        while self.rng.random() < 0.5:
            text += f"{self.operator()}({self.operation()})"
        return text

    def term(self) -> str:
        return self.name() if self.rng.random() < 0.5 else self.digit()

    def name(self) -> str:
        return self.rng.choice(self.known)

    def digit(self) -> str:
        return self.rng.choice("0123456789")

    def operator(self) -> str:
        return self.rng.choice("+-*/")

    def print(self, *, expression: bool) -> str:
        if expression and self.rng.random() < 0.5:
            return f"print({self.name()} {self.operator()} {self.term()})"
        return f"print({self.last or self.name()})"

    def straight(self) -> list[str]:
        return [self.print(expression=True)]

    def branches(self) -> list[str]:
        heads = self.rng.choice([["if"], ["if", "else"], ["if", "elif", "else"]])
        lines: list[str] = []
        for head in heads:
            lines += [f"{head} :" if head == "else" else f"{head} {self.condition()} :"]
            lines += [f"\t{self.print(expression=not self.plain)}"]
        return lines

    def condition(self) -> str:
        if self.plain:
            return self.comparison()
        if self.rng.random() < 1 / 3:
            return f"not ({self.comparison()})"
        text = f"({self.comparison()})"
        while self.rng.random() < 1 / 3:
            text += f" {self.rng.choice(['and', 'or'])} ({self.comparison()})"
        return text

    def comparison(self) -> str:
        negated = "not " if self.rng.random() < 0.5 else ""
        return f"{negated}{self.name()} {self.rng.choice(['<', '>', '<=', '>=', '!=', '=='])} {self.term()}"

    def loop(self) -> list[str]:
        """A loop of two to six rounds over a variable that has a value already."""
        start, step, rounds = self.rng.randrange(10), self.rng.choice([1, 2, 3]), self.rng.randint(2, 6)
        bounds = f"{start}, {start + step * rounds}" + (f", {step}" if step > 1 or self.rng.random() < 0.5 else "")
        return [f"for {self.name()} in range({bounds}) :", f"\t{self.print(expression=not self.plain)}"]
