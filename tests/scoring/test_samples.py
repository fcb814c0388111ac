"""Files of completions: what is found in a folder, how ids may be written, and what a bad file is told."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError
from harness.scoring import samples as files
from harness.types import Problem

BY_ID = {name: Problem(name, "def f():\n", "f", (), "") for name in ("Mbpp/2", "Mbpp/3")}


def lines(*names: Any, **more: Any) -> str:
    return "".join(json.dumps({"task_id": name, "completion": "x", **more}) + "\n" for name in names)


def test_a_folder_holds_a_model_for_each_file_and_subfolder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines("Mbpp/2"))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines("Mbpp/2").encode()))
    (tmp_path / "a.jsonl_results.jsonl").write_text("")
    (tmp_path / "c").mkdir()
    for part in "12":
        (tmp_path / "c" / f"{part}.jsonl").write_text(lines(f"Mbpp/{int(part) + 1}"))
    found = files.found_at(tmp_path)
    assert [(one.name, len(one.files)) for one in found] == [("a", 1), ("b", 1), ("c", 2)]
    assert files.check(found[2], BY_ID, allow_missing=False).samples == {"Mbpp/2": 1, "Mbpp/3": 1}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a.jsonl", "b.jsonl"], ["a", "b"]),
        (["x/a.jsonl", "y/a.jsonl.gz", "b.jsonl"], ["x/a", "y/a", "b"]),
        (["1/x/a.jsonl", "2/x/a.jsonl"], ["1/x/a", "2/x/a"]),
        (["x/a.jsonl", "x/a.jsonl.gz"], ["a.jsonl", "a.jsonl.gz"]),
        (["x/a.jsonl", "x/a.jsonl.gz", "y/a.jsonl"], ["x/a.jsonl", "a.jsonl.gz", "y/a"]),
    ],
)
def test_models_of_one_name_are_told_apart_by_their_path(tmp_path: Path, paths: list[str], names: list[str]) -> None:
    models = [files.Samples(files.plain_name(Path(one)), tmp_path / one, (tmp_path / one,)) for one in paths]
    assert [one.name for one in files.distinct(models)] == names


def test_a_file_that_is_given_twice_is_told(tmp_path: Path) -> None:
    model = files.Samples("a", tmp_path / "a.jsonl", ())
    with pytest.raises(DataError, match="given twice"):
        files.distinct([model, files.Samples("a", tmp_path / "x/../a.jsonl", ())])


def test_the_files_of_a_folder_can_be_parts_of_one_model(tmp_path: Path) -> None:
    for part in "12":
        (tmp_path / f"{part}.jsonl").write_text(lines(f"Mbpp/{int(part) + 1}"))
    [found] = files.found_at(tmp_path, parts=True)
    assert files.check(found, BY_ID, allow_missing=False).total == 2
    assert found.beside(files.RESULTS).parent == tmp_path.parent


def test_evalplus_folders_of_programs_are_read(tmp_path: Path) -> None:
    for name in ("Mbpp_2", "Mbpp_3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.py").write_text("def f(): pass\n")
    [found] = files.found_at(tmp_path)
    read = [files.sample_of(place, raw, BY_ID) for place, raw in files.lines_of(found)]
    assert [(one.problem_id, one.text, one.solution) for one in read] == [
        ("Mbpp/2", "def f(): pass\n", True),
        ("Mbpp/3", "def f(): pass\n", True),
    ]


@pytest.mark.parametrize("given", [2, "2", "Mbpp/2"])
def test_a_bare_number_is_an_id(given: object) -> None:
    assert files.problem_id(given, BY_ID) == "Mbpp/2"


@pytest.mark.parametrize("given", [True, 2.0, "02x", "-2", 4, None])
def test_what_is_no_id_is_none(given: object) -> None:
    assert files.problem_id(given, BY_ID) is None


def test_samples_of_problems_that_are_left_out_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(lines("Mbpp/2", "Mbpp/9", 9, "Mbpp/3"))
    samples = replace(files.found_at(path)[0], left_out=frozenset({"Mbpp/9", "9"}))
    assert files.check(samples, BY_ID, allow_missing=False).samples == {"Mbpp/2": 1, "Mbpp/3": 1}


def told(path: Path) -> str:
    [samples] = files.found_at(path)
    with pytest.raises(DataError) as caught:
        files.check(samples, BY_ID, allow_missing=True)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lines("HumanEval/0").encode(), ":1: task_id 'HumanEval/0' is another benchmark's, whose ids begin with Mbpp/"),
        (lines("Mbpp/2", "Mbpp/4").encode(), ":2: task_id 'Mbpp/4' is not in the benchmark (did you mean Mbpp/"),
        (lines(2.5).encode(), ":1: task_id is float, expected text or a number"),
        (lines("Mbpp/2").encode() + b'{"task_id": "Mbpp/2", "completion": "\x00"}\n', ":2: not JSON"),
        (b'{"task_id": "Mbpp/2", "completion": "\xff"}\n', ":1: not UTF-8 (byte 37 of the line)"),
        (gzip.compress(lines(*["Mbpp/2"] * 99).encode(), mtime=0)[:-9], "the gzip data is damaged or cut off"),
        (b"\n", "no samples"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(content)
    assert f"{path}{said}" in told(path) or (said in told(path) and str(path) in told(path))


@pytest.mark.parametrize(
    ("text", "said"), [("x" * 10_000_000, "10,000,000 characters"), ("x = 1\0", "NUL characters"), ("x = 1", "")]
)
def test_a_text_that_no_evaluator_runs_is_named_and_kept(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(json.dumps({"task_id": "Mbpp/2", "completion": text}) + "\n")
    counted = files.check(files.found_at(path)[0], BY_ID, allow_missing=True)
    assert counted.total == 1 and len(counted.odd) == bool(said)
    assert all(one.startswith(f"{path}:1: ") and said in one for one in counted.odd)


def test_a_problem_with_more_samples_than_most_is_told_with_its_line(tmp_path: Path) -> None:
    by_id = {f"Mbpp/{n}": Problem(f"Mbpp/{n}", "def f():\n", "f", (), "") for n in range(3)}
    path = tmp_path / "a.jsonl"
    path.write_text(lines(*by_id, "Mbpp/1"))
    [one] = files.found_at(path)
    assert files.check(one, by_id, allow_missing=False).odd == [
        f"{path}:4: Mbpp/1 has 2 samples by here, most problems have 1"
    ]
    path.write_text(lines(*by_id, *by_id))
    assert not files.check(one, by_id, allow_missing=False).odd


def test_an_empty_folder_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no samples here.*\.jsonl"):
        files.found_at(tmp_path)


def test_a_program_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "Mbpp_2").mkdir()
    (tmp_path / "Mbpp_2" / "0.py").write_bytes(b"x = '\xff'\n")
    assert "0.py: not UTF-8 (byte 5)" in told(tmp_path)
