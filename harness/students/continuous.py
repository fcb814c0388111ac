"""Draws answers by transformers' continuous batching: rows that end make room for others at once. Made for GPUs.

On a CPU it is slower than `engine.generate` (docs/performance.md) and is only held to the same answers there. Sampling
draws from one generator for all rows, so a row's sample depends on what is drawn beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError
from harness.students.compute import computing, own_randomness
from harness.students.decoding import Decoding, Generation
from harness.students.engine import Draw, Loaded, finish
from harness.students.tokens import encode_prompts

# else it takes most of the memory
CPU_CACHE: dict[str, Any] = {"page_size": 16, "num_blocks": 256, "max_batch_tokens": 512}


def generate(loaded: Loaded, prompts: Sequence[str], decoding: Decoding, seeds: Sequence[int]) -> list[Generation]:
    """Answer one batch of prompts; the first seed stands for the batch."""
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    encoded = encode_prompts(loaded.tokenizer, prompts)
    draws = [Draw(ids, min(decoding.max_new_tokens, loaded.positions - len(ids)), 0) for ids in encoded]
    alive = [draw for draw in draws if draw.room > 0]
    drawn: dict[str, Any] = {"do_sample": decoding.temperature > 0}
    if decoding.temperature > 0:
        drawn |= {"temperature": decoding.temperature, "top_p": decoding.top_p, "top_k": 0}
    wanted = GenerationConfig(
        max_new_tokens=max((draw.room for draw in alive), default=1),
        eos_token_id=sorted(loaded.ends),
        pad_token_id=loaded.pad,
        **drawn,
    )
    cache: dict[str, Any] = CPU_CACHE if loaded.device == "cpu" else {}
    settings = ContinuousBatchingConfig(seed=seeds[0] % 2**31 if seeds else 0, **cache)
    model: Any = loaded.model
    with computing(loaded.device, loaded.threads), own_randomness(loaded.device):
        found = model.generate_batch(
            [draw.prompt for draw in alive],
            generation_config=wanted,
            continuous_batching_config=settings,
            warmup=loaded.device != "cpu",
        )
    failed = [str(one.error) for one in found.values() if one.error is not None]
    if failed or len(found) < len(alive):
        raise HarnessError(
            f"generation.backend=continuous: {len(found) - len(failed)} of {len(alive)} prompts were answered"
            f"{f' ({failed[0]})' if failed else ''}. Take generation.backend=transformers."
        )
    for draw, output in zip(alive, found.values(), strict=True):
        draw.ids = list(output.generated_tokens)[: draw.room]
    return [finish(loaded, draw, decoding) for draw in draws]
