"""The operations of Pipelines as data, and how a chain of them is run; it knows no prompts, checks or pools.

A new operation is one line of `TABLE`. Values have three kinds, which are also the variables' names: `xs` (list of
int), `n` (int), `s` (str). An operation's id starts with the kind that it takes: `l_`, `n_`, `s_`.

An operation has up to five *spellings*, programs that do the same. The first is the teacher's and is always an
expression. A further one may be a statement that changes the variable (`n += 3`, `xs.sort()`), or a block that fills a
new one: `ys`, `m`, `t`, or what the kind is called where the operation changes it.
"""

from __future__ import annotations

import ast
import functools
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

Kind = Literal["xs", "n", "s"]
Value: TypeAlias = "int | str | list[int]"
Constant: TypeAlias = "int | str | None"
Form = Literal["expression", "functional", "statement", "loop"]

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
FRESH: dict[Kind, str] = {"xs": "ys", "n": "m", "s": "t"}  # what a block of the source's own kind fills


@dataclass(frozen=True)
class Spelling:
    """One way to write an operation. `{k}` stands for the constant, `xs`, `n` or `s` for the variable that it reads."""

    text: str  # an expression, or statements in lines of their own
    form: Form
    result: str = ""  # the variable that holds the result of statements; "" for an expression

    @property
    def block(self) -> bool:
        """Whether it is made of statements, which cannot stand behind `return`."""
        return self.result != ""


@dataclass(frozen=True)
class Operation:
    """One operation. `{k}` stands for the constant in phrases and code."""

    id: str
    source: Kind
    target: Kind
    constant: str  # a key of CONSTANTS; "" where there is none
    phrases: tuple[str, ...]  # imperative, lower case
    spellings: tuple[Spelling, ...]  # the first is the teacher's
    limit: int | None = None  # largest input that the operation takes in reasonable time; None: any


def spelling(text: str, source: Kind, target: Kind) -> Spelling:
    """Return a code text of the table with its form, which is read in its syntax."""
    tree = ast.parse(text.replace("{k}", "k"))
    nodes = list(ast.walk(tree))
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr) and not changes(tree.body[0].value):
        functional = any(isinstance(node, ast.Name) and node.id in ("map", "filter") for node in nodes)
        return Spelling(text, "functional" if functional else "expression")
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    result = FRESH[target] if source == target and FRESH[target] in stored else target
    return Spelling(text, "loop" if any(isinstance(node, ast.For) for node in nodes) else "statement", result)


def changes(value: ast.expr) -> bool:
    """Whether an expression is a call that changes its list and gives nothing."""
    methods = ("sort", "reverse", "append", "insert")
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in methods


def keep(id: str, constant: str, phrases: str, condition: str) -> Operation:
    """A filter of a list; `x` is the item."""
    return step(
        id,
        "xs>xs",
        constant,
        phrases,
        f"[x for x in xs if {condition}]",
        f"list(filter(lambda x: {condition}, xs))",
        f"ys = []\nfor x in xs:\n    if {condition}:\n        ys.append(x)",
        f"list(x for x in xs if {condition})",
    )


def each(id: str, constant: str, phrases: str, item: str) -> Operation:
    """A map over a list; `x` is the item."""
    return step(
        id,
        "xs>xs",
        constant,
        phrases,
        f"[{item} for x in xs]",
        f"list(map(lambda x: {item}, xs))",
        f"ys = []\nfor x in xs:\n    ys.append({item})",
        "for i in range(len(xs)):\n    xs[i] = " + re.sub(r"\bx\b", "xs[i]", item),
    )


def count(id: str, constant: str, phrases: str, condition: str, *first: str) -> Operation:
    """How many items of a list meet a condition; `first` are spellings that go before the others."""
    return step(
        id,
        "xs>n",
        constant,
        phrases,
        *first,
        f"sum({condition} for x in xs)",
        f"len(list(filter(lambda x: {condition}, xs)))",
        f"n = 0\nfor x in xs:\n    if {condition}:\n        n += 1",
        f"len([x for x in xs if {condition}])",
    )


def letters(id: str, constant: str, phrases: str, condition: str, *first: str) -> Operation:
    """A filter of a string; `c` is the character, `first` are spellings that go before the others."""
    return step(
        id,
        "s>s",
        constant,
        phrases,
        *first,
        f"''.join(c for c in s if {condition})",
        f"''.join(filter(lambda c: {condition}, s))",
        f"t = ''\nfor c in s:\n    if {condition}:\n        t += c",
    )


def shift(id: str, kind: str, constant: str, phrases: str, operator: str, *more: str) -> Operation:
    """An arithmetic operator with a constant behind it, which an assignment may hold."""
    code = f"{kind} {operator} {{k}}"
    return step(id, f"{kind}>{kind}", constant, phrases, code, f"{kind} {operator}= {{k}}", *more)


def step(id: str, kinds: str, constant: str, phrases: str, *spellings: str, limit: int | None = None) -> Operation:
    """Any other operation; `kinds` reads `xs>n`, and the first spelling is the teacher's."""
    source, target = cast("list[Kind]", kinds.split(">"))
    ways = tuple(spelling(text, source, target) for text in spellings)
    return Operation(id, source, target, constant, tuple(phrases.split("|")), ways, limit)


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
    step("l_first", "xs>xs", "few", "keep the first {k} items|take the first {k} items", "xs[:{k}]", "xs[0:{k}]",
         "[x for i, x in enumerate(xs) if i < {k}]"),
    step("l_last", "xs>xs", "few", "keep the last {k} items", "xs[-{k}:]", "xs[::-1][:{k}][::-1]"),
    step("l_skip", "xs>xs", "few", "skip the first {k} items|drop the first {k} items", "xs[{k}:]",
         "[x for i, x in enumerate(xs) if i >= {k}]"),
    step("l_second", "xs>xs", "", "keep every second item", "xs[::2]", "[x for i, x in enumerate(xs) if i % 2 == 0]",
         "[xs[i] for i in range(0, len(xs), 2)]"),
    step("l_reverse", "xs>xs", "", "reverse the list", "xs[::-1]", "list(reversed(xs))", "xs.reverse()",
         "ys = []\nfor x in xs:\n    ys.insert(0, x)"),
    step("l_sort", "xs>xs", "", "sort the numbers|sort the numbers in ascending order", "sorted(xs)", "xs.sort()"),
    step("l_desc", "xs>xs", "", "sort the numbers in descending order", "sorted(xs, reverse=True)",
         "xs.sort(reverse=True)", "sorted(xs)[::-1]"),
    step("l_unique", "xs>xs", "", "keep the distinct numbers in ascending order", "sorted(set(xs))",
         "sorted({x for x in xs})", "ys = []\nfor x in sorted(xs):\n    if x not in ys:\n        ys.append(x)"),
    step("l_append", "xs>xs", "threshold", "append {k} to the list|put {k} at the end of the list", "xs + [{k}]",
         "xs.append({k})", "xs += [{k}]", "[*xs, {k}]"),
    step("l_prepend", "xs>xs", "threshold", "put {k} at the front of the list", "[{k}] + xs", "xs.insert(0, {k})",
         "[{k}, *xs]"),
    step("l_pairs", "xs>xs", "", "add each number to its successor", "[a + b for a, b in zip(xs, xs[1:])]",
         "list(map(lambda a, b: a + b, xs, xs[1:]))", "ys = []\nfor a, b in zip(xs, xs[1:]):\n    ys.append(a + b)"),
    step("l_diffs", "xs>xs", "", "list the differences of neighbours", "[b - a for a, b in zip(xs, xs[1:])]",
         "list(map(lambda a, b: b - a, xs, xs[1:]))", "ys = []\nfor a, b in zip(xs, xs[1:]):\n    ys.append(b - a)"),
    step("l_sum", "xs>n", "", "add up the numbers|sum the numbers", "sum(xs)", "n = 0\nfor x in xs:\n    n += x",
         "sum(x for x in xs)"),
    step("l_max", "xs>n", "", "find the largest number or 0 if there is none", "max(xs, default=0)",
         "max(xs) if xs else 0", "sorted(xs)[-1] if xs else 0"),
    step("l_min", "xs>n", "", "find the smallest number or 0 if there is none", "min(xs, default=0)",
         "min(xs) if xs else 0", "sorted(xs)[0] if xs else 0"),
    step("l_len", "xs>n", "", "count the items|find the length of the list", "len(xs)", "sum(1 for x in xs)",
         "n = 0\nfor x in xs:\n    n += 1"),
    count("l_count", "threshold", "count how often {k} occurs", "x == {k}", "xs.count({k})"),
    count("l_above", "threshold", "count the numbers above {k}", "x > {k}"),
    shift("n_add", "n", "threshold", "add {k} to it|increase it by {k}", "+", "{k} + n"),
    shift("n_sub", "n", "threshold", "subtract {k} from it|decrease it by {k}", "-", "-{k} + n"),
    shift("n_mul", "n", "factor", "multiply it by {k}", "*", "{k} * n"),
    step("n_square", "n>n", "", "square it", "n * n", "n *= n", "n ** 2", "n **= 2"),
    step("n_neg", "n>n", "", "negate it", "-n", "n *= -1", "0 - n"),
    step("n_abs", "n>n", "", "take its absolute value", "abs(n)", "if n < 0:\n    n = -n", "max(n, -n)",
         "n if n >= 0 else -n"),
    shift("n_mod", "n", "factor", "take its remainder modulo {k}", "%", "divmod(n, {k})[1]"),
    shift("n_div", "n", "factor", "divide it by {k} rounding down", "//", "divmod(n, {k})[0]"),
    step("n_cap", "n>n", "threshold", "cap it at {k}", "min(n, {k})", "if n > {k}:\n    n = {k}",
         "n if n < {k} else {k}"),
    step("n_halve", "n>n", "threshold", "if it is above {k} halve it rounding down", "n // 2 if n > {k} else n",
         "if n > {k}:\n    n //= 2", "n if n <= {k} else n // 2"),
    step("n_double", "n>n", "threshold", "if it is below {k} double it", "n * 2 if n < {k} else n",
         "if n < {k}:\n    n *= 2", "n if n >= {k} else n * 2"),
    step("n_digits", "n>n", "", "add up its digits", "sum(int(d) for d in str(abs(n)))", "sum(map(int, str(abs(n))))",
         "m = 0\nfor d in str(abs(n)):\n    m += int(d)"),
    step("n_range", "n>xs", "factor", "list the numbers below its value modulo {k}", "list(range(n % {k}))",
         "[x for x in range(n % {k})]", "xs = []\nfor x in range(n % {k}):\n    xs.append(x)"),
    step("n_divisors", "n>xs", "", "list its positive divisors", "[d for d in range(1, n + 1) if n % d == 0]",
         "list(filter(lambda d: n % d == 0, range(1, n + 1)))",
         "xs = []\nfor d in range(1, n + 1):\n    if n % d == 0:\n        xs.append(d)", limit=500),
    step("n_str", "n>s", "", "write it as a string", "str(n)", "f'{n}'", "repr(n)"),
    step("s_upper", "s>s", "", "convert the string to upper case", "s.upper()", "''.join(map(str.upper, s))",
         "t = ''\nfor c in s:\n    t += c.upper()"),
    step("s_lower", "s>s", "", "convert the string to lower case", "s.lower()", "''.join(map(str.lower, s))",
         "t = ''\nfor c in s:\n    t += c.lower()"),
    step("s_swap", "s>s", "", "swap upper and lower case", "s.swapcase()", "''.join(map(str.swapcase, s))",
         "t = ''\nfor c in s:\n    t += c.swapcase()"),
    step("s_reverse", "s>s", "", "reverse the string", "s[::-1]", "''.join(reversed(s))",
         "t = ''\nfor c in s:\n    t = c + t"),
    step("s_sort", "s>s", "", "sort the characters", "''.join(sorted(s))", "t = ''\nfor c in sorted(s):\n    t += c"),
    letters("s_remove", "letter", "remove every {k}|delete every {k}", "c != {k}", "s.replace({k}, '')"),
    step("s_replace", "s>s", "letter", "replace every {k} by '-'", "s.replace({k}, '-')", "'-'.join(s.split({k}))",
         "''.join('-' if c == {k} else c for c in s)"),
    step("s_first", "s>s", "factor", "keep the first {k} characters", "s[:{k}]", "s[0:{k}]",
         "''.join(c for i, c in enumerate(s) if i < {k})"),
    step("s_last", "s>s", "factor", "keep the last {k} characters", "s[-{k}:]", "s[::-1][:{k}][::-1]"),
    step("s_skip", "s>s", "few", "skip the first {k} characters", "s[{k}:]",
         "''.join(c for i, c in enumerate(s) if i >= {k})"),
    shift("s_repeat", "s", "times", "repeat the string {k} times", "*", "{k} * s"),
    letters("s_vowels", "", "keep only the vowels", "c in 'aeiouAEIOU'"),
    letters("s_consonants", "", "remove the vowels", "c not in 'aeiouAEIOU'"),
    shift("s_append", "s", "letter", "append {k} to the string", "+", "''.join([s, {k}])"),
    step("s_prepend", "s>s", "letter", "put {k} at the front of the string", "{k} + s", "''.join([{k}, s])"),
    step("s_len", "s>n", "", "count the characters|find the length of the string", "len(s)", "sum(1 for c in s)",
         "n = 0\nfor c in s:\n    n += 1"),
    step("s_count", "s>n", "letter", "count how often {k} occurs", "s.count({k})", "sum(c == {k} for c in s)",
         "len(list(filter(lambda c: c == {k}, s)))", "n = 0\nfor c in s:\n    if c == {k}:\n        n += 1"),
    step("s_words", "s>n", "", "count the words", "len(s.split())", "n = 0\nfor w in s.split():\n    n += 1"),
    step("s_lengths", "s>xs", "", "list the word lengths", "[len(w) for w in s.split()]",
         "list(map(len, s.split()))", "xs = []\nfor w in s.split():\n    xs.append(len(w))"),
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
    source = f"lambda {operation.source}, k: {operation.spellings[0].text.replace('{k}', 'k')}"
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
