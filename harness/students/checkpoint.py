"""Reads and writes a student's folder: weights, configuration and tokenizer in Hugging Face's format. No network."""

from __future__ import annotations

import importlib
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TrainingError, UsageError
from harness.students.compute import importing

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
UNBOUNDED = 1 << 30  # positions of a model that states no limit


def load_libraries() -> None:
    """Load all that a model's module needs, before anything smaller loads a part of it the slow way."""
    with importing():
        importlib.import_module("transformers.modeling_utils")
        importlib.import_module("transformers.models.llama.modeling_llama")  # the embedded student's


@contextmanager
def quiet() -> Generator[None]:
    """Keep the libraries from drawing bars on the terminal."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def reading(what: str, expected: str) -> Generator[None]:
    """Say what of a model's folder the libraries cannot read, and why; Raises UsageError."""
    try:
        yield
    except Exception as err:  # whatever a file makes a library raise: tokenizers know nothing narrower
        said = " ".join(str(err).split())[:200]
        raise UsageError(f"{what} cannot be read ({type(err).__name__}: {said}). Expected {expected}.") from err


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a student's folder."""
    demand_student(folder)
    with importing():
        from transformers import AutoTokenizer

    expected = "tokenizer.json and tokenizer_config.json, as save_pretrained writes them"
    with quiet(), reading(f"{folder}: its tokenizer", expected):
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def read_model(folder: Path, device: str, dtype: str = "auto") -> PreTrainedModel:
    """Read the model of a student's folder onto a device; `auto` keeps the number format it was written in."""
    demand_student(folder)
    load_libraries()
    from transformers import AutoModelForCausalLM

    with quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=dtype)
    return model.to(device)


def demand_student(folder: Path, what: str = "student") -> None:
    """Raise unless the folder looks like a student's."""
    if not folder.is_dir():
        raise UsageError(f"{what} {folder}: no such folder")
    if not (folder / "config.json").is_file():
        raise UsageError(f"{what} {folder}: no config.json; expected a folder written by save_pretrained")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise UsageError(f"{what} {folder}: no weights; expected {' or '.join(WEIGHTS)}")


def write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write a complete student's folder that transformers can open without us; `weights` replace the model's own."""
    broken = [name for name, value in (weights or dict(model.named_parameters())).items() if not all_finite(value)]
    if broken:
        raise TrainingError(f"weights are no longer finite in {len(broken)} tensors, first {broken[0]}; not written")
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)


def all_finite(parameter: torch.Tensor) -> bool:
    return bool(parameter.isfinite().all())


def configuration(folder: Path) -> Any:
    """Return the configuration of the model in a folder, which tells sizes by one name for all families."""
    demand_student(folder)
    with importing():
        from transformers import AutoConfig

    with reading(f"{folder}/config.json", "that of a model which this version of transformers knows"):
        return AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()


def outline(folder: Path) -> PreTrainedModel:
    """Return the model in a folder without the values of its weights, which are not read.

    Raises UsageError unless the files hold every one of them: the library would draw what is missing at random.
    """
    configuration(folder)
    load_libraries()
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    expected = "whole safetensors files of a causal language model"
    shown = logging.get_verbosity()
    logging.set_verbosity_error()  # what it has to say of missing weights is said below
    try:
        with quiet(), reading(f"{folder}: its weights", expected):
            read: Any = AutoModelForCausalLM.from_pretrained
            model, found = read(folder, local_files_only=True, device_map="meta", output_loading_info=True)
    finally:
        logging.set_verbosity(shown)
    if missing := sorted(found["missing_keys"]):
        raise UsageError(
            f"{folder}: its weights lack {len(missing)} tensors of a {type(model).__name__}, first {missing[0]}. "
            f"Expected {expected}; put the folder together again, or take another model."
        )
    return model


def linear_layers(model: PreTrainedModel) -> set[str]:
    """Return the names of a model's linear layers."""
    import torch
    from transformers.pytorch_utils import Conv1D  # GPT-2's

    return {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear | Conv1D)}


def configured_positions(folder: Path) -> int:
    """Return how many tokens the model in a folder can hold, without loading it."""
    return most_tokens(configuration(folder))


def positions(model: PreTrainedModel) -> int:
    """Return how many tokens the model can hold, prompt and answer together."""
    return most_tokens(model.config.get_text_config())


def most_tokens(configuration: Any) -> int:
    return int(getattr(configuration, "max_position_embeddings", None) or UNBOUNDED)
