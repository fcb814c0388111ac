"""A preset of several comparisons: its parts, each a command of its own, and the claims that they are to test.

Such a preset has `parts`, each with the words of its command, and `claims`; words that are typed beside the preset hold
for every part. Each part is an ordinary run in a folder below the preset's. This runs nothing and tests nothing.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, StoreError
from harness.settings.config import Command
from harness.settings.resolve import read_preset, resolve
from harness.store.faults import told
from harness.store.keys import digest
from harness.store.rows import write_text

FILE = "parts.json"
STATED = ("recipe", "problems", "benchmark", "reference")  # what makes a part the one that its claims speak of


@dataclass(frozen=True)
class Parts:
    """A preset of several comparisons, resolved."""

    preset: str
    words: tuple[str, ...]  # as typed
    folder: Path
    commands: dict[str, Command]  # by part
    under: dict[str, str]  # by part: the condition that it is run under, as "equal updates"
    claims: tuple[dict[str, Any], ...]  # as the preset states them

    def content(self) -> dict[str, Any]:
        return {
            "command": f"harness compare {' '.join(self.words)}",
            "preset": self.preset,
            "parts": self.under,
            "claims": list(self.claims),
        }

    def write(self) -> None:
        """State, before anything is run, which parts there are and what they are to test."""
        with told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(self.folder / FILE, json.dumps(self.content(), indent=1) + "\n")


def parts_of(words: Sequence[str]) -> Parts | None:
    """Resolve a command whose preset has parts; None for any other command.

    Raises ConfigError holding every problem of every part, and for words that would make a part another.
    """
    typed = {word.partition("=")[0]: word for word in words}
    preset = typed.pop("preset", "preset=default").partition("=")[2]
    tree = read_preset(preset, [])  # what is wrong with it, `resolve` tells
    if "parts" not in tree:
        return None
    demand_whole(preset, tree)
    keys = [word.partition("=")[0] for word in words]
    wrong = [f"{key}: given twice. Expected it once." for key in dict.fromkeys(keys) if keys.count(key) > 1]
    wrong += [
        f"{key}: preset={preset} states it for each of its parts. Leave it out, or the preset."
        for key in STATED
        if key in typed
    ]
    if wrong:
        raise ConfigError(tuple(wrong))
    place = typed.pop("run", "run=").partition("=")[2]
    stated_words = {
        name: {word.partition("=")[0]: word for word in shlex.split(f"{tree.get('common', '')} {part['words']}")}
        for name, part in tree["parts"].items()
    }
    found = {name: joined(name, stated_words, typed) for name in stated_words}
    commands = resolved(found)
    folder = Path(place or f"runs/{Path(preset).stem}-{digest([one.content() for one in commands.values()])[:8]}")
    commands = resolved({name: [*own, f"run={folder / name}"] for name, own in found.items()})
    under = {name: str(part["under"]) for name, part in tree["parts"].items()}
    return Parts(preset, tuple(words), folder, commands, under, tuple(tree.get("claims", ())))


def demand_whole(preset: str, tree: dict[str, Any]) -> None:
    """Raise ConfigError where a preset of several comparisons is not laid out as one."""
    wrong = [
        f"preset={preset}: {key}: no such key beside parts. Expected common, parts and claims."
        for key in tree.keys() - {"common", "parts", "claims"}
    ]
    parts: dict[str, Any] = tree["parts"] if isinstance(tree["parts"], dict) else {}
    if not parts:
        wrong.append(f"preset={preset}: parts: expected a mapping of names to their condition and words.")
    for name, part in parts.items():
        if not isinstance(part, dict) or not {"under", "words"} <= part.keys() or "recipe=" not in str(part["words"]):
            wrong.append(
                f"preset={preset}: part {name}: expected `under`, the condition that it is run under, and `words`, "
                "those of its command with recipe=."
            )
    if wrong:
        raise ConfigError(tuple(sorted(wrong)))


def joined(part: str, stated: dict[str, dict[str, str]], typed: dict[str, str]) -> list[str]:
    """Return a part's words, those that were typed in the place of its own.

    A recipe's own keys go to the parts that run the recipe; to all if none does, so that they are told as unknown.
    """
    recipes = {name: own["recipe"].partition("=")[2].split(",") for name, own in stated.items()}
    elsewhere = {one for own in recipes.values() for one in own} - set(recipes[part])
    fitting = {key: word for key, word in typed.items() if key.partition(".")[0] not in elsewhere}
    return [*(stated[part] | fitting).values()]


def resolved(words: dict[str, list[str]]) -> dict[str, Command]:
    """Return each part's command; ConfigError with the problems of all of them, each told once."""
    problems: dict[str, None] = {}
    commands: dict[str, Command] = {}
    for name, own in words.items():
        try:
            commands[name] = resolve(own)
        except ConfigError as err:
            problems |= dict.fromkeys(err.problems)
    if problems:
        raise ConfigError(tuple(problems))
    return commands


def begun(folder: Path) -> list[Path]:
    """Return the folders of the parts that have begun, in their order; of any other run its own."""
    stated = read_parts(folder)
    return [folder / name for name in stated["parts"] if (folder / name).is_dir()] if stated else [folder]


def read_parts(folder: Path) -> dict[str, Any]:
    """Return what `Parts.write` left in a folder; empty where it is not the folder of several comparisons."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {name: found[name] for name in ("command", "preset", "parts", "claims")}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise StoreError(
            f"{path}: damaged ({type(err).__name__}: {err}). Run its command again; it is written anew."
        ) from err
