"""The teacher client against a strict server on loopback: right answers under faults, use of a rate limit, overhead.

    python bench/teachers.py             10,000 calls with faults and an outage at a limited rate; then the overhead
    python bench/teachers.py --quick     1,000 calls
    python bench/teachers.py --json      one JSON object of the figures

The server runs in a process of its own (bench/stub_server.py). Overhead is measured with this process and the
server on a core each, where there are two. Top-k caching is measured on a small random model: mass and KL kept.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

import stub_server
from stub_server import KEY, Behaviour, Server, digest

from harness.store import steps
from harness.store.database import Store
from harness.store.ledger import Ledger
from harness.teachers.calls import Call
from harness.teachers.openai_api import OpenAIBackend
from harness.teachers.prices import Price
from harness.teachers.purse import Purse
from harness.teachers.settings import Teaching

PRICE = Price(1.0, 1.0, 1.0, "2026-11-21")


class Stub:
    """The server's process."""

    def __init__(self, **behaviour: Any) -> None:
        self.behaviour = Behaviour(**behaviour)
        self.process = subprocess.Popen(
            [sys.executable, stub_server.__file__, "--behaviour", json.dumps(behaviour)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.input, self.output = cast("IO[str]", self.process.stdin), cast("IO[str]", self.process.stdout)
        self.url = f"http://127.0.0.1:{int(self.output.readline())}/v1"

    def say(self, words: str) -> None:
        self.input.write(f"{words}\n")
        self.input.flush()

    def tell(self, what: str = "all") -> dict[str, Any]:
        self.say(f"tell {what}")
        return json.loads(self.output.readline())

    def faults(self, question: str) -> int:
        """Return how many faults a question meets before it is answered."""
        return len(Server(self.behaviour).faults_of(question))


@contextmanager
def stub(**behaviour: Any) -> Generator[Stub]:
    opened = Stub(**behaviour)
    try:
        yield opened
    finally:
        opened.input.close()
        opened.process.wait(10)


def calls(count: int) -> list[Call]:
    return [Call((("user", f"question {i}"),), 0.0, 1.0, None, 0, 64, key=f"key-{i}") for i in range(count)]


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ask(url: str, count: int, folder: Path, server: Stub | None = None, **settings: Any) -> dict[str, float]:
    """Ask `count` questions through the ledger and return what was seen; the server dies for 2 s half way, if given."""
    teaching = Teaching(name="openai", model="stub", base_url=url, **settings)
    with Store(folder) as store:
        purse = Purse(PRICE, Ledger(store), ("bench", "cell", "stub"))
        backend = OpenAIBackend(teaching, purse)
        asked, right, early = calls(count), 0, 0.0
        wall, cpu = time.perf_counter(), time.process_time()
        keys: list[str] = []
        for done, (place, reply) in enumerate(backend.send(asked), 1):
            right += digest(asked[place].messages[0][1]) in reply.text
            keys.append(asked[place].key)
            if len(keys) == 100:
                backend.committed(keys)  # as the store does about every half second
                keys.clear()
            if done == count // 10:
                early = memory_mb()
            if server is not None and done == count // 2:
                server.say("die 2")
        backend.committed(keys)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        backend.close()
        [account] = Ledger(store).bills("bench")
    return {
        "right": right,
        "wall_s": wall,
        "cpu_s": cpu,
        "grown_mb": memory_mb() - early,
        "ledger_calls": account.calls,
        "ledger_tries": account.tries,
    }


def faults(count: int, rate: float, folder: Path) -> dict[str, float]:
    """Every kind of fault, a stated rate limit, and an outage."""
    most = {"concurrency": 64, "timeout_s": 3.0, "tries": 8}
    behaviour: dict[str, Any] = {"rate": rate, "burst": rate / 4, "faulty": 0.04, "hang_s": 60.0, "seed": 1}
    with stub(**behaviour) as server:
        found = ask(server.url, count, folder, server, **most)
        seen = server.tell()
        needed = count + sum(server.faults(f"question {place}") for place in range(count))
    busy = seen["last"] - seen["first"] - 2.0  # without the outage
    return {
        **found,
        "asked": seen["asks"],
        "needed": needed,  # one answer each, and one try for each planned fault
        "extra": seen["asks"] - needed,  # in flight when the server died, and timeouts of a loaded machine
        "refused": seen["refused"],
        "rate_used": needed / busy / rate,
    }


def as_run(url: str, count: int, folder: Path, **settings: Any) -> dict[str, float]:
    """Ask as a run does, every reply a step of the store; `away` is the share of the time that its commits take."""
    teaching = Teaching(name="openai", model="stub", base_url=url, **settings)
    step = steps.Step("answers", 1, "bench")
    asked = [replace(call, key=step.key(call.content())) for call in calls(count)]
    right, away = 0, 0.0
    with Store(folder) as store:
        backend = OpenAIBackend(teaching, Purse(PRICE, Ledger(store), ("bench", "cell", "stub")))

        def compute(todo: list[int]) -> Iterator[tuple[int, steps.Payload]]:
            nonlocal right, away
            for place, reply in backend.send([asked[index] for index in todo]):
                right += digest(asked[todo[place]].messages[0][1]) in reply.text
                left = time.perf_counter()
                yield todo[place], reply.to_json()
                away += time.perf_counter() - left

        wall, cpu = time.perf_counter(), time.process_time()
        steps.run(store, step, [call.content() for call in asked], compute, committed=backend.committed)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        backend.close()
    return {"per_wall_s": count / wall, "per_cpu_s": count / cpu, "right": right, "away": away / wall}


def overhead(count: int, folder: Path) -> dict[str, float]:
    """An instant server: how many calls a second one process makes on one core, with a store that commits them."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    with stub() as server:
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[0]})
            os.sched_setaffinity(server.process.pid, {cores[1]})
        found = as_run(server.url, count, folder, concurrency=32)
        if len(cores) > 1:
            os.sched_setaffinity(0, set(cores))
    return found


def top_k() -> dict[str, dict[str, float]]:
    """What k kept tokens and a tail retain: probability mass, share of KL(teacher‖student), bytes a label."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from harness.training.divergences import forward
    from harness.training.logit_cache import keep

    def model(seed: int) -> Any:
        torch.manual_seed(seed)
        size: Any = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
        return LlamaForCausalLM(LlamaConfig(vocab_size=259, initializer_range=0.4, **size)).eval()

    rng = random.Random(0)
    prompt, completion = [rng.randrange(3, 259) for _ in range(21)], [rng.randrange(3, 259) for _ in range(60)]

    def logp(network: Any) -> torch.Tensor:
        with torch.inference_mode():
            out = network(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
        return out.log_softmax(dim=-1)  # [T, V]

    p, q = logp(model(0)), logp(model(1))
    full = float(forward(p, q, 0.0).mean())
    found: dict[str, dict[str, float]] = {}
    for k in (8, 16, 64):
        kept = keep(p, k)
        chosen = q.gather(-1, torch.tensor(kept.ids).long())
        rest = (1 - chosen.exp().sum(dim=-1, keepdim=True)).clamp(min=1e-30).log()
        ours = torch.cat([torch.tensor(kept.logp), torch.tensor(kept.tail)[:, None]], dim=-1)
        part = float(forward(ours, torch.cat([chosen, rest], dim=-1), 0.0).mean())
        found[str(k)] = {"mass": kept.mass, "kl_share": part / full, "bytes": 6 * k + 4}
    return found


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--quick", action="store_true", help="1,000 calls instead of 10,000")
    words.add_argument("--json", action="store_true")
    words.add_argument("--rate", type=float, default=150.0, help="requests per second that the server allows")
    words.add_argument("--calls", type=int, default=0, help="instead of 10,000")
    options = words.parse_args()
    os.environ["OPENAI_API_KEY"] = KEY
    count = options.calls or (1_000 if options.quick else 10_000)
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "count": count,
            "faults": faults(count, options.rate, Path(folder) / "faults"),
            "overhead": overhead(min(count, 3_000), Path(folder) / "overhead"),
            "top_k": top_k(),
        }
    if options.json:
        print(json.dumps(figures))
        return
    one, two = cast("dict[str, float]", figures["faults"]), cast("dict[str, float]", figures["overhead"])
    print(f"{count:,} calls, 4 % with faults, a server away for 2 s, {options.rate:g} requests a second allowed")
    print(f"  right answers       {one['right']:,.0f} of {count:,}")
    print(f"  asked               {one['asked']:,.0f}; needed {one['needed']:,.0f}; extra {one['extra']:,.0f}")
    print(f"  refused as too fast {one['refused']:,.0f}")
    print(f"  rate used           {one['rate_used']:.1%} of the allowed one (target: 90 %)")
    print(f"  memory grown        {one['grown_mb']:.1f} MB from the first tenth of the calls to the last")
    print(f"  ledger              {one['ledger_calls']:,.0f} calls, {one['ledger_tries']:,.0f} tries")
    print("an instant server, one core, store and ledger on disk")
    print(
        f"  calls a second      {two['per_wall_s']:.0f} by the clock, {two['per_cpu_s']:.0f} a CPU second (target 300)"
    )
    print(f"  commits             {two['away']:.1%} of the time, while calls go on")
    print("top-k caching, random tiny models, 259 tokens")
    for k, row in cast("dict[str, dict[str, float]]", figures["top_k"]).items():
        kept = f"{row['mass']:.1%} of the mass, {row['kl_share']:.1%} of the KL, {row['bytes']:.0f} bytes a label"
        print(f"  k={k:<4}              {kept}")


if __name__ == "__main__":
    main()
