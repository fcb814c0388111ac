"""Where benchmark data is found: the data folder, then the hub's cache, made here as `datasets` makes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.benchmarks import sources
from harness.benchmarks.registry import load
from harness.errors import DataError
from harness.store.keys import digest
from tests.needs import data_folder

ROWS = [{"task_id": number, "text": f"Do {number}.", "tests": ["assert f(1) == 2"]} for number in (3, 1, 2)]
SHA256 = digest(sorted(ROWS, key=lambda row: row["task_id"]))
SET = sources.Published(
    ("mine/rows.jsonl",), SHA256, "https://example.org/rows", "someone/some", "full", ("test", "train")
)


def cached(folder: Path, name: str, configuration: str, splits: dict[str, list[dict[str, Any]]]) -> None:
    """Write a data set into a cache as `datasets` leaves it there once it was fetched."""
    from datasets import Dataset, DatasetInfo, Features, SplitDict, SplitInfo, Version
    from datasets.arrow_writer import ArrowWriter

    title = name.partition("/")[2]
    target = folder / name.replace("/", "___") / configuration / "0.0.0" / ("0" * 40)
    target.mkdir(parents=True)
    every = [row for rows in splits.values() for row in rows]  # a list that is empty throughout has no type
    features: Features = Dataset.from_list(every).features
    infos = SplitDict(dataset_name=title)
    for split, rows in splits.items():
        with ArrowWriter(path=str(target / f"{title}-{split}.arrow"), features=features) as writer:
            for row in rows:
                writer.write(row)
            count, size = writer.finalize()
        infos.add(SplitInfo(name=split, num_bytes=size, num_examples=count, dataset_name=title))
    DatasetInfo(
        features=features,
        splits=infos,
        dataset_name=title,
        builder_name="parquet",
        config_name=configuration,
        version=Version("0.0.0"),
    ).write_to_directory(str(target))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    return folder


def test_the_hubs_cache_is_read_without_the_network(cache: Path) -> None:
    cached(cache, SET.hub, SET.configuration, {"test": ROWS[:2], "train": ROWS[2:]})
    where, rows = sources.rows_of("mine", SET, None)
    assert where == "hub:someone/some"
    assert [row["task_id"] for row in rows] == [1, 2, 3] and rows[0] == ROWS[1]


@pytest.mark.slow
def test_another_content_of_the_cache_is_refused_with_both_hashes(cache: Path) -> None:
    cached(cache, SET.hub, SET.configuration, {"test": ROWS[:1], "train": ROWS[2:]})
    with pytest.raises(DataError, match=rf"hub:someone/some: the data has sha256 [0-9a-f]+, .* expects {SHA256}"):
        sources.rows_of("mine", SET, None)


def test_the_data_folder_comes_before_the_cache(cache: Path, tmp_path: Path) -> None:
    cached(cache, SET.hub, SET.configuration, {"test": ROWS[:2], "train": ROWS[2:]})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert sources.rows_of("mine", SET, tmp_path)[0] == str(tmp_path / "mine" / "rows.jsonl")
    assert sources.rows_of("mine", SET, tmp_path / "elsewhere")[0] == "hub:someone/some"


@pytest.mark.slow
def test_data_that_is_nowhere_tells_both_places(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"{tmp_path}/mine/rows\.jsonl, and someone/some is not in the cache.*example"):
        sources.rows_of("mine", SET, tmp_path)


def test_a_json_list_is_read_as_lines_are(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "rows.jsonl").write_text(json.dumps(ROWS))
    assert len(sources.rows_of("mine", SET, tmp_path)[1]) == 3


@pytest.fixture
def data() -> Path:
    return data_folder()


@pytest.mark.slow
def test_mbpp_from_the_hubs_cache_is_mbpp_from_the_file(data: Path, cache: Path) -> None:
    rows = sources.read_rows(data / "mbpp/mbpp.jsonl", "")
    first = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974)}
    splits = {name: [row for row in rows if low <= row["task_id"] <= high] for name, (low, high) in first.items()}
    cached(cache, "google-research-datasets/mbpp", "full", splits)
    found = load("mbpp:test")
    assert found.where == "hub:google-research-datasets/mbpp" and found.digest == load("mbpp:test", data=data).digest
