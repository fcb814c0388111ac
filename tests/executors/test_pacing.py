"""One pace for all cells: together they take the endpoint's limits and no more, whoever asks; alone all of them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.executors import pacing
from harness.executors.pacing import Endpoint, Pacer, SharedPace, hired, share
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.pace import MARGIN, Pace
from harness.teachers.purse import Purse
from harness.teachers.settings import Teaching
from tests.executors.cluster import connected

LIMITED = Endpoint("http://there/v1", "m", "KEY", rpm=60 / MARGIN, tpm=0.0)  # a call a second
FREE = Endpoint("http://there/v1", "m", "KEY", rpm=0.0, tpm=0.0)


class Away(Exception):
    pass


class Actor:
    """Calls of the real pacer, in this process; none is answered while it is `away`."""

    def __init__(self, pacer: Pacer) -> None:
        self.away = False
        self.waited = 0.0  # seconds, for answers that did not come
        for name in ("slot", "refused", "answered"):
            setattr(self, name, SimpleNamespace(remote=self.call(getattr(pacer, name))))

    def call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *words: Away("lost") if self.away else method(*words)

    def get(self, reply: Any, timeout: float) -> Any:
        if isinstance(reply, Away):
            self.waited += timeout
            raise reply
        return reply


@pytest.fixture
def actor(monkeypatch: pytest.MonkeyPatch) -> Actor:
    found = Actor(Pacer(clock=lambda: 1000.0))
    ray = SimpleNamespace(get=found.get, exceptions=SimpleNamespace(RayError=Away))
    monkeypatch.setattr(pacing, "package", lambda: ray)
    return found


def test_cells_together_keep_to_the_limits_whoever_asks(actor: Actor) -> None:
    one, other = (SharedPace(actor, LIMITED, sharing=2) for _ in range(2))
    turns = [cell.slot(1, now=5.0) for cell in (one, one, one, other, one)]
    assert [later - turns[1] for later in turns[2:]] == pytest.approx([1.0, 2.0, 3.0])


def test_a_cell_that_asks_alone_has_the_whole_limit(actor: Actor) -> None:
    shared = SharedPace(actor, LIMITED, sharing=10)
    turns = [shared.slot(1, now=5.0) for _ in range(5)]
    assert turns[-1] - turns[1] == pytest.approx(3.0)  # at a tenth of the limits: 30


def test_a_refusal_pauses_the_other_cells_too(actor: Actor) -> None:
    one, other = (SharedPace(actor, FREE, sharing=2) for _ in range(2))
    one.refused(7.0, now=5.0)
    assert one.paused_until == pytest.approx(12.0)
    assert other.slot(1, now=50.0) == pytest.approx(57.0)


def test_limits_that_an_answer_states_hold_for_all_cells(actor: Actor) -> None:
    one, other = (SharedPace(actor, FREE, sharing=2) for _ in range(2))
    one.answered({"x-ratelimit-limit-requests": str(60 / MARGIN), "content-type": "json"}, now=5.0)
    turns = [other.slot(1, now=5.0) for _ in range(3)]
    assert turns[2] - turns[1] == pytest.approx(1.0)


def test_endpoints_have_a_pace_each(actor: Actor) -> None:
    SharedPace(actor, LIMITED, 1).refused(7.0, now=5.0)
    assert SharedPace(actor, FREE, 1).slot(1, now=5.0) == pytest.approx(5.0)


def test_without_the_actor_a_cell_keeps_to_its_share(actor: Actor) -> None:
    shared = SharedPace(actor, LIMITED, sharing=2)
    actor.away = True
    turns = [shared.slot(1, now=5.0) for _ in range(3)]
    assert turns[2] - turns[1] == pytest.approx(2.0)
    shared.refused(7.0, now=5.0)  # within a known limit, but not alone
    assert shared.paused_until == pytest.approx(12.0)


def test_an_actor_that_does_not_answer_holds_up_a_cell_once_a_minute(actor: Actor) -> None:
    shared = SharedPace(actor, LIMITED, sharing=2)
    actor.away = True
    for second in range(50):
        shared.slot(1, now=5.0 + second)
        shared.refused(0.1, now=5.0 + second)
    assert actor.waited == pacing.WAIT_S
    shared.slot(1, now=5.0 + pacing.ALONE_S)
    assert actor.waited == 2 * pacing.WAIT_S


def test_an_actor_that_is_back_is_asked_again_after_a_while(actor: Actor) -> None:
    shared = SharedPace(actor, FREE, sharing=2)
    actor.away = True
    shared.slot(1, now=5.0)
    actor.away = False
    SharedPace(actor, FREE, sharing=2).refused(200.0, now=5.0)  # which another cell tells
    assert shared.slot(1, now=6.0) == pytest.approx(6.0)
    assert shared.slot(1, now=5.0 + pacing.ALONE_S) == pytest.approx(265.0)


def test_a_pace_is_not_taken_once_calls_have_one() -> None:
    backend = OpenAIBackend(Teaching(name="openai", model="m", base_url="http://127.0.0.1:9/v1"), Purse(None))
    backend.opened()
    try:
        with pytest.raises(AssertionError, match="at a pace already"):
            backend.go_at(Pace())
    finally:
        backend.close()


@pytest.mark.slow
def test_cells_find_the_pace_on_a_cluster() -> None:
    with connected(0):
        settings = Teaching(name="openai", model="m", base_url="http://127.0.0.1:9/v1", rpm=60 / MARGIN)
        backends = [OpenAIBackend(settings, Purse(None), sharing=2) for _ in range(2)]
        with hired() as told:
            for backend in backends:
                share(told, cast("Any", SimpleNamespace(backend=backend)))  # all of a teacher that counts
            turns = [backend.pace.slot(1, now=0.0) for backend in (*backends, *backends)]
    assert 2.0 < turns[3] - turns[0] < 4.0  # a call a second of both, less the time between the questions
