"""The Inspect task in examples/, run by the installed package with answers given beforehand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.benchmarks.registry import load

pytest.importorskip("inspect_ai", reason="needs inspect_ai: pip install inspect_ai")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]


def test_answers_are_scored_by_our_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from inspect_ai import eval as inspect_eval
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    monkeypatch.syspath_prepend(str(ROOT / "examples/inspect"))
    sys.modules.pop("judged", None)
    import judged

    right, cheat = load("humaneval").problems[:2]
    texts = [
        f"Here it is:\n```python\n{right.prompt}{right.reference}```\n",
        f"```python\n{cheat.prompt}    import os\n    os._exit(0)\n```\n",
    ]
    answers = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for answer in answers:
        answer.usage = ModelUsage()  # or the mock model would count tokens with a vocabulary that it fetches
    [log] = inspect_eval(
        judged.judged(benchmark="humaneval"),
        model=get_model("mockllm/model", custom_outputs=answers),
        limit=2,
        max_samples=1,
        max_connections=1,
        log_dir=str(tmp_path),
        display="none",
    )
    assert log.status == "success", log.error
    assert log.samples is not None
    found = {str(one.id): next(iter((one.scores or {}).values())) for one in log.samples}
    assert found[right.id].value == "C"
    assert found[cheat.id].value == "I" and (found[cheat.id].metadata or {})["status"] == "crashed"
    assert log.eval.metadata is not None and log.eval.metadata["style"] == "instruct"
