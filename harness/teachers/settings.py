"""The keys of `teacher.*`: which teacher answers, how it is asked, and what it may cost; plain values only."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from harness.errors import ConfigError, suggest
from harness.teachers.requests import KINDS

BACKENDS = ("oracle", "openai", "local", "replay")
OPENAI_URL = "https://api.openai.com/v1"

Style = Literal["chat", "completion"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Teaching:
    """Who answers a recipe's requests. `teacher=NAME` sets `name`; other kinds may go to another one."""

    name: str = "oracle"  # oracle | openai | local | replay:RUN, also with a model: openai:MODEL[@URL], local:FOLDER
    errs: float = 0.0  # oracle: share of its solutions, repairs, faults, new problems and scores that are wrong
    varies: bool = False  # oracle: solutions drawn at a temperature differ in spelling
    model: str = ""  # openai: its name at the endpoint; local: a folder
    base_url: str = ""  # openai: where the API begins, ending in /v1; empty: the hosted API
    endpoint: str = ""  # a name for the server that stays when its address changes; empty: base_url
    key_env: str = "OPENAI_API_KEY"  # environment variable that holds the key; never the key itself
    style: Style = "chat"  # completion: for base models and servers without a chat template
    max_tokens: int = 1024  # of an answer; raised, it asks again only for answers that were cut
    top_p: float = 1.0  # of answers that are drawn
    several: int = 8  # draws of one question that one call asks for, where the endpoint honours `n`; 1: a call for each
    logprobs: bool = False  # openai: keep the log-probabilities of answers' tokens; another question than without
    parse_retries: int = 2  # further draws for an answer that cannot be read, before it counts as unparsed
    prompts: str = ""  # folder of prompt files of one's own; see docs/teachers.md
    prices: str = ""  # file of prices of one's own
    again: int = 0  # raise it to ask quarantined requests once more
    concurrency: int = 16  # calls in flight, of each cell
    rpm: float = 0.0  # requests per minute, all cells together; 0: what the endpoint's headers say
    tpm: float = 0.0  # tokens per minute, all cells together; 0: what the endpoint's headers say
    timeout_s: float = 120.0  # of one call, from the first byte sent to the last received
    patience_s: float = 3600.0  # how long an outage may last before the run stops; it can go on later
    tries: int = 5  # of one call that fails while others are answered, before it is quarantined
    device: Literal["cpu", "cuda"] = "cpu"  # local: where it runs
    dtype: Dtype = "auto"  # local: number format of the weights
    quantised: Literal["no", "int8", "int4"] = "no"  # local: weights of fewer bits, on a GPU, with bitsandbytes
    process: Literal["same", "own"] = "same"  # local: in the cell's process, or in one of its own
    solve: str = ""  # another teacher for this kind of request, written as `name` is: who solves
    corrupt: str = ""  # another teacher: who writes faulty programs
    refine: str = ""  # another teacher: who repairs
    pose: str = ""  # another teacher: who writes problems
    judge: str = ""  # another teacher: who scores by the rubric
    rate: str = ""  # another teacher: who rates two answers side by side
    tests: str = ""  # another teacher: who writes example calls

    @property
    def label(self) -> str:
        """The name in tables and errors: `openai:MODEL`, and who else answers what."""
        whole = f"{self.name}:{self.model}" if self.model and ":" not in self.name else self.name
        others = [f"{kind}={getattr(self, kind)}" for kind in KINDS if getattr(self, kind)]
        return " ".join([whole, *others, *habits(self.errs, self.varies)])


def habits(errs: float, varies: bool) -> list[str]:
    """Return how the oracle differs from one that never errs nor varies, as names of teachers tell it."""
    return [*([f"errs={errs}"] if errs else []), *(["varies=true"] if varies else [])]


# What changes how fast or how patiently answers come, and no answer: left out of a run's identity.
NOT_ANSWERS = ("key_env", "concurrency", "rpm", "tpm", "timeout_s", "patience_s", "prices", "process")


def one_teacher(settings: Teaching, kind: str = "") -> Teaching:
    """Return the settings of the teacher that answers a kind (empty: of the main one), its name taken apart.

    Raises ConfigError for a name that no teacher bears, and for keys that cannot be.
    """
    spec = getattr(settings, kind) if kind else settings.name
    key = f"teacher.{kind}" if kind else "teacher"
    backend, _, rest = spec.partition(":")
    if backend not in BACKENDS:
        raise ConfigError(
            f"{key}={spec}: no such teacher{suggest(backend, BACKENDS)}. Teachers: oracle, openai:MODEL[@URL], "
            "local:FOLDER, replay:RUN."
        )
    chosen = dataclasses.replace(settings, name=backend, **dict.fromkeys(KINDS, ""))
    if kind and settings.name.partition(":")[0] != backend:
        chosen = dataclasses.replace(chosen, model="", base_url="", endpoint="")
    if backend != "oracle":
        chosen = dataclasses.replace(chosen, errs=0.0, varies=False)
    if backend == "openai":
        model, _, url = rest.partition("@")
        chosen = dataclasses.replace(chosen, model=model or chosen.model, base_url=url or chosen.base_url or OPENAI_URL)
        check_openai(chosen, key)
    elif backend in ("local", "replay"):
        chosen = dataclasses.replace(chosen, model=rest or chosen.model)
        if not chosen.model:
            raise ConfigError(f"{key}={spec}: {HINTS[backend]}")
    elif rest:
        raise ConfigError(f"{key}={spec}: the oracle has no models. Say {key}=oracle.")
    return chosen


HINTS = {
    "local": "which model? Say teacher=local:FOLDER, a folder that save_pretrained wrote.",
    "replay": "which run? Say teacher=replay:RUN, the folder of a finished run.",
}


def check_openai(settings: Teaching, key: str) -> None:
    """Raise ConfigError for an endpoint that cannot be asked."""
    if not settings.model:
        raise ConfigError(f"{key}=openai: which model? Say {key}=openai:MODEL, as the endpoint names it.")
    parts = urlsplit(settings.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"teacher.base_url={settings.base_url}: not an address. Expected http:// or https://, a host and a path, "
            f"as {OPENAI_URL} or http://localhost:8000/v1."
        )
    if parts.username or parts.password or parts.query:
        raise ConfigError(
            "teacher.base_url: it holds a user, a password or a query, which would be written into files. Put the key "
            f"into the environment variable {settings.key_env} and leave it out of the address."
        )


def habits_that_cannot_be(settings: Teaching) -> list[str]:
    """Return what is wrong with `errs` and `varies`."""
    problems: list[str] = []
    if not 0 <= settings.errs <= 1:
        problems.append(f"teacher.errs={settings.errs}: expected a share from 0 to 1.")
    asked = [settings.name, *(getattr(settings, kind) for kind in KINDS)]
    named = [f"teacher.{word}" for word in habits(settings.errs, settings.varies)]
    if named and "oracle" not in asked:
        problems.append(
            f"{' '.join(named)}: only the embedded teacher errs and varies as told, and nobody is asked but "
            f"{' and '.join(dict.fromkeys(one for one in asked if one))}. Say teacher=oracle, or leave that out."
        )
    return problems


def check(settings: Teaching) -> list[str]:
    """Return what is wrong with the values of `teacher.*`, whoever answers."""
    problems: list[str] = []
    for name in ("max_tokens", "several", "concurrency", "timeout_s", "patience_s", "tries"):
        if not getattr(settings, name) > 0:
            problems.append(f"teacher.{name}={getattr(settings, name)}: expected a number above 0.")
    for name in ("rpm", "tpm", "parse_retries", "again"):
        if not getattr(settings, name) >= 0:
            problems.append(f"teacher.{name}={getattr(settings, name)}: expected 0 or more.")
    problems += habits_that_cannot_be(settings)
    if not 0 < settings.top_p <= 1:
        problems.append(f"teacher.top_p={settings.top_p}: expected above 0, at most 1.")
    if settings.key_env and not settings.key_env.replace("_", "a").isalnum():
        problems.append(
            f"teacher.key_env: expected the name of an environment variable, as OPENAI_API_KEY; found "
            f"{len(settings.key_env)} characters that are none. The key itself never stands on the command line."
        )
    for kind in ("", *KINDS):
        if not kind or getattr(settings, kind):
            try:
                one_teacher(settings, kind)
            except ConfigError as err:
                problems += err.problems
    return list(dict.fromkeys(problems))
