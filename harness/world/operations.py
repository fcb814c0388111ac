"""The operations of Pipelines as data, and how a chain of them is run; it knows no prompts, checks or pools.

A new operation is one line of `OPERATIONS`. Values have three kinds, which are also the variables' names: `xs` (list of
int), `n` (int), `s` (str). An operation's id starts with the kind that it takes: `l_`, `n_`, `s_`.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Kind = Literal["xs", "n", "s"]
Value: TypeAlias = "int | str | list[int]"
Constant: TypeAlias = "int | str | None"

CONSTANTS: dict[str, tuple[int | str, ...]] = {
    "": (),
    "threshold": tuple(range(2, 31)),
    "factor": tuple(range(2, 10)),  # factors, moduli, lengths of string slices
    "divisor": tuple(range(3, 10)),  # the multiples of 2 are the even numbers, which have an operation of their own
    "few": (1, 2, 3, 4),  # list slices, characters skipped
    "times": (2, 3, 4),  # repetitions
    "letter": tuple("abcdeorst"),
}

LARGEST_INT = 1_000_000
LONGEST_LIST = 64
LONGEST_STRING = 200
AUGMENTED = re.compile(r"\w+ (?:\+|-|\*|//|%)= ")


@dataclass(frozen=True)
class Operation:
    """One operation. `{k}` stands for the constant in phrases and code."""

    id: str
    source: Kind
    target: Kind
    constant: str  # a key of CONSTANTS; "" where there is none
    phrases: tuple[str, ...]  # imperative, lower case
    teacher: str  # expression over the variable `source`
    student: str = ""  # the second spelling: an expression, or an augmented assignment; "" where there is none
    limit: int | None = None  # largest input that the operation takes in reasonable time; None: any

    @property
    def augmented(self) -> bool:
        """Whether the second spelling is a statement (`n += 3`), which cannot stand behind `return`."""
        return AUGMENTED.match(self.student) is not None


def keep(id: str, constant: str, phrases: str, condition: str) -> Operation:
    """A filter of a list; `x` is the item."""
    return Operation(
        id,
        "xs",
        "xs",
        constant,
        tuple(phrases.split("|")),
        f"[x for x in xs if {condition}]",
        f"list(filter(lambda x: {condition}, xs))",
    )


def each(id: str, constant: str, phrases: str, item: str) -> Operation:
    """A map over a list; `x` is the item."""
    phrasings = tuple(phrases.split("|"))
    return Operation(id, "xs", "xs", constant, phrasings, f"[{item} for x in xs]", f"list(map(lambda x: {item}, xs))")


def step(id: str, kinds: str, constant: str, phrases: str, teacher: str, student: str = "", **more: int) -> Operation:
    """Any other operation; `kinds` reads `xs>n`."""
    source, target = cast("list[Kind]", kinds.split(">"))
    return Operation(id, source, target, constant, tuple(phrases.split("|")), teacher, student, **more)


TABLE: tuple[Operation, ...] = (
    keep("l_even", "", "keep the even numbers", "x % 2 == 0"),
    keep("l_odd", "", "keep the odd numbers", "x % 2 == 1"),
    keep("l_gt", "threshold", "keep the numbers greater than {k}|keep the numbers above {k}", "x > {k}"),
    keep("l_lt", "threshold", "keep the numbers less than {k}|keep the numbers below {k}", "x < {k}"),
    keep("l_mult", "divisor", "keep the multiples of {k}|keep the numbers divisible by {k}", "x % {k} == 0"),
    keep("l_not", "threshold", "remove every {k}", "x != {k}"),
    each("l_add", "threshold", "add {k} to each number|increase each number by {k}", "x + {k}"),
    each("l_sub", "threshold", "subtract {k} from each number|decrease each number by {k}", "x - {k}"),
    each("l_mul", "factor", "multiply each number by {k}", "x * {k}"),
    each("l_square", "", "square each number", "x * x"),
    each("l_neg", "", "negate each number|flip the sign of each number", "-x"),
    each("l_mod", "factor", "replace each number by its remainder modulo {k}", "x % {k}"),
    each("l_cap", "threshold", "cap each number at {k}", "min(x, {k})"),
    each("l_raise", "threshold", "raise each number to at least {k}", "max(x, {k})"),
    step("l_first", "xs>xs", "few", "keep the first {k} items|take the first {k} items", "xs[:{k}]"),
    step("l_last", "xs>xs", "few", "keep the last {k} items", "xs[-{k}:]"),
    step("l_skip", "xs>xs", "few", "skip the first {k} items|drop the first {k} items", "xs[{k}:]"),
    step("l_second", "xs>xs", "", "keep every second item", "xs[::2]"),
    step("l_reverse", "xs>xs", "", "reverse the list", "xs[::-1]", "list(reversed(xs))"),
    step("l_sort", "xs>xs", "", "sort the numbers|sort the numbers in ascending order", "sorted(xs)"),
    step("l_desc", "xs>xs", "", "sort the numbers in descending order", "sorted(xs, reverse=True)"),
    step("l_unique", "xs>xs", "", "keep the distinct numbers in ascending order", "sorted(set(xs))"),
    step("l_append", "xs>xs", "threshold", "append {k} to the list|put {k} at the end of the list", "xs + [{k}]"),
    step("l_prepend", "xs>xs", "threshold", "put {k} at the front of the list", "[{k}] + xs"),
    step("l_pairs", "xs>xs", "", "add each number to its successor", "[a + b for a, b in zip(xs, xs[1:])]"),
    step("l_diffs", "xs>xs", "", "list the differences of neighbours", "[b - a for a, b in zip(xs, xs[1:])]"),
    step("l_sum", "xs>n", "", "add up the numbers|sum the numbers", "sum(xs)"),
    step("l_max", "xs>n", "", "find the largest number or 0 if there is none", "max(xs, default=0)"),
    step("l_min", "xs>n", "", "find the smallest number or 0 if there is none", "min(xs, default=0)"),
    step("l_len", "xs>n", "", "count the items|find the length of the list", "len(xs)"),
    step("l_count", "xs>n", "threshold", "count how often {k} occurs", "xs.count({k})"),
    step("l_above", "xs>n", "threshold", "count the numbers above {k}", "sum(x > {k} for x in xs)",
         "len(list(filter(lambda x: x > {k}, xs)))"),
    step("n_add", "n>n", "threshold", "add {k} to it|increase it by {k}", "n + {k}", "n += {k}"),
    step("n_sub", "n>n", "threshold", "subtract {k} from it|decrease it by {k}", "n - {k}", "n -= {k}"),
    step("n_mul", "n>n", "factor", "multiply it by {k}", "n * {k}", "n *= {k}"),
    step("n_square", "n>n", "", "square it", "n * n"),
    step("n_neg", "n>n", "", "negate it", "-n"),
    step("n_abs", "n>n", "", "take its absolute value", "abs(n)"),
    step("n_mod", "n>n", "factor", "take its remainder modulo {k}", "n % {k}", "n %= {k}"),
    step("n_div", "n>n", "factor", "divide it by {k} rounding down", "n // {k}", "n //= {k}"),
    step("n_cap", "n>n", "threshold", "cap it at {k}", "min(n, {k})"),
    step("n_halve", "n>n", "threshold", "if it is above {k} halve it rounding down", "n // 2 if n > {k} else n"),
    step("n_double", "n>n", "threshold", "if it is below {k} double it", "n * 2 if n < {k} else n"),
    step("n_digits", "n>n", "", "add up its digits", "sum(int(d) for d in str(abs(n)))"),
    step("n_range", "n>xs", "factor", "list the numbers below its value modulo {k}", "list(range(n % {k}))"),
    step("n_divisors", "n>xs", "", "list its positive divisors", "[d for d in range(1, n + 1) if n % d == 0]",
         limit=500),
    step("n_str", "n>s", "", "write it as a string", "str(n)"),
    step("s_upper", "s>s", "", "convert the string to upper case", "s.upper()"),
    step("s_lower", "s>s", "", "convert the string to lower case", "s.lower()"),
    step("s_swap", "s>s", "", "swap upper and lower case", "s.swapcase()"),
    step("s_reverse", "s>s", "", "reverse the string", "s[::-1]", "''.join(reversed(s))"),
    step("s_sort", "s>s", "", "sort the characters", "''.join(sorted(s))"),
    step("s_remove", "s>s", "letter", "remove every {k}|delete every {k}", "s.replace({k}, '')",
         "''.join(filter(lambda c: c != {k}, s))"),
    step("s_replace", "s>s", "letter", "replace every {k} by '-'", "s.replace({k}, '-')"),
    step("s_first", "s>s", "factor", "keep the first {k} characters", "s[:{k}]"),
    step("s_last", "s>s", "factor", "keep the last {k} characters", "s[-{k}:]"),
    step("s_skip", "s>s", "few", "skip the first {k} characters", "s[{k}:]"),
    step("s_repeat", "s>s", "times", "repeat the string {k} times", "s * {k}", "s *= {k}"),
    step("s_vowels", "s>s", "", "keep only the vowels", "''.join(c for c in s if c in 'aeiouAEIOU')",
         "''.join(filter(lambda c: c in 'aeiouAEIOU', s))"),
    step("s_consonants", "s>s", "", "remove the vowels", "''.join(c for c in s if c not in 'aeiouAEIOU')",
         "''.join(filter(lambda c: c not in 'aeiouAEIOU', s))"),
    step("s_append", "s>s", "letter", "append {k} to the string", "s + {k}", "s += {k}"),
    step("s_prepend", "s>s", "letter", "put {k} at the front of the string", "{k} + s"),
    step("s_len", "s>n", "", "count the characters|find the length of the string", "len(s)"),
    step("s_count", "s>n", "letter", "count how often {k} occurs", "s.count({k})"),
    step("s_words", "s>n", "", "count the words", "len(s.split())"),
    step("s_lengths", "s>xs", "", "list the word lengths", "[len(w) for w in s.split()]"),
)  # fmt: skip

OPERATIONS: dict[str, Operation] = {operation.id: operation for operation in TABLE}


@dataclass(frozen=True)
class Step:
    """One operation with its constant and the phrasing chosen."""

    operation: str
    constant: Constant = None
    phrase: int = 0

    @property
    def of(self) -> Operation:
        return OPERATIONS[self.operation]

    @property
    def behaviour(self) -> tuple[str, Constant]:
        """What the step does, without the way it is worded."""
        return self.operation, self.constant


@functools.cache
def function(id: str) -> tuple[Callable[[Value, Constant], Value], int | None]:
    """Return the operation as a function of value and constant, and the limit of its input.

    It is compiled from the table's own code line, so that what a reference says and what the checks expect cannot
    drift apart. Only the constant text of this file gets here, never a constant's value, an id or a model's text.
    """
    operation = OPERATIONS[id]
    source = f"lambda {operation.source}, k: {operation.teacher.replace('{k}', 'k')}"
    return cast("Callable[[Value, Constant], Value]", eval(source)), operation.limit


def within(value: Value, limit: int) -> bool:
    """Whether a value is small enough to go on with."""
    if isinstance(value, int):
        return -limit <= value <= limit
    if isinstance(value, str):
        return len(value) <= LONGEST_STRING
    return len(value) <= LONGEST_LIST and (not value or (max(value) <= limit and min(value) >= -limit))


def run(steps: Sequence[Step], value: Value) -> Value | None:
    """Run the steps on a value; None where an input is too large for its operation, or the last output for a problem.

    That bounds the cost: up to four steps cannot make a value large enough to be slow in an operation without limit.
    """
    for one in steps:
        call, limit = function(one.operation)
        if limit is not None and not within(value, limit):
            return None
        value = call(value, one.constant)
    return value if within(value, LARGEST_INT) else None


def chained(steps: Sequence[Step]) -> bool:
    """Whether each step takes the kind that the step before it gives."""
    return all(a.of.target == b.of.source for a, b in itertools.pairwise(steps))
