"""Looks at an endpoint before a run: can it be asked at all, and which parameters does it honour, not merely accept?

The look is free (the list of models); the probe makes a handful of calls of a few tokens, once in a store's lifetime.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from harness.errors import ConfigError, suggest
from harness.store.keys import Json
from harness.store.steps import Step
from harness.teachers.calls import Backend
from harness.teachers.dispatch import Trouble
from harness.teachers.openai_api import CANARY, OpenAIBackend

PROBE = 2  # code version of its step; 2: what is refused
RANDOM = replace(CANARY, messages=(("user", "Write one random sentence about a random animal."),), temperature=1.0)
STOPPED = "ea"  # stands in the canary's answer
REFUSED = {
    "temperature": ", so every answer is drawn at the model's own temperature, those that should be greedy as well",
    "top_p": ", so answers are drawn from all tokens",
    "seed": ", so its draws cannot be repeated",
}


@dataclass(frozen=True)
class Honours:
    """What a server does with what it is given."""

    n: bool  # as many answers as asked for in one call
    logprobs: bool
    draws: bool  # a temperature above 0 draws: other seeds, other answers
    seed: bool  # the same seed, the same answer
    stop: bool
    usage: bool  # tokens are told
    limits: str  # that its headers state; empty: none
    refuses: Sequence[str] = ()  # parameters without which calls have to go

    def told(self) -> list[str]:
        """Say what is honoured, and what follows from what is not."""
        names = {"n": self.n, "logprobs": self.logprobs, "seed": self.seed, "stop": self.stop, "usage": self.usage}
        yes, no = ([name for name, value in names.items() if value is wanted] for wanted in (True, False))
        lines = [f"honours {', '.join(yes) or 'nothing'}" + (f"; ignores {', '.join(no)}" if no else "")]
        lines += [f"refuses {name}: calls go without it{REFUSED[name]}" for name in self.refuses]
        if not self.draws:
            lines.append("draws nothing: answers at a temperature are all the same, so a retry is in vain")
        elif not self.seed:
            lines.append("its draws cannot be repeated: only what is in the store can")
        if not self.usage:
            lines.append("tells no tokens: they are guessed, and money is counted at the most it can be")
        lines.append(f"limits {self.limits}" if self.limits else "states no limits")
        return lines


def step(backend: Backend) -> Step:
    """Return the step under which a probe's findings are recorded; they are its only item, 0."""
    return Step("probe", PROBE, backend.identity)


def look(backend: OpenAIBackend) -> None:
    """Raise ConfigError unless the endpoint is there, takes the key and knows the model, as far as it tells."""
    settings = backend.settings
    where = f"teacher.base_url={settings.base_url}"
    try:
        content = backend.run(lambda client: client.models.with_raw_response.list())
    except Trouble as trouble:
        if trouble.kind == "down":
            raise ConfigError(
                f"{where}: nobody answers ({trouble.text}). Check the address, or start the server."
            ) from None
        if trouble.status in (401, 403):
            raise ConfigError(trouble.text) from None
        return  # some servers have no such list: the probe will tell
    try:
        listed: Any = json.loads(content)
    except ValueError:
        shown = " ".join(content[:80].decode("utf-8", "replace").split())
        raise ConfigError(
            f"{where}: what answers does not speak OpenAI's protocol; it says {shown!r}. Mostly the address must end "
            "in /v1."
        ) from None
    models = cast("list[Any]", listed.get("data") or []) if isinstance(listed, dict) else []
    known = {str(one["id"]): one for one in models if isinstance(one, dict) and "id" in one}
    model = settings.model
    if known and not any(name == model or name.startswith(f"{model}:") for name in known):
        shown = ", ".join(sorted(known)[:8]) + (", …" if len(known) > 8 else "")
        raise ConfigError(f"teacher.model={model}: no such model there{suggest(model, known)}. Models: {shown}.")
    room = known.get(model, {}).get("max_model_len")
    if isinstance(room, int) and settings.max_tokens >= room:
        raise ConfigError(
            f"teacher.max_tokens={settings.max_tokens}: the model holds {room} tokens, prompt and answer together. "
            "Lower it, or serve the model with a larger context."
        )


def probe(backend: OpenAIBackend) -> Honours:
    """Find out what the server honours. Raises ConfigError where it cannot be asked."""
    chat = backend.settings.style == "chat"
    try:
        headers, plain = backend.call(CANARY)
        bodies = {
            "n": backend.call(RANDOM, n=2)[1],
            "logprobs": backend.call(CANARY, **({"logprobs": True, "top_logprobs": 2} if chat else {"logprobs": 2}))[1],
            "stop": backend.call(replace(CANARY, stop=(STOPPED,)))[1],
        }
        draws = [replace(RANDOM, seed=seed, max_tokens=24, top_p=backend.settings.top_p) for seed in (7, 7, 8)]
        drawn = [text_of(backend.call(one)[1], chat) for one in draws]
        choices = {name: body["choices"] for name, body in bodies.items()}
        return Honours(
            n=len(choices["n"]) == 2,
            logprobs=bool(choices["logprobs"][0].get("logprobs")),
            draws=len(set(drawn)) > 1,
            seed=drawn[0] == drawn[1] and drawn[1] != drawn[2],
            stop=STOPPED not in text_of(bodies["stop"], chat),
            usage=bool(plain.get("usage")),
            limits=", ".join(
                f"{headers[name]} {name.removeprefix('x-ratelimit-limit-')} a minute"
                for name in ("x-ratelimit-limit-requests", "x-ratelimit-limit-tokens")
                if name in headers
            ),
            refuses=[name for name in REFUSED if name in backend.dropped],
        )
    except Trouble as trouble:
        where = "" if trouble.kind == "unusable" else f"teacher.base_url={backend.settings.base_url}: "
        raise ConfigError(f"{where}{trouble.text}") from None
    except (KeyError, IndexError, TypeError, AttributeError) as err:
        raise ConfigError(
            f"teacher.base_url={backend.settings.base_url}: it answers in another form than OpenAI's protocol has "
            f"({err!r}). Check teacher.style={backend.settings.style} and that the address ends where the API begins."
        ) from None


def text_of(body: dict[str, Any], chat: bool) -> str:
    choice = body["choices"][0]
    return str((choice["message"].get("content") if chat else choice["text"]) or "")


def to_json(found: Honours) -> dict[str, Json]:
    return asdict(found)


def lines_for(backends: Sequence[OpenAIBackend], found: Sequence[Honours]) -> list[str]:
    """Return what is told of each endpoint."""
    return [
        f"{backend.settings.model} at {backend.settings.base_url}: {line}"
        for backend, one in zip(backends, found, strict=True)
        for line in one.told()
    ]
