"""How answers are drawn and what an answer is; plain values, no torch, so that a stored answer costs no import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import ConfigError


@dataclass(frozen=True)
class Decoding:
    """How to draw. `n` is for the caller, who lays n samples of a problem out as n rows, each with its own seed."""

    temperature: float = 0.0  # 0 is greedy
    top_p: float = 1.0  # smallest set of tokens that holds this share of probability
    max_new_tokens: int = 96  # the end token included
    stop: tuple[str, ...] = ()  # an answer ends before the first of these
    n: int = 1  # samples per problem

    def __post_init__(self) -> None:
        problems: list[str] = []
        if not 0 <= self.temperature < float("inf"):
            problems.append(f"temperature={self.temperature}: expected 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            problems.append(f"top_p={self.top_p}: expected above 0, at most 1")
        if self.max_new_tokens < 1:
            problems.append(f"max_new_tokens={self.max_new_tokens}: expected 1 or more")
        if self.n < 1:
            problems.append(f"n={self.n}: expected 1 or more")
        if self.n > 1 and self.temperature == 0:
            problems.append(f"n={self.n} at temperature=0 draws the same answer {self.n} times; set a temperature")
        if "" in self.stop:
            problems.append("stop holds an empty string, which would end every answer before it starts")
        if problems:
            raise ConfigError(problems)


@dataclass(frozen=True)
class Generation:
    """One answer. `context`: the prompt left no room to answer, and the text is empty."""

    text: str
    finish_reason: Literal["stop", "length", "context"]
    tokens: int  # generated, the end token included
    prompt_tokens: int  # the begin token included
