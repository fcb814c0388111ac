"""The lm-evaluation-harness task in examples/, run by the installed package with a model that knows the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.benchmarks.registry import load

pytest.importorskip("lm_eval", reason="needs lm_eval: pip install 'lm_eval>=0.4.13'")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]


def scored(answers: dict[str, str], limit: int) -> float:
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Known(LM):
        def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
            return [answers[request.args[0]] for request in requests]

        def loglikelihood(self, requests: list[Any]) -> Any:
            raise NotImplementedError

        def loglikelihood_rolling(self, requests: list[Any]) -> Any:
            raise NotImplementedError

    found = simple_evaluate(
        model=Known(),
        tasks=["humaneval_judged"],
        task_manager=TaskManager(include_path=str(ROOT / "examples/lm_eval"), include_defaults=False),
        limit=limit,
        bootstrap_iters=0,
    )
    assert found is not None
    return found["results"]["humaneval_judged"]["pass_at_1,judged"]


def test_references_score_one_and_every_other_one_a_half() -> None:
    problems = load("humaneval").problems
    assert scored({one.prompt: one.reference for one in problems}, 8) == 1.0
    half = {one.prompt: one.reference if at % 2 else "    return 7\n" for at, one in enumerate(problems)}
    assert scored(half, 8) == 0.5
