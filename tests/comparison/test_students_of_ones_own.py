"""A student of one's own that could not be trained is told by the command, before anything is written or spent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.comparison.driver import check
from harness.errors import ConfigError
from harness.settings.resolve import resolve
from tests.fakes import tiny_student


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_student(tmp_path_factory.mktemp("student"))


def words(student: Path, *more: str) -> list[str]:
    return ["recipe=seqkd", f"student={student}", *more]


def mended(student: Path, folder: Path, **changes: object) -> Path:
    """Return a copy of a student with other settings of its tokenizer."""
    shutil.copytree(student, folder)
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


def test_a_tokenizer_without_end_token_is_told(student: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no end token; set eos_token"):
        check(resolve(words(mended(student, tmp_path / "endless", eos_token=None))))


def test_a_tokenizer_that_loses_blanks_is_told(student: Path, tmp_path: Path) -> None:
    folder = mended(student, tmp_path / "lossy")
    file = folder / "tokenizer.json"
    said = json.loads(file.read_text())
    said["normalizer"] = {"type": "Strip", "strip_left": True, "strip_right": True}
    file.write_text(json.dumps(said))
    with pytest.raises(ConfigError, match=r"its tokenizer loses a part .* comes back"):
        check(resolve(words(folder)))


def test_a_tokenizer_without_pad_token_needs_none(student: Path, tmp_path: Path) -> None:
    check(resolve(words(mended(student, tmp_path / "padless", pad_token=None))))


@pytest.mark.parametrize("targets", ["q_prj", "q_proj,v_prj"])
def test_targets_of_an_adapter_that_name_no_layer_are_told(student: Path, targets: str) -> None:
    pytest.importorskip("peft")
    with pytest.raises(ConfigError, match=r"has no layer ._prj \(did you mean ._proj\?\)"):
        check(resolve(words(student, "train.lora.rank=4", f"train.lora.targets={targets}")))


def test_one_layer_may_be_named(student: Path) -> None:
    pytest.importorskip("peft")
    check(resolve(words(student, "train.lora.rank=4", "train.lora.targets=q_proj")))
