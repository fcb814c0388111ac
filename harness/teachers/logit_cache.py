"""A teacher's next-token distributions on disk: the k largest log-probabilities of each label and the rest as a tail.

Written and read one text at a time, so neither a data set nor a vocabulary is ever in memory whole. A text is keyed by
its token ids (prompt and completion), so nothing is tokenised again. Layout of a folder:

    meta.json    k, vocabulary, and whose distributions these are
    index.jsonl  one line per text: its key, where its rows begin, how many labels
    ids.bin      int32 [rows, K], the tokens, the most probable first
    logp.bin     float16 [rows, K], their log-probabilities in nats
    tail.bin     float32 [rows], the log-probability of all other tokens together

float16 keeps a log-probability to 1 in 2,000; the tail is computed from what is stored, so that each row sums to 1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.store.keys import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.students.engine import Loaded

LEAST_TAIL = -60.0  # log-probability of a tail that is nothing
FILES = ("ids.bin", "logp.bin", "tail.bin")


@dataclass(frozen=True)
class Kept:
    """What is kept of the distributions at the labels of one text (T labels, K kept)."""

    ids: NDArray[np.int32]  # [T, K]
    logp: NDArray[np.float32]  # [T, K]
    tail: NDArray[np.float32]  # [T]

    @property
    def mass(self) -> float:
        """Return the mean probability that the kept tokens hold."""
        import numpy as np

        return float(np.exp(self.logp.astype(np.float64)).sum(axis=1).mean()) if len(self.tail) else 1.0


def key_of(prompt: Sequence[int], completion: Sequence[int]) -> str:
    """Return the key of a text by its tokens."""
    return digest([list(prompt), list(completion)])


def keep(logp: Tensor, k: int) -> Kept:
    """Keep the k largest of log-probabilities [T, V]; the tail is what they leave of 1."""
    import numpy as np

    top = logp.float().topk(min(k, logp.shape[-1]), dim=-1)  # [T, K]
    stored = top.values.cpu().numpy().astype(np.float16).astype(np.float32)
    rest = 1.0 - np.exp(stored.astype(np.float64)).sum(axis=1)
    tail = np.log(np.maximum(rest, np.exp(LEAST_TAIL))).astype(np.float32)
    return Kept(top.indices.cpu().numpy().astype(np.int32), stored, tail)


class LogitWriter:
    """Appends to a cache; what was killed while writing is cut off when it is opened again."""

    def __init__(self, folder: Path, k: int, vocabulary: int, teacher: str) -> None:
        if not 1 <= k <= vocabulary:
            raise StoreError(f"{folder}: cannot keep {k} of {vocabulary} tokens; expected 1 to {vocabulary}.")
        self.folder, self.k = folder, k
        self.meta: dict[str, Any] = {"k": k, "vocabulary": vocabulary, "teacher": teacher}
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "meta.json"
        if path.is_file():
            if (found := json.loads(path.read_text(encoding="utf-8"))) != self.meta:
                raise StoreError(
                    f"{folder}: holds distributions of {found}, not of {self.meta}. Choose another folder."
                )
        else:
            path.write_text(json.dumps(self.meta), encoding="utf-8")
        self.known, self.rows = read_index(folder)
        for name, width in zip(FILES, (4 * k, 2 * k, 4), strict=True):
            with (folder / name).open("ab") as stream:
                stream.truncate(self.rows * width)
        self.index = (folder / "index.jsonl").open("a", encoding="utf-8")
        self.streams = [(folder / name).open("ab") for name in FILES]

    def __enter__(self) -> LogitWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        for stream in (*self.streams, self.index):
            stream.close()

    def add(self, key: str, kept: Kept) -> None:
        """Append one text; one that is there already is left as it is."""
        import numpy as np

        if key in self.known:
            return
        assert kept.ids.shape == (len(kept.tail), self.k), f"{kept.ids.shape}, k={self.k}"
        for stream, values in zip(self.streams, (kept.ids, kept.logp.astype(np.float16), kept.tail), strict=True):
            stream.write(np.ascontiguousarray(values).tobytes())
            stream.flush()
        self.known[key] = (self.rows, len(kept.tail))
        self.index.write(json.dumps([key, self.rows, len(kept.tail)]) + "\n")  # last: a line promises its rows
        self.index.flush()
        self.rows += len(kept.tail)


class LogitReader:
    """Reads a cache; files are mapped, so that only what is asked for is loaded."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        try:
            self.meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
            self.known, rows = read_index(folder)
        except (OSError, ValueError) as err:
            raise StoreError(f"{folder}: no cache of distributions ({err}). Make it again.") from err
        self.folder, self.k = folder, int(self.meta["k"])
        for name, width in zip(FILES, (4 * self.k, 2 * self.k, 4), strict=True):
            if (folder / name).stat().st_size < rows * width:
                raise StoreError(f"{folder / name}: shorter than its index says. Remove the folder; it is made again.")
        self.ids: NDArray[np.int32] = mapped(folder / "ids.bin", np.int32)
        self.logp: NDArray[np.float16] = mapped(folder / "logp.bin", np.float16)
        self.tail: NDArray[np.float32] = mapped(folder / "tail.bin", np.float32)

    def __contains__(self, key: str) -> bool:
        return key in self.known

    def __iter__(self) -> Iterator[str]:
        return iter(self.known)

    def get(self, key: str) -> Kept:
        """Return what is kept for one text. Raises StoreError for one that is not there."""
        import numpy as np

        if key not in self.known:
            raise StoreError(f"{self.folder}: no distributions for text {key[:12]}; they belong to other data.")
        start, count = self.known[key]
        wide = slice(start * self.k, (start + count) * self.k)
        return Kept(
            np.asarray(self.ids[wide]).reshape(count, self.k),
            np.asarray(self.logp[wide]).astype(np.float32).reshape(count, self.k),
            np.asarray(self.tail[start : start + count]),
        )


def mapped(path: Path, kind: Any) -> NDArray[Any]:
    """Return a file's numbers, loaded as they are looked at; an empty file cannot be mapped."""
    import numpy as np

    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.empty(0, kind)


def read_index(folder: Path) -> tuple[dict[str, tuple[int, int]], int]:
    """Return where each text's rows lie, and how many rows are promised; a half-written last line promises none."""
    found: dict[str, tuple[int, int]] = {}
    path = folder / "index.jsonl"
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    for line in whole.splitlines():
        key, start, count = json.loads(line)
        found[key] = (start, count)
    return found, max((start + count for start, count in found.values()), default=0)


def distributions(loaded: Loaded, texts: Sequence[tuple[list[int], list[int]]], k: int) -> Iterator[tuple[str, Kept]]:
    """Yield (key, what is kept) of each text (prompt ids, completion ids) of the teacher, one forward pass each."""
    import torch

    from harness.students.compute import computing

    for prompt, completion in texts:
        with computing(loaded.device, loaded.threads), torch.inference_mode():
            ids = torch.tensor([prompt + completion], device=loaded.device)  # [1, L]
            logits = loaded.model(input_ids=ids, logits_to_keep=len(completion) + 1).logits[0, :-1]  # [T, V]
            yield key_of(prompt, completion), keep(logits.float().log_softmax(dim=-1), k)
