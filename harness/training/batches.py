"""Turns examples into token rows and bakes the whole schedule into their order; never shuffles later, never truncates.

The order of rows is the schedule: epochs, shuffling and length buckets are decided here once, and the trainer reads
the result in sequence. A resumed run and a run on several processes therefore see the same rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from harness.errors import TrainingError
from harness.students.tokens import encode_completions, encode_prompts
from harness.types import TrainingSet

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

WINDOW = 16
"""Batches that are sorted by length together. Measured, padded tokens to real ones at batch 16: 1.64 unsorted, 1.09
with 8, 1.05 with 16, 1.01 with all 94 of an epoch; smaller windows keep the order nearer to a plain shuffle."""

LOST = "completions that the student's tokenizer does not give back"  # as notes call them


@dataclass(frozen=True)
class TokenRow:
    """One example as tokens: `prompt + completion` and, if the objective asks for it, `prompt + rejected`."""

    example: int  # index in the training set
    prompt: list[int]  # begin token included
    completion: list[int]  # end token included
    rejected: list[int] | None  # end token included
    weight: float
    changed: list[bool] | None = None  # which tokens of `rejected` lie outside its alignment with the completion
    reference: tuple[float, float] = (0.0, 0.0)  # log-probability of both texts before the first update

    @property
    def length(self) -> int:
        return len(self.prompt) + max(len(self.completion), len(self.rejected or ()))

    @property
    def forward_tokens(self) -> int:
        """Count the tokens that go forward; nothing is predicted from the last token of a sequence, so it stays out."""
        tokens = len(self.prompt) + len(self.completion) - 1
        if self.rejected is not None:
            tokens += len(self.prompt) + len(self.rejected) - 1
        return tokens


@dataclass(frozen=True)
class Encoded:
    """The rows to train on, and how many examples were left out, by reason."""

    rows: list[TokenRow]
    left_out: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True)
class MicroBatch:
    """What goes forward at once: B completions, then the rejected texts of those rows that have one (S in all)."""

    ids: Tensor  # [S, L], padded on the right
    mask: Tensor  # [S, L-1], true on completion labels, end token included
    ends: Tensor  # [S, L-1], true on the end tokens alone
    weights: Tensor  # [B]
    paired: Tensor  # [S - B], which of the B rows each rejected text belongs to
    changed: Tensor  # [S - B, L-1], true on the tokens of a rejected text that its completion does not have
    reference: Tensor  # [S - B, 2], nats, of completion and rejected text before the first update

    def as_inputs(self) -> dict[str, Any]:
        """Return the tensors by name; `input_ids` is the one by which transformers estimates FLOPs."""
        return {"input_ids" if name == "ids" else name: tensor for name, tensor in vars(self).items()}

    @classmethod
    def from_inputs(cls, inputs: dict[str, Any]) -> MicroBatch:
        """Undo `as_inputs`, after the trainer has moved the tensors to its device."""
        return cls(**{one.name: inputs["input_ids" if one.name == "ids" else one.name] for one in fields(cls)})


def encode(
    data: TrainingSet,
    tokenizer: PreTrainedTokenizerBase,
    *,
    pairs: bool,
    max_tokens: int,
    limit: str = "max_tokens",
    aligned: bool = False,
) -> Encoded:
    """Encode what is to be trained on. Rows of weight 0 are left out here: such a row is the same as a missing one.

    Examples that are too long or that the tokenizer loses a part of are left out and counted; TrainingError where they
    are more than half. With `pairs` the rejected texts are encoded too, with `aligned` it is noted which of their
    tokens differ.
    """
    for index, example in enumerate(data.examples):
        if not (math.isfinite(example.weight) and example.weight >= 0):
            raise TrainingError(f"example {index} has weight {example.weight}; expected a finite number, 0 or more")
    kept = [(index, example) for index, example in enumerate(data.examples) if example.weight > 0]
    if not kept:
        found = f"{len(data.examples)} examples, all of weight 0" if data.examples else "no examples"
        raise TrainingError(f"nothing to train on: {found}")

    prompts = encode_prompts(tokenizer, [example.prompt for _, example in kept])
    completions = encode_completions(tokenizer, [example.completion for _, example in kept])
    faulty = [example.rejected for _, example in kept if pairs and example.rejected is not None]
    rejected = iter(encode_completions(tokenizer, faulty))
    rows = [
        TokenRow(
            example=index,
            prompt=prompt,
            completion=completion,
            rejected=next(rejected) if pairs and example.rejected is not None else None,
            weight=example.weight,
        )
        for (index, example), prompt, completion in zip(kept, prompts, completions, strict=True)
    ]
    long = [row for row in rows if row.length > max_tokens]  # cut, they would teach the student to stop in mid-line
    lost = lossy([row for row in rows if row.length <= max_tokens], data, tokenizer)
    if 2 * (len(long) + len(lost)) > len(rows):
        if len(long) >= len(lost):
            raise too_long(long, len(rows), data, max_tokens, limit)
        raise not_given_back(lost, len(rows), data)
    counts = {f"examples longer than {limit}, left out": len(long), f"{LOST}, left out": len(lost)}
    unfit = {row.example for row in (*long, *lost)}
    rows = [row for row in rows if row.example not in unfit]
    if aligned:
        rows = [
            row if row.rejected is None else replace(row, changed=outside_alignment(row.rejected, row.completion))
            for row in rows
        ]
    return Encoded(rows, {name: count for name, count in counts.items() if count})


def outside_alignment(text: Sequence[int], other: Sequence[int]) -> list[bool]:
    """Tell which tokens of `text` are not in its longest common subsequence with `other`."""
    head = 0
    while head < min(len(text), len(other)) and text[head] == other[head]:
        head += 1
    tail = 0
    while tail < min(len(text), len(other)) - head and text[-1 - tail] == other[-1 - tail]:
        tail += 1
    a, b = text[head : len(text) - tail], other[head : len(other) - tail]
    common = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]  # [i][j]: of a[i:] and b[j:]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            same = a[i] == b[j]
            common[i][j] = common[i + 1][j + 1] + 1 if same else max(common[i + 1][j], common[i][j + 1])
    changed = [False] * len(text)
    i = j = 0
    while i < len(a):
        if j < len(b) and a[i] == b[j]:
            i, j = i + 1, j + 1
        elif j < len(b) and common[i][j + 1] >= common[i + 1][j]:
            j += 1
        else:
            changed[head + i] = True
            i += 1
    return changed


def too_long(long: Sequence[TokenRow], count: int, data: TrainingSet, max_tokens: int, limit: str) -> TrainingError:
    """Return the error of a set of `count` rows most of which cannot be trained on, as these are too long."""
    first = data.examples[long[0].example]
    origin = f" ({first.origin})" if first.origin else ""
    return TrainingError(
        f"{len(long)} of {count} examples are longer than {max_tokens} tokens ({limit}); the first is example"
        f" {long[0].example}{origin} with {long[0].length} tokens, prompt {first.prompt[:60]!r}."
        " Raise the limit or leave such examples out."
    )


def lossy(rows: Sequence[TokenRow], data: TrainingSet, tokenizer: PreTrainedTokenizerBase) -> list[TokenRow]:
    """Return the rows whose completion does not come back from its tokens: the student could never write it."""
    if not rows:  # of which the library would make one empty text
        return []
    texts = tokenizer.batch_decode(
        [row.completion[:-1] for row in rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return [row for row, text in zip(rows, texts, strict=True) if text != data.examples[row.example].completion]


def not_given_back(lost: Sequence[TokenRow], count: int, data: TrainingSet) -> TrainingError:
    """Return the error of a set of `count` rows most of which the student's tokenizer loses a part of."""
    first = data.examples[lost[0].example]
    return TrainingError(
        f"{len(lost)} of {count} completions do not survive the student's tokenizer, which loses blanks or"
        f" knows a part of them as a special token; the first is example {lost[0].example},"
        f" {first.completion[:60]!r}. Take another student, mend its tokenizer, or leave such examples out."
    )


def plan(rows: Sequence[TokenRow], order: str, updates: int, batch: int, seed: int) -> list[list[int]]:
    """Return the rows of every update: `updates` lists of `batch` indices into `rows`.

    `as_given` keeps the order to the batch and starts again at the front when the data is used up. `shuffled` is one
    permutation after another, sorted by length inside windows of `WINDOW` batches, the batches of a window shuffled.
    """
    needed = updates * batch
    if order == "as_given":
        sequence = [place % len(rows) for place in range(needed)]
        return [sequence[start : start + batch] for start in range(0, needed, batch)]
    assert order == "shuffled", f"unknown order {order!r}"

    rng = random.Random(seed)
    drawn = epochs(len(rows), rng)
    batches: list[list[int]] = []
    while len(batches) < updates:
        width = min(WINDOW, updates - len(batches))
        window = sorted((next(drawn) for _ in range(width * batch)), key=lambda index: rows[index].length)
        buckets = [window[start : start + batch] for start in range(0, len(window), batch)]
        rng.shuffle(buckets)
        batches.extend(buckets)
    return batches


def epochs(size: int, rng: random.Random) -> Iterator[int]:
    """Yield one permutation of the rows after another, without end."""
    while True:
        permutation = list(range(size))
        rng.shuffle(permutation)
        yield from permutation


def collate(rows: Sequence[TokenRow], pad: int) -> MicroBatch:
    """Pad rows to tensors on the right, so that no real token can see padding under causal attention."""
    import torch

    paired = [place for place, row in enumerate(rows) if row.rejected is not None]
    sequences = [(row.prompt, row.completion) for row in rows]
    sequences += [(rows[place].prompt, rows[place].rejected or []) for place in paired]
    width = max(len(prompt) + len(text) for prompt, text in sequences)

    ids = torch.full((len(sequences), width), pad, dtype=torch.long)  # [S, L]
    mask = torch.zeros((len(sequences), width - 1), dtype=torch.bool)  # [S, L-1]
    ends = torch.zeros((len(sequences), width - 1), dtype=torch.bool)  # [S, L-1]
    changed = torch.zeros((len(paired), width - 1), dtype=torch.bool)  # [S - B, L-1]
    for place, (prompt, text) in enumerate(sequences):
        length = len(prompt) + len(text)
        ids[place, :length] = torch.tensor(prompt + text)
        mask[place, len(prompt) - 1 : length - 1] = True  # position t-1 predicts token t
        ends[place, length - 2] = True
    for place, row in enumerate(rows[index] for index in paired):
        if row.changed is not None:
            changed[place, len(row.prompt) - 1 : len(row.prompt) - 1 + len(row.changed)] = torch.tensor(row.changed)
    weights = torch.tensor([row.weight for row in rows], dtype=torch.float32)  # [B]
    reference = torch.tensor([rows[index].reference for index in paired], dtype=torch.float32).view(-1, 2)
    return MicroBatch(ids, mask, ends, weights, torch.tensor(paired, dtype=torch.long), changed, reference)
