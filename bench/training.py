"""Times the trainer against a plain PyTorch loop, and against TRL where it is installed, in one interleaved run.

    python bench/training.py [--quick] [--rounds 5] [--json]

Every contestant trains the same random student on the same rows in the same batches with AdamW and one thread. TRL gets
its rows in the same order, length buckets and all (extra `bench`). What is printed are medians of ratios of
CPU seconds, above 1 where ours is faster. `contrast` is the time of `nll + margin` over that of `nll` on as many
tokens, `kd` that of a teacher of the student's size over an update and a third, a forward pass more. `memory` is the
peak of the dense logits and of the chunked ones, in processes of their own. `--quick` leaves the 100M student out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.students.checkpoint import read_model, read_tokenizer
from harness.students.compute import computing
from harness.students.tokens import padding
from harness.training.batches import TokenRow, collate, encode, plan
from harness.training.objective import Margin, Objective, Soft
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import TrainingSet
from harness.world.student import corpus, create, tokenizer

STUDENTS = {"0.3M": (0, 0, 0), "10M": (384, 6, 6), "100M": (768, 12, 12)}  # hidden, layers, heads; 0: the embedded one
UPDATES = {"0.3M": 60, "10M": 8, "100M": 4}
SEED = 1


def student(folder: Path, name: str) -> Path:
    """Write a random student of that size with the embedded tokenizer."""
    hidden, layers, heads = STUDENTS[name]
    if not hidden:
        create("tiny-0.3M", folder, seed=0)
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        intermediate_size=4 * hidden,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=words.pad_token_id,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


class Race:
    """One student, one data set, one schedule, and the ways to train on them."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = student(folder / name, name)
        self.schedule = Schedule(updates=UPDATES[name], batch=16, learning_rate=1e-3, warmup=2)
        self.data = TrainingSet(corpus(16 * 40, seed=3))
        pairs = tuple(replace(one, rejected=one.completion.replace("x", "x + x")) for one in self.data.examples)
        self.pairs = TrainingSet(pairs)
        self.out = folder / f"{name}-out"

    def rows(self) -> tuple[list[TokenRow], list[list[int]]]:
        words = read_tokenizer(self.folder)
        rows = encode(self.data, words, pairs=False, max_tokens=512).rows
        return rows, plan(rows, self.data.order, self.schedule.updates, self.schedule.batch, SEED)

    def ours(self, objective: Objective | None = None, pairs: bool = False) -> None:
        data = self.pairs if pairs else self.data
        teacher = self.folder if objective is not None and objective.uses_teacher else None
        fit(
            self.folder,
            data,
            objective or Objective(),
            self.schedule,
            SEED,
            lambda update: self.out,
            teacher_folder=teacher,
        )

    def plain(self) -> None:
        """The loop that one would write by hand: dense logits, the same batches and optimiser."""
        import torch

        words = read_tokenizer(self.folder)
        with computing("cpu", 1):
            model: Any = read_model(self.folder, "cpu", dtype="float32")
            rows, batches = self.rows()
            optimizer = torch.optim.AdamW(model.parameters(), lr=self.schedule.learning_rate, fused=True)
            rates = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule.rate)
            for batch in batches:
                part = collate([rows[index] for index in batch], padding(words))
                logits = model(input_ids=part.ids[:, :-1], use_cache=False).logits
                labels = part.ids[:, 1:].masked_fill(~part.mask, -100)
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), self.schedule.clip)
                optimizer.step()
                rates.step()
                optimizer.zero_grad()
            model.save_pretrained(self.out)

    def trl(self) -> None:
        """TRL's own trainer on the same rows, in the same order."""
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]  an optional rival

        words = read_tokenizer(self.folder)
        rows, batches = self.rows()
        order = [rows[index] for batch in batches for index in batch]
        table = Dataset.from_dict(
            {
                "input_ids": [row.prompt + row.completion for row in order],
                "labels": [[-100] * len(row.prompt) + row.completion for row in order],
            }
        )
        arguments = SFTConfig(
            output_dir=str(self.out),
            per_device_train_batch_size=self.schedule.batch,
            max_steps=self.schedule.updates,
            learning_rate=self.schedule.learning_rate,
            use_cpu=True,
            bf16=False,
            shuffle_dataset=False,
            train_sampling_strategy="sequential",
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        with computing("cpu", 1):
            model = read_model(self.folder, "cpu", dtype="float32")
            trainer = SFTTrainer(model=model, args=arguments, train_dataset=table, processing_class=words)
            trainer.train()
            trainer.save_model(str(self.out))


def cpu_seconds(action: Callable[[], None]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def race(name: str, folder: Path, rounds: int) -> dict[str, float]:
    """Return the medians of the ratios, each of two runs that followed one another."""
    found = Race(name, folder)
    rivals: dict[str, Callable[[], None]] = {"plain": found.plain}
    if importlib.util.find_spec("trl") is not None:
        rivals["trl"] = found.trl
    for action in (found.ours, *rivals.values()):
        action()  # imports and first touches are nobody's fault
    ratios: dict[str, list[float]] = {rival: [] for rival in rivals}
    for _ in range(rounds):
        for rival, action in rivals.items():
            theirs, ours = cpu_seconds(action), cpu_seconds(found.ours)
            ratios[rival].append(theirs / ours)
    return {rival: statistics.median(values) for rival, values in ratios.items()}


def extra(name: str, folder: Path, rounds: int) -> dict[str, float]:
    """Return what a contrast and a teacher cost beyond the tokens that they send forward."""
    found = Race(name, folder)
    words = read_tokenizer(found.folder)
    tokens = [
        sum(row.forward_tokens for row in encode(found.pairs, words, pairs=pairs, max_tokens=512).rows)
        for pairs in (False, True)
    ]
    contrast, kd = Objective(Margin()), Objective(soft=Soft())
    for objective, pairs in ((None, False), (contrast, True), (kd, False)):
        found.ours(objective, pairs)
    seen: dict[str, list[float]] = {"contrast": [], "kd": []}
    for _ in range(rounds):
        plain = cpu_seconds(found.ours)
        seen["contrast"].append(cpu_seconds(lambda: found.ours(contrast, True)) / (plain * tokens[1] / tokens[0]))
        # a forward pass is about a third of an update
        seen["kd"].append(cpu_seconds(lambda: found.ours(kd)) / (plain * 4 / 3))
    return {key: statistics.median(values) for key, values in seen.items()}


PEAK = """
import sys, torch
from pathlib import Path
from harness.students.logp import chosen_logp, label_scores
from transformers import LlamaConfig, LlamaForCausalLM
config = LlamaConfig(vocab_size=150_000, hidden_size=64, num_hidden_layers=1, num_attention_heads=4,
                     num_key_value_heads=4, intermediate_size=128, tie_word_embeddings=True)
torch.manual_seed(0)
model = LlamaForCausalLM(config)
ids = torch.randint(0, 150_000, (8, 129))
mask = torch.ones(8, 128, dtype=torch.bool)
def peak():  # of this process alone: getrusage also tells that of the one that forked it
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1])
before = peak()
label_scores(model, ids, mask, chosen_logp(ids[:, 1:][mask]), int(sys.argv[1])).sum().backward()
print((peak() - before) / 1024)
"""


def peak_mb(chunk_elements: int) -> float:
    """Return the memory in MB that 1,024 labels of a vocabulary of 150,000 take, gradients included."""
    command = [sys.executable, "-c", PEAK, str(chunk_elements)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the 100M student")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        names = [name for name in STUDENTS if name != "100M" or not options.quick]
        for name in names:
            found[name] = race(name, Path(scratch), options.rounds)
        found["0.3M extra"] = extra("0.3M", Path(scratch) / "extra", options.rounds)
    dense, chunked = peak_mb(1 << 40), peak_mb(1 << 24)
    found["memory"] = {"dense MB": dense, "chunked MB": chunked}
    found["peak MB of this process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if options.json:
        print(json.dumps(found))
        return
    for name in names:
        for rival, ratio in found[name].items():
            print(f"{name:<6} ours against {rival:<6}{ratio:8.2f}")
    for what, ratio in found["0.3M extra"].items():
        print(f"0.3M   {what:<18}{ratio:8.2f}  of what its tokens cost")
    print(f"memory dense / chunked   {dense:8.0f} / {chunked:.0f} MB")


if __name__ == "__main__":
    main()
