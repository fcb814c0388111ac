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


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a student's folder."""
    demand_student(folder)
    with importing():
        from transformers import AutoTokenizer

    with quiet():
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

    return AutoConfig.from_pretrained(folder, local_files_only=True).get_text_config()


def layer_names(folder: Path) -> set[str]:
    """Return the names of the linear layers of the model in a folder; its weights are not read."""
    load_libraries()
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D  # GPT-2's linear layers

    with torch.device("meta"):
        model: torch.nn.Module = AutoModelForCausalLM.from_config(configuration(folder))
    return {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear | Conv1D)}


def configured_positions(folder: Path) -> int:
    """Return how many tokens the model in a folder can hold, without loading it."""
    return most_tokens(configuration(folder))


def positions(model: PreTrainedModel) -> int:
    """Return how many tokens the model can hold, prompt and answer together."""
    return most_tokens(model.config.get_text_config())


def most_tokens(configuration: Any) -> int:
    return int(getattr(configuration, "max_position_embeddings", None) or UNBOUNDED)
