"""A language model as teacher: renders requests as calls and reads replies as answers. Who sends calls is a backend's.

An answer that cannot be read is drawn again, a stated number of times; one that a smaller limit had cut is asked again
with the larger one; one that was quarantined only where the user says so. All replies are steps of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from harness.store.database import Record
from harness.store.keys import Json, digest
from harness.store.steps import Compute, Payload, Step
from harness.teachers import parsing
from harness.teachers.calls import Backend, Call, Reply, reply_from_json
from harness.teachers.prompts import Prompts
from harness.teachers.requests import (
    KINDS,
    Answer,
    Corrupt,
    Judge,
    Pose,
    Rate,
    Refine,
    Request,
    Solve,
    Tests,
)
from harness.teachers.settings import Teaching

REPLIES = 1  # code version: raise it when an equal call would be sent in another way
POSING, DRAWING = 1.0, 0.7  # temperatures: of new problems, and of every other draw beyond the first


class RunStep(Protocol):
    """Runs a step's items that are not recorded, and returns the records of all."""

    def __call__(
        self, step: Step, items: Sequence[Json], compute: Compute, *, committed: Callable[[list[str]], None]
    ) -> list[Record]: ...


@dataclass
class Conversation:
    """One request on its way to an answer: the replies so far, those that a later one replaced left out."""

    request: Request
    replies: list[Reply] = field(default_factory=list[Reply])
    beyond: int = 0
    again: int = 0
    last: Record | None = None
    done: bool = False


class ModelTeacher:
    """A teacher that is a language model behind a backend."""

    version = 1

    def __init__(
        self, settings: Teaching, prompts: Prompts, backend: Backend, stops: Sequence[str] = (), *, draws: bool = True
    ) -> None:
        self.settings, self.prompts, self.backend = settings, prompts, backend
        self.draws = draws  # False: a probe found that every draw of a question is the same, so each is asked once
        self.stops = tuple(stops) if settings.style == "completion" else ()
        self.name = settings.label

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset(KINDS)

    def serves(self, source: str) -> frozenset[str]:
        """Return all kinds: a model can be asked about any problem."""
        del source
        return self.capabilities

    def close(self) -> None:
        self.backend.close()

    def call(self, request: Request, seed: int, attempt: int = 0) -> Call:
        """Render a request as the call of its attempt-th draw."""
        template = self.prompts.template(request.kind)
        messages = template.render({**fields(request), "style": self.settings.style})
        temperature = warmth(request) if attempt == 0 else max(DRAWING, warmth(request))
        draw = request.index * (self.settings.parse_retries + 1) + attempt
        drawn = temperature > 0 and self.draws
        return Call(
            messages,
            temperature,
            self.settings.top_p if temperature > 0 else 1.0,
            int(digest([seed, draw])[:7], 16) if drawn else None,
            draw if drawn else 0,
            self.settings.max_tokens,
            self.stops if isinstance(request, Solve) else (),
            logprobs=self.settings.logprobs,
        )

    def read(self, request: Request, replies: Sequence[Reply]) -> Answer:
        """Read the last of a request's replies; tokens and money are those of all of them."""
        reply = replies[-1]
        continues = self.settings.style == "completion" and isinstance(request, Solve)
        if reply.finish == "quarantined":
            parsed, fault, reason = parsing.Parsed(), "quarantined", reply.reason
        elif reply.finish == "filtered":
            parsed, fault, reason = parsing.Parsed(), "refused", "the endpoint's content filter held the answer back"
        else:
            parsed = parsing.read_answer(request, reply.text, continues=continues, source=self.name, stops=self.stops)
            cut = reply.finish == "length" and parsed.fault
            fault = "truncated" if cut else parsed.fault
            reason = f"cut after {reply.tokens_out} tokens; raise teacher.max_tokens" if cut else parsed.reason
        return Answer(
            request.kind,
            reply.text,
            parsed.code,
            parsed.problem,
            parsed.scores,
            sum(one.tokens_in for one in replies),
            sum(one.tokens_out for one in replies),
            sum(one.usd for one in replies),
            reply.finish,
            reason,
            checks=parsed.checks,
            fault=fault,
            calls=len(replies),
            without=tuple(name for one in replies for name in one.without),
            logprobs=reply.logprobs,
            unpriced=sum(not one.prices for one in replies) if self.backend.identity["backend"] == "openai" else 0,
        )

    def answer(self, requests: Sequence[Request], seed: int) -> Iterator[tuple[int, Answer]]:
        """Yield an answer for every request without recording any; `ask` is for everything but a try."""
        talks = [Conversation(request) for request in requests]
        while waiting := [place for place, talk in enumerate(talks) if not talk.done]:
            calls = [self.next_call(talks[place], seed) for place in waiting]
            for position, reply in self.backend.send(calls):
                self.take(talks[waiting[position]], reply)
        for place, talk in enumerate(talks):
            yield place, self.read(talk.request, talk.replies)

    def ask(self, run: RunStep, requests: Sequence[Request], seed: int) -> tuple[list[Answer], list[Record]]:
        """Return an answer and the last record of every request, asking only for what is not recorded."""
        talks = [Conversation(request) for request in requests]
        step = Step("answers", REPLIES, self.backend.identity)
        while waiting := [talk for talk in talks if not talk.done]:
            calls = [self.next_call(talk, seed) for talk in waiting]
            keyed = [replace(call, key=step.key(call.content())) for call in calls]

            def compute(todo: list[int], keyed: list[Call] = keyed) -> Iterator[tuple[int, Payload]]:
                for position, reply in self.backend.send([keyed[index] for index in todo]):
                    yield todo[position], reply.to_json()

            contents = [call.content() for call in calls]
            records = run(step, contents, compute, committed=self.backend.committed)
            for talk, record in zip(waiting, records, strict=True):
                talk.last = record
                self.take(talk, reply_from_json(record.payload))
        answers = [self.read(talk.request, talk.replies) for talk in talks]
        return answers, [talk.last for talk in talks if talk.last is not None]

    def next_call(self, talk: Conversation, seed: int) -> Call:
        return replace(self.call(talk.request, seed, len(talk.replies)), beyond=talk.beyond, again=talk.again)

    def take(self, talk: Conversation, reply: Reply) -> None:
        """Take a reply in: the conversation is done, or goes on with another call."""
        if reply.finish == "length" and reply.max_tokens < self.settings.max_tokens:
            talk.beyond = reply.max_tokens
            return
        if reply.finish == "quarantined" and talk.again < self.settings.again:
            talk.again += 1
            return
        talk.beyond = talk.again = 0
        talk.replies.append(reply)
        fault = self.read(talk.request, talk.replies).fault
        talk.done = fault != "unparsed" or len(talk.replies) > self.settings.parse_retries or not self.draws


def warmth(request: Request) -> float:
    """Return the temperature of a request's first draw."""
    match request:
        case Solve():
            return request.temperature
        case Pose():
            return POSING
        case _:
            return DRAWING if request.drawn else 0.0


def fields(request: Request) -> dict[str, str]:
    """Return the texts that a prompt file may use, by name; prompts.FIELDS lists the names."""
    match request:
        case Solve():
            return {**about(request), "shots": request.shots}
        case Corrupt():
            return {**about(request), "correct": request.correct.rstrip("\n"), "fault": request.fault}
        case Refine():
            texts = {"attempt": whole(request.problem.prompt, request.attempt), "feedback": request.feedback}
            explain = "yes" if request.explain else ""
            return {**about(request), **texts, "direct": request.direct.rstrip("\n"), "explain": explain}
        case Pose():
            like = request.like.prompt.rstrip("\n") if request.like else ""
            return {"like": like, "mode": request.mode, "snippet": request.snippet.rstrip("\n")}
        case Judge():
            return {"prompt": about(request)["prompt"], "attempt": whole(request.problem.prompt, request.attempt)}
        case Rate():
            first, second = (whole(request.problem.prompt, one) for one in (request.first, request.second))
            return {"prompt": about(request)["prompt"], "first": first, "second": second}
        case Tests():
            return about(request)


def about(request: Solve | Corrupt | Refine | Judge | Rate | Tests) -> dict[str, str]:
    return {"prompt": request.problem.prompt.rstrip("\n"), "entry_point": request.problem.entry_point}


def whole(prompt: str, attempt: str) -> str:
    """Return an attempt as a whole program: a completion is joined to its prompt."""
    joined = prompt + attempt if attempt[:1] in (" ", "\t", "\n") else attempt
    return joined.rstrip("\n")
