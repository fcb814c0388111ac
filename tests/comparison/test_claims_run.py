"""A preset of parts and claims from end to end, as a user runs it: run, seen, reported, run again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.store.rows import read_rows
from tests.command import TINY, run

pytestmark = [pytest.mark.compare, pytest.mark.slow]

TOKENS = 600  # a cycle's; three updates of 16 examples take more
SMALL = " ".join(word for word in TINY if not word.startswith("preset"))
PRESET = {
    "common": f"{SMALL} seed=0,1 cycles=2 reference=untrained",
    "parts": {
        "updates": {"under": "equal updates", "words": "recipe=stand,sft benchmark=pipelines,preference:oracle"},
        "tokens": {
            "under": "equal training tokens",
            "words": f"recipe=sft train.batch=4 budget.updates=40 budget.training_tokens={TOKENS}",
        },
    },
    "claims": [
        {"says": "STAND above SFT", "source": "nobody", "line": "stand", "over": "sft", "benchmark": "pipelines",
         "parts": ["updates"]},
        {"says": "SFT rises", "source": "nobody", "line": "sft", "benchmark": "pipelines",
         "parts": ["updates", "tokens"]},
    ],
}  # fmt: skip


def found_in(out: str) -> str:
    """Return the table of claims that a comparison printed."""
    return out[out.index("claims of the papers as hypotheses") : out.index("All parts in one report")]


def test_parts_are_run_reported_together_and_run_again_from_what_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "pair.yaml").write_text(json.dumps(PRESET))
    out = run("compare", "preset=pair.yaml", "run=both", folder=tmp_path)
    assert "part        updates, at equal updates" in out and "part        tokens" in out
    after = found_in(out)
    assert after.count("SFT rises") == 2 and "over all 3 hypotheses" in " ".join(after.split())
    assert max(map(len, after.splitlines())) <= 80

    spent = [row.spent for row in read_rows(tmp_path / "both/tokens/rows.jsonl") if row.cycle == 2]
    assert all(0 < one.training_tokens <= 2 * TOKENS and 2 <= one.updates < 80 for one in spent)
    chosen = [row for row in read_rows(tmp_path / "both/updates/rows.jsonl") if row.benchmark == "preference:oracle"]
    assert all(row.protocol["decoding"] == "chosen of two" for row in chosen) and sum(chosen[0].correct) > 0

    assert run("status", "both", folder=tmp_path).count("state     finished") == 2
    report = json.loads(run("report", "both", "--format", "json", folder=tmp_path))
    assert [one["under"] for one in report["claims"]] == ["equal updates", "equal updates", "equal training tokens"]
    assert {line["label"] for line in report["lines"]} >= {"stand part=updates", "sft part=tokens"}

    again = run("compare", "preset=pair.yaml", "run=both", folder=tmp_path)
    assert again.count("every step was recorded, none run") == 2
    assert found_in(again) == after
