"""A language model as teacher: what it asks, what it reads, what it asks again, and what a store spares it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.settings.config import Judging
from harness.steps.codec import answer_from_json, answer_to_json
from harness.steps.engine import StepEngine
from harness.store.database import Store
from harness.store.keys import Json, digest
from harness.teachers.calls import Call, Reply
from harness.teachers.composed import Composed
from harness.teachers.model import REPLIES, ModelTeacher
from harness.teachers.oracle import Oracle
from harness.teachers.prompts import Prompts
from harness.teachers.requests import Answer, Corrupt, Judge, Pose, Request, Solve
from harness.teachers.settings import Teaching
from harness.types import Problem
from harness.world.pool import draw
from tests.fakes import lab_of

PROBLEM = Problem("toy/1", 'def f(n):\n    """Return n + 1."""\n', "f", (), "    return n + 1\n")
GOOD = "```python\ndef f(n):\n    return n + 1\n```"


class Script:
    """A backend that says what it is told to, and remembers what it was asked."""

    def __init__(self, say: Callable[[Call], str], cut_below: int = 0) -> None:
        self.identity: dict[str, Json] = {"backend": "script"}
        self.say, self.cut_below = say, cut_below
        self.calls: list[Call] = []
        self.stored: list[str] = []

    def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
        for place, call in enumerate(calls):
            self.calls.append(call)
            cut = call.max_tokens < self.cut_below
            text = self.say(call)[:20] if cut else self.say(call)
            yield place, Reply(text, "length" if cut else "stop", 10, 0, 5, 0.5, call.max_tokens)

    def committed(self, keys: Sequence[str]) -> None:
        self.stored += keys

    def close(self) -> None:
        pass


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StepEngine]:
    with Store(tmp_path / "store") as store, StepEngine(store, Judging(), "process-only") as opened:
        yield opened


def model(backend: Script, *, draws: bool = True, **settings: object) -> ModelTeacher:
    given = Teaching(name="openai:stub", **settings)  # type: ignore[arg-type]
    return ModelTeacher(given, Prompts([]), backend, draws=draws)


def ask(engine: StepEngine, teacher: ModelTeacher, *requests: Request, seed: int = 0) -> list[Answer]:
    return engine.ask(teacher, requests, seed)[0]


def test_an_answer_is_asked_once_in_the_lifetime_of_a_store(engine: StepEngine) -> None:
    backend = Script(lambda call: GOOD)
    first = ask(engine, model(backend), Solve(PROBLEM), Solve(PROBLEM))
    assert ask(engine, model(backend), Solve(PROBLEM)) == first[:1]
    assert len(backend.calls) == 1
    assert backend.stored == [backend.calls[0].key]
    assert first[0].code == "def f(n):\n    return n + 1\n"


def test_another_prompt_model_or_draw_is_another_question(engine: StepEngine, tmp_path: Path) -> None:
    backend = Script(lambda call: GOOD)
    ask(engine, model(backend), Solve(PROBLEM, temperature=1.0), seed=1)
    ask(engine, model(backend), Solve(PROBLEM, temperature=1.0), seed=2)
    ask(engine, model(backend), Solve(PROBLEM, index=1, temperature=1.0), seed=1)
    (tmp_path / "solve.txt").write_text("[user]\n{{ prompt }}\n")
    ask(engine, ModelTeacher(Teaching(name="openai:stub"), Prompts([tmp_path]), backend), Solve(PROBLEM))
    other = Script(lambda call: GOOD)
    other.identity = {"backend": "other"}
    ask(engine, model(other), Solve(PROBLEM, temperature=1.0), seed=1)
    assert len(backend.calls) == 4
    assert len({call.key for call in [*backend.calls, *other.calls]}) == 5


def test_an_unreadable_answer_is_drawn_again_and_then_counted_as_unparsed(engine: StepEngine) -> None:
    backend = Script(lambda call: GOOD if call.draw == 2 else "I would add one.")
    [answer] = ask(engine, model(backend), Solve(PROBLEM))
    assert (answer.code is not None, answer.calls, answer.usd, answer.tokens_in) == (True, 3, 1.5, 30)
    assert [call.temperature > 0 for call in backend.calls] == [False, True, True]  # a greedy retry is in vain
    [answer] = ask(engine, model(Script(lambda call: "no"), parse_retries=1), Corrupt(PROBLEM, "x", "logic"))
    assert (answer.fault, answer.calls, answer.code) == ("unparsed", 2, None)
    assert "no Python code" in answer.reason


def test_a_server_that_draws_nothing_is_not_paid_again_for_the_same_answer(engine: StepEngine) -> None:
    backend = Script(lambda call: "I would add one.")
    teacher = model(backend, draws=False)
    [answer] = ask(engine, teacher, Solve(PROBLEM))
    assert (answer.fault, answer.calls, len(backend.calls)) == ("unparsed", 1, 1)
    drawn = ask(engine, teacher, *(Solve(PROBLEM, index=index, temperature=0.8) for index in range(5)))
    assert [one.fault for one in drawn] == ["unparsed"] * 5
    assert len(backend.calls) == 2  # five draws are one question


def test_an_equal_request_is_asked_in_equal_words() -> None:
    requests: list[Request] = [
        Solve(PROBLEM),
        Solve(PROBLEM, index=2, temperature=0.8),
        Pose(None, "uniform"),
        Judge(PROBLEM, "    return n\n"),
    ]
    content = [model(Script(str)).call(request, 3, attempt).content() for request in requests for attempt in (0, 1)]
    # Another digest means that recorded replies are asked and paid anew: raise REPLIES (harness/teachers/model.py) or
    # the prompt's version, and say so in CHANGELOG.md.
    assert (REPLIES, digest(content)) == (1, "915dcb5074d6f4d9fcbb0d188de8832e1bf0c146c3a2a88fad395983b9e8bf99")


def test_a_refusal_is_told_and_not_asked_again(engine: StepEngine) -> None:
    [answer] = ask(engine, model(Script(lambda call: "I'm sorry, but I cannot help with that.")), Solve(PROBLEM))
    assert (answer.fault, answer.calls) == ("refused", 1)


def test_a_raised_limit_asks_again_only_for_what_was_cut(engine: StepEngine) -> None:
    other = Problem("toy/2", 'def g(n):\n    """Return n."""\n', "g", (), "")
    backend = Script(lambda call: GOOD, cut_below=200)
    [short] = ask(engine, model(backend, max_tokens=100), Solve(PROBLEM))
    assert (short.fault, short.finish_reason) == ("truncated", "length")
    assert "raise teacher.max_tokens" in short.reason
    backend.cut_below = 0
    ask(engine, model(backend, max_tokens=100), Solve(other))
    [whole, _] = ask(engine, model(backend, max_tokens=400), Solve(PROBLEM), Solve(other))
    assert whole.code is not None
    assert whole.calls == 1  # what the larger limit replaced is not this run's
    asked = [call.max_tokens for call in backend.calls if "def f" in call.messages[-1][1]]
    assert asked == [100, 400]
    before = len(backend.calls)
    assert ask(engine, model(backend, max_tokens=300), Solve(PROBLEM))[0].code is not None
    assert len(backend.calls) == before


def test_a_quarantined_call_is_asked_again_only_where_the_user_says_so(engine: StepEngine) -> None:
    class Sick(Script):
        def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
            for place, call in enumerate(calls):
                self.calls.append(call)
                yield place, Reply("", "quarantined", 0, 0, 0, 0.0, call.max_tokens, 5, "HTTP 500")

    sick, well = Sick(lambda call: ""), Script(lambda call: GOOD)
    [answer] = ask(engine, model(sick), Solve(PROBLEM))
    assert (answer.fault, answer.reason) == ("quarantined", "HTTP 500")
    assert ask(engine, model(well), Solve(PROBLEM)) == [answer]
    [answer] = ask(engine, model(well, again=1), Solve(PROBLEM))
    assert answer.code is not None
    assert len(well.calls) == 1


def test_calls_that_went_without_a_parameter_are_counted_beside_the_table(engine: StepEngine) -> None:
    class Strict(Script):
        def send(self, calls: Sequence[Call]) -> Iterator[tuple[int, Reply]]:
            for place, reply in super().send(calls):
                yield place, replace(reply, without=("temperature",))

    lab = lab_of(engine, [PROBLEM])
    lab.teacher = model(Strict(lambda call: "no code"), parse_retries=1)
    [answer], _ = lab.ask([Solve(PROBLEM)]), lab.ask([Solve(PROBLEM)])  # told once, however often it is needed
    assert dict(lab.notes) == {
        "teacher answers unparsed": 1,
        "teacher calls without temperature, which the endpoint refuses": 2,
    }
    assert answer_from_json(answer_to_json(answer)) == answer


def test_calls_at_no_known_price_are_counted_beside_the_table(engine: StepEngine) -> None:
    free, dear = Script(lambda call: GOOD), Script(lambda call: GOOD)
    dear.identity = {"backend": "openai"}
    lab = lab_of(engine, [PROBLEM])
    lab.teacher = model(free)
    lab.ask([Solve(PROBLEM)])
    assert dict(lab.notes) == {}
    lab.teacher = model(dear)
    [answer] = lab.ask([Solve(PROBLEM)])
    assert dict(lab.notes) == {"teacher calls at no known price, counted as 0 usd": 1}
    assert answer_from_json(answer_to_json(answer)) == answer


def test_a_posed_problem_is_a_header_with_a_docstring(engine: StepEngine) -> None:
    text = '```python\ndef g(xs: list) -> int:\n    """Count the even ones."""\n    return 0\n```'
    [answer] = ask(engine, model(Script(lambda call: text)), Pose(PROBLEM, "similar"))
    assert answer.problem is not None
    assert answer.problem.prompt == 'def g(xs: list) -> int:\n    """Count the even ones."""\n'
    assert (answer.problem.entry_point, answer.problem.reference) == ("g", "")


def test_a_completion_continues_the_problems_prompt(engine: StepEngine) -> None:
    backend = Script(lambda call: "    return n + 1\n\ndef g():\n    pass\n")
    teacher = ModelTeacher(Teaching(name="openai:stub", style="completion"), Prompts([]), backend, stops=("\ndef ",))
    [answer] = ask(engine, teacher, Solve(PROBLEM))
    assert backend.calls[0].messages == (("user", PROBLEM.prompt.rstrip("\n")),)
    assert backend.calls[0].stop == ("\ndef ",)
    assert answer.code == PROBLEM.prompt + "    return n + 1\n"


def test_a_composition_asks_each_member_its_own(engine: StepEngine) -> None:
    [problem] = draw(1, seed=3, split="train")
    backend = Script(lambda call: "R1: 2\nR2: 1\nR3: 1\nR4: 0.5\nR5: n/a")
    teacher = Composed(Oracle(), {"judge": model(backend)})
    found, records = engine.ask(teacher, [Solve(problem), Judge(problem, "    return 1\n"), Solve(problem)], 0)
    assert [answer.kind for answer in found] == ["solve", "judge", "solve"]
    assert found[0].code == problem.prompt + problem.reference
    assert found[1].scores == (2.0, 1.0, 1.0, 0.5, None)
    assert len(records) == 3
    assert records[0].key == records[2].key
    assert teacher.capabilities == Oracle().capabilities
    assert "judge" in teacher.serves("mbpp:train")
    assert "pose" not in teacher.serves("mbpp:train")  # the oracle's own, and it cannot
