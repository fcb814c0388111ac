"""The wall limit as a session keeps it, without a child: what is heard, what is extended, and where that ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from harness.sandbox import Limits
from harness.sandbox.jail.launch import Zygote
from harness.sandbox.judging import session
from harness.sandbox.judging.session import PATIENCE, Ended, Session

WALL_S = 100.0


class Idle:
    """A zygote whose child says nothing of its own."""

    launcher = 0

    def start(self, channel: socket.socket, pipe: int) -> None:
        self.channel, self.pipe = channel.dup(), os.dup(pipe)

    def cpu_s(self) -> float:
        return 0.1

    def close(self) -> None:
        self.channel.close()
        os.close(self.pipe)


@pytest.fixture
def late() -> Iterator[tuple[Session, Idle, list[float]]]:
    """Yield a session that is just past its wall limit, its zygote, and the moments at which it was extended."""
    zygote, extended = Idle(), list[float]()
    made = Session(cast(Zygote, zygote), Limits(), 5.0, WALL_S, lambda: extended.append(made.deadline - made.began))
    made.began -= WALL_S
    made.deadline = time.monotonic()
    made.next_look = made.began
    yield made, zygote, extended
    made.close()
    zygote.close()


def starved(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    def answer(*given: Any) -> float:
        return seconds

    monkeypatch.setattr(session, "starved_s", answer)


def test_an_answer_that_is_here_at_the_wall_limit_counts(late: tuple[Session, Idle, list[float]]) -> None:
    late[1].channel.send(b'["v", 2]\n')
    assert late[0].answer() == ["v", 2]


def test_a_program_that_only_waits_ends_at_its_wall_limit(
    late: tuple[Session, Idle, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    starved(monkeypatch, 0.0)
    with pytest.raises(Ended, match="wall limit of 100 s") as ended:
        late[0].answer()
    assert ended.value.doubtful and late[2] == []


def test_a_starved_program_gets_the_time_that_others_took(
    late: tuple[Session, Idle, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    starved(monkeypatch, 40.0)
    for _ in range(2):  # the first look is to hear what is here
        late[0].look_at_clocks()
        late[0].next_look = 0.0
    assert late[2] == [pytest.approx(WALL_S + 40.0)]


def test_no_program_stays_longer_than_a_multiple_of_its_wall_limit(
    late: tuple[Session, Idle, list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    starved(monkeypatch, 1e6)
    current = late[0]
    with pytest.raises(Ended, match="others on its core"):
        for _ in range(50):
            current.look_at_clocks()
            current.began -= WALL_S / 2  # time goes by
            current.deadline -= WALL_S / 2
            current.next_look = 0.0
    assert late[2] and max(late[2]) == pytest.approx(PATIENCE * WALL_S)
