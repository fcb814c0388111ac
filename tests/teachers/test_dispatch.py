"""Calls to a real server on loopback that limits, fails, hangs, cuts and talks nonsense: all are answered rightly."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.stub_server import FAULTS, KEY, Behaviour, Server, digest
from harness.errors import BudgetError, TeacherError
from harness.store.database import Store
from harness.store.ledger import Ledger
from harness.teachers.calls import Call, Reply, reply_from_json
from harness.teachers.dispatch import Exchanged
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.prices import Price
from harness.teachers.purse import Purse
from harness.teachers.settings import Teaching


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr("harness.teachers.dispatch.FIRST_S", 0.05)  # pauses grow as they do, from a shorter one


def calls(count: int, word: str = "question") -> list[Call]:
    return [Call((("user", f"{word} {i}"),), 0.0, 1.0, None, 0, 64, key=f"{word}-{i}") for i in range(count)]


def settings(server: Server, **more: object) -> Teaching:
    given: dict[str, object] = {"concurrency": 32, "timeout_s": 5.0, **more}
    return Teaching(name="openai", model="stub", base_url=server.url, **given)  # type: ignore[arg-type]


def send(backend: OpenAIBackend, asked: list[Call]) -> dict[int, Reply]:
    try:
        return dict(backend.send(asked))
    finally:
        backend.close()


def right(asked: list[Call], found: dict[int, Reply]) -> bool:
    return len(found) == len(asked) and all(
        digest(call.messages[0][1]) in found[place].text for place, call in enumerate(asked)
    )


def faults_of(server: Server, asked: list[Call]) -> dict[str, int]:
    return {call.key: 1 + len(server.faults_of(call.messages[0][1])) for call in asked}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_call_that_fails_is_asked_again_as_often_as_it_fails_and_no_more(fault: str) -> None:
    with Server(Behaviour(faulty=0.4, faults=(fault,), most_faults=2, hang_s=30.0)) as server:
        asked, short = calls(24), 1.0 if fault in ("hang", "drip") else 5.0
        assert right(asked, send(OpenAIBackend(settings(server, tries=6, timeout_s=short), Purse(None)), asked))
        assert dict(server.keys) == faults_of(server, asked)
        assert max(server.keys.values()) > 1, "no fault was met"


def test_a_mixture_of_all_faults_leaves_every_answer_right() -> None:
    with Server(Behaviour(faulty=0.1, hang_s=30.0, seed=3)) as server:
        asked = calls(150)
        assert right(asked, send(OpenAIBackend(settings(server, tries=6, timeout_s=2.0), Purse(None)), asked))
        assert dict(server.keys) == faults_of(server, asked)


def test_many_calls_are_in_flight_at_once_up_to_the_limit() -> None:
    with Server(Behaviour(latency_s=0.1)) as server:
        began = time.monotonic()
        send(OpenAIBackend(settings(server, concurrency=8), Purse(None)), calls(32))
        assert server.most_in_flight == 8
        assert time.monotonic() - began < 32 * 0.1


def test_the_limit_that_headers_state_is_kept_without_refusals() -> None:
    with Server(Behaviour(rate=40, burst=10)) as server:
        asked = calls(110)
        assert right(asked, send(OpenAIBackend(settings(server), Purse(None)), asked))
        seconds = server.answered_at[-1] - server.answered_at[10]
        assert server.refused <= 50  # the first ones, before a header was seen, and a few of a loaded machine
        assert 99 / seconds > 0.8 * 40  # bench/teachers.py measures it on an idle machine


def test_an_unstated_limit_is_found_out() -> None:
    with Server(Behaviour(rate=40, burst=5, states_limit=False)) as server:
        asked = calls(80)
        assert right(asked, send(OpenAIBackend(settings(server), Purse(None)), asked))
        assert server.refused < 2 * len(asked)


def test_a_given_limit_is_kept() -> None:
    with Server() as server:
        began = time.monotonic()
        send(OpenAIBackend(settings(server, rpm=3000), Purse(None)), calls(60))
        assert time.monotonic() - began > 0.8  # 50 a second, a quarter of a second's burst


def test_an_outage_pauses_and_the_calls_go_on() -> None:
    with Server(Behaviour(latency_s=0.02)) as server:
        asked, backend = calls(200), OpenAIBackend(settings(server, concurrency=8), Purse(None))
        found: dict[int, Reply] = {}
        for place, reply in backend.send(asked):
            found[place] = reply
            if len(found) == 40:
                server.die_for(0.8)
        backend.close()
        assert right(asked, found)
        assert sum(server.keys.values()) <= 200 + 8  # only what was in flight when it died


def test_an_outage_beyond_patience_is_an_error_and_no_answer() -> None:
    with Server() as server:
        pass
    with pytest.raises(TeacherError, match=r"no answer for .*patience_s=0\.3.*not asked again"):
        send(OpenAIBackend(settings(server, patience_s=0.3), Purse(None)), calls(5))


def test_a_poisoned_request_is_quarantined_and_the_others_are_answered() -> None:
    with Server(Behaviour(poisoned="poison")) as server:
        asked = [*calls(30), *calls(1, "poison")]
        found = send(OpenAIBackend(settings(server, tries=3), Purse(None)), asked)
        assert found[30].finish == "quarantined"
        assert "HTTP 500" in found[30].reason
        assert right(asked[:30], {place: reply for place, reply in found.items() if place < 30})


def test_a_poisoned_request_alone_is_told_from_an_outage() -> None:
    with Server(Behaviour(poisoned="poison")) as server:
        found = send(OpenAIBackend(settings(server, tries=3), Purse(None)), calls(1, "poison"))
        assert found[0].finish == "quarantined"


def test_a_server_that_answers_every_call_with_an_error_is_an_outage() -> None:
    with Server(Behaviour(always="500")) as server, pytest.raises(TeacherError, match="no answer for"):
        send(OpenAIBackend(settings(server, patience_s=0.5, tries=2), Purse(None)), calls(10))


def test_calls_go_on_while_their_replies_are_committed() -> None:
    with Server(Behaviour(latency_s=0.3)) as server:
        asked, backend = calls(24), OpenAIBackend(settings(server, concurrency=8, timeout_s=1.0), Purse(None))
        found: dict[int, Reply] = {}
        for place, reply in backend.send(asked):
            found[place] = reply
            if len(found) == 1:
                time.sleep(1.5)  # as a store does whose lock another process holds
                assert 8 < server.served <= 8 + 16  # not more ahead than there are calls at a time
        backend.close()
        assert right(asked, found)
        assert set(server.keys.values()) == {1}  # none ran out of time meanwhile, to be paid twice


def test_replies_that_nobody_takes_any_more_end_the_calls() -> None:
    with Server(Behaviour(latency_s=0.05)) as server:
        backend = OpenAIBackend(settings(server, concurrency=4), Purse(None))
        replies = backend.send(calls(100))
        assert isinstance(replies, Generator)
        next(replies)
        replies.close()
        asked = sum(server.asked.values())
        time.sleep(0.2)
        assert sum(server.asked.values()) == asked < 20
        backend.close()


@pytest.mark.parametrize("behaviour", [Behaviour(context=5), Behaviour(always="too-large")], ids=["model", "account"])
def test_a_call_that_is_too_large_is_quarantined_at_once_and_says_what_to_change(behaviour: Behaviour) -> None:
    with Server(behaviour) as server:
        found = send(OpenAIBackend(settings(server), Purse(None)), calls(2))
        assert {reply.finish for reply in found.values()} == {"quarantined"}
        assert all("lower teacher.max_tokens=1024, or take a model" in reply.reason for reply in found.values())
        assert set(server.keys.values()) <= {1}


def test_many_rejected_calls_stop_the_run_and_none_is_recorded() -> None:
    with Server(Behaviour(context=5)) as server:
        found: list[int] = []
        backend = OpenAIBackend(settings(server), Purse(None))
        with pytest.raises(TeacherError, match="maximum context length"):
            found += [place for place, _ in backend.send(calls(40))]
        backend.close()
        assert not found


def test_a_retry_after_longer_than_patience_stops_the_run_at_once() -> None:
    with Server(Behaviour(always="429-after", retry_after="7200")) as server:
        began = time.monotonic()
        with pytest.raises(TeacherError, match="asks to wait 7"):
            send(OpenAIBackend(settings(server, patience_s=60), Purse(None)), calls(3))
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("always", "said"),
    [
        ("quota", "no credit left.*not asked again"),
        ("401", "the key in OPENAI_API_KEY is not accepted"),
        ("404", "no model stub there, or no such API"),
    ],
)
def test_an_endpoint_that_can_never_answer_stops_the_run_at_once(always: str, said: str) -> None:
    with Server(Behaviour(always=always)) as server:
        with pytest.raises(TeacherError, match=said):
            send(OpenAIBackend(settings(server, concurrency=2), Purse(None)), calls(50))
        assert sum(server.asked.values()) <= 4


def test_a_filtered_answer_is_told_as_such_and_not_asked_again() -> None:
    with Server(Behaviour(always="filter")) as server:
        found = send(OpenAIBackend(settings(server), Purse(None)), calls(2))
        assert {reply.finish for reply in found.values()} == {"filtered"}
        assert set(server.keys.values()) == {1}


def test_a_key_that_a_server_echoes_is_cut_out_of_answers_and_errors() -> None:
    with Server(Behaviour(say=lambda question, body: f"your key is {KEY}")) as server:
        assert send(OpenAIBackend(settings(server), Purse(None)), calls(1))[0].text == "your key is ***"
    with Server(Behaviour(key="another")) as server:  # its 401 repeats the key that it was given
        with pytest.raises(TeacherError) as told:
            send(OpenAIBackend(settings(server), Purse(None)), calls(1))
        assert "***" in str(told.value)
        assert KEY not in str(told.value)


def test_what_is_in_flight_is_answered_before_an_error_is_raised() -> None:
    class Wrong(OpenAIBackend):
        async def exchange(self, calls: Sequence[Call]) -> Exchanged:
            if calls[0].key == "question-3":
                raise TeacherError("no more")
            return await super().exchange(calls)

    with Server(Behaviour(latency_s=0.1)) as server:
        backend, found = Wrong(settings(server, concurrency=8), Purse(None)), dict[int, Reply]()
        with pytest.raises(TeacherError, match="no more"):
            found.update(backend.send(calls(40)))
        assert sum(server.keys.values()) == server.served == 7
        backend.close()


# --- money -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as opened:
        yield opened


DEAR = Price(0.0, 0.0, 10_000.0, "2026-01-01")  # 0.64 dollars for an answer of 64 tokens
WHO = ("run", "cell", "teacher")


def test_no_call_is_sent_that_may_exceed_the_cap(store: Store) -> None:
    with Server() as server:
        ledger = Ledger(store)
        backend = OpenAIBackend(settings(server), Purse(DEAR, ledger, WHO, cap=2.0))
        found: dict[int, Reply] = {}
        with pytest.raises(BudgetError, match=r"budget\.teacher_usd=2.*not asked again"):
            found.update(backend.send(calls(40)))
        backend.close()
        spent = sum(reply.usd for reply in found.values())
        assert server.served == len(found) > 3  # answers are shorter than allowed: their room is used again
        assert spent <= 2.0 < spent + DEAR.usd(0, 0, 64)


def test_calls_in_flight_count_towards_the_cap(store: Store) -> None:
    with Server(Behaviour(latency_s=0.2)) as server:
        backend = OpenAIBackend(settings(server), Purse(DEAR, Ledger(store), WHO, cap=2.0))
        for _ in backend.send(calls(4)):
            break
        assert server.most_in_flight <= 3  # 3 × 0.64 fit under 2.0, whatever the concurrency
        backend.close()


def test_the_ledger_counts_what_the_store_has_and_loses_what_a_dead_process_left(store: Store, tmp_path: Path) -> None:
    with Server(Behaviour(faulty=0.5, faults=("500",), most_faults=1)) as server:
        dead = Store(tmp_path / "store")  # of the process that will die
        ledger = Ledger(dead)
        backend = OpenAIBackend(settings(server), Purse(DEAR, ledger, WHO))
        found = send(backend, calls(10))
        backend.committed([f"question-{place}" for place in range(6)])
        [account] = ledger.bills("run")
        assert (account.calls, account.lost) == (6, 0)
        assert account.usd == pytest.approx(sum(found[place].usd for place in range(6)))
        assert account.tries == sum(found[place].tries for place in range(6))
        dead.close()
        ledger = Ledger(store)
        [account] = ledger.bills("run")
        assert (account.calls, account.lost) == (6, 4)
        assert account.lost_usd == pytest.approx(sum(found[place].usd for place in range(6, 10)))
        assert ledger.total("run") == pytest.approx(sum(reply.usd for reply in found.values()))


def test_an_idempotency_key_goes_with_every_try() -> None:
    with Server(Behaviour(faulty=1.0, faults=("500",), most_faults=1)) as server:
        send(OpenAIBackend(settings(server), Purse(None)), calls(4))
        assert server.keys == Counter({f"question-{place}": 2 for place in range(4)})


def test_no_usage_is_priced_at_the_most_it_can_be() -> None:
    with Server(Behaviour(usage=False)) as server:
        found = send(OpenAIBackend(settings(server), Purse(DEAR)), calls(1))
        assert found[0].usd == DEAR.usd(0, 0, 64)
        assert "guess" in found[0].reason


def test_parameters_that_a_model_refuses_are_given_by_their_other_name() -> None:
    with Server(Behaviour(max_tokens_word="max_completion_tokens")) as server:
        asked = calls(5)
        assert right(asked, send(OpenAIBackend(settings(server), Purse(None)), asked))
        assert all(body["max_completion_tokens"] == 64 for body in server.bodies)


def test_a_reply_tells_which_parameters_its_call_went_without() -> None:
    with Server(Behaviour(refuses=("temperature", "seed"), max_tokens_word="max_completion_tokens")) as server:
        asked = [*calls(3), *(replace(call, temperature=0.7, seed=5) for call in calls(3, "drawn"))]
        found = send(OpenAIBackend(settings(server), Purse(None)), asked)
        assert right(asked, found)
        told = [found[place].without for place in range(6)]
        assert told == [("temperature",)] * 3 + [("temperature", "seed")] * 3
        assert reply_from_json(json.loads(json.dumps(found[5].to_json()))) == found[5]
    assert not any({"temperature", "seed"} & body.keys() for body in server.bodies)


def test_a_model_that_refuses_everything_that_can_be_left_out_is_asked_all_the_same() -> None:
    refused = ("temperature", "seed", "top_p")
    with Server(Behaviour(refuses=refused, max_tokens_word="max_completion_tokens")) as server:
        asked = [replace(one, temperature=0.7, top_p=0.9, seed=5) for one in calls(1)]
        found = send(OpenAIBackend(settings(server), Purse(None)), asked)
        assert right(asked, found)
        assert set(found[0].without) == set(refused)


def draws(count: int, word: str = "question") -> list[Call]:
    question = Call((("user", word),), 0.8, 1.0, None, 0, 64)
    return [replace(question, seed=100 + draw, draw=draw, key=f"{word}-{draw}") for draw in range(count)]


def test_draws_of_one_question_go_together_and_pay_its_prompt_once(store: Store) -> None:
    with Server() as server:
        asked, ledger = [*draws(6, "a question of many words"), *calls(1)], Ledger(store)
        backend = OpenAIBackend(settings(server, several=4), Purse(DEAR, ledger, WHO))
        found = send(backend, asked)
        backend.committed([call.key for call in asked])
        assert right(asked, found)
        assert [body.get("n", 1) for body in server.bodies] == [4, 2, 1]
        assert [found[place].tokens_in > 0 for place in range(6)] == [True, False, False, False, True, False]
        assert [found[place].tries for place in range(7)] == [1, 0, 0, 0, 1, 0, 1]
        assert len(server.keys) == 3  # an idempotency key for each request
        [account] = ledger.bills("run")
        said = [server.answer(one["messages"][-1]["content"], one, True) for one in server.bodies]
        usage = [json.loads(one)["usage"] for one in said]
        assert (account.calls, account.tries) == (7, 3)
        assert account.tokens_in == sum(one["prompt_tokens"] for one in usage)
        assert account.tokens_out == sum(one["completion_tokens"] for one in usage)
        assert account.usd == pytest.approx(sum(DEAR.usd(0, 0, one["completion_tokens"]) for one in usage))


@pytest.mark.parametrize(
    ("behaviour", "requests"),
    [
        (Behaviour(honours_n=False), 6),
        (Behaviour(fewer=True), 1 + 1),
        (Behaviour(most_n=1), 6),
        (Behaviour(refuses=("n",)), 6),
    ],
    ids=["ignored", "one missing", "too many", "refused"],
)
def test_where_several_answers_are_not_given_the_missing_ones_are_asked_singly(
    behaviour: Behaviour, requests: int, store: Store
) -> None:
    with Server(behaviour) as server:
        asked, ledger = draws(6), Ledger(store)
        backend = OpenAIBackend(settings(server, several=6), Purse(DEAR, ledger, WHO))
        found = send(backend, asked)
        backend.committed([call.key for call in asked])
        assert right(asked, found)
        assert not any(reply.without for reply in found.values())
        assert server.served == requests
        [account] = ledger.bills("run")
        assert account.calls == 6
        assert ledger.total("run") == pytest.approx(sum(reply.usd for reply in found.values()))


def test_what_one_question_is_refused_for_leaves_draws_of_others_together() -> None:
    with Server(Behaviour(context=12)) as server:
        asked = [*draws(4, "a question that is too long"), *draws(4, "short"), *draws(4, "small")]
        found = send(OpenAIBackend(settings(server, several=4, concurrency=1), Purse(None)), asked)
        assert [found[place].finish for place in range(4)] == ["quarantined"] * 4
        assert right(asked[4:], {place - 4: reply for place, reply in found.items() if place >= 4})
        assert [body.get("n", 1) for body in server.bodies] == [4, 4]


def test_an_endpoint_that_answers_alone_what_it_refuses_together_is_asked_one_by_one_from_then_on() -> None:
    with Server(Behaviour(alone=True)) as server:
        asked = [*draws(4, "first"), *draws(4, "second"), *draws(4, "third")]
        backend = OpenAIBackend(settings(server, several=4, concurrency=1), Purse(None))
        assert right(asked, dict(backend.send(asked)))
        assert backend.opened().single
        backend.close()


def test_draws_that_a_content_filter_refuses_are_told_as_such_and_not_asked_again() -> None:
    with Server(Behaviour(filtered="nasty")) as server:
        asked = [*draws(4, "nasty"), *draws(4, "nice")]
        found = send(OpenAIBackend(settings(server, several=4, concurrency=1), Purse(None)), asked)
        assert [found[place].finish for place in range(8)] == ["filtered"] * 4 + ["stop"] * 4
        assert sum(reply.usd for reply in found.values()) == 0
        assert [body.get("n", 1) for body in server.bodies] == [4]


def test_a_cap_that_has_no_room_for_several_draws_has_it_for_fewer(store: Store) -> None:
    with Server() as server:
        backend = OpenAIBackend(settings(server, several=8), Purse(DEAR, Ledger(store), WHO, cap=2.0))
        found: dict[int, Reply] = {}
        with pytest.raises(BudgetError):
            found.update(backend.send(draws(40)))
        backend.close()
        spent = sum(reply.usd for reply in found.values())
        assert spent <= 2.0 < spent + DEAR.usd(0, 0, 64)


@pytest.mark.parametrize("style", ["chat", "completion"])
def test_log_probabilities_are_kept_where_they_are_asked_for_and_had(style: str) -> None:
    with Server(Behaviour(logprobs=True)) as server:
        asked = [replace(one, logprobs=place == 1) for place, one in enumerate(calls(2))]
        found = send(OpenAIBackend(settings(server, style=style), Purse(None)), asked)
        assert [found[place].logprobs for place in (0, 1)] == [(), (-0.1,)]
        assert reply_from_json(json.loads(json.dumps(found[1].to_json()))) == found[1]
        assert "logprobs" not in found[0].to_json()
        assert asked[0].content() != asked[1].content()  # another question: the reply holds more


def test_a_kept_connection_that_the_server_closed_meanwhile_costs_no_try() -> None:
    with Server() as server:
        backend = OpenAIBackend(settings(server), Purse(None))
        assert len(dict(backend.send(calls(8)))) == 8
        server.loop.call_soon_threadsafe(lambda: [one.close() for one in list(server.connections)])
        time.sleep(0.2)  # while nobody runs the client's loop
        found = dict(backend.send(calls(8, "later")))
        backend.close()
        assert {reply.tries for reply in found.values()} == {1}
        assert set(server.keys.values()) == {1}


def test_completion_style_sends_a_prompt() -> None:
    with Server() as server:
        asked = [replace(call, stop=("\ndef ",)) for call in calls(2)]
        assert right(asked, send(OpenAIBackend(settings(server, style="completion"), Purse(None)), asked))
        assert {body["prompt"] for body in server.bodies} == {"question 0", "question 1"}
        assert server.bodies[0]["stop"] == ["\ndef "]
