"""A teacher's next-token distributions on disk: the k largest log-probabilities of each label and the rest as a tail.

Written and read one text at a time, so neither a data set nor a vocabulary is ever in memory whole. A text is keyed by
its token ids (prompt and completion), so nothing is tokenised again. Layout of a folder:

    meta.json    k and the vocabulary
    index.jsonl  one line per text: its key, where its rows begin, how many labels
    ids.bin      int32 [rows, K], the tokens, the most probable first
    logp.bin     float16 [rows, K], their log-probabilities in nats
    tail.bin     float32 [rows], the log-probability of all other tokens together

float16 keeps a log-probability to 1 in 2,000; the tail is computed from what is stored, so that each row sums to 1.
It knows no teacher: `soft_labels` fills it, once for each text, and a fit reads it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import StoreError
from harness.store.keys import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from harness.training.batches import TokenRow

LEAST_TAIL = -60.0  # log-probability of a tail that is nothing
META, INDEX = "meta.json", "index.jsonl"
FILES = ("ids.bin", "logp.bin", "tail.bin")
REMEDY = (
    "Put the folder back from a copy or take a new store (store=NEW_FOLDER), or have the teacher read along "
    "(train.logits_top_k=0)."
)


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
    """Fills a new folder; its last line promises its last rows, and the store adopts it only once it is whole."""

    def __init__(self, folder: Path, k: int, vocabulary: int) -> None:
        assert 1 <= k <= vocabulary, f"k={k} of {vocabulary} tokens"
        self.k, self.rows = k, 0
        (folder / META).write_text(json.dumps({"k": k, "vocabulary": vocabulary}), encoding="utf-8")
        self.index = (folder / INDEX).open("w", encoding="utf-8")
        self.streams = [(folder / name).open("wb") for name in FILES]

    def __enter__(self) -> LogitWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        for stream in (*self.streams, self.index):
            stream.close()

    def add(self, key: str, kept: Kept) -> None:
        """Append one text."""
        import numpy as np

        assert kept.ids.shape == (len(kept.tail), self.k), f"{kept.ids.shape}, k={self.k}"
        for stream, values in zip(self.streams, (kept.ids, kept.logp.astype(np.float16), kept.tail), strict=True):
            stream.write(np.ascontiguousarray(values).tobytes())
        self.index.write(json.dumps([key, self.rows, len(kept.tail)]) + "\n")
        self.rows += len(kept.tail)


class LogitReader:
    """Reads a folder; its files are mapped, so that only what is asked for is loaded."""

    def __init__(self, folder: Path) -> None:
        import numpy as np

        try:
            self.meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
            lines = (folder / INDEX).read_text(encoding="utf-8").splitlines()
            self.known = {key: (start, count) for key, start, count in map(json.loads, lines)}
        except (OSError, ValueError) as err:
            raise StoreError(
                f"{folder}: the teacher's cached distributions cannot be read ({err}). Expected {META} and {INDEX}, as "
                f"a fit with train.logits_top_k wrote them. {REMEDY}"
            ) from err
        self.folder, self.k = folder, int(self.meta["k"])
        rows = sum(count for _, count in self.known.values())
        for name, width in zip(FILES, (4 * self.k, 2 * self.k, 4), strict=True):
            if (folder / name).stat().st_size != rows * width:
                raise StoreError(
                    f"{folder / name}: {(folder / name).stat().st_size} bytes of the teacher's cached distributions, "
                    f"expected {rows * width} by its index. {REMEDY}"
                )
        self.ids: NDArray[np.int32] = mapped(folder / "ids.bin", np.int32)
        self.logp: NDArray[np.float16] = mapped(folder / "logp.bin", np.float16)
        self.tail: NDArray[np.float32] = mapped(folder / "tail.bin", np.float32)

    def get(self, key: str) -> Kept:
        """Return what is kept for one text."""
        import numpy as np

        start, count = self.known[key]
        wide = slice(start * self.k, (start + count) * self.k)
        return Kept(
            np.asarray(self.ids[wide]).reshape(count, self.k),
            np.asarray(self.logp[wide]).astype(np.float32).reshape(count, self.k),
            np.asarray(self.tail[start : start + count]),
        )


class LogitCache:
    """Several folders read as one: all that a fit needs, whichever fits had it made."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.readers = [LogitReader(folder) for folder in folders]
        assert len({(one.k, one.meta["vocabulary"]) for one in self.readers}) == 1, f"folders unlike: {folders}"
        self.vocabulary = int(self.readers[0].meta["vocabulary"])
        self.places = {key: reader for reader in self.readers for key in reader.known}

    def get(self, prompt: Sequence[int], completion: Sequence[int]) -> Kept:
        """Return what is kept for one text. Raises StoreError for one that is not there."""
        key = key_of(prompt, completion)
        if key not in self.places:
            folders = ", ".join(str(one.folder) for one in self.readers)
            raise StoreError(
                f"{folders}: no distributions of the teacher for the text {key[:12]}; expected one entry for every "
                f"example that is trained on. {REMEDY}"
            )
        return self.places[key].get(key)

    def tensors(self, rows: Sequence[TokenRow]) -> tuple[Tensor, ...]:
        """Return what is kept at the labels of some rows, one after another, as the fields of `TopK`."""
        import torch

        kept = [self.get(row.prompt, row.completion) for row in rows]
        fields = ([getattr(one, name) for one in kept] for name in ("ids", "logp", "tail"))
        ids, logp, tail = (torch.cat([torch.tensor(part) for part in parts]) for parts in fields)
        return ids.long(), logp, tail


def mapped(path: Path, kind: Any) -> NDArray[Any]:
    """Return a file's numbers, loaded as they are looked at; an empty file cannot be mapped."""
    import numpy as np

    return np.memmap(path, dtype=kind, mode="r") if path.stat().st_size else np.empty(0, kind)
