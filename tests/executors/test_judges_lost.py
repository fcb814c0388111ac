"""What a cell makes of judges that come, go and refuse; Ray is played by the test, so that every order can be had."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from harness.errors import SandboxError
from harness.executors import judges
from harness.executors.judges import LARGE_BYTES, Judges
from harness.sandbox import Check, Limits, Program, Verdict

NEVER = object()  # what a judge answers that waits for a core
STRATEGIES = SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, soft: (node, soft))
PASSED = Verdict("passed", "", None, 1, 1, 0.0, 0.0, 0, "full")


class RayError(Exception):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Actor:
    """A judge whose calls answer as the test says: a value, or an error to raise."""

    def __init__(self, name: str, judge: Callable[[Any], Any], opens: list[Any] | None = None) -> None:
        self.name, self.asked = name, list[Any]()
        told = {"host": name, "address": "here"}
        waiting = opens if opens is not None else [told] * 9

        def sent(programs: Any) -> Any:
            self.asked.append(programs)
            return Reply(lambda: judge(programs))

        opening = SimpleNamespace(
            remote=lambda: Reply(lambda: waiting.pop(0), there=not waiting or waiting[0] is not NEVER)
        )
        self.open = SimpleNamespace(options=lambda max_task_retries, concurrency_group: opening)
        self.judge = SimpleNamespace(remote=sent)
        self.close = SimpleNamespace(remote=lambda: Reply(lambda: None))


class Reply:
    def __init__(self, value: Callable[[], Any], there: bool = True) -> None:
        self.value, self.there = value, there


class Ray:
    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, *actors: Actor) -> None:
        self.actors = {actor.name: actor for actor in actors}
        self.stored: list[Any] = []
        self.waited: list[float | None] = []

    def get_actor(self, name: str, namespace: str) -> Actor:
        return self.actors[name]

    def wait(self, replies: list[Reply], num_returns: int, timeout: float | None) -> tuple[list[Reply], list[Reply]]:
        self.waited.append(timeout)
        there = [one for one in replies if one.there][-1:]  # judges that open come first
        assert there or timeout is not None, "waits for ever"
        return there, [one for one in replies if one not in there]

    def get(self, reply: Reply) -> Any:
        found = reply.value()
        if isinstance(found, Exception):
            raise found
        return found

    def put(self, value: Any) -> str:
        self.stored.append(value)
        return f"reference {len(self.stored)}"

    def cancel(self, reply: Reply) -> None:
        pass

    def kill(self, actor: Actor) -> None:
        pass


def passes(sent: list[tuple[int, Program, Any]]) -> list[tuple[int, Verdict]]:
    return [(place, PASSED) for place, _, _ in sent]


def dies(sent: Any) -> Exception:
    return RayError("the actor died")


def cell(monkeypatch: pytest.MonkeyPatch, *actors: Actor) -> tuple[Judges, list[str], Ray]:
    ray, notes = Ray(*actors), list[str]()
    monkeypatch.setattr(judges, "package", lambda: ray)
    monkeypatch.setattr(judges, "connect", str)
    hired = {"namespace": "n", "names": [actor.name for actor in actors], "address": "here"}
    return Judges(hired, "full", notes.append), notes, ray


def programs(count: int, checks: tuple[Check, ...] = (Check((1,), 1),)) -> list[Program]:
    return [Program(f"def f(x): return {n}", "f", checks, id=f"p{n}") for n in range(count)]


def test_a_first_judge_that_is_lost_is_a_failure_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    ray, actor = Ray(), Actor("one", passes, [RayError("out of memory")])
    kind = SimpleNamespace(options=lambda **how: SimpleNamespace(remote=lambda *told: actor))
    monkeypatch.setattr(ray, "remote", lambda **groups: lambda judge: kind, raising=False)
    monkeypatch.setattr(judges, "package", lambda: ray)
    monkeypatch.setattr(judges.importlib, "import_module", lambda name: STRATEGIES)
    terms = judges.Terms("full", Limits())
    with (
        pytest.raises(SandboxError, match=r"ray\.judges=1: the first judge was lost .*out of memory.* again\."),
        judges.hired(["n1"], terms, restarts=0),
    ):
        pass


def test_every_program_is_judged_once_though_a_judge_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Actor("gone", dies, [{"host": "gone", "address": "here"}, RayError("begun again too often")])
    opened, notes, _ = cell(monkeypatch, Actor("stays", passes), gone)
    with opened:
        found = [place for place, _ in opened.judge(programs(100))]
    assert sorted(found) == list(range(100)) and gone.asked
    assert len(notes) == 2 and "a judge on node gone was lost" in notes[0] and "begun again too often" in notes[1]


def test_a_judge_that_was_begun_again_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[Any] = [RayError("the actor died")]

    def once_lost(sent: Any) -> Any:
        return replies.pop() if replies else passes(sent)

    opened, notes, _ = cell(monkeypatch, Actor("one", once_lost))
    with opened:
        assert len(list(opened.judge(programs(40)))) == 40
    assert notes == ["a judge on node one was lost; its programs wait for a judge that has yet to begin"]


def test_a_lost_judge_that_finds_no_core_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, _, ray = cell(monkeypatch, Actor("one", dies, [{"host": "one", "address": "here"}, NEVER]))
    with opened, pytest.raises(SandboxError, match=r"none of 1 judges is left \(no core was free within 120 s"):
        list(opened.judge(programs(4)))
    assert ray.waited[-1] == judges.PLACE_S and None in ray.waited  # what a judge has taken may last


def test_an_actor_that_began_anew_unseen_is_opened_before_it_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    replies: list[Any] = [None]  # of an actor whose sandbox is not open
    opened, _, _ = cell(monkeypatch, Actor("one", lambda sent: replies.pop() if replies else passes(sent)))
    with opened:
        assert len(list(opened.judge(programs(5)))) == 5


def test_programs_that_end_one_judge_after_another_are_told_and_not_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, _, _ = cell(monkeypatch, *(Actor(f"judge {n}", dies) for n in range(4)))
    with opened, pytest.raises(SandboxError, match=r"3 judges were lost one after another with the same .* p\d+;"):
        list(opened.judge(programs(4)))


def test_no_judge_left_is_a_failure_of_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = {"host": "b", "address": "here", "error": "isolation level is process-only, full is required"}
    opened, notes, _ = cell(monkeypatch, Actor("one", passes, [weak]))
    with (
        opened,
        pytest.raises(SandboxError, match=r"none of 1 judges is left \(node b: isolation level is process-only"),
    ):
        list(opened.judge(programs(4)))
    assert notes == ["no programs are judged on node b any more (isolation level is process-only, full is required)"]


def test_what_a_judge_says_is_wrong_is_not_tried_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(sent: Any) -> Exception:
        return RayTaskError(SandboxError("p1: a check holds a value that is not plain data"))

    other = Actor("two", passes)
    opened, _, _ = cell(monkeypatch, other, Actor("one", refuses))
    with opened, pytest.raises(SandboxError, match="judge on node one: p1: a check holds a value"):
        list(opened.judge(programs(1)))
    assert not other.asked


def test_only_large_checks_go_by_reference_and_are_put_once(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor("one", passes)
    opened, _, ray = cell(monkeypatch, actor)
    large = (Check(("x" * LARGE_BYTES,), 1),)
    with opened:
        for _ in range(2):
            list(opened.judge([*programs(3, large), *programs(3)]))
    assert ray.stored == [large]
    sent = [one for shard in actor.asked for one in shard]
    assert {(bool(program.checks), reference) for _, program, reference in sent} == {
        (False, "reference 1"),
        (True, None),
    }


def test_no_judge_has_more_than_two_shards_of_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    actor = Actor("one", passes)
    opened, _, _ = cell(monkeypatch, actor)
    with opened:
        stream = opened.judge(programs(100))
        next(stream)
        assert len(actor.asked) == 2
        stream.close()
