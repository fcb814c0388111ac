"""The sandbox as its users see it: streams, plain and in asyncio, that can be left at any point; equal programs."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from harness.cli import main
from harness.errors import ConfigError, SandboxError
from harness.sandbox import Check, Limits, Program, Sandbox, Script
from harness.sandbox.cache import Cache
from harness.sandbox.jail.launch import LEVELS
from harness.sandbox.rounds import FOLLOWERS
from harness.sandbox.selftest import CHEATS, HONEST
from harness.sandbox.worker import Worker
from harness.types import STATUSES
from tests.test_docs import block_after

ONE = (Check((1,), 2),)
LIMITS = Limits(cpu_s=1.0, wall_s=6.0, memory_bytes=256 << 20)
PATIENT = Limits(cpu_s=8.0)  # whoever waited for an endless program would be seen to


def good(number: int = 0) -> Program:
    """Return a right program; those of different numbers are not equal."""
    return Program(f"def f(x): return x + 1  # {number}", "f", ONE)


WRONG = Program("def f(x): return x", "f", ONE)
ENDLESS = Program("def f(x):\n    while True: pass", "f", ONE)
SLEEPY = Program("import time\ndef f(x):\n    time.sleep(0.3)\n    return x + 1", "f", ONE)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the size of each program that goes to a judge."""
    sizes: list[int] = []
    send = Worker.send

    def noted(self: Worker, data: bytes) -> None:
        sizes.append(len(data))
        send(self, data)

    monkeypatch.setattr(Worker, "send", noted)
    return sizes


# --- streams that are left ------------------------------------------------------------------------------------------


def test_closing_a_stream_ends_what_runs_and_the_next_one_works() -> None:
    with Sandbox(limits=PATIENT) as sandbox:
        stream = sandbox.judge([good(), ENDLESS, ENDLESS, good()])
        next(stream)
        began = time.monotonic()
        stream.close()
        assert [verdict.status for _, verdict in sandbox.judge([good(1)])] == ["passed"]
    assert time.monotonic() - began < PATIENT.cpu_s / 2  # 0.15 s on an idle machine


def test_an_exception_of_the_callers_iterable_comes_through_and_the_sandbox_goes_on(sandbox: Sandbox) -> None:
    def programs() -> Iterator[Program]:
        yield good()
        yield ENDLESS
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(sandbox.judge(programs()))
    assert sandbox.verdict(good()).passed


def test_a_second_caller_is_told(sandbox: Sandbox) -> None:
    stream = sandbox.judge([good(1), good(2)])
    next(stream)
    with pytest.raises(SandboxError, match="one caller at a time"):
        sandbox.verdict(good())
    stream.close()


def test_a_sandbox_closed_under_a_stream_says_so() -> None:
    with Sandbox(limits=LIMITS) as sandbox:
        stream = sandbox.judge(good(number) for number in range(100))
        next(stream)
    with pytest.raises(SandboxError, match="closed before"):
        list(stream)


def test_a_verdict_that_is_ready_is_handed_out_before_the_next_program_is_asked_for() -> None:
    verdicts: list[str] = []

    def each_after_the_last() -> Iterator[Program]:
        yield WRONG
        yield WRONG
        while len(verdicts) < 2:  # would ask forever if both were held back
            yield good(len(verdicts))

    with Sandbox(limits=LIMITS) as sandbox:
        for _, verdict in sandbox.judge(each_after_the_last()):
            verdicts.append(verdict.status)
    assert verdicts[:2] == ["wrong", "wrong"]


def test_programs_larger_than_the_channel_are_sent_whole() -> None:
    data = list(range(200_000))
    heavy = Program("def f(x): return x[-1]", "f", (Check((data,), 199_999),))
    with Sandbox(workers=2, limits=LIMITS, cache=False) as two:
        verdicts = dict(two.judge([heavy] * 4 + [good()] * 4))
    assert sorted(verdicts) == list(range(8)) and all(verdict.passed for verdict in verdicts.values())


def test_an_open_sandbox_is_not_opened_again_and_stays_usable(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="open already"):
        sandbox.__enter__()
    assert sandbox.verdict(good()).passed


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ConfigError, match="workers=0"):
        Sandbox(workers=0)
    with pytest.raises(ConfigError, match=r"cpu_s=-1, memory_bytes=0: a limit must be above 0"):
        Limits(cpu_s=-1, memory_bytes=0)


# --- asyncio --------------------------------------------------------------------------------------------------------


def test_the_async_twin_gives_the_same_verdicts_and_leaves_no_thread() -> None:
    programs = [good(number) if number % 3 else WRONG for number in range(30)]

    async def judged() -> dict[int, str]:
        async with Sandbox(workers=2, limits=LIMITS, cache=False) as sandbox:
            found = {index: verdict.status async for index, verdict in sandbox.judge_async(programs)}
            assert threading.active_count() == before
        return found

    before = threading.active_count()
    assert asyncio.run(judged()) == {n: "passed" if n % 3 else "wrong" for n in range(30)}


def test_other_tasks_run_while_a_program_does() -> None:
    async def ticks() -> int:
        count = 0

        async def tick() -> None:
            nonlocal count
            while True:
                await asyncio.sleep(0.01)
                count += 1

        async with Sandbox(limits=LIMITS) as sandbox:
            ticking = asyncio.create_task(tick())
            async for _, verdict in sandbox.judge_async([SLEEPY]):
                assert verdict.passed
            ticking.cancel()
        return count

    assert asyncio.run(ticks()) > 5


def test_an_async_iterable_is_taken_as_it_comes_and_verdicts_do_not_wait_for_it() -> None:
    async def judged() -> list[int]:
        first = asyncio.Event()

        async def programs() -> AsyncIterator[Program]:
            yield good(0)
            await asyncio.wait_for(first.wait(), 10)  # set by the verdict on the one before
            yield good(1)

        found: list[int] = []
        async with Sandbox(limits=LIMITS) as sandbox:
            async for index, _ in sandbox.judge_async(programs()):
                found.append(index)
                first.set()
        return found

    assert asyncio.run(judged()) == [0, 1]


def test_few_programs_are_taken_ahead_of_an_async_reader() -> None:
    async def taken() -> int:
        count = 0

        async def programs() -> AsyncIterator[Program]:
            nonlocal count
            while True:
                count += 1
                yield good(count)

        async with Sandbox(limits=LIMITS) as sandbox:
            stream = sandbox.judge_async(programs())
            for _ in range(5):
                await anext(stream)
                await asyncio.sleep(0.02)
            await stream.aclose()
        return count

    assert asyncio.run(taken()) <= 5 + 2 + 1


def test_a_cancelled_task_frees_the_sandbox_for_the_next() -> None:
    async def cancelled() -> float:
        async with Sandbox(limits=PATIENT) as sandbox:

            async def endless() -> None:
                async for _ in sandbox.judge_async([ENDLESS]):
                    pass

            task = asyncio.create_task(endless())
            await asyncio.sleep(0.2)
            began = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            [verdict] = [verdict async for _, verdict in sandbox.judge_async([good()])]
            assert verdict.passed
            return time.monotonic() - began

    assert asyncio.run(cancelled()) < PATIENT.cpu_s / 2


def test_a_stream_left_by_break_is_free_for_the_next_loop() -> None:
    async def twice() -> list[int]:
        async def endless() -> AsyncIterator[Program]:
            number = 0
            while True:
                yield good(number := number + 1)
                await asyncio.sleep(0)

        async with Sandbox(limits=LIMITS) as sandbox:
            async for _ in sandbox.judge_async(endless()):
                break
            return [index async for index, _ in sandbox.judge_async([good()])]

    assert asyncio.run(twice()) == [0]


def test_an_exception_of_an_async_iterable_comes_through() -> None:
    async def failing() -> None:
        async def programs() -> AsyncIterator[Program]:
            yield good()
            raise KeyError("mine")

        async with Sandbox(limits=LIMITS) as sandbox:
            with pytest.raises(KeyError, match="mine"):
                [one async for one in sandbox.judge_async(programs())]
            assert [verdict.passed async for _, verdict in sandbox.judge_async([good()])] == [True]

    asyncio.run(failing())


# --- equal programs -------------------------------------------------------------------------------------------------


def test_equal_programs_are_judged_once_and_each_gets_the_verdict(sent: list[int]) -> None:
    with Sandbox(limits=LIMITS) as sandbox:
        first = dict(sandbox.judge([good(), WRONG] * 10))
        again = dict(sandbox.judge([good()] * 3))
    assert len(sent) == 2 and sandbox.reused == 21
    assert [first[n].status for n in range(20)] == ["passed", "wrong"] * 10
    assert [again[n] for n in range(3)] == [first[0]] * 3


def test_equal_programs_under_way_share_one_run(sent: list[int]) -> None:
    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        assert sorted(index for index, verdict in sandbox.judge([SLEEPY] * 4) if verdict.passed) == [0, 1, 2, 3]
    assert len(sent) == 1


def test_no_more_than_a_bounded_number_of_equal_programs_waits() -> None:
    taken = 0

    def endless() -> Iterator[Program]:
        nonlocal taken
        while True:
            taken += 1
            yield SLEEPY

    with Sandbox(workers=2, limits=LIMITS) as sandbox:
        stream = sandbox.judge(endless())
        next(stream)
        assert taken <= 1 + FOLLOWERS
        stream.close()


def test_nothing_is_remembered_where_the_cache_is_off(sent: list[int]) -> None:
    with Sandbox(limits=LIMITS, cache=False) as sandbox:
        list(sandbox.judge([good()] * 3))
    with Sandbox(limits=LIMITS) as sandbox:
        list(sandbox.judge([good()]))
        list(sandbox.judge([good()] * 2, fresh=True))
    assert len(sent) == 3 + 1 + 2 and sandbox.reused == 0


def test_whatever_a_verdict_depends_on_tells_programs_apart() -> None:
    cache = Cache()
    texts = Script("assert f(1) == 2", "asserts"), Script("assert f(1) == 2", "check")
    programs = [
        Program("def f(x): return x", "f", ONE),
        Program("def f(x): return x ", "f", ONE),
        Program("def f(x): return x", "g", ONE),
        Program("def f(x): return x", "f", ONE, prompt="p"),
        Program("def f(x): return x", "f", ONE, cpu_s=2.0),
        Program("def f(x): return x", "f", (Check((True,), 2),)),
        Program("def f(x): return x", "f", (Check((1.0,), 2),)),
        Program("def f(x): return x", "f", (Check((1,), 2.0),)),
        Program("def f(x): return x", "f", (Check((1,), 2, "strict"),)),
        Program("def f(x): return x", "f", (Check((1,), 2, visible=True),)),
        Program("def f(x): return x", "f", texts[0]),
        Program("def f(x): return x", "f", texts[1]),
        Program("def f(x): return x  # \ud800", "f", ONE),
    ]
    assert len({cache.key(program, 0) for program in programs}) == len(programs)
    same = Program("def f(x): return x", "f", (Check((int("1"),), int("2")),), id="another name")
    assert cache.key(same, 0) == cache.key(programs[0], 0)


def test_a_timeout_by_the_wall_is_not_remembered_one_by_cpu_is(sent: list[int]) -> None:
    sleeper = Program("import time\ndef f(x): time.sleep(99)", "f", ONE)
    for program, wall_s, runs in ((sleeper, 0.4, [2, 2]), (ENDLESS, 6.0, [1, 0])):
        with Sandbox(limits=Limits(cpu_s=0.2, wall_s=wall_s)) as sandbox:
            for expected in runs:
                sent.clear()
                assert sandbox.verdict(program).status == "timeout"
                assert len(sent) == expected


def test_infrastructure_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    send = Worker.send

    def send_and_kill(self: Worker, data: bytes) -> None:
        send(self, data)
        self.ready = True
        self.process.kill()

    with Sandbox(limits=LIMITS) as sandbox:
        monkeypatch.setattr(Worker, "send", send_and_kill)
        assert sandbox.verdict(good()).status == "infrastructure"
        monkeypatch.undo()
        assert sandbox.verdict(good()).passed


def test_the_number_of_verdicts_remembered_is_bounded() -> None:
    cache = Cache(size=3)
    with Sandbox(limits=LIMITS) as sandbox:
        sandbox.cache = cache
        list(sandbox.judge(good(number) for number in range(8)))
        assert len(cache.verdicts) == 3
        sandbox.reused = 0
        assert sandbox.verdict(good(7)).passed and sandbox.reused == 1
        assert sandbox.verdict(good(0)).passed and sandbox.reused == 1


# --- healing --------------------------------------------------------------------------------------------------------


def test_a_judge_that_dies_is_replaced_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with Sandbox(workers=2, limits=LIMITS, cache=False) as sandbox, caplog.at_level(logging.WARNING):
        assert sandbox.healed == 0
        stream = sandbox.judge(good(number) for number in range(60))
        found = [next(stream) for _ in range(20)]
        sandbox.workers[0].process.kill()
        found += stream
    assert sorted(index for index, verdict in found if verdict.passed) == list(range(60))
    assert sandbox.healed == 1
    assert [record.message for record in caplog.records if "a judge died (exit status -9)" in record.message]


def test_judges_that_cannot_start_are_an_error_not_an_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Worker.__init__

    def stillborn(self: Worker, *args: object) -> None:
        start(self, *args)  # type: ignore[arg-type]
        self.process.kill()

    with Sandbox(limits=LIMITS) as sandbox:
        monkeypatch.setattr(Worker, "__init__", stillborn)
        sandbox.workers[0].process.kill()
        with pytest.raises(SandboxError, match="in a row died before they were ready"):
            sandbox.verdict(good())


# --- as documented --------------------------------------------------------------------------------------------------


def test_the_documented_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = block_after("sandbox", Path(__file__).parents[2] / "docs/sandbox.md")
    assert len([line for line in code.splitlines() if line]) <= 10
    exec(code, {})
    told = sorted(capsys.readouterr().out.splitlines())
    assert told[0] == "0 passed None"
    assert told[1].startswith("1 wrong Failure(input='add(2, 3)', got='<Yes object>', expected='5'")


def test_every_status_and_limit_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs/sandbox.md").read_text()
    for name in (*STATUSES, *LEVELS):
        assert f"| `{name}` |" in text
    assert all(f"{one.name}=" in text for one in fields(Limits))


@pytest.mark.parametrize("arguments", [["selftest"], ["bench", "--seconds", "0.2", "--workers", "2"]])
def test_the_command_fits_eighty_columns(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sandbox", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("sandbox level: ") and max(map(len, lines)) <= 80


def test_a_misjudged_program_is_told_and_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CHEATS, "a right program", HONEST["plain"])
    assert main(["sandbox", "selftest"]) == 1
    told = capsys.readouterr().out
    assert "misjudged: a right program (calls): passed" in told
    judged, total = re.findall(r"(\d+) of (\d+) judged as they must be", told)[0]
    assert int(judged) == int(total) - 2
