"""Values cross as what they are, and whatever is sent becomes plain data, a handle or Damaged."""

from __future__ import annotations

import copy
import datetime
import random
from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, UserString, defaultdict, deque, namedtuple
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import pytest

from harness.sandbox.judging.rules import accepts, cut
from harness.sandbox.values import Damaged, Decoder, Encoder, Named, TooLarge, from_text, to_text

Point = namedtuple("Point", "x y")
AWARE = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=-3)))


class Text(str):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = str.__hash__


def crossed(value: Any, plain: bool = True) -> Any:
    objects: list[Any] = []
    tree = from_text(to_text(Encoder(objects, 1 << 16).encode(value)))
    return Decoder(lambda number, name: f"handle {number} {name}", plain).decode(tree)


def test_for_scripts_a_dict_of_the_standard_library_stays_of_its_kind() -> None:
    counter, ordered, default = (
        crossed(value, plain=False) for value in (Counter("aab"), OrderedDict(b=1, a=2), defaultdict(list, a=[1]))
    )
    assert counter["z"] == 0 and counter.most_common(1) == [("a", 2)] and type(counter) is Counter
    assert ordered.popitem(last=False) == ("b", 1)
    assert default["z"] == [] and default == {"a": [1], "z": []}


def test_for_scripts_items_of_a_named_tuple_keep_their_names() -> None:
    point = crossed([Point(1, 2)], plain=False)[0]
    assert (point.x, point.y) == (1, 2) == point and copy.deepcopy(point).y == 2
    with pytest.raises(AttributeError):
        _ = point.z


def test_items_of_a_named_tuple_hide_a_tuples_methods_but_a_programs_own_do_not() -> None:
    item = crossed(namedtuple("Item", "name count")("bolt", 7), plain=False)
    assert item.count == 7 and copy.deepcopy(item).count == 7 and item.index(7) == 1
    assert Named((1, lambda _: 2), ("index", "count")).count(1) == 1
    assert Named((1,), ("x", "count")).count(1) == 1


def test_names_of_a_named_tuple_that_are_none_are_left_out() -> None:
    odd = type("Odd", (tuple,), {"_fields": (1, "x")})
    assert crossed(odd((1, 2)), plain=False) == (1, 2)
    decoder = Decoder(lambda number, name: name)
    assert decoder.decode(["N", [1, []], 1, 2]) == (1, 2) == decoder.decode(["N", {}, 1, 2])


@pytest.mark.parametrize("factory", ["__import__", "", "exit", 7, ["l"], "memoryview", None])
def test_factory_of_a_default_is_one_of_a_few_builtins_or_none(factory: Any) -> None:
    assert Decoder(lambda number, name: name).decode(["F", factory, "a", 1]).default_factory is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (Point(1, [2]), (1, [2])),
        (Text("x"), "x"),
        (deque([1, 2], maxlen=3), deque([1, 2])),
        (UserList([UserString("a")]), ["a"]),
        (ChainMap({"a": 1}, UserDict(b=2)), {"a": 1, "b": 2}),
        (MappingProxyType({1: 2}), {1: 2}),
        (memoryview(b"ab"), memoryview(b"ab")),
        ({1: 2}.keys(), {1}),
        ({1: 2}.items(), {(1, 2)}),
        (Fraction(1, 3), Fraction(1, 3)),
        (Decimal("0.10"), Decimal("0.1")),
        (Decimal("-Infinity"), Decimal("-Infinity")),
        (datetime.date(2024, 2, 29), datetime.date(2024, 2, 29)),
        (datetime.time(1, 2, 3, 4), datetime.time(1, 2, 3, 4)),
        (datetime.timedelta(-1, 5, 7), datetime.timedelta(-1, 5, 7)),
        (AWARE, AWARE),
        (int, int),
        (range(2, 9, 3), range(2, 9, 3)),
        (1 << 9999, 1 << 9999),
    ],
)
def test_value_is_equal_on_the_other_side(value: Any, expected: Any) -> None:
    got = crossed(value)
    assert got == expected and type(got) is type(expected if not isinstance(expected, set) else value)


@pytest.mark.parametrize("value", [Decimal("sNaN"), Decimal("1e999999"), Fraction(1, 1 << 20_000), object(), Point])
def test_value_that_could_do_harm_or_is_no_data_becomes_a_handle(value: Any) -> None:
    assert str(crossed(value)).startswith("handle 0 ")


def test_dict_values_and_iterators_are_listed() -> None:
    def generate() -> Iterator[int]:
        yield 4

    found = crossed([{1: 2}.values(), zip([1], [2], strict=True), generate()])
    assert [list(one) for one in found] == [[2], [(1, 2)], [4]]


def test_endless_and_deep_values_are_too_large() -> None:
    import itertools

    deep: list[Any] = []
    deep.append(deep)
    for value in (itertools.count(), deep, "a" * 70_000, [[0] * 999] * 99):
        with pytest.raises(TooLarge):
            crossed(value)


def test_whatever_tree_is_sent_decodes_or_is_damaged() -> None:
    rng = random.Random(0)
    tags = [*"ltsfdbawcirnekvpqmDyo", "zz", 0, None, True, []]
    names = ["date", "datetime", "timedelta", "int", "object", "0x1f", "ff", "1e5", "NaN", "sNaN", "é"]
    leaves = [0, 1, -1, 7, 2.5, True, None, 10**30, *names]

    def grow(depth: int) -> Any:
        if depth == 0 or rng.random() < 0.3:
            return rng.choice(leaves)
        return [rng.choice(tags), *(grow(depth - 1) for _ in range(rng.randrange(5)))]

    decoder = Decoder(lambda number, name: (number, name))
    outcomes = {"decoded": 0, "damaged": 0}
    for _ in range(5000):
        try:
            value = decoder.decode(grow(4))
            assert accepts("close", value, object()) is False
            outcomes["decoded"] += 1
        except Damaged:
            outcomes["damaged"] += 1
    assert min(outcomes.values()) > 500


def test_texts_of_a_verdict_can_be_printed_and_written() -> None:
    told = cut("a\nb\x1b[2J\u202e\ud800" + "\0" * 400)
    assert told.startswith("a\\nb\\x1b[2J\\u202e\\ud800") and told.isprintable() and len(told) == 300
