"""Whether prompts and answers fit into a model's context, as far as that is known before a call is sent. Sends none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import ConfigError
from harness.teachers.calls import Call
from harness.teachers.dispatch import TOLERATED, TOLERATED_SHARE
from harness.teachers.estimate import BYTES_PER_TOKEN, Asked

MOST_BYTES = 8.0  # of a token, on the average of a prompt: no tokenizer has longer ones for English and code
ROOMY = 8192  # tokens for a prompt: those of benchmarks and of the embedded world have about 1,000


@dataclass(frozen=True)
class Room:
    """How much a model holds, in tokens."""

    tokens: int  # prompt and answer together
    answer: int  # of these that every call keeps for its answer
    count: Callable[[Call], int] | None = None  # a prompt's tokens, where the tokenizer is at hand

    @property
    def prompt(self) -> int:
        return self.tokens - self.answer

    @property
    def ample(self) -> bool:
        """Whether no usual prompt can be too large."""
        return self.prompt >= ROOMY


def crowding(name: str, calls: Sequence[Asked], room: Room) -> list[str]:
    """Return what is to be told of the calls that a run would make of one teacher: that some may not fit.

    Raises ConfigError where so many cannot fit that the run would be stopped.
    """
    doubtful = [one for one in calls if one.most_tokens_in > room.prompt]  # for no token is less than a byte
    least = {place: tokens(one, room, MOST_BYTES) for place, one in enumerate(doubtful)}
    wrong = [count for count in least.values() if count > room.prompt]
    kept = f", {room.answer} of them kept for the answer (teacher.max_tokens)" if room.answer > 1 else ""
    about = "" if room.count else "at least "
    if wrong:
        said = (
            f"teacher={name}: {len(wrong)} of {len(calls)} prompts do not fit into the {room.tokens} tokens that the "
            f"model holds{kept}; the longest has {about}{max(wrong)}"
        )
        if len(wrong) > max(TOLERATED, TOLERATED_SHARE * len(calls)):
            lower = "Lower teacher.max_tokens, or take" if room.answer > 1 else "Take"
            raise ConfigError(f"{said}. {lower} a model, or serve this one, with a larger context.")
        return [f"{said}; they will be quarantined"]
    likely = [count for one in doubtful if (count := tokens(one, room, BYTES_PER_TOKEN)) > room.prompt]
    if not likely:
        return []
    return [
        f"teacher={name}: {len(likely)} of {len(calls)} prompts may not fit into the {room.tokens} tokens that the "
        f"model holds{kept}; the longest has about {max(likely)}"
    ]


def tokens(one: Asked, room: Room, bytes_per_token: float) -> int:
    """Return the tokens of a call's prompt: counted where that can be, else reckoned from its bytes."""
    if room.count is not None:
        return room.count(one.teacher.call(one.request, one.seed))
    return int(one.bytes_in / bytes_per_token)
