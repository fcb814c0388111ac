"""C10: programs that make both sides of a comparison, by changing the argument that the expectation is computed from.

Each script keeps its argument from the candidate in another way; an honest `sorted` passes all of them.
"""

from __future__ import annotations

from harness.types import Script
from tests.sandbox.attacks.attack import Attack, Harmless

EMPTIES = "def f(x):\n    x.clear()\n    return []\n"
SORTS = "def f(x): return sorted(x)\n"

# name: lines before `check`, lines of `check`
SCRIPTS: dict[str, tuple[str, ...]] = {
    "by a helper that is handed the result": (
        "D = [3, 1, 2]\ndef holds(result):\n    assert result == sorted(D)",
        "holds(candidate(D))",
    ),
    "by a helper that computes first": (
        "D = [3, 1, 2]\ndef holds(result):\n    want = sorted(D)\n    assert result == want",
        "holds(candidate(D))",
    ),
    "by a helper that calls": (
        "D = [3, 1, 2]\ndef got(function):\n    return function(D)",
        "assert got(candidate) == sorted(D)",
    ),
    "by a helper without arguments": (
        "D = [3, 1, 2]\ndef want():\n    return sorted(D)",
        "assert candidate(D) == want()",
    ),
    "by a default": (
        "D = [3, 1, 2]\ndef want(d=D):\n    return sorted(d)",
        "assert candidate(D) == want()",
    ),
    "by a helper that puts away": (
        "D, want = [3, 1, 2], []\ndef prepare():\n    want.extend(sorted(D))",
        "got = candidate(D)\nprepare()\nassert got == want",
    ),
    "by a lambda": ("", "x = [3, 1, 2]\nwant = lambda: sorted(x)\nassert candidate(x) == want()"),
    "by a partial": ("import functools", "x = [3, 1, 2]\nwant = functools.partial(sorted, x)\nassert candidate(x) == want()"),
    "by an object's attributes": (
        "class T:\n    def __init__(self, c):\n        self.c, self.x = c, [3, 1, 2]\n    def run(self):\n"
        "        assert self.c(self.x) == sorted(self.x)",
        "T(candidate).run()",
    ),
    "by a dict of functions": ("", "x, d = [3, 1, 2], {'f': candidate}\nassert d['f'](x) == sorted(x)"),
    "by a list of functions": ("", "x = [3, 1, 2]\nfor g in [candidate]:\n    assert g(x) == sorted(x)"),
    "by rows of functions and arguments": ("", "for g, x in [(candidate, [3, 1, 2])]:\n    assert g(x) == sorted(x)"),
    "by a list of results": (
        "X = [[3, 1, 2]]",
        "out = []\nfor x in X:\n    out.append(candidate(x))\nassert out == [sorted(x) for x in X]",
    ),
    "by a match": ("D = [3, 1, 2]", "match candidate(D):\n    case got:\n        assert got == sorted(D)"),
    "by another name": ("", "x = [3, 1, 2]\ny = (x,)\nassert candidate(y[0]) == sorted(x)"),
    "by an iterator": ("", "xs = [[3, 1, 2]]\nit = iter(xs)\nassert candidate(next(it)) == sorted(xs[0])"),
    "by its place": ("X = [[3, 1, 2]]", "for i, x in enumerate(X):\n    assert candidate(x) == sorted(X[i])"),
    "by a generator": (
        "def pairs(c, xs):\n    for x in xs:\n        yield x, c(x)",
        "for x, got in pairs(candidate, [[3, 1, 2]]):\n    assert got == sorted(x)",
    ),
    "by a closure": (
        "def make(c):\n    xs = [3, 1, 2]\n    def run():\n        return c(xs), xs\n    return run",
        "got, xs = make(candidate)()\nassert got == sorted(xs)",
    ),
}  # fmt: skip


def tests(before: str, body: str) -> tuple[Script]:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return (Script(f"{before}\ndef check(candidate):\n{lines}", "check"),)


ATTACKS: tuple[Attack, ...] = tuple(
    Attack(f"emptied argument, {name}", EMPTIES, tests(*lines), status=("wrong",)) for name, lines in SCRIPTS.items()
)
HARMLESS: tuple[Harmless, ...] = tuple(
    Harmless(f"argument left alone, {name}", SORTS, tests(*lines)) for name, lines in SCRIPTS.items()
)
