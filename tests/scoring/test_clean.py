"""Cleaning a file of training data: what is read as text and as program, in one process and in several."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from harness.benchmarks.registry import available, load
from harness.errors import ConfigError, DataError
from harness.scoring.clean import clean_file, measured, programs_of, texts_of
from harness.settings.config import Run

TESTED = load("humaneval").problems[10]
CODE = TESTED.prompt + TESTED.reference


def write(path: Path, *rows: dict[str, Any]) -> Path:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def run(workers: int = 1, *names: str) -> Run:
    return Run(benchmark=names or ("humaneval",), workers=workers)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": TESTED.prompt, "completion": TESTED.reference},
        {"messages": [{"role": "user", "content": "Help"}, {"role": "assistant", "content": f"```python\n{CODE}```"}]},
        {"instruction": "Do it.", "input": "", "output": CODE.replace("string", "s")},
        {"meta": {"deep": [CODE]}},
    ],
)
def test_a_copy_is_found_wherever_it_stands_in_a_row(tmp_path: Path, row: dict[str, Any]) -> None:
    found = clean_file(write(tmp_path / "d.jsonl", row, {"text": "Nothing."}), run())
    assert (found.seen, found.removed) == (2, 1) and set(found.sources) == {"humaneval"}


def test_several_processes_find_what_one_finds_and_keep_the_order(tmp_path: Path) -> None:
    rows = [{"n": n, "text": CODE if n % 7 == 0 else f"Row {n}."} for n in range(1500)]
    path = write(tmp_path / "d.jsonl.gz", *rows)
    one = clean_file(path, run())
    alone = one.clean.read_bytes()
    two = clean_file(path, run(2))
    assert two.clean == tmp_path / "d.clean.jsonl" and two.clean.read_bytes() == alone
    assert (one.removed, one.kinds) == (two.removed, two.kinds) == (215, two.kinds)
    assert [json.loads(line)["n"] for line in alone.splitlines()] == [n for n in range(1500) if n % 7]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\nno\n', ":2: not JSON"),
        (b'["a"]\n', ":1: found a list"),
        (b'{"a": "\xff"}\n', ":1: not UTF-8"),
        (b"", "no rows"),
    ],
)
@pytest.mark.parametrize("workers", [1, 2])
def test_a_bad_file_is_told_with_its_line_and_nothing_is_written(
    tmp_path: Path, content: bytes, said: str, workers: int
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"d\.jsonl{said}|d\.jsonl: {said}"):
        clean_file(path, run(workers))
    assert [one.name for one in tmp_path.iterdir()] == ["d.jsonl"]


def test_a_truncated_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": "b"}\n' * 100)[:-9])
    with pytest.raises(DataError, match="damaged or cut off"):
        clean_file(path, run())


def test_all_stands_alone_and_means_what_nobody_trains_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Say it alone"):
        clean_file(write(tmp_path / "d.jsonl", {"a": "b"}), run(1, "all", "humaneval"))
    found = measured(available())
    assert {"humaneval", "mbpp:test", "mbpp-sanitized:test", "gsm8k:test", "mbpp+"} <= set(found)
    assert not {"mbpp:train", "mbpp:all", "mbpp-sanitized", "gsm8k:train", "mbpp:prompt"} & set(found)


def test_programs_are_texts_blocks_and_questions_with_their_answers() -> None:
    row = {"prompt": "def f(x):\n", "completion": "    return x\n", "note": "see\n```\ndef g(): pass\n```\n"}
    found = list(programs_of(row, list(texts_of(row))))
    assert found == ["def f(x):\n", "def g(): pass\n", "def f(x):\n    return x\n"]
