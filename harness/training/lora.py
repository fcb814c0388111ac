"""Low-rank adapters through peft: put on a student, continued over cycles, and merged in what is written out.

A student trained this way is written whole, as any other, so that everything can read it; beside its merged weights lie
the adapter and the name of the weights that it belongs to, from which a next fit goes on exactly.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import TrainingError
from harness.store.artifacts import hash_folder
from harness.students.checkpoint import read_model, write
from harness.training.schedule import Lora

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ADAPTER, BASE = "adapter", "base.json"
ALL_LINEAR = "all-linear"  # peft's word; any other text that is no list it takes for a pattern


def named_base(folder: Path) -> str | None:
    """Return the weights that a student's adapter was trained on, by their hash; None for one without an adapter."""
    path = folder / ADAPTER / BASE
    return json.loads(path.read_text())["weights"] if path.is_file() else None


class Adapted:
    """A student with an adapter that is trained while its own weights stay as they are."""

    def __init__(self, folder: Path, settings: Lora, device: str, bases: Callable[[str], Path], seed: int) -> None:
        """Continue the adapter of `folder` if it has one of these settings, else put a new one on its weights.

        `bases` returns the folder of the weights that an adapter names. What a new one begins with is drawn by `seed`
        from the global generators, which the caller puts back. Raises TrainingError if peft is not installed or the
        targets name no layer.
        """
        try:
            import peft
        except ImportError as error:
            raise TrainingError("train.lora needs peft. Install it: pip install 'distil-harness[lora]'") from error

        import torch

        before = folder / ADAPTER
        self.base, start = "", folder
        if before.is_dir():
            said: dict[str, Any] = json.loads((before / BASE).read_text())
            if said["settings"] == settings.key():
                self.base, start = said["weights"], bases(said["weights"])
        model = read_model(start, device, dtype="float32")
        if self.base:
            self.model: Any = peft.PeftModel.from_pretrained(model, str(before), is_trainable=True)
        else:
            self.base = hash_folder(folder)
            targets: Any = ALL_LINEAR if settings.targets == (ALL_LINEAR,) else list(settings.targets)
            wanted = peft.LoraConfig(
                r=settings.rank, lora_alpha=settings.alpha, target_modules=targets, task_type="CAUSAL_LM"
            )
            torch.manual_seed(seed)  # peft draws from nowhere else
            try:
                self.model = peft.get_peft_model(model, wanted)
            except ValueError as error:
                raise TrainingError(f"train.lora targets={','.join(settings.targets)}: {error}") from error
        self.settings = settings

    def write(self, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
        """Write the merged student, and the adapter by itself, without changing the weights in use."""
        plain: PreTrainedModel = self.model.get_base_model()
        write(plain, tokenizer, folder, self.merged())
        self.model.save_pretrained(folder / ADAPTER)
        (folder / ADAPTER / "README.md").unlink(missing_ok=True)  # peft's template, which says nothing
        said = {"weights": self.base, "settings": self.settings.key()}
        (folder / ADAPTER / BASE).write_text(json.dumps(said, sort_keys=True))

    def merged(self) -> dict[str, Tensor]:
        """Return the weights W + (α/r)·B·A under the names that they have without an adapter."""
        weights: dict[str, Tensor] = {}
        for name, value in self.model.get_base_model().state_dict().items():
            if ".lora_" not in name:
                weights[name.replace(".base_layer.", ".")] = value
        for name, layer in self.model.get_base_model().named_modules():
            if hasattr(layer, "get_delta_weight"):
                delta: Tensor = layer.get_delta_weight("default")
                weights[f"{name}.weight"] = weights[f"{name}.weight"] + delta.detach()
        return weights
