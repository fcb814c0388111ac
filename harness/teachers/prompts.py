"""Prompts as text files: found by method and kind of request, filled with a request's fields. Asks nobody.

A file is a head of free lines (its version first), then sections: a line `[user]`, `[system]` or `[assistant]`, and
text below it. `[user if NAME]` keeps a section only where the field is not empty, `[user if NAME=WORD]` only where it
is that word. Neighbours of one role are joined. `{{ NAME }}` is replaced by a field, once: what stands in it is never
read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from harness.errors import ConfigError, suggest
from harness.teachers.requests import KINDS, RequestKind

SECTION = re.compile(r"^\[(system|user|assistant)(?: if ([a-z_]+)(?:=([\w-]+))?)?\][ \t]*$", re.MULTILINE)
LOOKS_LIKE_SECTION = re.compile(r"^\[(\w+)( if [^\]]*)?\][ \t]*$", re.MULTILINE)
PLACE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
VERSION = re.compile(r"version (\d+)\s*\n")

FIELDS: dict[RequestKind, tuple[str, ...]] = {
    "solve": ("prompt", "entry_point", "shots", "style"),
    "corrupt": ("prompt", "entry_point", "correct", "fault", "style"),
    "refine": ("prompt", "entry_point", "attempt", "feedback", "direct", "explain", "style"),
    "pose": ("like", "mode", "snippet", "style"),
    "judge": ("prompt", "attempt", "style"),
    "rate": ("prompt", "first", "second", "style"),
    "tests": ("prompt", "entry_point", "style"),
}


@dataclass(frozen=True)
class Section:
    """One piece of a message, and the condition under which it is part of it."""

    role: str
    text: str
    name: str = ""
    word: str = ""

    def kept(self, fields: dict[str, str]) -> bool:
        value = fields.get(self.name, "")
        return not self.name or (value == self.word if self.word else value.strip() != "")


@dataclass(frozen=True)
class Template:
    """A prompt file, read and checked."""

    path: Path
    version: int
    sections: tuple[Section, ...]

    def render(self, fields: dict[str, str]) -> tuple[tuple[str, str], ...]:
        """Return the messages (role, text) that the file makes of a request's fields."""
        messages: list[tuple[str, str]] = []
        for section in self.sections:
            if not section.kept(fields):
                continue
            text = PLACE.sub(lambda found: fields[found[1]], section.text).strip("\n")
            if messages and messages[-1][0] == section.role:
                messages[-1] = (section.role, f"{messages[-1][1]}\n\n{text}")
            else:
                messages.append((section.role, text))
        return tuple(messages)


@cache
def read_template(path: Path, kind: RequestKind) -> Template:
    """Read a prompt file.

    Raises ConfigError that names the file and line: no sections, an unknown section, placeholder or condition.
    """
    try:
        whole = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read as text ({err}). Mend the file, or remove it.") from err
    found = list(SECTION.finditer(whole))
    problems: list[str] = []
    for line in LOOKS_LIKE_SECTION.finditer(whole):
        if line[1] not in ("system", "user", "assistant"):
            problems.append(
                f"{at(path, whole, line.start())}: no such section [{line[1]}]. Sections: system, user, assistant."
            )
    if not found:
        raise ConfigError(f"{path}: no section. Expected a line [user] with the prompt below it.")
    sections: list[Section] = []
    for one, following in zip(found, [*found[1:], None], strict=True):
        text = whole[one.end() : following.start() if following else len(whole)]
        sections.append(Section(one[1], text.strip("\n"), one[2] or "", one[3] or ""))
        names = [(place[1], one.end() + place.start()) for place in PLACE.finditer(text)]
        names += [(one[2], one.start())] if one[2] else []
        problems += [
            f"{at(path, whole, offset)}: unknown placeholder {{{{{name}}}}}{suggest(name, FIELDS[kind])}. A {kind} "
            f"prompt has {', '.join(FIELDS[kind])}."
            for name, offset in names
            if name not in FIELDS[kind]
        ]
    if not any(section.role == "user" for section in sections):
        problems.append(f"{path}: no [user] section. Expected at least one.")
    if problems:
        raise ConfigError(problems)
    version = VERSION.match(whole)
    return Template(path, int(version[1]) if version else 0, tuple(sections))


def at(path: Path, text: str, offset: int) -> str:
    return f"{path}:{text.count(chr(10), 0, offset) + 1}"


class Prompts:
    """The prompts of one method: the user's own files first, then the recipe's, then the common ones."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)

    def template(self, kind: RequestKind) -> Template:
        """Return the first template of a kind; ConfigError where it is wrong."""
        for folder in (*self.folders, common()):
            path = folder / f"{kind}.txt"
            if path.is_file():
                return read_template(path, kind)
        raise ConfigError(f"{self.folders[0] if self.folders else common()}: no prompt {kind}.txt in any folder.")

    def check(self, kinds: Sequence[RequestKind] = KINDS) -> None:
        """Read every prompt that may be needed. Raises ConfigError with all that is wrong."""
        problems: list[str] = []
        for kind in kinds:
            try:
                self.template(kind)
            except ConfigError as err:
                problems += err.problems
        if problems:
            raise ConfigError(problems)


def common() -> Path:
    """Return the folder of the prompts that every method shares."""
    return Path(str(resources.files("harness.teachers") / "prompts"))


def folders_for(method: str, beside: Path | None, own: str) -> list[Path]:
    """Return where a method's prompts are looked for: OWN/METHOD, OWN, then the recipe's own folder.

    `beside` is the folder of the recipe's module. Raises ConfigError for a folder of one's own that holds no prompts,
    or files that are none.
    """
    found: list[Path] = []
    if own:
        folder = Path(own)
        if not folder.is_dir():
            raise ConfigError(f"teacher.prompts={own}: no such folder. Expected one with files such as solve.txt.")
        names = {f"{kind}.txt" for kind in KINDS}
        places = [folder, folder / method] if method else [folder]
        files = [path for place in places if place.is_dir() for path in sorted(place.glob("*.txt"))]
        strange = [
            f"{path}: no such prompt{suggest(path.name, names)}. Prompts: {', '.join(sorted(names))}."
            for path in files
            if path.name not in names
        ]
        if strange:
            raise ConfigError(strange)
        if not any(folder.glob("*.txt")) and not any(folder.glob("*/*.txt")):
            raise ConfigError(f"teacher.prompts={own}: no prompts there. Expected files such as solve.txt.")
        found += [folder / method, folder] if method else [folder]
    if beside is not None and method:
        found.append(beside / "prompts" / method)
    return found
