"""Looks at an endpoint before a run: can it be asked at all, and which parameters does it honour, not merely accept?

The look is free (the list of models); the probe makes a handful of calls of a few tokens, once in a store's lifetime.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast
from urllib.parse import urlsplit

from harness.errors import ConfigError, suggest
from harness.store.keys import Json
from harness.store.steps import Step
from harness.teachers.calls import Backend, Call
from harness.teachers.dispatch import Trouble
from harness.teachers.openai_api import CANARY, OpenAIBackend

PROBE = 3  # code version of its step; 2: what is refused; 3: answers that vary, and `None` for what cannot be told
# An answer of which two draws are equal by no accident, however sure of itself a model is.
VARIED = replace(
    CANARY,
    messages=(("user", "Write twelve random numbers between 100 and 999, separated by commas, and nothing else."),),
    temperature=1.0,
    max_tokens=64,
)
TELLING = 20  # characters: equal answers that are shorter may be equal by accident
ROOMS = ("max_model_len", "context_length", "context_window", "max_context_length")  # of a model in the list of models
WAITS_S = (0.5, 2.0)  # before another try of a call of the probe, where the endpoint asks for no other
LONGEST_WAIT_S = 30.0  # a longer wait that it asks for is not waited out: the next try says why
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
    logprobs: bool | None  # None, here and below: its answers do not tell
    draws: bool | None  # a temperature above 0 draws: other seeds, other answers
    seed: bool | None  # the same seed, the same answer
    stop: bool | None
    usage: bool  # tokens are told
    limits: str  # that its headers state; empty: none
    refuses: Sequence[str] = ()  # parameters without which calls have to go

    def told(self) -> list[str]:
        """Say what is honoured, and what follows from what is not."""
        names = {"n": self.n, "logprobs": self.logprobs, "seed": self.seed, "stop": self.stop, "usage": self.usage}
        yes, no, unknown = (
            ", ".join(name for name, value in names.items() if value is wanted) for wanted in (True, False, None)
        )
        lines = [f"honours {yes or 'nothing'}" + (f"; ignores {no}" if no else "")]
        lines += [f"its answers do not tell whether it honours {unknown}"] if unknown else []
        lines += [f"refuses {name}: calls go without it{REFUSED[name]}" for name in self.refuses]
        if self.draws is False:
            lines.append("draws nothing: answers at a temperature are all the same, so a retry is in vain")
        elif self.seed is False:
            lines.append("its draws cannot be repeated: only what is in the store can")
        if not self.usage:
            lines.append("tells no tokens: they are guessed, and money is counted at the most it can be")
        lines.append(f"limits {self.limits}" if self.limits else "states no limits")
        return lines


def step(backend: Backend, version: int = PROBE) -> Step:
    """Return the step under which a probe's findings are recorded; they are its only item, 0."""
    return Step("probe", version, backend.identity)


def recorded(payload: Callable[[str], dict[str, Any] | None], backend: Backend) -> dict[str, Any] | None:
    """Return what the newest probe found in a recording, which may be of an earlier version."""
    found = (payload(step(backend, version).key(0)) for version in range(PROBE, 0, -1))
    return next((one for one in found if one is not None), None)


def look(backend: OpenAIBackend) -> int | None:
    """Return how many tokens the model holds, None where the endpoint does not tell.

    Raises ConfigError unless the endpoint is there, takes the key and knows the model, as far as it tells.
    """
    settings = backend.settings
    where = f"teacher.base_url={settings.base_url}"
    try:
        content = backend.run(lambda client: client.models.with_raw_response.list())
    except Trouble as trouble:
        if trouble.kind == "down":
            raise ConfigError(
                f"{where}: nobody answers ({trouble.text}). Check the address, or start the server."
            ) from None
        if trouble.status in (401, 403) or 300 <= trouble.status < 400:
            raise ConfigError(trouble.text) from None
        if trouble.status == 404 and (there := elsewhere(backend)):
            raise ConfigError(f"{where}: no API begins there. One begins at {there}: give that address.") from None
        return None  # some servers have no such list: the probe will tell
    try:
        known = models_of(content)
    except ValueError:
        shown = " ".join(content[:80].decode("utf-8", "replace").split())
        there = elsewhere(backend)
        hint = f"An API begins at {there}: give that address" if there else "Mostly the address must end in /v1"
        raise ConfigError(
            f"{where}: what answers does not speak OpenAI's protocol; it says {shown!r}. {hint}."
        ) from None
    model = settings.model
    if known and not any(name == model or name.startswith(f"{model}:") for name in known):
        shown = ", ".join(sorted(known)[:8]) + (", …" if len(known) > 8 else "")
        raise ConfigError(f"teacher.model={model}: no such model there{suggest(model, known)}. Models: {shown}.")
    said = known.get(model, {})
    room = next((said[name] for name in ROOMS if isinstance(said.get(name), int) and said[name] > 0), None)
    if room is not None and settings.max_tokens >= room:
        raise ConfigError(
            f"teacher.max_tokens={settings.max_tokens}: the model holds {room} tokens, prompt and answer together. "
            "Lower it, or serve the model with a larger context."
        )
    return room


def models_of(content: bytes) -> dict[str, dict[str, Any]]:
    """Return the listed models by name, none where the list has another form. Raises ValueError for what is no JSON."""
    listed: Any = json.loads(content)
    models: Any = cast("dict[str, Any]", listed).get("data") if isinstance(listed, dict) else None
    found = cast("list[Any]", models) if isinstance(models, list) else []
    return {str(one["id"]): cast("dict[str, Any]", one) for one in found if isinstance(one, dict) and "id" in one}


def elsewhere(backend: OpenAIBackend) -> str:
    """Return the address at the same host where an API begins after all; empty if there is none."""
    from httpx2 import Response  # of the client's own dependency

    given = backend.settings.base_url.rstrip("/")
    parts = urlsplit(given)
    for there in dict.fromkeys((f"{given}/v1", f"{parts.scheme}://{parts.netloc}/v1")):
        try:
            if models_of(backend.run(lambda client, there=there: client.get(f"{there}/models", cast_to=Response))):
                return there
        except (Trouble, ValueError):
            continue
    return ""


def probe(backend: OpenAIBackend) -> Honours:
    """Find out what the server honours. Raises ConfigError where it cannot be asked."""
    chat = backend.settings.style == "chat"
    try:
        headers, plain = ask(backend, CANARY)
        bodies = {
            "n": ask(backend, VARIED, n=2)[1],
            "logprobs": ask(backend, CANARY, **({"logprobs": True, "top_logprobs": 2} if chat else {"logprobs": 2}))[1],
            "stop": ask(backend, replace(CANARY, stop=(STOPPED,)))[1],
        }
        drawn = [
            text_of(ask(backend, replace(VARIED, seed=seed, top_p=backend.settings.top_p))[1], chat)
            for seed in (7, 7, 8)
        ]
        choices = {name: body["choices"] for name, body in bodies.items()}
        draws, seed = drawing(drawn)
        return Honours(
            n=len(choices["n"]) == 2,
            logprobs=bool(choices["logprobs"][0].get("logprobs"))
            or (False if text_of(bodies["logprobs"], chat) else None),
            draws=draws,
            seed=seed,
            stop=STOPPED not in text_of(bodies["stop"], chat) if STOPPED in text_of(plain, chat) else None,
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


def ask(backend: OpenAIBackend, call: Call, **more: Any) -> tuple[Mapping[str, str], dict[str, Any]]:
    """Make a call of the probe, again after what may pass: a cut connection, a 500, a limit. Raises Trouble."""
    for wait_s in WAITS_S:
        try:
            return backend.call(call, **more)
        except Trouble as trouble:
            if trouble.kind not in ("broken", "limited"):
                raise
            time.sleep(min(trouble.wait_s or wait_s, LONGEST_WAIT_S))
    return backend.call(call, **more)


def drawing(drawn: Sequence[str]) -> tuple[bool | None, bool | None]:
    """Tell from two answers of one seed and one of another whether anything is drawn, and whether by the seed."""
    first, again, _ = drawn
    telling = all(len(text.strip()) >= TELLING for text in drawn)
    if len(set(drawn)) == 1:
        return (False, False) if telling else (None, None)
    if first != again:
        return True, False
    return True, True if telling else None


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
