"""What is concluded from a handful of answers, and what is left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from harness.teachers import probe
from harness.teachers.calls import Call
from harness.teachers.dispatch import Trouble
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.opening import draws
from harness.teachers.probe import Honours, drawing
from harness.teachers.replay import Recording, ReplayBackend

ONE, TWO = "123, 456, 789, 101, 202", "321, 654, 987, 110, 220"


@pytest.mark.parametrize(
    ("drawn", "found"),
    [
        ((ONE, ONE, ONE), (False, False)),
        ((ONE, ONE, TWO), (True, True)),
        ((ONE, TWO, ONE), (True, False)),
        (("", "", ""), (None, None)),  # a model that spends all its tokens on thinking
        (("42", "42", "42"), (None, None)),
        (("42", "42", "7"), (True, None)),
    ],
)
def test_equal_answers_tell_something_only_if_they_are_no_accident(
    drawn: tuple[str, ...], found: tuple[bool | None, bool | None]
) -> None:
    assert drawing(drawn) == found


def test_what_is_not_known_is_said_to_be_unknown_and_keeps_the_draws() -> None:
    found = Honours(n=True, logprobs=None, draws=None, seed=None, stop=None, usage=True, limits="")
    lines = found.told()
    assert lines[:2] == [
        "honours n, usage",
        "its answers do not tell whether it honours logprobs, seed, stop",
    ]
    assert not any("draws" in line for line in lines)
    assert draws(probe.to_json(found))
    assert not draws(probe.to_json(Honours(True, True, False, False, True, True, "")))


def test_a_probe_of_an_earlier_version_counts_in_a_recording() -> None:
    backend = ReplayBackend(Recording(Path("nowhere"), "nowhere"), {"backend": "openai"})
    kept = {probe.step(backend, 2).key(0): {"draws": False}}
    assert probe.recorded(kept.get, backend) == {"draws": False}
    assert probe.recorded({}.get, backend) is None


def test_what_may_pass_is_tried_again_and_a_refusal_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "WAITS_S", (0.0, 0.0))
    said = [Trouble("broken", "cut"), Trouble("limited", "slower", 0.0), ({}, {"choices": []})]

    class Endpoint:
        def call(self, call: Call, **more: Any) -> Any:
            one = said.pop(0)
            if isinstance(one, Trouble):
                raise one
            return one

    endpoint = cast("OpenAIBackend", Endpoint())
    assert probe.ask(endpoint, probe.CANARY) == ({}, {"choices": []})
    said[:] = [Trouble("rejected", "no such parameter"), ({}, {})]
    with pytest.raises(Trouble, match="no such parameter"):
        probe.ask(endpoint, probe.CANARY)
    assert len(said) == 1
