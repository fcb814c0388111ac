"""What a language model's answers will cost, from the prompts that a rehearsal would send and some real answers' sizes.

Without real answers the sizes are assumptions, stated with the result. Nothing is sent from here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.store.keys import digest
from harness.teachers.base import Teacher
from harness.teachers.composed import Composed
from harness.teachers.model import ModelTeacher
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.prices import Price
from harness.teachers.requests import Answer, Request

BYTES_PER_TOKEN = 3.5  # of a prompt of English and Python; assumed until real answers say
TOKENS_OUT = 300.0  # of an answer; assumed until real answers say


@dataclass(frozen=True)
class Asked:
    """One call that a run would make: enough to price it, and to ask it as a sample."""

    teacher: ModelTeacher
    request: Request
    seed: int
    bytes_in: int
    most_tokens_in: int

    @property
    def group(self) -> tuple[str, str]:
        """Return what calls of like size have in common: teacher and kind of request."""
        return self.teacher.name, self.request.kind


@dataclass(frozen=True)
class Size:
    """How large a group's calls are, as a few real ones showed."""

    bytes_per_token: float
    tokens_out: float  # of all draws that one answer took


@dataclass(frozen=True)
class Money:
    """What calls will cost: the expected sum, and the most that it can be.

    At most, every byte of a prompt is a token, and every answer is as long as allowed and drawn as often as allowed.
    """

    calls: int  # different requests; further draws of an unreadable answer are in the money alone
    usd: float
    most_usd: float
    unpriced: int  # calls at a teacher without a known price


def asked(teacher: Teacher, request: Request, seed: int) -> dict[str, Asked]:
    """Return the call that a request needs, by the hash of all that determines it; none if no model is asked."""
    member = teacher.member(request) if isinstance(teacher, Composed) else teacher
    if not isinstance(member, ModelTeacher):
        return {}
    call = member.call(request, seed)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for _, text in call.messages)
    return {digest([member.backend.identity, call.content()]): Asked(member, request, seed, size, call.most_tokens_in)}


def samples(calls: Iterable[Asked], count: int) -> list[Asked]:
    """Return the first few calls of every group."""
    found: dict[tuple[str, str], list[Asked]] = defaultdict(list)
    for one in calls:
        if len(found[one.group]) < count:
            found[one.group].append(one)
    return [one for group in found.values() for one in group]


def sizes(sampled: Sequence[Asked], answers: Sequence[Answer]) -> dict[tuple[str, str], Size]:
    """Return how large each group's calls are, from real answers to a sample of them."""
    groups: dict[tuple[str, str], list[tuple[Asked, Answer]]] = defaultdict(list)
    for one, answer in zip(sampled, answers, strict=True):
        if answer.tokens_in:
            groups[one.group].append((one, answer))
    return {
        group: Size(
            sum(one.bytes_in for one, _ in own) / sum(answer.tokens_in for _, answer in own),
            sum(answer.tokens_out for _, answer in own) / len(own),
        )
        for group, own in groups.items()
    }


def money(calls: Iterable[Asked], known: Mapping[tuple[str, str], Size]) -> Money:
    """Return what calls will cost that nobody has asked yet."""
    count = unpriced = 0
    usd = most = 0.0
    for one in calls:
        count += 1
        price = price_of(one.teacher)
        if price is None:
            unpriced += isinstance(one.teacher.backend, OpenAIBackend)
            continue
        size = known.get(one.group, Size(BYTES_PER_TOKEN, TOKENS_OUT))
        tokens_in = round(one.bytes_in / size.bytes_per_token)
        limit, draws = one.teacher.settings.max_tokens, 1 + one.teacher.settings.parse_retries
        usd += price.usd(tokens_in, 0, round(min(size.tokens_out, limit * draws)))
        most += price.usd(one.most_tokens_in, 0, limit) * draws
    return Money(count, usd, most, unpriced)


def price_of(teacher: ModelTeacher) -> Price | None:
    return teacher.backend.purse.price if isinstance(teacher.backend, OpenAIBackend) else None
