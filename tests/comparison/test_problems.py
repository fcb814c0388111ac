from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.problems import MBPP_PLUS_OLD_TRAIN, MBPP_PLUS_TRAIN, check_spec, ids_of, load_pool
from harness.errors import ConfigError, DataError
from harness.types import Script
from tests.needs import data_folder

GOOD = {
    "task_id": "a",
    "prompt": 'def f(x):\n    """Add one. f(1) == 2"""\n',
    "entry_point": "f",
    "canonical_solution": "    return x + 1\n",
    "test": "def check(candidate):\n    assert candidate(1) == 2\n",
}
MBPP = {"task_id": 7, "text": "Add one.", "code": "def g(x):\n    return x + 1\n", "test_list": ["assert g(1) == 2"]}

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def make(*rows: dict[str, Any] | str) -> str:
        path = tmp_path / "pool.jsonl"
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
        return str(path)

    return make


def changed(**other: Any) -> dict[str, Any]:
    return {**GOOD, **other}


def test_pipelines_pools_differ_by_seed_and_repeat_by_seed() -> None:
    first = load_pool("pipelines", size=20, seed=1)
    assert len(first) == 20 and first == load_pool("pipelines", size=20, seed=1)
    assert {one.id for one in first} != {one.id for one in load_pool("pipelines", size=20, seed=2)}


def test_a_file_may_mix_both_fields(write: Write) -> None:
    found = {one.id: one for one in load_pool(write(GOOD, MBPP))}
    assert set(found) == {"a", "Mbpp/7"}
    assert found["a"].source == "pool.jsonl"
    assert isinstance(found["a"].checks, Script) and found["a"].checks.visible[0].expected == 2


def test_a_fixed_pool_is_drawn_by_the_seed(write: Write) -> None:
    spec = write(*(changed(task_id=str(number)) for number in range(30)))
    first = [one.id for one in load_pool(spec, size=10, seed=1)]
    assert first == [one.id for one in load_pool(spec, size=10, seed=1)]
    assert len(set(first)) == 10 and first != [one.id for one in load_pool(spec, size=10, seed=2)]


def test_a_small_pool_is_given_whole(write: Write) -> None:
    assert len(load_pool(write(GOOD), size=10)) == 1


def test_all_faults_of_a_file_are_told_with_their_lines(write: Write) -> None:
    spec = write(GOOD, "{", "[]", changed(task_id="b", prompt="def g(x):\n    '''D'''\n"), changed(task_id="a"))
    with pytest.raises(DataError) as caught:
        check_spec(spec)
    lines = str(caught.value).splitlines()
    assert [line.removeprefix(f"{spec}:")[0] for line in lines] == ["2", "3", "4", "5"]
    assert "not JSON" in lines[0] and "list" in lines[1] and "entry point 'f'" in lines[2] and "used before" in lines[3]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (changed(test="assert True"), "check"),
        (changed(canonical_solution="    return ("), "not a program"),
        (changed(prompt="def f(x):"), "newline"),
        (changed(entry_point=3), "entry_point is 3"),
        ({**MBPP, "test_list": []}, "test_list"),
        ({**MBPP, "code": "def g(:"}, "code is not Python"),
        ({**MBPP, "test_list": ["assert h(1) == 2"]}, "calls none"),
    ],
)
def test_a_bad_row_says_what_is_wrong(write: Write, row: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        check_spec(write(row))


def test_a_file_that_is_not_there_names_the_nearest(write: Write) -> None:
    spec = write(GOOD)
    with pytest.raises(DataError, match=r"did you mean pool\.jsonl\?"):
        check_spec(spec.replace("pool.", "pol."))


def test_an_empty_file_is_an_error(write: Write) -> None:
    with pytest.raises(DataError, match="no problems"):
        check_spec(write())


def test_an_unknown_pool_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"did you mean pipelines\?"):
        check_spec("pipeline")


def test_a_hub_data_set_that_cannot_be_had_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def unreachable(name: str, split: str) -> None:
        raise ConnectionError(f"no route to {name} {split}")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(DataError, match=r"hub:someone/some.*no route.*PATH\.jsonl"):
        check_spec("hub:someone/some")


def test_rows_of_the_hub_become_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: [GOOD, MBPP])
    assert {one.source for one in load_pool("hub:someone/some")} == {"hub:someone/some"}


def test_ranges_of_ids_are_read() -> None:
    assert ids_of("1-3 5") == {1, 2, 3, 5}


def test_the_train_ids_left_out_are_those_that_mbpp_plus_holds() -> None:
    folder = data_folder() / "evalplus"
    held = {}
    for version in ("0.1.0", "0.2.0"):
        with gzip.open(folder / f"MbppPlus-v{version}.jsonl.gz") as stream:
            numbers = {int(json.loads(line)["task_id"].partition("/")[2]) for line in stream}
        held[version] = {number for number in numbers if number >= 601}
    assert ids_of(MBPP_PLUS_TRAIN) == held["0.2.0"]
    assert ids_of(MBPP_PLUS_TRAIN) | ids_of(MBPP_PLUS_OLD_TRAIN) == held["0.1.0"]


def test_mbpp_train_leaves_263_problems() -> None:
    found = load_pool("mbpp:train", data=data_folder())
    assert len(found) == 263 and "Mbpp/602" not in {one.id for one in found}
