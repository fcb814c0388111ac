"""What a benchmark is: pinned problems, and how they are put to a student and read back. It loads and runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from harness.benchmarks.extractors import EXTRACTORS, Extractor
from harness.errors import ConfigError, DataError, suggest
from harness.source.programs import assemble
from harness.store.content import problem_content
from harness.store.keys import Json, digest
from harness.types import Problem, Text

Style = Literal["completion", "instruct", "few-shot"]
Errata = Literal["keep", "exclude"]
Draw = Callable[[Json, Callable[[], Sequence[Problem]]], tuple[Problem, ...]]  # makes what a key names, or has it
STYLES: tuple[Style, ...] = ("completion", "instruct", "few-shot")
SHOTS = Path(__file__).parent / "prompts" / "functions.txt"  # our own, for benchmarks without solved examples

# Where a completion of a header ends: at the next statement of the top level. A comment or a decorator begins one.
STOPS = ("\ndef ", "\nclass ", "\nif ", "\nprint(", "\n#", "\n@", "\nimport ", "\nfrom ", "\nassert ", "\n```", "\n<|")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark ready to run. Everything here but where it was found is part of a result's key."""

    name: str  # as on the command line: "mbpp:test"
    version: int  # of prompt, extraction and checks; a new one starts a new row
    digest: str  # sha256 of the problems' content and the version
    problems: tuple[Problem, ...]
    style: Style
    stop: tuple[str, ...]
    max_new_tokens: int
    rule: str  # what makes a program pass
    extractor: Extractor = "auto"
    lead: str = ""  # solved examples that stand before each prompt, in style few-shot
    whole: bool = False  # its samples are whole programs (MBPP's way), not continuations of the prompt (HumanEval's)
    where: str = ""  # the data was found there; a path, a package, or a word
    request: str = ""  # what a chat model is asked where the answer is text; `{}` stands for the prompt
    choice: bool = False  # a student chooses between each problem's reference and its fault, instead of writing
    cpu_s: float | None = None  # limit of its programs, where it is lower than the run's

    def prompt(self, problem: Problem) -> str:
        """Return the text that a student is given; in style instruct, what its chat template is to be filled with."""
        if self.request and self.style == "instruct":
            return self.request.format(problem.prompt)
        return self.lead + prompt_text(problem, self.style)

    def judged(self, problem: Problem, text: str, *, whole: bool = False) -> tuple[Problem, str]:
        """Return the problem as it is judged, and the program, for a sample's text.

        A text of MBPP's that is taken as it stands stands alone: nothing of the prompt is bound for its tests.
        """
        alone = self.extractor == "none" and self.whole
        return (replace(problem, prompt="") if alone else problem), self.program(problem, text, whole=whole)

    def program(self, problem: Problem, text: str, *, whole: bool = False) -> str:
        """Return the program that is judged for a sample's text; an empty one where the text holds no program.

        `whole`: this sample is known to be a whole program.
        """
        if isinstance(problem.checks, Text):
            return assemble(problem, text)
        if self.extractor == "none" and (whole or self.whole):
            return text
        completion = EXTRACTORS[self.extractor](problem, text)
        return "" if completion is None else assemble(problem, completion)


def families_of(problems: Iterable[Problem]) -> tuple[str, ...]:
    """Return the family of each problem; empty where none has one."""
    names = tuple(one.family for one in problems)
    return names if any(names) else ()


def draw_now(key: Json, make: Callable[[], Sequence[Problem]]) -> tuple[Problem, ...]:
    """Make generated problems anew: a `Draw` that keeps nothing."""
    del key
    return tuple(make())


def build(
    name: str,
    version: int,
    problems: tuple[Problem, ...],
    *,
    style: Style,
    rule: str,
    max_new_tokens: int,
    shots: Path | None = SHOTS,
    whole: bool = False,
    where: str = "",
    pinned: Json = None,
) -> Benchmark:
    """Put a benchmark together; a chat answer needs room for the words around its program, and ends by itself.

    `shots` is the file of solved examples for style few-shot, if there is any. `pinned` stands for the problems'
    content in the digest where it decides them and hashing them would take seconds.
    """
    if style not in STYLES:
        raise ConfigError(f"style={style}: no such prompt style{suggest(style, STYLES)}. Styles: {', '.join(STYLES)}.")
    chat = style == "instruct"
    if style == "few-shot" and shots is None:
        raise ConfigError(f"style=few-shot: benchmark={name} has no solved examples. Say style=completion.")
    lead = shots.read_text("utf-8") if style == "few-shot" and shots else ""
    return Benchmark(
        name=name,
        version=version,
        digest=digest([version, pinned or [problem_content(one) for one in problems], *([lead] if lead else [])]),
        problems=problems,
        style=style,
        stop=() if chat else STOPS,
        max_new_tokens=2 * max_new_tokens if chat else max_new_tokens,
        rule=rule,
        lead=lead,
        whole=whole,
        where=where,
    )


def without(benchmark: Benchmark, errata: Mapping[str, str]) -> Benchmark:
    """Return the benchmark less its problems with known errors, under a name and a digest of its own."""
    kept = tuple(one for one in benchmark.problems if one.id not in errata)
    left_out: list[Json] = [one.id for one in benchmark.problems if one.id in errata]
    return replace(
        benchmark, name=f"{benchmark.name}-errata", digest=digest([benchmark.digest, left_out]), problems=kept
    )


def check_pinned(made: Benchmark, expected: str) -> None:
    """Raise DataError unless a generated benchmark is the one that this version was measured with."""
    if made.digest != expected:
        raise DataError(
            f"benchmark={made.name}: the problems made here have sha256 {made.digest}, expected is {expected}. "
            "Their generator was changed: raise its version and pin the new set."
        )


def prompt_text(problem: Problem, style: Style) -> str:
    """Return the header to continue, or a request for the whole function in one fenced block."""
    if style != "instruct":
        return problem.prompt
    return (
        "Write the Python function that the following header and docstring describe. Answer with the whole function, "
        f"imports included, in one fenced code block.\n\n```python\n{problem.prompt.strip()}\n```\n"
    )
