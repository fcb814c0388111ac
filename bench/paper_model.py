"""What a large comparison would cost, on paper: measured figures of this machine times stated assumptions.

Arithmetic only, and no run of that size: `python bench/scale.py --model` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def said(default: Any, text: str) -> Any:
    """Return a field with what it means, so that the printed assumptions cannot go stale."""
    return field(default=default, metadata={"text": text})


@dataclass(frozen=True)
class Plan:
    """What is assumed; everything that this machine cannot measure."""

    recipes: int = said(100, "recipes")
    seeds: int = said(5, "seeds")
    cycles: int = said(3, "cycles")
    gpus: int = said(64, "GPUs, of 80 GB")
    gpus_a_cell: int = said(4, "GPUs of a cell: 7B with Adam in mixed precision needs 112 GB")
    weights: float = said(7e9, "weights of the student")
    examples: int = said(5_000, "training examples a cycle")
    example_tokens: int = said(600, "tokens of an example")
    passes: float = said(2.0, "times an example is trained on")
    gpu_flops: float = said(4e14, "FLOP/s of a GPU in training, 40 % of its peak")
    attempts: int = said(5_000, "attempts of the student a cycle")
    evaluated: int = said(6_640, "samples an evaluation: 664 problems, 10 each")
    sample_tokens: int = said(300, "tokens of a sample")
    gpu_tokens_s: float = said(2_500.0, "tokens/s that a GPU generates, served")
    idle_s: float = said(180.0, "seconds a cycle in which a cell's GPUs wait: servers start, weights load")
    calls: int = said(10_000, "teacher calls a cycle")
    shared: float = said(0.4, "share of calls that another cell has paid already")
    call_tokens_in: int = said(700, "tokens in a call")
    call_tokens_out: int = said(400, "tokens in a reply")
    usd_in: float = said(0.15e-6, "US dollars a token in")
    usd_out: float = said(0.60e-6, "US dollars a token out")
    calls_minute: int = said(10_000, "calls a minute that the teacher takes")
    program_cpu_s: float = said(0.05, "CPU seconds of a real program beyond the sandbox's own")
    judge_cores: int = said(128, "cores that judge: two for each GPU")
    disk_bytes_s: float = said(2e9, "bytes/s that the artifacts' file system takes")
    batch: int = said(128, "samples in one step")


def costs(plan: Plan, measured: dict[str, float]) -> dict[str, float]:
    """Return what the plan needs in all, and how long each shared resource is busy with it, in hours."""
    cells = plan.recipes * plan.seeds
    cycles = cells * plan.cycles
    samples = cycles * (plan.attempts + plan.evaluated)
    tokens = cycles * plan.examples * plan.example_tokens * plan.passes
    calls = cycles * plan.calls * (1 - plan.shared)
    programs = samples + calls  # each answer of the teacher is judged too
    steps = calls + programs + samples / plan.batch + cycles
    checkpoint = 2 * plan.weights  # bytes, bfloat16
    training = 6 * plan.weights * tokens / plan.gpu_flops
    sampling = samples * plan.sample_tokens / plan.gpu_tokens_s
    idle = cycles * plan.idle_s * plan.gpus_a_cell
    gpu_h = (training + sampling + idle) / 3600
    judging_h = programs * (measured["program_s"] + plan.program_cpu_s) / 3600
    hashing_h = 2 * cycles * checkpoint / measured["hash_bytes_s"] / 3600  # when it is made, and when it is loaded
    return {
        "teacher calls": calls,
        "teacher US dollars": calls * (plan.call_tokens_in * plan.usd_in + plan.call_tokens_out * plan.usd_out),
        "GPU hours": gpu_h,
        "of them training": training / 3600,
        "of them sampling": sampling / 3600,
        "programs judged": programs,
        "sandbox core-hours": judging_h,
        "steps in the store": steps,
        "database, GB": steps * measured["step_bytes"] / 1e9,
        "checkpoints, TB": cycles * checkpoint / 1e12,
        "busy h: GPUs": gpu_h / plan.gpus,
        "busy h: teacher's rate": calls / plan.calls_minute / 60,
        "busy h: one writer of the store": steps * measured["commit_s"] / 3600,
        "busy h: judging cores": judging_h / plan.judge_cores,
        "busy h: checkpoints' disk": 2 * cycles * checkpoint / plan.disk_bytes_s / 3600,
        "busy h: hashing, a core a cell": hashing_h / (plan.gpus / plan.gpus_a_cell),
        "busy h: starting cells, one driver": (cells + 1) * measured["cell_s"] / 3600,
    }


def shown(plan: Plan, found: dict[str, float]) -> str:
    """Return the table, the resource that is short first, and every assumption."""
    lines = [f"{plan.recipes} recipes x {plan.seeds} seeds x {plan.cycles} cycles on {plan.gpus} GPUs, on paper", ""]
    lines += [f"{name:<40}{value:>16,.1f}" for name, value in found.items()]
    busy = sorted(((value, name[8:]) for name, value in found.items() if name.startswith("busy h: ")), reverse=True)
    gpus = found["busy h: GPUs"]
    ranked = [f"{name} ({value / gpus:.0%})" for value, name in busy if name != "GPUs"]
    lines += ["", f"Beside the GPUs' {gpus:.1f} h, what would make them wait first: {'; '.join(ranked[:3])}."]
    lines += ["", "Assumed, not measured:"]
    lines += [f"  {getattr(plan, one.name):>14,g}  {one.metadata['text']}" for one in fields(plan)]
    return "\n".join(lines)
