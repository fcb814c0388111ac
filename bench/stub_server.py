"""A strict OpenAI-compatible server on loopback: it can limit rates, fail, hang, cut, drip and talk nonsense.

Every misbehaviour is planned per question, so that who asks knows how often each must have been asked. It runs in a
thread of a test (`with Server(...) as server`) or in a process of its own (`python bench/stub_server.py`), and is no
model: an answer is a digest of its question.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAULTS = ("429", "429-after", "500", "503", "hang", "cut", "drip", "malformed", "empty", "no-choices")
KEY = "sk-test-0123456789abcdef"

Say = Callable[[str, dict[str, Any]], str]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def echo(question: str, body: dict[str, Any]) -> str:
    """Answer with a digest of the question: a test can tell a right answer without a model."""
    return f"```python\ndef f(x):\n    return '{digest(question)}'\n```"


@dataclass
class Behaviour:
    """What the server does beside answering."""

    say: Say = echo
    model: str = "stub"
    key: str = KEY  # empty: none wanted
    rate: float = 0.0  # requests per second that it answers; 0: any
    burst: float = 20.0
    states_limit: bool = True  # in x-ratelimit headers
    retry_after: str = "0.05"
    faulty: float = 0.0  # share of the questions that meet faults first
    faults: tuple[str, ...] = FAULTS
    most_faults: int = 2  # of one question, in a row
    hang_s: float = 30.0
    fewer: bool = False  # of several answers asked for, one is missing
    latency_s: float = 0.0
    honours_n: bool = True
    logprobs: bool = False
    most_n: int = 128  # more is refused
    alone: bool = False  # several answers at once are refused, in words that do not name n
    usage: bool = True
    finish: str = "stop"
    always: str = ""  # a status that every question gets, as "401", or a fault
    poisoned: str = ""  # questions with this word always get a 500
    filtered: str = ""  # questions with this word are refused by a content filter
    filters: str = ""  # answers to questions with this word are held back by a content filter
    context: int = 0  # characters of a prompt that fit; 0: any
    models_route: bool = True
    root: str = ""  # where the API begins; elsewhere nothing is found
    redirect: str = ""  # the address that every request is sent on to
    plain: str = ""  # answer everything with this text instead: another dialect
    refuses: tuple[str, ...] = ()  # parameters
    max_tokens_word: str = "max_tokens"  # the only name for the limit that it accepts
    seed: int = 0


@dataclass
class Server:
    """The running server and what it has seen."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    port: int = 0
    asked: Counter[str] = field(default_factory=Counter[str])  # by question
    refused: int = 0  # for going too fast
    served: int = 0
    answered_at: list[float] = field(default_factory=list[float])
    keys: Counter[str] = field(default_factory=Counter[str])  # idempotency keys seen
    bodies: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    in_flight: int = 0
    most_in_flight: int = 0
    down: bool = False
    keep_bodies: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    # --- running ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Server:
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()
        return self

    def __exit__(self, *exc: object) -> None:
        self.loop.call_soon_threadsafe(self.stop)
        self.thread.join(5)

    def run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)
        self.connections: set[asyncio.StreamWriter] = set()
        self.loop.run_until_complete(self.listen())
        ready.set()
        self.loop.run_forever()
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def listen(self) -> None:
        self.listener = await asyncio.start_server(self.connection, "127.0.0.1", self.port, limit=2**22, backlog=512)
        self.port = self.listener.sockets[0].getsockname()[1]
        self.allowance, self.counted_at = self.behaviour.burst, time.monotonic()

    def stop(self) -> None:
        self.listener.close()
        for writer in list(self.connections):
            writer.close()
        self.loop.call_later(0.02, self.loop.stop)

    def die_for(self, seconds: float) -> None:
        """Refuse every connection for a while, from now on."""
        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(self.away(seconds)))

    async def away(self, seconds: float) -> None:
        self.down = True
        self.listener.close()
        for writer in list(self.connections):
            writer.close()
        await asyncio.sleep(seconds)
        self.listener = await asyncio.start_server(self.connection, "127.0.0.1", self.port, limit=2**22, backlog=512)
        self.down = False

    # --- one connection --------------------------------------------------------------------------------------------

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                first, *lines = head.decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                try:
                    going = await self.respond(first.split()[1], headers, body, writer)
                finally:
                    self.in_flight -= 1
                if not going:
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def respond(self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False: the connection is over."""
        how = self.behaviour
        if how.plain:
            return await self.write(writer, 200, how.plain.encode(), {"content-type": "text/html"})
        if how.redirect:
            return await self.write(writer, 307, b"", {"location": f"{how.redirect}{path}?state=secret"})
        if how.root and not path.startswith(f"{how.root}/"):
            return await self.error(writer, 404, f"no such route {path}")
        if how.key and headers.get("authorization") != f"Bearer {how.key}":
            said = f"Incorrect API key provided: {headers.get('authorization', '')}"
            return await self.error(writer, 401, said, "invalid_api_key")
        if path.endswith("/models"):
            if not how.models_route:
                return await self.error(writer, 404, "no such route")
            listed = {"id": how.model, "object": "model", **({"max_model_len": how.context} if how.context else {})}
            return await self.write(writer, 200, json.dumps({"object": "list", "data": [listed]}).encode())
        if not path.endswith("/completions"):
            return await self.error(writer, 404, f"no such route {path}")
        return await self.complete(path, headers, json.loads(body), writer)

    async def complete(
        self, path: str, headers: dict[str, str], body: dict[str, Any], writer: asyncio.StreamWriter
    ) -> bool:
        how, chat = self.behaviour, path.endswith("/chat/completions")
        question = body["messages"][-1]["content"] if chat else body["prompt"]
        key = f"{question}|{body.get('seed')}"
        if body["model"] != how.model:
            return await self.error(writer, 404, f"The model `{body['model']}` does not exist", "model_not_found")
        other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[how.max_tokens_word]
        if other in body:
            said = f"Unsupported parameter: '{other}' is not supported. Use '{how.max_tokens_word}' instead."
            return await self.error(writer, 400, said, "unsupported_parameter")
        if refused := [name for name in how.refuses if name in body]:
            said = f"Unsupported value: '{refused[0]}' does not support {body[refused[0]]} with this model."
            return await self.error(writer, 400, said, "unsupported_value")
        if body.get("n", 1) > how.most_n:
            said = f"Invalid 'n': integer above maximum value. Expected a value <= {how.most_n}."
            return await self.error(writer, 400, said, "integer_above_max_value")
        if how.alone and body.get("n", 1) > 1:
            return await self.error(writer, 400, "Only one completion choice is allowed", "invalid_request_error")
        if how.filtered and how.filtered in question:
            said = "The response was filtered due to the prompt triggering the content management policy."
            return await self.error(writer, 400, said, "content_filter")
        if how.context and len(question) > how.context:
            said = f"This model's maximum context length is {how.context} tokens."
            return await self.error(writer, 400, said, "context_length_exceeded")
        if not self.may_go():
            self.refused += 1
            return await self.error(writer, 429, "Rate limit reached", "rate_limit", {"retry-after": how.retry_after})
        self.asked[key] += 1
        if "idempotency-key" in headers:
            self.keys[headers["idempotency-key"]] += 1
        if self.keep_bodies:
            self.bodies.append(body)
        fault = how.always or self.fault_of(key, question)
        if fault:
            return await self.misbehave(fault, body, question, chat, writer)
        if how.latency_s:
            await asyncio.sleep(how.latency_s)
        self.served += 1
        self.answered_at.append(time.monotonic())
        return await self.write(writer, 200, self.answer(question, body, chat), self.limits())

    def faults_of(self, question: str) -> list[str]:
        """Return the faults that a question meets before it is answered."""
        rng = random.Random(f"{self.behaviour.seed}|{question}")
        if rng.random() >= self.behaviour.faulty:
            return []
        return [rng.choice(self.behaviour.faults) for _ in range(rng.randint(1, self.behaviour.most_faults))]

    def fault_of(self, key: str, question: str) -> str:
        if self.behaviour.poisoned and self.behaviour.poisoned in question:
            return "500"
        faults = self.faults_of(question)
        return faults[self.asked[key] - 1] if self.asked[key] <= len(faults) else ""

    def may_go(self) -> bool:
        how, now = self.behaviour, time.monotonic()
        if not how.rate:
            return True
        self.allowance = min(how.burst, self.allowance + (now - self.counted_at) * how.rate)
        self.counted_at = now
        if self.allowance < 1:
            return False
        self.allowance -= 1
        return True

    def limits(self) -> dict[str, str]:
        how = self.behaviour
        return {"x-ratelimit-limit-requests": str(round(how.rate * 60))} if how.rate and how.states_limit else {}

    def answer(self, question: str, body: dict[str, Any], chat: bool) -> bytes:
        how = self.behaviour
        count = body.get("n", 1) if how.honours_n else 1
        text = how.say(question, body)
        choices: list[dict[str, Any]] = []
        held = bool(how.filters) and how.filters in question
        text, finish = ("", "content_filter") if held else (text, how.finish)
        for index in range(max(1, count - how.fewer)):
            content = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            choices.append({"index": index, "finish_reason": finish, **content})
            if how.logprobs and body.get("logprobs"):
                chosen = {"content": [{"token": "a", "logprob": -0.1, "top_logprobs": []}]}
                choices[-1]["logprobs"] = chosen if chat else {"token_logprobs": [-0.1]}
        tokens = {"prompt_tokens": len(question) // 4, "completion_tokens": len(choices) * (len(text) // 4)}
        usage = {"usage": {**tokens, "total_tokens": sum(tokens.values())}} if how.usage else {}
        return json.dumps(
            {"id": "x", "object": "chat.completion", "model": how.model, "choices": choices, **usage}
        ).encode()

    async def misbehave(
        self, fault: str, body: dict[str, Any], question: str, chat: bool, writer: asyncio.StreamWriter
    ) -> bool:
        how = self.behaviour
        if fault == "429":
            return await self.error(writer, 429, "slow down", "rate_limit")
        if fault == "429-after":
            return await self.error(writer, 429, "slow down", "rate_limit", {"retry-after": how.retry_after})
        if fault == "quota":
            return await self.error(writer, 429, "You exceeded your current quota", "insufficient_quota")
        if fault == "filter":
            return await self.error(writer, 400, "The response was filtered", "content_filter")
        if fault == "too-large":
            said = "Request too large for stub on tokens per min (TPM): Limit 6000, Requested 7000."
            return await self.error(writer, 429, said, "rate_limit_exceeded")
        if fault.isdigit():
            return await self.error(writer, int(fault), f"the server says {fault}", f"code-{fault}")
        whole = self.answer(question, body, chat)
        if fault == "hang":
            await asyncio.sleep(how.hang_s)
            return False
        if fault == "cut":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole)
            )
            writer.write(whole[: len(whole) // 2])
            await writer.drain()
            return False
        if fault == "drip":
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(whole)
            )
            for at in range(len(whole)):
                writer.write(whole[at : at + 1])
                await writer.drain()
                await asyncio.sleep(how.hang_s / len(whole))
            return True
        broken = {"malformed": whole[:-7], "empty": b"", "no-choices": b'{"choices": []}'}[fault]
        return await self.write(writer, 200, broken)

    async def error(
        self,
        writer: asyncio.StreamWriter,
        status: int,
        said: str,
        code: str = "",
        headers: dict[str, str] | None = None,
    ) -> bool:
        body = json.dumps({"error": {"message": said, "type": "error", "code": code, "param": None}}).encode()
        return await self.write(writer, status, body, {**self.limits(), **(headers or {})})

    async def write(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> bool:
        lines = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return True


def main() -> None:
    """Serve until the input ends, telling the port first and what was seen last."""
    words = argparse.ArgumentParser()
    words.add_argument("--behaviour", default="{}")
    options = words.parse_args()
    given = json.loads(options.behaviour)
    if "faults" in given:
        given["faults"] = tuple(given["faults"])
    with Server(Behaviour(**given), keep_bodies=False) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            word, _, value = line.strip().partition(" ")
            if word == "die":
                server.die_for(float(value))
            elif word == "tell":
                seen = {
                    "served": server.served,
                    "refused": server.refused,
                    "asked": dict(server.asked) if value == "all" else {},
                    "asks": sum(server.asked.values()),
                    "questions": len(server.asked),
                    "keys": dict(server.keys) if value == "all" else {},
                    "first": server.answered_at[0] if server.answered_at else 0.0,
                    "last": server.answered_at[-1] if server.answered_at else 0.0,
                }
                sys.stdout.write(json.dumps(seen) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
