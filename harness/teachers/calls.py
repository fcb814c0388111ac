"""One call of a language model and its reply, as plain data: what is asked, what came back, what it cost."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from harness.store.keys import Json

Finish = Literal["stop", "length", "filtered", "quarantined"]
FINISHES: tuple[Finish, ...] = ("stop", "length", "filtered", "quarantined")


@dataclass(frozen=True)
class Call:
    """One question to a model. Two calls of equal content are the same step, whoever makes them."""

    messages: tuple[tuple[str, str], ...]  # (role, text)
    temperature: float
    top_p: float
    seed: int | None  # of the draw; None where nothing is drawn
    draw: int  # further draws of the same question: its index and its retries
    max_tokens: int  # no part of the key: a longer answer serves a shorter limit too
    stop: tuple[str, ...] = ()
    beyond: int = 0  # asked again because this many tokens had cut the answer
    again: int = 0  # asked again because it had been quarantined
    logprobs: bool = False  # with the log-probabilities of its tokens
    key: str = ""  # of its step; also the idempotency key

    def content(self) -> Json:
        """Return all that determines the reply beside the model."""
        return {
            "messages": [list(one) for one in self.messages],
            "temperature": float(self.temperature),
            "top_p": float(self.top_p),
            "seed": self.seed,
            "draw": self.draw,
            "stop": list(self.stop),
            **({"beyond": self.beyond} if self.beyond else {}),
            **({"again": self.again} if self.again else {}),
            **({"logprobs": True} if self.logprobs else {}),
        }

    @property
    def question(self) -> Call:
        """What further draws of it have in common."""
        return replace(self, seed=None, draw=0, key="")

    @property
    def most_tokens_in(self) -> int:
        """An upper bound of its prompt's tokens: no tokenizer makes more of them than there are bytes."""
        return sum(len(text.encode("utf-8", "surrogatepass")) + 16 for _, text in self.messages)


@dataclass(frozen=True)
class Reply:
    """What came back for a call. `quarantined`: the server refused this one call; `reason` says how."""

    text: str
    finish: Finish
    tokens_in: int
    tokens_cached: int  # of tokens_in, billed at the cached rate
    tokens_out: int
    usd: float
    max_tokens: int  # that the call allowed
    tries: int = 1  # requests that it took, failed ones included; 0: it came with another draw's
    reason: str = ""
    prices: str = ""  # hash of the price table that `usd` rests on; empty: unpriced
    without: tuple[str, ...] = ()  # parameters of the call that the endpoint refused, so that it was answered without
    logprobs: tuple[float, ...] = ()  # of its tokens, in nats, where the call asked for them and the server has them

    def to_json(self) -> dict[str, Json]:
        told = dataclasses.asdict(self)
        for name in LISTS:
            del told[name]
            if getattr(self, name):
                told[name] = list(getattr(self, name))
        return told


LISTS = ("without", "logprobs")  # fields of a reply that are mostly empty, and left out of its JSON then


def reply_from_json(data: dict[str, Any]) -> Reply:
    """Return the reply that `to_json` wrote."""
    lists: dict[str, Any] = {name: tuple(data.get(name, ())) for name in LISTS}
    return Reply(**{**data, **lists})


def together(calls: Sequence[Call], most: int) -> list[list[int]]:
    """Return the positions of calls that can be one: draws of the same question, at most so many at a time."""
    groups: defaultdict[Call | int, list[int]] = defaultdict(list)
    for place, call in enumerate(calls):
        drawn = call.temperature > 0 and most > 1
        groups[call.question if drawn else place].append(place)
    return [group[start : start + most] for group in groups.values() for start in range(0, len(group), most)]


class Backend(Protocol):
    """What sends calls to a model. It knows neither requests nor prompts."""

    @property
    def identity(self) -> dict[str, Json]:
        """What determines replies beside the call: the model and where it is asked."""
        ...

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        """Yield (position, reply) for every call, in any order.

        Raises TeacherError where the endpoint cannot be used, BudgetError before a call that may exceed the cap.
        """
        ...

    def committed(self, keys: Sequence[str]) -> None:
        """Be told that these calls' replies have reached the store."""
        ...

    def close(self) -> None:
        """Give back connections and processes."""
        ...
