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


@pytest.mark.parametrize(
    ("targets", "said"),
    [("q_prj", "has no layer q_prj"), ("all-linear,q_proj", "has no layer all-linear.* say all-linear alone")],
)
def test_targets_that_the_embedded_student_lacks_are_told_too(targets: str, said: str) -> None:
    pytest.importorskip("peft")
    with pytest.raises(ConfigError, match=said):
        check(resolve(["recipe=seqkd", "train.lora.rank=4", f"train.lora.targets={targets}"]))


def spoiled(student: Path, folder: Path, file: str, text: str) -> Path:
    """Return a copy of a student in which a file holds something else."""
    shutil.copytree(student, folder)
    (folder / file).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("tokenizer.json", "{}", "its tokenizer cannot be read .* Expected tokenizer.json"),
        ("config.json", "{", "config.json cannot be read .* Expected that of a model"),
        ("config.json", '{"model_type": "martian"}', "config.json cannot be read .*martian"),
        ("model.safetensors", "half", "its weights cannot be read .* Expected whole safetensors"),
    ],
)
def test_files_that_cannot_be_read_are_told(student: Path, tmp_path: Path, file: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check(resolve(words(spoiled(student, tmp_path / "spoiled", file, text))))


def test_a_model_that_lacks_a_tensor_is_told_and_not_filled_at_random(student: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = mended(student, tmp_path / "gap")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match=r"lack 1 tensors of a LlamaForCausalLM, first model\.norm\.weight"):
        check(resolve(words(folder)))


@pytest.mark.parametrize("key", ["student", "logits"])
def test_a_tokenizer_of_more_tokens_than_its_model_has_is_told(student: Path, tmp_path: Path, key: str) -> None:
    from transformers import AutoModelForCausalLM

    folder = mended(student, tmp_path / "narrow")
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.resize_token_embeddings(100)
    model.save_pretrained(folder)
    both = {"student": student, "logits": student, key: folder}
    with pytest.raises(ConfigError, match=rf"{key}=.*numbers tokens up to \d+ .* its model knows 100"):
        check(resolve(["recipe=kd-fkl", *(f"{name}={value}" for name, value in both.items())]))


@pytest.mark.parametrize(
    ("positions", "more", "said"),
    [
        (32, [], "student=.*: it holds 32 tokens"),
        (256, ["train.max_tokens=24"], "train.max_tokens: it holds 24 tokens"),
    ],
)
def test_problems_that_leave_no_room_for_an_answer_are_told(
    tmp_path: Path, positions: int, more: list[str], said: str
) -> None:
    folder = tiny_student(tmp_path, positions=positions)
    with pytest.raises(ConfigError, match=rf"{said}, and \d+ of 64 prompts of problems=pipelines have as many"):
        check(resolve(words(folder, *more)))
