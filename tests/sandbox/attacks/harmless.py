"""Honest programs that look odd: nothing of what they do is a reason to call them wrong."""

from __future__ import annotations

import importlib.util

from harness.types import Check, Plain
from tests.sandbox.attacks.attack import Harmless, asserts, calls, check


def gives(name: str, body: str, value: Plain, **script: str) -> Harmless:
    """Return a program that returns something equal to `value`, by data checks and by both kinds of scripts."""
    written = script.get("as_", repr(value))
    tests = (
        *calls(Check((), value)),
        *calls(Check((), value, rule="close")),
        *check(script.get("imports", "pass"), f"assert candidate() == {written}"),
        *asserts(script.get("imports", "pass"), f"assert f() == {written}"),
    )
    return Harmless(name, body, tests)


PLAIN: tuple[Harmless, ...] = (
    Harmless("prints a lot", "def f(x):\n    print('text ' * 100000)\n    return x + 1\n"),
    Harmless(
        "writes to standard error and flushes",
        "import sys\ndef f(x):\n    print('x', file=sys.stderr, flush=True)\n    sys.stdout.flush()\n    return x + 1\n",
    ),
    Harmless(
        "a few threads",
        "import threading\ndef f(x):\n    out = []\n    ts = [threading.Thread(target=out.append, args=(1,)) for _ in range(6)]\n"
        "    [t.start() for t in ts]\n    [t.join() for t in ts]\n    return x + len(out) // 6\n",
    ),
    Harmless(
        "a pool of threads",
        "from concurrent.futures import ThreadPoolExecutor\ndef f(x):\n    with ThreadPoolExecutor(4) as p:\n"
        "        return sum(p.map(lambda v: v, [x, 1]))\n",
    ),
    Harmless(
        "forks, waits and cleans up",
        "import os\ndef f(x):\n    r, w = os.pipe()\n    pid = os.fork()\n    if pid == 0:\n        os.write(w, str(x + 1).encode())\n"
        "        os._exit(0)\n    os.close(w)\n    out = int(os.read(r, 99))\n    os.close(r)\n    assert os.waitpid(pid, 0)[1] == 0\n"
        "    return out\n",
    ),
    Harmless(
        "asyncio",
        "import asyncio\nasync def g(x):\n    await asyncio.sleep(0)\n    return x + 1\ndef f(x): return asyncio.run(g(x))\n",
    ),
    Harmless(
        "a temporary file",
        "import tempfile\ndef f(x):\n    with tempfile.TemporaryFile('w+') as h:\n        h.write(str(x))\n        h.seek(0)\n"
        "        return int(h.read()) + 1\n",
    ),
    Harmless(
        "a file left in the working folder",
        "def f(x):\n    with open('left.txt', 'w') as h: h.write(str(x))\n    return int(open('/tmp/left.txt').read()) + 1\n",
    ),
    Harmless(
        "deep recursion",
        "import sys\nsys.setrecursionlimit(5000)\ndef g(n): return 0 if n == 0 else 1 + g(n - 1)\n"
        "def f(x): return x + g(3000) - 2999\n",
    ),
    Harmless(
        "recursion 900 deep without asking",
        "def g(n): return 0 if n == 0 else 1 + g(n - 1)\ndef f(x): return x + g(900) - 899\n",
    ),
    Harmless(
        "recursion limit of a million, little used",
        "import sys\nsys.setrecursionlimit(10**6)\ndef f(x): return x + 1\n",
    ),
    Harmless(
        "a dataclass",
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    v: int\ndef f(x): return P(x + 1).v\n",
    ),
    Harmless(
        "postponed annotations",
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass P:\n    v: int\n"
        "    w: list[int] = dataclasses.field(default_factory=list)\ndef f(x: int) -> int: return P(x).v + 1\n",
    ),
    Harmless(
        "annotations of things that are not there",
        "from __future__ import annotations\ndef f(x: Nothing) -> Also[Nothing]: return x + 1\n",
    ),
    Harmless("a name of a builtin", "def sum(a): return a + 1\nlist = dict = None\ndef f(x): return sum(x)\n"),
    Harmless(
        "names of the tests' own",
        "def check(candidate): return candidate\ndef candidate(x): return 0\ndef test_f(): assert f(1) == 2\n"
        "def assert_equal(a, b): assert a == b\nclass Check: pass\nexpected = None\ndef f(x): return x + 1\n",
    ),
    Harmless(
        "its own tests", "def f(x): return x + 1\nassert f(1) == 2\nassert [f(n) for n in range(3)] == [1, 2, 3]\n"
    ),
    Harmless(
        "tests in its docstring",
        "def f(x):\n    '''\n    >>> f(1)\n    2\n    >>> assert f(1) == 3\n    '''\n    return x + 1\n"
        "import doctest\ndoctest.run_docstring_examples(f, {'f': f})\n",
    ),
    Harmless(
        "an own exception",
        "class Stop(BaseException): pass\ndef f(x):\n    try:\n        raise Stop\n    except Stop:\n        return x + 1\n",
    ),
    Harmless(
        "catches everything", "def f(x):\n    try:\n        [][x]\n    except BaseException:\n        return x + 1\n"
    ),
    Harmless(
        "sys.exit inside try",
        "import sys\ndef f(x):\n    try:\n        sys.exit(0)\n    except SystemExit:\n        return x + 1\n",
    ),
    Harmless(
        "a finally that returns", "def f(x):\n    try:\n        raise ValueError\n    finally:\n        return x + 1\n"
    ),
    Harmless(
        "an exception that is its result's carrier",
        "class R(Exception): pass\ndef g(x): raise R(x + 1)\ndef f(x):\n    try: g(x)\n"
        "    except R as r: return r.args[0]\n",
    ),
    Harmless(
        "StopIteration inside",
        "def f(x):\n    it = iter([x])\n    out = 0\n    try:\n        while True: out = next(it) + 1\n"
        "    except StopIteration: return out\n",
    ),
    Harmless("a lambda", "f = lambda x: x + 1\n"),
    Harmless("a callable object", "class C:\n    def __call__(self, x): return x + 1\nf = C()\n"),
    Harmless("a partial", "import functools, operator\nf = functools.partial(operator.add, 1)\n"),
    Harmless("a bound method", "class C:\n    def m(self, x): return x + 1\nf = C().m\n"),
    Harmless(
        "a static method of a class", "class Solution:\n    @staticmethod\n    def f(x): return x + 1\nf = Solution.f\n"
    ),
    Harmless("a builtin for a function", "f = (1).__add__\n"),
    Harmless(
        "a decorated function",
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def h(*a, **k): return g(*a, **k)\n    return h\n"
        "@twice\n@twice\ndef f(x): return x + 1\n",
    ),
    Harmless(
        "several definitions of the entry point",
        "def f(x): return None\ndef f(x): raise ValueError\ndef f(x): return x + 1\n",
    ),
    Harmless("defined inside a branch", "if True:\n    def f(x): return x + 1\nelse:\n    def f(x): return x\n"),
    Harmless("defined by exec", "exec('def f(x): return x + 1')\n"),
    Harmless("any arguments", "def f(*args, **kwargs): return args[0] + 1\n"),
    Harmless("defaults that remember", "def f(x, seen=[]):\n    seen.append(x)\n    return seen[-1] + 1\n"),
    Harmless("global state", "count = 0\ndef f(x):\n    global count\n    count += 1\n    return x + count // count\n"),
    Harmless(
        "a cache",
        "from functools import lru_cache, cache\n@lru_cache(maxsize=None)\ndef g(x): return x\n@cache\ndef f(x): return g(x) + 1\n",
    ),
    Harmless(
        "functions in functions",
        "def f(x):\n    def g():\n        nonlocal x\n        def h():\n            nonlocal x\n            x += 1\n"
        "        h()\n    g()\n    return x\n",
    ),
    Harmless("a generator inside", "def g(x):\n    yield from (v + 1 for v in [x])\ndef f(x): return next(g(x))\n"),
    Harmless(
        "a context manager",
        "from contextlib import contextmanager, suppress\n@contextmanager\ndef c(x):\n    yield x + 1\n"
        "def f(x):\n    with suppress(ValueError), c(x) as v:\n        return v\n",
    ),
    Harmless("main block", "def f(x): return x + 1\nif __name__ == '__main__':\n    raise SystemExit(input())\n"),
    Harmless(
        "input that is not there",
        "def f(x): return x + 1\ntry:\n    n = int(input())\nexcept (EOFError, ValueError):\n    n = 0\n",
    ),
    Harmless(
        "random with a seed",
        "import random\ndef f(x):\n    random.seed(x)\n    a = random.random()\n    random.seed(x)\n"
        "    return x + int(a == random.random())\n",
    ),
    Harmless(
        "rare modules",
        "import hashlib, datetime, decimal, fractions, json, csv, uuid, zlib, sqlite3, statistics, textwrap, struct, array\n"
        "def f(x): return int(decimal.Decimal(x) + 1)\n",
    ),
    Harmless(
        "typing in full",
        "from typing import *\nfrom abc import ABC, abstractmethod\nT = TypeVar('T')\nclass A(ABC, Generic[T]):\n"
        "    @abstractmethod\n    def m(self, x: T) -> T: ...\nclass B(A[int]):\n    def m(self, x): return x + 1\n"
        "def f(x: Union[int, None]) -> Optional[int]: return B().m(x)\n",
    ),
    Harmless(
        "metaclass and slots",
        "class M(type):\n    def __call__(c, x): return super().__call__(x).v\nclass C(metaclass=M):\n"
        "    __slots__ = ('v',)\n    def __init__(s, x): s.v = x + 1\nf = C\n",
    ),
    Harmless(
        "signal.alarm",
        "import signal\nsignal.signal(signal.SIGALRM, lambda *a: None)\ndef f(x):\n    signal.alarm(9)\n    signal.alarm(0)\n"
        "    return x + 1\n",
    ),
    Harmless(
        "warnings and logging",
        "import warnings, logging\nwarnings.simplefilter('error')\nlogging.basicConfig(level=10)\ndef f(x):\n"
        "    logging.getLogger().warning('x')\n    return x + 1\n",
    ),
    Harmless("escapes that warn", "import re\ndef f(x): return x + len(re.findall('\\d', '1'))\nassert 1 is 1\n"),
    Harmless(
        "gc.disable and gc.collect",
        "import gc\ngc.disable()\ndef f(x):\n    gc.collect()\n    gc.enable()\n    return x + 1\n",
    ),
    Harmless("atexit", "import atexit\natexit.register(print, 'bye')\ndef f(x): return x + 1\n"),
    Harmless("unicode identifiers", "def größe(ß): return ß + 1\ndef f(x): return größe(x)  # →\n"),
    Harmless("tabs", "def f(x):\n\tif True:\n\t\treturn x + 1\n"),
    Harmless("Windows line ends and a form feed", "def f(x):\r\n    y = x\r\n\x0c\r\n    return y + 1\r\n"),
    Harmless(
        "a byte order mark's worth of comments",
        "# -*- coding: latin-1 -*-\n" + "# comment\n" * 2000 + "def f(x): return x + 1\n",
    ),
    Harmless("a very long line", "def f(x): return x + 1 " + "+ 0 " * 2000 + "\n"),
    Harmless("semicolons", "a = 1; b = 2; c = 3\ndef f(x): y = x; y += 1; return y\n"),
    Harmless("no newline at the end", "def f(x): return x + 1"),
    Harmless(
        "walrus and match",
        "def f(x):\n    match x:\n        case int() as v if (w := v + 1) is not None:\n            return w\n",
    ),
    Harmless(
        "environment of its own",
        "import os\nos.environ['A'] = '1'\nos.chdir('/')\ndef f(x): return x + int(os.environ['A'])\n",
    ),
    Harmless(
        "time and sleep",
        "import time\ndef f(x):\n    a = time.time()\n    time.sleep(0.001)\n    return x + int(time.time() > a)\n",
    ),
    Harmless("most of the memory", "a = bytearray(150 << 20)\ndef f(x): return x + 1\n"),
    Harmless(
        "memory that it can do without",
        "def f(x):\n    try:\n        return len(bytearray(1 << 40))\n    except MemoryError:\n        return x + 1\n",
    ),
    Harmless(
        "descriptors opened and closed",
        "import os\ndef f(x):\n    fds = [os.open('/dev/null', 0) for _ in range(30)]\n"
        "    [os.close(fd) for fd in fds]\n    return x + 1\n",
    ),
    Harmless(
        "looks at itself",
        "import inspect, sys\ndef f(x):\n    assert inspect.signature(f).parameters['x']\n    assert sys._getframe().f_code.co_name == 'f'\n"
        "    return x + 1\n",
    ),
    Harmless("big numbers on the way", "def f(x): return (x + 1 + (1 << 100000)) - (1 << 100000)\n"),
    Harmless(
        "pickles and copies",
        "import pickle, copy\nclass P:\n    def __init__(s, v): s.v = v\ndef f(x): return copy.deepcopy(P(x)).v"
        " + len(pickle.loads(pickle.dumps([1])))\n",
    ),
    Harmless("True and False for numbers", "def f(x): return x + True\n"),
)

# f() returns something that is equal to plain data
VALUES: tuple[Harmless, ...] = (
    gives("True for 1", "def f(): return True\n", 1),
    gives("1 for True", "def f(): return 1\n", True),
    gives("2.0 for 2", "def f(): return 2.0\n", 2),
    gives("-0.0 for 0", "def f(): return -0.0\n", 0),
    gives("complex for a number", "def f(): return 2 + 0j\n", 2),
    gives("a tuple where a tuple is due", "def f(): return 1, 2\n", (1, 2)),
    gives("frozenset for set", "def f(): return frozenset({1, 2})\n", {1, 2}),
    gives("keys of a dict for a set", "def f(): return {1: 2, 3: 4}.keys()\n", {1, 3}),
    gives("items of a dict for a set", "def f(): return {1: 2}.items()\n", {(1, 2)}),
    gives("bytearray for bytes", "def f(): return bytearray(b'ab')\n", b"ab"),
    gives("memoryview for bytes", "def f(): return memoryview(b'ab')\n", b"ab"),
    gives("a Counter", "from collections import Counter\ndef f(): return Counter('aab')\n", {"a": 2, "b": 1}),
    gives(
        "a defaultdict",
        "from collections import defaultdict\ndef f():\n    d = defaultdict(list)\n    d['a'].append(1)\n    return d\n",
        {"a": [1]},
    ),
    gives(
        "an OrderedDict",
        "from collections import OrderedDict\ndef f(): return OrderedDict(a=1, b=2)\n",
        {"b": 2, "a": 1},
    ),
    gives(
        "a named tuple", "from collections import namedtuple\ndef f(): return namedtuple('P', 'a b')(1, 2)\n", (1, 2)
    ),
    gives(
        "a typed named tuple",
        "from typing import NamedTuple\nclass P(NamedTuple):\n    a: int\n    b: int = 2\ndef f(): return P(1)\n",
        (1, 2),
    ),
    gives("an IntEnum", "import enum\nclass E(enum.IntEnum):\n    A = 1\ndef f(): return [E.A, E(1)]\n", [1, 1]),
    gives("a StrEnum", "import enum\nclass E(enum.StrEnum):\n    A = 'a'\ndef f(): return E.A\n", "a"),
    gives("an IntFlag", "import enum\nclass E(enum.IntFlag):\n    A = 1\n    B = 2\ndef f(): return E.A | E.B\n", 3),
    gives(
        "honest subclasses",
        "class I(int): pass\nclass S(str): pass\nclass L(list): pass\nclass D(dict): pass\nclass F(float): pass\n"
        "def f(): return L([I(1), S('a'), D({S('k'): F(2)}), {I(3)}])\n",
        [1, "a", {"k": 2.0}, {3}],
    ),
    gives(
        "a subclass with manners of its own",
        "class V(int):\n    def __add__(s, o): return V(int(s) + int(o))\n    def __repr__(s): return 'V'\n"
        "    def __index__(s): return 0\ndef f(): return V(1) + 2\n",
        3,
    ),
    gives(
        "scalars like numpy's",
        "class int64(int):\n    dtype = 'int64'\n    def item(s): return int(s)\nclass float64(float):\n"
        "    def item(s): return float(s)\ndef f(): return [int64(3), float64(0.5)]\n",
        [3, 0.5],
    ),
    gives("a fraction", "from fractions import Fraction\ndef f(): return [Fraction(1, 2), Fraction(4, 2)]\n", [0.5, 2]),
    gives("a decimal", "from decimal import Decimal\ndef f(): return [Decimal('0.5'), Decimal(2)]\n", [0.5, 2]),
    gives("NaN is itself", "nan = float('nan')\ndef f(): return repr(nan)\n", "nan"),
    gives(
        "nested containers",
        "def f(): return {(1, (2, 3)): [{4}, frozenset({5}), {'a': (6.5, None)}]}\n",
        {(1, (2, 3)): [{4}, frozenset({5}), {"a": (6.5, None)}]},
    ),
    gives(
        "a hundred levels less one",
        "def f():\n    a = []\n    for _ in range(90): a = [a]\n    return len(str(a))\n",
        182,
    ),
    gives("the same list twice", "a = [1]\ndef f(): return [a, a]\n", [[1], [1]]),
    gives("a big int", "def f(): return 3 ** 5000\n", 3**5000, as_="3 ** 5000"),
    gives(
        "infinity",
        "def f(): return [float('inf'), -float('inf')]\n",
        [float("inf"), -float("inf")],
        as_="[float('inf'), -float('inf')]",
    ),
    gives("odd texts", "def f(): return '\\ud800\\x00\\n\\u2028é😀'\n", "\ud800\x00\n\u2028é😀"),
    gives("nothing", "def f(): pass\n", None),
    gives("a fifth of a megabyte", "def f(): return 'a' * 100_000\n", "a" * 100_000, as_="'a' * 100_000"),
    Harmless("a range for itself", "def f(): return range(3)\n", check("assert candidate() == range(3)")),
)

# without numpy there is nothing to be shown
NUMPY: tuple[Harmless, ...] = (
    (
        gives(
            "numpy's scalars",
            "import numpy as np\ndef f(): return [np.int64(3), np.float64(0.5), np.bool_(True), np.str_('a')]\n",
            [3, 0.5, True, "a"],
        ),
        gives(
            "numpy's sums", "import numpy as np\ndef f(): return np.arange(4).sum(), float(np.mean([1, 2]))\n", (6, 1.5)
        ),
        gives(
            "an array as a list",
            "import numpy\ndef f(): return numpy.array([[1, 2], [3, 4]]).T.tolist()\n",
            [[1, 3], [2, 4]],
        ),
    )
    if importlib.util.find_spec("numpy")
    else ()
)

# what only scripts can see
SCRIPTED: tuple[Harmless, ...] = (
    Harmless(
        "an iterator that a test lists",
        "def f(n):\n    yield from range(n)\n",
        check("assert list(candidate(3)) == [0, 1, 2]"),
    ),
    Harmless(
        "a map, a zip and a filter",
        "def f(x): return [map(str, [x]), zip([x], [2]), filter(None, [0, x])]\n",
        check("a, b, c = candidate(1)", "assert list(a) == ['1'] and list(b) == [(1, 2)] and list(c) == [1]"),
    ),
    Harmless(
        "iterators of itertools",
        "import itertools\ndef f(x): return itertools.chain([x], itertools.islice(itertools.count(), 2))\n",
        check("assert list(candidate(5)) == [5, 0, 1]"),
    ),
    Harmless(
        "a deque",
        "from collections import deque\ndef f(x): return deque([x, 2], maxlen=5)\n",
        check(
            "import collections",
            "got = candidate(1)",
            "assert list(got) == [1, 2] and len(got) == 2 and got[0] == 1",
            "assert got == collections.deque([1, 2])",
        ),
    ),
    Harmless(
        "views of a dict",
        "def f(x): return {x: 1, 2: 3}.keys(), {x: 1, 2: 3}.values(), {x: 1}.items()\n",
        check(
            "k, v, i = candidate(1)",
            "assert sorted(k) == [1, 2] and list(v) == [1, 3] and 2 in k and len(i) == 1",
            "assert k == {1, 2} and i == {(1, 1)} and k & {1} == {1}",
        ),
    ),
    Harmless(
        "fractions, decimals and dates",
        "import datetime, decimal, fractions\ndef f(kind):\n"
        "    return {'f': fractions.Fraction(1, 3), 'd': decimal.Decimal('0.10'), 'D': datetime.date(2024, 2, 29),\n"
        "            't': datetime.datetime(2024, 2, 29, 1, 2, 3, 4), 'l': datetime.timedelta(days=1, microseconds=5)}[kind]\n",
        check(
            "import datetime, decimal, fractions",
            "assert candidate('f') == fractions.Fraction(1, 3)",
            "assert candidate('d') == decimal.Decimal('0.1') and str(candidate('d')) == '0.10'",
            "assert candidate('D') == datetime.date(2024, 2, 29)",
            "assert candidate('t') == datetime.datetime(2024, 2, 29, 1, 2, 3, 4)",
            "assert candidate('l') == datetime.timedelta(days=1, microseconds=5)",
        ),
    ),
    Harmless(
        "argument changed in place",
        "def f(x):\n    x.sort()\n",
        check("x = [3, 1, 2]", "candidate(x)", "assert x == [1, 2, 3]"),
    ),
    Harmless(
        "argument changed and returned",
        "def f(x):\n    x.append(1)\n    return x\n",
        (*check("assert candidate([0]) == [0, 1]"), *calls(Check(([0],), [0, 1])), *asserts("assert f([0]) == [0, 1]")),
    ),
    Harmless(
        "argument emptied on the way",
        "def f(x):\n    n = 0\n    while x: n += x.pop()\n    return n\n",
        (*check("x = [3, 1, 2]", "assert candidate(x) == sum(x)"), *calls(Check(([3, 1, 2],), 6))),
    ),
    Harmless(
        "exception that is expected",
        "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x\n",
        check(
            "try:",
            "    candidate(-1)",
            "except ValueError as e:",
            "    assert 'negative' in str(e)",
            "else:",
            "    assert False",
            "assert candidate(1) == 1",
        ),
    ),
    Harmless(
        "own exception that is expected",
        "class Bad(KeyError): pass\ndef f(x): raise Bad('k')\n",
        check("try:", "    candidate(1)", "except KeyError:", "    pass", "else:", "    assert False"),
    ),
    Harmless(
        "assertRaises",
        "def f(x): return 1 / x\n",
        check(
            "import unittest",
            "case = unittest.TestCase()",
            "with case.assertRaises(ZeroDivisionError):",
            "    candidate(0)",
            "case.assertEqual(candidate(1), 1)",
            "case.assertAlmostEqual(candidate(3), 0.3333333333)",
        ),
    ),
    Harmless(
        "a Counter's own ways",
        "from collections import Counter\ndef f(s): return Counter(s)\n",
        check(
            "from collections import Counter",
            "got = candidate('aab')",
            "assert got['z'] == 0 and got.most_common(1) == [('a', 2)] and got - Counter('a') == Counter('ab')",
        ),
    ),
    Harmless(
        "a defaultdict's and an OrderedDict's own ways",
        "from collections import OrderedDict, defaultdict\ndef f(s):\n    d = defaultdict(int)\n"
        "    for c in s: d[c] += 1\n    return d, OrderedDict(d)\n",
        check("d, o = candidate('aab')", "assert d['z'] == 0 and o.popitem(last=False) == ('a', 2)"),
    ),
    Harmless(
        "a named tuple's names",
        "from typing import NamedTuple\nclass P(NamedTuple):\n    x: int\n    y: int = 2\ndef f(x): return [P(x)]\n",
        check("[p] = candidate(1)", "assert p.x == 1 and p.y == 2 and p == (1, 2) and isinstance(p, tuple)"),
    ),
    Harmless(
        "a generator by its type",
        "def f(n): yield from range(n)\n",
        check("import types", "assert isinstance(candidate(2), types.GeneratorType)", "assert next(candidate(2)) == 0"),
    ),
    Harmless(
        "the key of a KeyError",
        "def f(x): return {}[x]\n",
        check(
            "try:",
            "    candidate('k')",
            "except KeyError as e:",
            "    assert e.args == ('k',)",
            "else:",
            "    assert 0",
        ),
    ),
    Harmless(
        "an exception that wants more than a message",
        "def f(x): return x.decode()\n",
        check("try:", "    candidate(b'\\xff')", "except UnicodeDecodeError:", "    pass", "else:", "    assert 0"),
    ),
    Harmless(
        "a named tuple, a Counter and a deque for arguments",
        "def f(p, c, d): return p.x + c['z'] + d.popleft() + c.most_common(1)[0][1]\n",
        check(
            "from collections import Counter, deque, namedtuple",
            "assert candidate(namedtuple('P', 'x y')(1, 2), Counter('aab'), deque([5])) == 8",
        ),
    ),
    Harmless(
        "children that nobody wants to hear of",
        "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\ndef f(x):\n    r, w = os.pipe()\n"
        "    pid = os.fork()\n    if pid == 0:\n        os.write(w, b'1')\n        os._exit(0)\n"
        "    return x + int(os.read(r, 1))\n",
        check("assert candidate(1) == 2"),
    ),
    Harmless(
        "a lock, and a file that is to be on disk",
        "import fcntl, os, tempfile\ndef f(x):\n    with tempfile.TemporaryFile() as h:\n        fcntl.flock(h, fcntl.LOCK_EX)\n"
        "        h.write(b'1')\n        h.flush()\n        os.fsync(h.fileno())\n        return x + 1\n",
    ),
    Harmless("a closure that a test calls", "def f(n): return lambda v: v + n\n", check("assert candidate(2)(3) == 5")),
    Harmless(
        "class of the program",
        "class Node:\n    def __init__(self, v): self.v, self.next = v, None\ndef f(n): return n.v + n.next.v\n",
        asserts("a = Node(1)", "a.next = Node(2)", "assert f(a) == 3 and a.next.v == 2"),
    ),
    Harmless(
        "keyword arguments and defaults",
        "def f(a, *, b=2, **more): return a + b + len(more)\n",
        check("assert candidate(1) == 3 and candidate(1, b=5, c=0) == 7"),
    ),
    Harmless(
        "a type for an argument",
        "def f(xs, t): return [x for x in xs if type(x) is t]\n",
        asserts("assert f([1, 'a'], int) == [1]"),
    ),
    Harmless(
        "results that tests compare with one another",
        "def f(x): return x * 2\n",
        check("assert candidate(1) + candidate(2) == candidate(3) and candidate(candidate(1)) == 4"),
    ),
    Harmless(
        "tests that use random",
        "def f(xs): return sorted(xs)\n",
        check(
            "import random",
            "for _ in range(20):",
            "    xs = [random.randint(0, 9) for _ in range(9)]",
            "    assert candidate(xs) == sorted(xs)",
        ),
    ),
    Harmless(
        "tests that do not end in an assert",
        "def f(x): return x\n",
        check(
            "results = [candidate(i) for i in range(5)]",
            "for i, r in enumerate(results):",
            "    if r != i: raise ValueError(r)",
        ),
    ),
    Harmless(
        "HumanEval's own shape",
        "def f(xs, x):\n    lo, hi = -100.0, 100.0\n    for _ in range(200):\n        mid = (lo + hi) / 2\n"
        "        if xs[0] + xs[1] * mid < 0: lo = mid\n        else: hi = mid\n    return lo\n",
        check(
            "import math, copy",
            "def poly(xs, x): return sum(c * math.pow(x, i) for i, c in enumerate(xs))",
            "coeffs = [2, 4]",
            "solution = candidate(copy.deepcopy(coeffs), 0)",
            "assert math.fabs(poly(coeffs, solution)) < 1e-4",
        ),
    ),
    Harmless(
        "many calls",
        "def f(x): return x + 1\n",
        (tuple(Check((n,), n + 1) for n in range(500)), *check("for n in range(500): assert candidate(n) == n + 1")),
    ),
    Harmless(
        "calls with nothing in common",
        "def f(x): return x\n",
        calls(*[Check((v,), v) for v in (1, 1.5, "a", None, True, [1], (1,), {1}, {1: 2}, b"a", 1j, frozenset({1}))]),
    ),
)

HARMLESS: tuple[Harmless, ...] = PLAIN + VALUES + NUMPY + SCRIPTED
