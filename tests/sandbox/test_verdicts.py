"""Statuses, reasons and fields of a verdict, one property each."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.errors import SandboxError
from harness.sandbox import Program, Sandbox, selftest
from harness.types import Check, Failure, Plain, Rule, Script, Verdict

One = Callable[..., Verdict]


@pytest.fixture
def one(sandbox: Sandbox) -> One:
    """Judge one program and return its verdict."""

    def judge(source: str, *checks: Check | Script, **fields: object) -> Verdict:
        given = checks[0] if checks and isinstance(checks[0], Script) else checks
        program = Program(source, "f", given, **fields)  # type: ignore[arg-type]  test shorthand
        [(index, verdict)] = sandbox.judge([program])
        assert index == 0
        return verdict

    return judge


@pytest.mark.parametrize(
    ("source", "status", "reason"),
    [
        ("def f(x): return x + 1", "passed", ""),
        ("def f(x): return x", "wrong", "wrong value"),
        ("def f(x): raise KeyError('k')", "exception", "KeyError: 'k'"),
        ("class Own(Exception): pass\ndef f(x): raise Own('mine')", "exception", "Own: mine"),
        ("raise ImportError('no')", "exception", "ImportError: no"),
        ("import no_such_module\ndef f(x): return 2", "exception", "ModuleNotFoundError"),
        ("def f(x) return x", "exception", "SyntaxError: expected ':'"),
        ("def f(x): return '\0'", "exception", "SyntaxError"),
        ("def f(x): return '\ud800'.encode()", "exception", "SyntaxError"),
        ("def g(x): return x", "refused", "does not define"),
        ("#" * 300_000 + "\ndef f(x): return 2", "refused", "longer than"),
        ("def f(x): return bytearray(1 << 30)", "memory", "256 MiB"),
        ("def f(x): return 'a' * 600_000", "output_limit", "larger than"),
        ("import os\ndef f(x): os._exit(3)", "crashed", "code 3"),
        ("import sys\ndef f(x): sys.exit(3)", "crashed", "SystemExit: 3"),
        ("import ctypes\ndef f(x): ctypes.string_at(0)", "crashed", "SIGSEGV"),
        ("def f(x): return f(x)", "exception", "RecursionError"),
    ],
)
def test_status_and_reason_are_precise(one: One, source: str, status: str, reason: str) -> None:
    verdict = one(source, Check((1,), 2))
    assert verdict.status == status and reason in verdict.reason, verdict


@pytest.mark.parametrize(
    ("rule", "got", "expected", "accepted"),
    [
        ("equal", "True", 1, True),
        ("strict", "True", 1, False),
        ("strict", "1", 1, True),
        ("equal", "(1, 2)", [1, 2], False),
        ("equal", "2.0", 2, True),
        ("strict", "2.0", 2, False),
        ("equal", "float('nan')", float("nan"), True),
        ("equal", "[float('nan'), 1]", [float("nan"), 1], True),
        ("equal", "0.1 + 0.2", 0.3, False),
        ("close", "0.1 + 0.2", 0.3, True),
        ("close", "{'a': [0.1 + 0.2]}", {"a": [0.3]}, True),
        ("close", "0.30001", 0.3, False),
        ("close", "1", 2, False),
        ("equal", "-0.0", 0, True),
        ("equal", "2 ** 5000", 2**5000, True),
        ("equal", "'\\ud800'", "\ud800", True),
        ("equal", "{(1, 2): {3}}", {(1, 2): {3}}, True),
        ("equal", "frozenset([b'x', 1j])", frozenset([b"x", 1j]), True),
        ("equal", "__import__('collections').OrderedDict(a=1)", {"a": 1}, True),
        ("equal", "__import__('collections').namedtuple('P', 'a b')(1, 2)", (1, 2), True),
        ("equal", "object()", None, False),
        ("equal", "iter([1])", [1], False),
    ],
)
def test_rules_compare_plain_data(one: One, rule: Rule, got: str, expected: Plain, accepted: bool) -> None:
    verdict = one(f"def f(): return {got}", Check((), expected, rule=rule))
    assert verdict.passed is accepted, verdict


def test_first_failure_tells_input_got_expected_and_visible(one: One) -> None:
    verdict = one("def f(a, b): return a", Check((1, 2), 1), Check(("x", [1]), "y", visible=True), Check((3, 4), 0))
    assert verdict.first_fail == Failure("f('x', [1])", "'x'", "'y'", True)
    assert (verdict.n_passed, verdict.n_checks) == (1, 3)


def test_failure_of_a_hanging_call_names_that_call(one: One) -> None:
    source = "def f(x):\n    while x == 3: pass\n    return x"
    verdict = one(source, *[Check((n,), n) for n in range(1, 6)], cpu_s=0.1)
    assert verdict.status == "timeout" and verdict.n_passed == 2
    assert verdict.first_fail is not None and verdict.first_fail.input == "f(3)"


def test_texts_of_a_failure_are_short(one: One) -> None:
    failure = one("def f(x): return x", Check(("a" * 9999,), "b" * 9999)).first_fail
    assert failure is not None and all(len(t) <= 300 for t in (failure.input, failure.got, failure.expected))


def test_each_call_gets_its_own_copy_of_the_arguments(one: One) -> None:
    argument = [1]
    source = "def f(x):\n    x.append(0)\n    return len(x)"
    assert one(source, Check((argument,), 2), Check((argument,), 2)).passed


def test_endless_loop_ends_at_the_cpu_limit(one: One) -> None:
    verdict = one("def f(x):\n    while True: pass", Check((1,), 2), cpu_s=0.2)
    assert verdict.status == "timeout" and "CPU limit of 0.2 s" in verdict.reason
    assert 0.2 <= verdict.cpu_s < 0.5


def test_many_quick_calls_share_one_cpu_limit(one: One) -> None:
    source = "from time import process_time as now\ndef f(x):\n    end = now() + 0.1\n    while now() < end: pass\n"
    source += "    return x"
    verdict = one(source, *[Check((n,), n) for n in range(20)], cpu_s=0.5)
    assert verdict.status == "timeout" and 0 < verdict.n_passed < 20


def test_usage_is_measured_outside_the_program(one: One) -> None:
    verdict = one("def f(x):\n    a = bytearray(100 << 20)\n    return sum(range(2_000_000)) * 0 + 2", Check((1,), 2))
    assert verdict.passed and verdict.cpu_s > 0.01 and 100 << 20 < verdict.peak_bytes < 200 << 20
    assert verdict.wall_s >= verdict.cpu_s * 0.5


def test_level_is_in_the_verdict(one: One, sandbox: Sandbox) -> None:
    assert one("def f(x): return 2", Check((1,), 2)).level == sandbox.level


def test_nothing_of_a_program_stays_for_the_next(sandbox: Sandbox) -> None:
    dirty = "import sys, builtins, math\nmath.pi = 3\nsys.modules['math'] = builtins.sorted = None\ndef f(x): return x"
    clean = "import math\ndef f(x): return sorted([math.pi > 3.1])[0]"
    programs = [Program(source, "f", (Check((1,), True),)) for source in (dirty, clean)]
    assert dict(sandbox.judge(programs))[1].passed


def test_value_that_is_not_plain_data_in_a_check_is_refused(sandbox: Sandbox) -> None:
    check = Check((object(),), 1)  # type: ignore[arg-type]  what a careless caller does
    with pytest.raises(SandboxError, match=r"here: .*not plain data"):
        list(sandbox.judge([Program("def f(x): return 1", "f", (check,), id="here")]))


def test_selftest_passes(sandbox: Sandbox) -> None:
    selftest(sandbox)
