"""The schedule as row order, and rows as tensors."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import torch

from harness.errors import TrainingError
from harness.students.tokens import encode_texts
from harness.training.batches import Encoded, TokenRow, collate, encode, plan
from harness.types import Example, TrainingSet
from tests.fakes import byte_tokenizer

BOS, EOS = 1, 2


def rows_of(lengths: list[int]) -> list[TokenRow]:
    return [TokenRow(index, [BOS], [5] * (length - 2) + [EOS], None, 1.0) for index, length in enumerate(lengths)]


def whole(*examples: Example, pairs: bool = False, max_tokens: int = 100) -> Encoded:
    return encode(TrainingSet(examples), byte_tokenizer(), pairs=pairs, max_tokens=max_tokens)


def encoded(*examples: Example, pairs: bool = False, max_tokens: int = 100) -> list[TokenRow]:
    return whole(*examples, pairs=pairs, max_tokens=max_tokens).rows


def test_as_given_keeps_the_order_to_the_batch() -> None:
    assert plan(rows_of([9, 3, 7, 5, 8, 4]), "as_given", 3, 2, seed=0) == [[0, 1], [2, 3], [4, 5]]


def test_as_given_starts_again_only_when_the_data_is_used_up() -> None:
    assert plan(rows_of([3, 4, 5]), "as_given", 2, 2, seed=0) == [[0, 1], [2, 0]]


@pytest.mark.parametrize("order", ["as_given", "shuffled"])
@pytest.mark.parametrize("size", [1, 5, 64, 1000])
def test_a_plan_has_exactly_the_rows_asked_for(order: str, size: int) -> None:
    batches = plan(rows_of([3 + index % 7 for index in range(size)]), order, 13, 4, seed=1)
    assert [len(batch) for batch in batches] == [4] * 13


def test_shuffled_visits_every_row_once_an_epoch() -> None:
    batches = plan(rows_of(list(range(3, 43))), "shuffled", 20, 4, seed=3)  # two epochs of 40
    assert set(Counter(index for batch in batches for index in batch).values()) == {2}


def test_shuffled_is_another_order_each_epoch_and_each_seed_and_the_same_for_one_seed() -> None:
    rows = rows_of([3 + index % 9 for index in range(256)])
    batches = plan(rows, "shuffled", 128, 4, seed=3)
    assert batches[:64] != batches[64:]
    assert batches == plan(rows, "shuffled", 128, 4, seed=3)
    assert batches != plan(rows, "shuffled", 128, 4, seed=4)


def test_shuffled_batches_hold_rows_of_similar_length_in_random_order() -> None:
    rng = random.Random(0)
    rows = rows_of([rng.randint(10, 90) for _ in range(640)])
    batches = plan(rows, "shuffled", 40, 16, seed=0)
    longest = [max(rows[index].length for index in batch) for batch in batches]
    padded = sum(16 * length for length in longest) / sum(rows[index].length for batch in batches for index in batch)
    assert padded < 1.15  # 1.75 for batches as drawn
    assert longest[:16] != sorted(longest[:16])


def test_prompt_and_completion_are_encoded_apart_between_begin_and_end() -> None:
    (row,) = encoded(Example("def f():\n", "    return 1\n"))
    assert row.prompt == [BOS, *encode_texts(byte_tokenizer(), ["def f():\n"])[0]]
    assert row.completion == [*encode_texts(byte_tokenizer(), ["    return 1\n"])[0], EOS]


def test_a_row_of_weight_zero_is_left_out_and_the_others_keep_their_number() -> None:
    rows = encoded(Example("a", "b", weight=0.0), Example("c", "d", weight=0.5))
    assert [(row.example, row.weight) for row in rows] == [(1, 0.5)]


def test_rejected_texts_are_encoded_only_when_asked_for() -> None:
    examples = (Example("p", "yes", rejected="no"), Example("p", "yes"))
    assert [row.rejected for row in encoded(*examples)] == [None, None]
    assert [row.rejected and len(row.rejected) for row in encoded(*examples, pairs=True)] == [3, None]


def test_forward_tokens_count_both_sequences_of_a_pair_and_no_padding() -> None:
    pair, single = encoded(Example("pp", "yes", rejected="no"), Example("pp", "yes"), pairs=True)
    assert single.forward_tokens == 3 + 4 - 1
    assert pair.forward_tokens == (3 + 4 - 1) + (3 + 3 - 1)


def test_an_example_that_is_too_long_is_left_out_and_counted_and_the_others_keep_their_number() -> None:
    short, long = Example("p", "x"), Example("p", "x" * 30)
    found = whole(short, long, Example("p", "y"), max_tokens=20)
    assert [row.example for row in found.rows] == [0, 2]
    assert found.left_out == {"examples longer than max_tokens, left out": 1}


def test_a_rejected_text_that_is_too_long_takes_its_example_with_it() -> None:
    pair = Example("p", "x", rejected="z" * 30)
    assert [row.example for row in encoded(pair, Example("p", "x"), pairs=True, max_tokens=20)] == [1]
    assert len(encoded(pair, Example("p", "x"), max_tokens=20)) == 2  # nobody looks at it


def test_a_completion_that_its_tokens_do_not_give_back_is_left_out_and_counted() -> None:
    found = whole(Example("p", "fine  \n"), Example("p", "say <eos> now"))
    assert [row.example for row in found.rows] == [0]
    assert found.left_out == {"completions that the student's tokenizer does not give back, left out": 1}


def test_examples_that_all_can_be_trained_on_leave_no_count() -> None:
    assert whole(Example("p", "x"), Example("p", "y")).left_out == {}


def test_both_reasons_together_may_not_take_more_than_half() -> None:
    examples = [Example("p", "x" * 30), Example("p", "<eos>"), Example("p", "y")]
    assert len(encoded(*examples, Example("p", "z"), max_tokens=20)) == 2
    with pytest.raises(TrainingError, match="1 of 3 examples are longer than 20 tokens"):
        encoded(*examples, max_tokens=20)


def test_a_set_of_mostly_too_long_rows_is_refused_with_their_count_and_the_first_of_them() -> None:
    examples = [Example("p", "x"), Example("p", "x" * 30, origin="solve/7"), Example("p", "y" * 40)]
    with pytest.raises(TrainingError, match=r"2 of 3 examples.*example 1 \(solve/7\) with 33 tokens"):
        encoded(*examples, max_tokens=20)


def test_a_rejected_text_that_is_too_long_is_refused_too() -> None:
    with pytest.raises(TrainingError, match="1 of 1"):
        encoded(Example("p", "x", rejected="z" * 30), pairs=True, max_tokens=20)


@pytest.mark.parametrize("examples", [(), (Example("a", "b", weight=0.0),)])
def test_nothing_to_train_on_is_refused(examples: tuple[Example, ...]) -> None:
    with pytest.raises(TrainingError, match="nothing to train on"):
        encoded(*examples)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_none_is_refused(weight: float) -> None:
    with pytest.raises(TrainingError, match="example 0 has weight"):
        encoded(Example("a", "b", weight=weight))


def test_the_mask_covers_the_completion_and_its_end_and_nothing_else() -> None:
    batch = collate([TokenRow(0, [1, 7, 8], [9, 2], None, 1.0), TokenRow(1, [1], [5, 6, 7, 2], None, 0.5)], pad=0)
    assert batch.ids.tolist() == [[1, 7, 8, 9, 2], [1, 5, 6, 7, 2]]
    assert batch.mask.tolist() == [[False, False, True, True], [True, True, True, True]]
    assert batch.ends.tolist() == [[False, False, False, True], [False, False, False, True]]
    assert batch.weights.tolist() == [1.0, 0.5]


def test_rejected_texts_follow_the_completions_and_know_their_row() -> None:
    rows = [TokenRow(0, [1], [5, 2], None, 1.0), TokenRow(1, [1], [6, 2], [7, 8, 2], 1.0)]
    batch = collate(rows, pad=0)
    assert batch.ids.tolist() == [[1, 5, 2, 0], [1, 6, 2, 0], [1, 7, 8, 2]]
    assert batch.mask.sum(dim=1).tolist() == [2, 2, 3]
    assert batch.paired.tolist() == [1]
    assert torch.equal(batch.ids[:, 1:][batch.ends], torch.tensor([2, 2, 2]))


def test_a_completion_that_its_tokens_do_not_give_back_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"1 of 1 completions do not survive.*example 0, 'say <eos> now'"):
        encoded(Example("p", "say <eos> now"))


def test_a_tokenizer_that_loses_blanks_is_refused() -> None:
    from tokenizers import normalizers

    lossy = byte_tokenizer()
    lossy.backend_tokenizer.normalizer = normalizers.Strip()
    with pytest.raises(TrainingError, match="loses blanks"):
        encode(TrainingSet((Example("p", "    return x\n"),)), lossy, pairs=False, max_tokens=100)
