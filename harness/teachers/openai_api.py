"""Any endpoint that speaks OpenAI's protocol, through the `openai` client: one exchange, its troubles, a first look.

The client's own retries are off: `dispatch.py` paces, repeats and pauses. The key is read from the environment, lives
in the client alone, and is taken out of whatever text a server sends back.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from harness.errors import ConfigError
from harness.store.keys import Json, digest
from harness.teachers.calls import Call, Finish, Reply
from harness.teachers.dispatch import Dispatcher, Exchanged, Trouble
from harness.teachers.pace import Pace, retry_after
from harness.teachers.purse import Purse
from harness.teachers.settings import Teaching

if TYPE_CHECKING:
    import openai

KEY_LIKE = re.compile(r"\b(?:sk|key|pk)-[A-Za-z0-9_*-]{6,}")
FINISH: dict[str, Finish] = {"stop": "stop", "length": "length", "content_filter": "filtered"}
REFUSALS = 7  # of one call, each naming another of its parameters
NO_KEY = "none"  # the client wants one; servers of one's own do not
CONNECT_S = 10.0
NOBODY = ("ClientConnector", "ConnectionTimeout", "Proxy", "UrlClient", "UnsupportedProtocol")  # in errors' names
STALE = "ClientConnectionResetError"  # of a kept connection that the server had closed: nothing was sent
FILTER = re.compile(
    r"content[ _]?(?:filter|management policy|policy[ _]violation)|data_inspection_failed|input was flagged",
    re.IGNORECASE,
)  # in the code or the words of a refusal by a content filter
ROOM = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|maximum context|request too large|exceeds the maximum number of tokens"
    r"|(?:prompt|input|max_\w*tokens)\b.{0,60}too (?:long|large)|max_new_tokens`? must be"
    r"|range of (?:input length|max_)",
    re.IGNORECASE | re.DOTALL,
)  # in the words of a refusal of a call that is too large for the model, or for the account at any pace
CANARY = Call((("user", "Reply with the single word: ready"),), 0.0, 1.0, None, 0, 16)


class OpenAIBackend:
    """Calls to one model at one endpoint, from one process."""

    def __init__(self, settings: Teaching, purse: Purse, sharing: int = 1, *, asks: bool = True) -> None:
        self.settings, self.purse = settings, purse
        self.key = key_for(settings) if asks else NO_KEY
        self.pace = Pace(settings.rpm, settings.tpm, sharing)
        self.dispatcher: Dispatcher | None = None
        self.client: openai.AsyncOpenAI | None = None
        self.limit_name = "max_tokens"  # newer models want max_completion_tokens
        self.dropped: set[str] = set()  # parameters that the model refuses; every reply tells which it went without

    @property
    def identity(self) -> dict[str, Json]:
        """What determines replies beside the call: model, address (or the name given to it) and style."""
        where = self.settings.endpoint or self.settings.base_url.rstrip("/")
        return {"backend": "openai", "model": self.settings.model, "endpoint": where, "style": self.settings.style}

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        """Yield (position, reply) as calls are answered. Raises TeacherError or BudgetError."""
        return self.opened().send(calls)

    def opened(self) -> Dispatcher:
        if self.dispatcher is None:
            self.client = connect(self.settings, self.key)
            self.dispatcher = Dispatcher(self.exchange, self.settings, self.pace, self.purse, CANARY)
        return self.dispatcher

    def go_at(self, pace: Pace) -> None:
        """Have calls go at a pace that is shared with others; before the first of them."""
        assert self.dispatcher is None, "calls go at a pace already"
        self.pace = pace

    def committed(self, keys: Sequence[str]) -> None:
        self.purse.committed(keys)

    def close(self) -> None:
        if self.dispatcher is not None and self.client is not None:
            self.dispatcher.run(self.client.close())
            self.dispatcher.close()
        self.dispatcher = self.client = None

    def run(self, ask: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> bytes:
        """Ask something that is no call, and return the raw answer. Raises Trouble."""
        import openai

        dispatcher = self.opened()
        assert self.client is not None
        try:
            return dispatcher.run(cast("Any", ask(self.client))).content
        except openai.APIError as err:
            raise self.trouble(err) from None

    def call(self, call: Call, **more: Any) -> tuple[Mapping[str, str], dict[str, Any]]:
        """Make one call with further parameters, once, and return headers and body. Raises Trouble."""
        headers, body, _ = self.opened().run(self.post(call, call.key, more))
        for at, reply in enumerate(self.read([call] * max(1, len(body["choices"])), body)):
            self.purse.extra(replace(reply, tries=0) if at else reply)  # several answers of one request
        return headers, body

    async def exchange(self, calls: Sequence[Call]) -> Exchanged:
        """Make one try of one call, or of several draws of one question by the first one's seed. Raises Trouble."""
        key = calls[0].key if len(calls) == 1 else digest([call.key for call in calls])
        headers, body, without = await self.post(calls[0], key, {"n": len(calls)} if len(calls) > 1 else {})
        try:
            replies = [replace(reply, without=without) for reply in self.read(calls, body)]
        except (KeyError, TypeError, ValueError, IndexError) as err:
            shown = self.redact(json.dumps(body))[:200]
            raise Trouble("broken", f"the answer is not of the protocol's form ({err!r}): {shown}") from None
        return Exchanged(replies, headers)

    async def post(
        self, call: Call, key: str, more: dict[str, Any]
    ) -> tuple[Mapping[str, str], dict[str, Any], tuple[str, ...]]:
        """Send a call and return headers, body, and what it went without: parameters that the model refuses."""
        import openai
        from httpx2 import Response  # of the client's own dependency

        assert self.client is not None
        chat = self.settings.style == "chat"
        where = "/chat/completions" if chat else "/completions"
        for _ in range(REFUSALS + 1):
            given: dict[str, Any] = {"max_tokens": call.max_tokens, "temperature": call.temperature, "seed": call.seed}
            given |= {"top_p": call.top_p if call.top_p < 1 else None, "stop": list(call.stop) or None}
            given |= {"logprobs": (True if chat else 1) if call.logprobs else None} | more
            wanted = {name: value for name, value in given.items() if value is not None}
            without = tuple(name for name in wanted if name in self.dropped)
            body = {"model": self.settings.model, **prompt_of(call, chat=chat)}
            for name in [name for name in wanted if name not in without]:
                body[self.limit_name if name == "max_tokens" else name] = wanted[name]
            headers = {"Idempotency-Key": key} if key else {}
            try:
                # `chat.completions.create` checks every field against its types, for a third of a call's CPU time
                raw = await self.client.post(where, cast_to=Response, body=body, options={"headers": headers})
                return raw.headers, parsed(raw.content), tuple(name for name in without if name != "n")
            except openai.APIError as err:
                if isinstance(err, openai.APIStatusError) and FILTER.search(f"{err.code} {err.message}"):
                    return {}, filtered(more.get("n", 1)), without
                if any(type(one).__name__ == STALE for one in causes_of(err)):
                    await asyncio.sleep(0)  # the client learns which others are closed
                elif not self.adapts(err, body):
                    raise self.trouble(err) from None
            except ValueError as err:
                raise Trouble("broken", f"the answer is no JSON object ({err})") from None
        raise Trouble("broken", "the endpoint refuses one parameter after another, or closes every connection")

    def adapts(self, err: openai.APIError, body: dict[str, Any]) -> bool:
        """Tell whether a refusal names a parameter of the body that can be given by another name, or left out."""
        import openai

        if not isinstance(err, openai.BadRequestError):
            return False
        text = f"{getattr(err, 'param', '') or ''} {err.message}"
        if ROOM.search(text):
            return False
        if "max_completion_tokens" in text and "max_tokens" in body:
            self.limit_name = "max_completion_tokens"
            return True
        if not re.search(r"unsupported|not support|unrecognized|unknown (?:parameter|argument)", text, re.IGNORECASE):
            return False
        found = [
            name
            for name in ("seed", "top_p", "temperature", "logprobs", "top_logprobs", "n")
            if names(text, name) and name in body
        ]
        self.dropped.update(found)
        return bool(found)

    def read(self, calls: Sequence[Call], body: dict[str, Any]) -> list[Reply]:
        """Return the replies that a body holds; the first one bears the tokens of the prompt, which went once."""
        chat = self.settings.style == "chat"
        choices = body["choices"][: len(calls)]
        texts = [choice["message"].get("content") if chat else choice["text"] for choice in choices]
        texts = [text or "" for text in texts]
        if wrong := [text for text in texts if not isinstance(text, str)]:
            raise TypeError(f"the text is a {type(wrong[0]).__name__}")
        if not choices:
            raise IndexError("no choices")
        if self.key != NO_KEY:  # an endpoint may echo what it was sent
            texts = [text.replace(self.key, "***") for text in texts]
        replies = self.priced(calls, texts, body.get("usage"))
        return [
            replace(
                reply,
                finish=FINISH.get(choice.get("finish_reason") or "stop", "stop"),
                logprobs=logprobs_of(choice) if calls[0].logprobs else (),
            )
            for reply, choice in zip(replies, choices, strict=True)
        ]

    def priced(self, calls: Sequence[Call], texts: Sequence[str], usage: dict[str, Any] | None) -> list[Reply]:
        """Return replies with their tokens and money; where the server does not tell them, at the most it can be."""
        price, told = self.purse.price, bool(usage and isinstance(usage.get("prompt_tokens"), int))
        if usage and told:
            tokens_in, reason = int(usage["prompt_tokens"]), ""
            cached = int((usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0)
            out = shares(int(usage.get("completion_tokens") or 0), [len(text) for text in texts])
        else:
            tokens_in, cached = -(-calls[0].most_tokens_in // 4), 0
            out = [-(-len(text.encode()) // 4) for text in texts]
            reason = "the server told no usage: tokens are a guess, money the most it can be"
        replies: list[Reply] = []
        for at, (text, tokens) in enumerate(zip(texts, out, strict=True)):
            given, spared = (0, 0) if at else (tokens_in, cached)
            usd = self.purse.most(calls[at], first=at == 0)
            if told:
                usd = price.usd(given, spared, tokens) if price else 0.0
            known = price.hash if price else ""
            replies.append(Reply(text, "stop", given, spared, tokens, usd, calls[at].max_tokens, 1, reason, known))
        return replies

    def trouble(self, err: openai.APIError) -> Trouble:
        """Say what an error of the client means for the call and for all calls."""
        import openai

        if isinstance(err, openai.APIStatusError):
            return self.trouble_of_status(err)
        causes = causes_of(err)
        telling = next((one for one in reversed(causes[1:]) if str(one)), err)
        name, said = type(telling).__name__, err.message if telling is err else telling
        away = any(word in type(one).__name__ for one in causes for word in NOBODY)
        return Trouble("down" if away else "broken", self.redact(f"{name}: {said}"))

    def trouble_of_status(self, err: openai.APIStatusError) -> Trouble:
        status, headers = err.status_code, err.response.headers
        said = self.redact(f"HTTP {status}: {' '.join(str(err.message).split())[:300]}")
        broke = any(word in str(err.code) for word in ("quota", "billing"))
        if 300 <= status < 400:
            there = without_query(headers.get("location", "")) or "nowhere"
            text = f"teacher.base_url={self.settings.base_url}: it redirects to {there}. Give the address of the API"
            return Trouble("unusable", self.redact(f"{text} itself."), None, status)
        if status in (401, 403, 404) or (status == 429 and broke):
            return Trouble(
                "unusable", f"teacher.base_url={self.settings.base_url}: {self.hint(status)} ({said}).", None, status
            )
        if ROOM.search(f"{err.code} {err.message}") and (status != 429 or "too large" in err.message.lower()):
            return Trouble(
                "rejected",
                f"prompt and answer do not fit: lower teacher.max_tokens={self.settings.max_tokens}, or take a model, "
                f"or serve this one, with a larger context ({said})",
                None,
                status,
            )
        if status == 429 or (status in (503, 529) and "retry-after" in headers):
            return Trouble("limited", said, retry_after(headers, time.time()), status)
        several = err.param == "n" or re.search(r"['\"`]n['\"`]", err.message) is not None
        kind = "broken" if status >= 500 or status in (408, 409, 425) else "rejected"
        return Trouble(kind, said, None, status, several)

    def hint(self, status: int) -> str:
        """Say what to change so that the endpoint can be asked."""
        key, model = self.settings.key_env, self.settings.model
        return {
            404: f"no model {model} there, or no such API. Check teacher.model, and that the address ends where the "
            "API begins, mostly in /v1",
            429: "the account has no credit left. Add some and run the same command again: what is answered is not "
            "asked again",
        }.get(status, f"the key in {key} is not accepted. Put a valid one into that environment variable")

    def redact(self, text: str) -> str:
        """Return a text of the server's without what is, or looks like, a key."""
        if self.key != NO_KEY:
            text = text.replace(self.key, "***")
        return KEY_LIKE.sub("***", text) if "-" in text and self.key != NO_KEY else text


def names(text: str, parameter: str) -> bool:
    """Tell whether a text names a parameter; the n of an escaped line's end is none."""
    return re.search(rf"(?<![\\\w]){parameter}\b", text) is not None


def filtered(count: int) -> dict[str, Any]:
    """Return the body that stands for the refusal of a content filter: so many answers without a text, for nothing."""
    choice = {"message": {"content": ""}, "text": "", "finish_reason": "content_filter"}
    return {"choices": [choice] * count, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}


def causes_of(err: BaseException) -> list[BaseException]:
    """Return an error and what it wraps, the innermost last."""
    found = [err]
    while found[-1].__cause__ is not None:
        found.append(found[-1].__cause__)
    return found


def shares(whole: int, weights: Sequence[int]) -> list[int]:
    """Divide a number in proportion to weights; the parts add up to it."""
    total, before, parts = sum(weights), 0, list[int]()
    for at in range(len(weights)):
        upto = round(whole * sum(weights[: at + 1]) / total) if total else whole
        parts.append(upto - before)
        before = upto
    return parts


def logprobs_of(choice: dict[str, Any]) -> tuple[float, ...]:
    """Return the log-probabilities of an answer's tokens, in either style; none where the server has none."""
    held = choice.get("logprobs") or {}
    listed = [one["logprob"] for one in held.get("content") or ()] or held.get("token_logprobs") or ()
    return tuple(float(one) for one in listed if one is not None)


def prompt_of(call: Call, *, chat: bool) -> dict[str, Any]:
    if chat:
        return {"messages": [{"role": role, "content": text} for role, text in call.messages]}
    return {"prompt": "\n\n".join(text for _, text in call.messages)}


def parsed(content: bytes) -> dict[str, Any]:
    body = json.loads(content)
    if not isinstance(body, dict):
        raise ValueError(f"found a {type(body).__name__}, expected an object")
    return cast("dict[str, Any]", body)


def without_query(address: str) -> str:
    """Return an address without what may be a secret, or a redirect's own: query, fragment, user."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def key_for(settings: Teaching) -> str:
    """Return the key from the environment.

    Raises ConfigError where there is none and the endpoint is not on this machine.
    """
    key = os.environ.get(settings.key_env, "").strip() if settings.key_env else NO_KEY
    if key and not key.isascii():
        raise ConfigError(f"teacher.key_env={settings.key_env}: the key holds signs that no key has. Set it again.")
    if key or is_loopback(settings.base_url):
        return key or NO_KEY
    raise ConfigError(
        f"teacher.key_env={settings.key_env}: this environment variable is not set, and {settings.base_url} needs "
        f"a key. Set it (export {settings.key_env}=…), or say teacher.key_env= for a server without keys."
    )


def is_loopback(base_url: str) -> bool:
    """Tell whether an address is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connect(settings: Teaching, key: str) -> openai.AsyncOpenAI:
    import openai

    return openai.AsyncOpenAI(
        api_key=key,
        base_url=settings.base_url,
        max_retries=0,
        timeout=openai.Timeout(settings.timeout_s, connect=min(CONNECT_S, settings.timeout_s)),
        # Twice the calls a CPU second, see docs/performance.md. A redirect is told and not followed: it would make a
        # POST a GET, or take the key elsewhere.
        http_client=openai.DefaultAioHttpClient(follow_redirects=False),
    )
