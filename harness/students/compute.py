"""The one place that sets how the process computes: threads, determinism, heavy imports. Puts back what it found."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def importing() -> Generator[None]:
    """Import heavy libraries without the garbage collector, which would search in vain: 4.3 s instead of 5.4 s.

    Before that they are told, unless the user says otherwise, to send no usage data and start no threads of their own.

    What was imported is then frozen, for it stays anyway: a full collection takes 0.01 s instead of 0.23 s, and the
    trainer library asks for one at every start.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    modules, enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
        if len(sys.modules) > modules + 100:  # only after a real import: never freeze the models of earlier work
            gc.freeze()


@contextmanager
def computing(device: str, threads: int) -> Generator[None]:
    """Compute with so many threads, deterministically.

    One thread on a CPU adds in a fixed order as it is. Torch's own switch is thrown for the other cases only, because
    throwing it loads the compiler: 1.6 s measured, a third of the start.
    """
    import torch

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    switch = device != "cpu" or threads > 1
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    warn_before = torch.is_deterministic_algorithms_warn_only_enabled()
    if switch:
        # cuBLAS refuses to be deterministic unless CUBLAS_WORKSPACE_CONFIG was set before the process began
        torch.use_deterministic_algorithms(True, warn_only=device != "cpu")
    try:
        yield
    finally:
        torch.set_num_threads(threads_before)
        if switch:
            torch.use_deterministic_algorithms(deterministic_before, warn_only=warn_before)


def release(device: str) -> None:
    """Give a GPU's memory back that nothing uses any more: to what comes next, a server of its own process included.

    A trainer and its callbacks hold one another, so that only the collector finds them, and torch keeps what they had.
    """
    if device == "cpu":
        return
    import torch

    gc.collect()
    torch.cuda.empty_cache()


@contextmanager
def own_randomness(device: str) -> Generator[None]:
    """Give the caller's global generators back as they were: the trainer library seeds all of them."""
    import random

    import numpy as np
    import torch

    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002  the legacy generator is what the library seeds
    try:
        with torch.random.fork_rng(devices=[] if device == "cpu" else None):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002  as above
