"""Times the trainer against a plain PyTorch loop, and against TRL where it is installed, in one interleaved run.

    python bench/training.py [--quick] [--rounds 5] [--device cuda [--peak-tflops N]] [--json]

Every contestant trains the same random student on the same rows in the same batches with AdamW and one thread. TRL gets
its rows in the same order, length buckets and all (extra `bench`). What is printed are medians of ratios of
CPU seconds, above 1 where ours is faster. `contrast` is the time of `nll + margin` over that of `nll` on as many
tokens, `kd` that of a teacher of the student's size over an update and a third, a forward pass more. `memory` is the
peak of the dense logits and of the chunked ones, in processes of their own. `--quick` leaves the 100M student out.

With `--device cuda` students of about 100M and 500M parameters train in bfloat16 on texts of about 1,000 tokens on the
one visible GPU. Printed are, over all updates but the first three: tokens a second, the share of the GPU's peak that
the model's own operations make (6 for each parameter and token, 12 · layers · width · length² for attention), the peak
of memory, and the rivals' time over ours. Ours computes deterministically there, as fits do; the rivals do not.
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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.students.checkpoint import read_model, read_tokenizer
from harness.students.compute import computing, release
from harness.students.tokens import padding
from harness.training.batches import TokenRow, collate, encode, plan
from harness.training.objective import Margin, Objective, Soft
from harness.training.schedule import Schedule
from harness.training.trainer import fit
from harness.types import Example, TrainingSet
from harness.world.student import corpus, create, tokenizer

# hidden, layers, heads; 0: the embedded one
STUDENTS = {"0.3M": (0, 0, 0), "10M": (384, 6, 6), "100M": (768, 12, 12), "500M": (1536, 13, 12)}
ON_CPU, ON_GPU = ("0.3M", "10M", "100M"), ("100M", "500M")
UPDATES = {"0.3M": 60, "10M": 8, "100M": 4}
GPU_UPDATES, FIRST = 20, 3  # updates on a GPU; those that are not timed, as memory and kernels are still being found
JOINED = 16  # corpus examples in one text on a GPU
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "4090": 165.0}  # dense bfloat16, makers' own
SEED = 1


def no_tick() -> None:
    """Nobody asks when an update ended."""


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
        max_position_embeddings=4096,
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

    def __init__(self, name: str, folder: Path, device: str = "cpu") -> None:
        self.folder, self.device = student(folder / name, name), device
        updates, rate = (UPDATES[name], 1e-3) if device == "cpu" else (GPU_UPDATES, 1e-4)
        self.schedule = Schedule(
            updates=updates, batch=16, learning_rate=rate, warmup=2, device=device, max_tokens=4096
        )
        self.data = TrainingSet(corpus(16 * 40, seed=3))
        if device != "cpu":
            self.data = TrainingSet(tuple(joined(self.data.examples, at) for at in range(len(self.data.examples))))
        pairs = tuple(replace(one, rejected=one.completion.replace("x", "x + x")) for one in self.data.examples)
        self.pairs = TrainingSet(pairs)
        self.out = folder / f"{name}-out"

    def rows(self) -> tuple[list[TokenRow], list[list[int]]]:
        words = read_tokenizer(self.folder)
        rows = encode(self.data, words, pairs=False, max_tokens=self.schedule.max_tokens).rows
        return rows, plan(rows, self.data.order, self.schedule.updates, self.schedule.batch, SEED)

    def ours(self, objective: Objective | None = None, pairs: bool = False, tick: Callable[[], None] = no_tick) -> None:
        data = self.pairs if pairs else self.data
        teacher = self.folder if objective is not None and objective.uses_teacher else None
        fit(
            self.folder,
            data,
            objective or Objective(),
            self.schedule,
            SEED,
            lambda update: self.out,
            lambda done, updates: tick(),
            teacher_folder=teacher,
        )

    def plain(self, tick: Callable[[], None] = no_tick) -> None:
        """The loop that one would write by hand: dense logits, the same batches and optimiser."""
        import torch

        words = read_tokenizer(self.folder)
        with computing("cpu", 1):  # on a GPU it sets nothing
            model: Any = read_model(self.folder, self.device, dtype="float32")
            rows, batches = self.rows()
            optimizer = torch.optim.AdamW(model.parameters(), lr=self.schedule.learning_rate, fused=True)
            rates = torch.optim.lr_scheduler.LambdaLR(optimizer, self.schedule.rate)
            for batch in batches:
                part = collate([rows[index] for index in batch], padding(words))
                ids = part.ids.to(self.device)
                with torch.autocast(self.device, torch.bfloat16, enabled=self.schedule.bf16):
                    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
                labels = ids[:, 1:].masked_fill(~part.mask.to(self.device), -100)
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten())
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), self.schedule.clip)
                optimizer.step()
                rates.step()
                optimizer.zero_grad()
                tick()
            model.save_pretrained(self.out)

    def trl(self, tick: Callable[[], None] = no_tick) -> None:
        """TRL's own trainer on the same rows, in the same order."""
        from datasets import Dataset
        from transformers import TrainerCallback
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
            use_cpu=self.device == "cpu",
            bf16=self.schedule.bf16,
            shuffle_dataset=False,
            train_sampling_strategy="sequential",
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )

        class Ticking(TrainerCallback):
            def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                tick()

        with computing("cpu", 1):
            model = read_model(self.folder, self.device, dtype="float32")
            trainer = SFTTrainer(
                model=model, args=arguments, train_dataset=table, processing_class=words, callbacks=[Ticking()]
            )
            trainer.train()
            trainer.save_model(str(self.out))


def joined(examples: Sequence[Example], at: int) -> Example:
    """Return the example at a place with the next ones behind it, as one long text."""
    more = [examples[(at + step) % len(examples)] for step in range(1, JOINED)]
    return replace(examples[at], completion=examples[at].completion + "".join(e.prompt + e.completion for e in more))


def cpu_seconds(action: Callable[[], None]) -> float:
    began = time.process_time()
    action()
    return time.process_time() - began


def rivals_of(found: Race) -> dict[str, Callable[..., None]]:
    """Return the other ways to train: the plain loop and, where it is installed, TRL."""
    return {"plain": found.plain} | ({"trl": found.trl} if importlib.util.find_spec("trl") is not None else {})


def race(name: str, folder: Path, rounds: int) -> dict[str, float]:
    """Return the medians of the ratios, each of two runs that followed one another."""
    found = Race(name, folder)
    rivals = rivals_of(found)
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


def on_gpu(name: str, folder: Path, rounds: int, peak_tflops: float) -> dict[str, dict[str, float]]:
    """Return for each contestant tokens a second, model-FLOPs utilisation, peak memory and its time over ours."""
    found = Race(name, folder, "cuda")
    seen: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for who, action in {"ours": found.ours, **rivals_of(found)}.items():
            seen.setdefault(who, []).append(timed(found, action))
    tokens, operations = work(found)
    seconds = {who: statistics.median(one for one, _ in runs) for who, runs in seen.items()}
    return {
        who: {
            "tokens/s": tokens / took,
            "MFU": operations / took / (peak_tflops * 1e12),
            "peak GiB": max(memory for _, memory in seen[who]) / 2**30,
            "time over ours": took / seconds["ours"],
        }
        for who, took in seconds.items()
    }


def timed(found: Race, action: Callable[..., None]) -> tuple[float, float]:
    """Return the seconds of all updates but the first ones, and the most bytes that were held, of one run."""
    import torch

    ticks: list[float] = []

    def tick() -> None:
        torch.cuda.synchronize()
        ticks.append(time.perf_counter())

    release(found.device)
    torch.cuda.reset_peak_memory_stats()
    action(tick=tick)
    assert len(ticks) == found.schedule.updates, f"{len(ticks)} updates of {found.schedule.updates}"
    return ticks[-1] - ticks[FIRST - 1], float(torch.cuda.max_memory_allocated())


def work(found: Race) -> tuple[int, float]:
    """Return the tokens of the updates that are timed, padding left out, and the operations that they take."""
    from harness.students.checkpoint import configuration, outline

    rows, batches = found.rows()
    lengths = [rows[index].forward_tokens for batch in batches[FIRST:] for index in batch]
    shape, parameters = configuration(found.folder), outline(found.folder).num_parameters()
    attention = 12.0 * shape.num_hidden_layers * shape.hidden_size * sum(length**2 for length in lengths)
    return sum(lengths), 6.0 * parameters * sum(lengths) + attention


def peak_of_the_gpu(given: float) -> float:
    """Return the peak of the visible GPU in TFLOP/s, dense bfloat16."""
    import torch

    name = torch.cuda.get_device_name()
    known = [peak for word, peak in PEAK_TFLOPS.items() if word in name]
    if not given and not known:
        raise SystemExit(f"--peak-tflops: not known of {name}; say its maker's number for dense bfloat16.")
    return given or known[0]


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
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of the GPU, where its name does not tell")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.device == "cuda":
        gpu_main(options)
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        names = [name for name in ON_CPU if name != "100M" or not options.quick]
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


def gpu_main(options: argparse.Namespace) -> None:
    peak = peak_of_the_gpu(options.peak_tflops)
    with tempfile.TemporaryDirectory() as scratch:
        names = ON_GPU[:1] if options.quick else ON_GPU
        found = {name: on_gpu(name, Path(scratch), options.rounds, peak) for name in names}
    if options.json:
        print(json.dumps(found))
        return
    print(f"bfloat16, {peak:g} TFLOP/s   tokens/s     MFU  peak GiB  time over ours")
    for name in names:
        for who, one in found[name].items():
            told = (
                f"{one['tokens/s']:11,.0f}{100 * one['MFU']:7.1f}%{one['peak GiB']:10.1f}{one['time over ours']:16.2f}"
            )
            print(f"{name:<6}{who:<18}{told}")


if __name__ == "__main__":
    main()
