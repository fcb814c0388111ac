"""`harness eval`, `benchmarks` and `decontaminate` as a user types them: output, files, exit codes, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.benchmarks.registry import load
from harness.errors import ConfigError
from harness.scoring.commands import eval_words
from harness.scoring.score import extractors_named
from tests.command import run

pytestmark = pytest.mark.compare

SIZE = ("benchmark=pipelines", "world.test=8", "workers=1")


def write(path: Path, wrong: int = 0, problems: int = 8) -> Path:
    """Write a sample of each problem, the first ones wrong."""
    found = load("pipelines", size=8).problems[:problems]
    texts = ["    return 'no'\n" if at < wrong else one.reference for at, one in enumerate(found)]
    rows = [{"task_id": one.id, "completion": text} for one, text in zip(found, texts, strict=True)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_one_file_is_scored_and_told_with_its_conditions(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", wrong=2)
    out = run("eval", "a.jsonl", *SIZE, folder=tmp_path)
    assert "pass@1     75.0 %" in out and "2 wrong" in out and "extractor none" in out and "rule strict" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl_results.jsonl", "a.jsonl_row.jsonl"]


def test_a_folder_of_models_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    write(tmp_path / "models/good.jsonl")
    write(tmp_path / "models/bad.jsonl", wrong=8)
    lines = run("eval", "models", *SIZE, folder=tmp_path).splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("good", "bad"))] == [
        ["bad", "0.0"],
        ["good", "100.0"],
    ]


def test_two_models_are_compared_paired(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", wrong=6)
    write(tmp_path / "b.jsonl")
    out = run("eval", "--compare", "a.jsonl", "b.jsonl", *SIZE, folder=tmp_path)
    assert "b minus a: +75.0 points" in out and "p = 0.0312 (exact McNemar)" in out and "better in b: 6 problems" in out


def test_all_extractors_are_scored_with_their_spread_and_a_file_each(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl")
    out = run("eval", "a.jsonl", *SIZE, "--extractors", "none,code", folder=tmp_path)
    assert "points of pass@1 between extractors" in out and "a.jsonl_extractors/*_results.jsonl" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl_extractors"]
    left = sorted(path.name for path in (tmp_path / "a.jsonl_extractors").iterdir())
    assert left == ["code_results.jsonl", "none_results.jsonl"]


def test_results_are_written_where_it_is_said(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(tmp_path / name / "samples.jsonl", wrong=len(name))
    out = run("eval", "one/samples.jsonl", "two/samples.jsonl", *SIZE, "--to", "scores", folder=tmp_path)
    assert [line.split()[0] for line in out.splitlines() if "/samples " in line] == ["one/samples", "two/samples"]
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*_results.jsonl"))
    assert written == [f"scores/{name}/samples.jsonl_results.jsonl" for name in ("one", "two")]


def test_a_part_is_scored_only_where_it_is_said_and_told(tmp_path: Path) -> None:
    write(tmp_path / "a.jsonl", problems=6)
    assert "2 of 8 problems have no sample" in run("eval", "a.jsonl", *SIZE, folder=tmp_path, code=2)
    out = run("eval", "a.jsonl", *SIZE, "--allow-missing", folder=tmp_path)
    assert "missing   2 problems, not in the score" in out


def test_the_selftest_judges_references_and_programs_known_to_be_bad(tmp_path: Path) -> None:
    out = run("eval", "--selftest", "pipelines", "world.test=8", "workers=1", folder=tmp_path)
    assert "8 of 8 references pass" in out and "32 of 32 programs known to be bad fail" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "a.jsonl"], "benchmark: none given"),
        (["eval", *SIZE], "give files or folders"),
        (["eval", "none.jsonl", *SIZE], "no such file"),
        (["eval", "a.jsonl", *SIZE, "style=instruct"], "samples no student"),
        (["eval", "a.jsonl", *SIZE, "extractor=blocks"], "expected one of none, auto"),
        (["eval", "a.jsonl", *SIZE, "--extractors", "cod"], "did you mean code?"),
        (["eval", "a.jsonl", *SIZE, "rule=evalplus"], "it does not judge benchmark=pipelines"),
        (["eval", "a.jsonl", *SIZE, "workers=-1"], "workers=-1"),
        (["eval", "a.jsonl", "a.jsonl", *SIZE], "given twice"),
        (["eval", "a.jsonl", *SIZE, "k=5"], "a.jsonl has 1 of pipelines"),
        (["eval", "a.jsonl", *SIZE, "--to", "a.jsonl"], "this is a file"),
        (["eval", "--selftest", "humanevl"], "did you mean humaneval?"),
        (["eval", "--selftest", "foo"], "--selftest foo: no such benchmark. Known: all, gsm8k:test"),
        (["eval", "--selftest", "humaneval", "a.jsonl"], "--selftest takes neither samples"),
        (["decontaminate", "a.jsonl"], "benchmark: none given"),
        (["decontaminate", "a.jsonl", "benchmark=pipelines", "k=1"], "k: harness decontaminate takes"),
        (["decontaminate", "b.jsonl", "benchmark=pipelines"], "b.jsonl"),
    ],
)
def test_a_mistake_is_told_with_exit_code_2_and_writes_nothing(tmp_path: Path, words: list[str], said: str) -> None:
    write(tmp_path / "a.jsonl")
    out = run(*words, folder=tmp_path, code=2)
    assert said in out and "Traceback" not in out
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_training_data_is_cleaned_and_what_matched_is_written(tmp_path: Path) -> None:
    tested = load("humaneval").problems[10]
    rows = [{"prompt": tested.prompt, "completion": tested.reference}, {"text": "Say hello to the world."}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run("decontaminate", "train.jsonl", "benchmark=humaneval", "workers=1", folder=tmp_path)
    assert "2 rows checked against humaneval" in out and "1 left out, 1 kept" in out
    assert [json.loads(line) for line in (tmp_path / "train.clean.jsonl").read_text().splitlines()] == rows[1:]
    [hit] = [json.loads(line) for line in (tmp_path / "train.hits.jsonl").read_text().splitlines()]
    assert hit["line"] == 1 and {one["problem"] for one in hit["matches"]} == {tested.id}


def test_eval_takes_texts_as_they_stand_unless_told_otherwise() -> None:
    assert eval_words(["benchmark=humaneval"])[-1] == "extractor=none"
    assert eval_words(["benchmark=humaneval", "extractor=auto"])[-1] == "extractor=auto"


def test_extractors_are_named_once_each() -> None:
    assert extractors_named("code,none,code", "auto") == ("code", "none")
    assert len(extractors_named("all", "auto")) == 6 and extractors_named(None, "auto") == ("auto",)
    with pytest.raises(ConfigError, match="no extractor cod"):
        extractors_named("cod", "auto")
