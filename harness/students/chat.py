"""Chat templates: whether a model's tokenizer has one, and a request written as it says. It samples nothing."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness.students.checkpoint import read_tokenizer

FILE, CONFIG = "chat_template.jinja", "tokenizer_config.json"


def template_of(folder: Path) -> str:
    """Return the chat template in a model's files, which need not be loaded for it; empty where there is none."""
    if (folder / FILE).is_file():
        return (folder / FILE).read_text(encoding="utf-8")
    if not (folder / CONFIG).is_file():
        return ""
    found: Any = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("chat_template")
    return found if isinstance(found, str) else json.dumps(found) if found else ""


def has_template(folder: Path) -> bool:
    return bool(template_of(folder))


def template_hash(folder: Path) -> str:
    return sha256(template_of(folder).encode()).hexdigest()


class Chat:
    """Requests to one model, each the only message of its user."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer: Any = read_tokenizer(folder)

    def filled(self, request: str) -> str:
        """Return the prompt that asks for an answer."""
        messages = [{"role": "user", "content": request}]
        return rendered(self.tokenizer, messages)


def rendered(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """Return the prompt that a conversation makes; the tokenizer's own begin token is not doubled."""
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return text.removeprefix(str(tokenizer.bos_token or ""))
