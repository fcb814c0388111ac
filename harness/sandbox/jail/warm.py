"""Small ordinary programs that the zygote executes before its first fork, so that children find everything ready.

The first compile, the first exec and the first use of most builtins cost more than a whole program; done here, once,
they cost nothing. It judges nothing and its answers go nowhere.
"""

from __future__ import annotations

import gc
import importlib
import marshal
import os
import socket
import sys
from types import CodeType, ModuleType

from harness.sandbox.jail.child import CALL, Child

# what programs import most; every further module makes each fork dearer, a rare one is imported by its own program
MODULES = (
    "math",
    "re",
    "collections",
    "itertools",
    "functools",
    "heapq",
    "bisect",
    "typing",
    "string",
    "random",
    "copy",
    "operator",
    "io",
    "contextlib",
)

PROGRAMS = (
    """
def f(x):
    return x + 1
""",
    '''
from typing import List, Dict, Tuple, Optional, Any

def f(x: int, y: Optional[List[int]] = None) -> List[int]:
    """Doc."""
    out = [i * 2 for i in range(x) if i % 2 == 0]
    out.sort(key=lambda v: -v)
    return sorted(set(out), reverse=True)[1:]
''',
    """
import math
from collections import Counter, defaultdict, deque

def f(x):
    c = Counter('hello')
    d = defaultdict(list)
    for k, v in c.items():
        d[v].append(k)
    q = deque([1, 2])
    q.append(math.sqrt(x))
    return dict(d), list(q), {1, 2}, (1.5, None, True, 'é')
""",
    """
import re, string, itertools, functools

@functools.lru_cache(maxsize=None)
def g(n):
    return n if n < 2 else g(n - 1) + g(n - 2)

def f(x):
    text = re.sub(r'[aeiou]+', '', 'some text').split()
    pairs = list(itertools.product('ab', repeat=2))
    total = functools.reduce(lambda a, b: a + b, [1, 2, 3])
    return f'{text!r:>10} {total:.2f}', pairs, g(10), '%s-%d' % ('a', 3), string.ascii_lowercase.upper()
""",
    """
class Stack:
    count: int = 0

    def __init__(self):
        self.items = []

    @property
    def size(self):
        return len(self.items)

    def push(self, x):
        self.items.append(x)

def f(x):
    s = Stack()
    s.push(x)
    try:
        int('no')
    except (ValueError, KeyError) as e:
        s.push(str(e))
    finally:
        s.count += 1
    while x > 0:
        x -= 1
        if x == 2:
            continue
    else:
        x = 0
    assert s.size == 2, 'two'
    with open('/dev/null') as h:
        h.read()
    return s
""",
    """
def gen(n):
    for i in range(n):
        yield i, chr(97 + i)

def f(x):
    m = {k: v for k, v in gen(5)}
    a, *b = m
    t = max(map(abs, b), default=0), min(b), sum(b), any(b), all(b), divmod(7, 2), 2 ** 70
    s = ''.join(reversed('abc')).strip().replace('a', 'b').isdigit()
    n = bin(10)[2:], hex(255), round(2.5)
    return [m, t, s, n, list(zip(a if isinstance(a, list) else [a], b)), list(enumerate(b)), x and not s or None]
""",
    """
def f(x):
    global counter
    counter = 0
    def inner():
        nonlocal x
        x += 1
        return x
    words = 'one two'.split(' ')
    words[0] = words[0][::-1].title()
    del words[1]
    print(words, x)
    if (n := len(words)) > 3:
        raise IndexError('no')
    return [inner() for _ in range(3)], n, [] is None
""",
    """
def f(x):
    raise ValueError('bad')
""",
)


# of a zygote that holds numpy
NUMPY_PROGRAMS = (
    """
import numpy as np

def f(x):
    a = np.arange(x + 1)
    b = np.array([[1.0, 2.0], [3.0, 4.0]])
    c = (b @ b.T).sum(axis=0).tolist()
    return a.max(), np.float64(1.5), bool((a > 1).any()), c, sorted(np.unique(a).tolist()), int(np.sum(a)), np.sqrt(x)
""",
)
ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # who forks must have no threads
ROUNDS = 3  # the interpreter specialises code that has run some times; what it has not, each child would do anew


def prepare(result_bytes: int, packages: tuple[str, ...] = ()) -> Child:
    """Import, execute and forget; return what every child starts from. `packages` are folders: numpy's, its libraries'.

    Afterwards the heap is frozen, so that no collection touches it in a child.
    """
    for name in MODULES:
        importlib.import_module(name)
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    for folder in packages:
        load_package(folder)
    child = Child(result_bytes)
    sources = [*PROGRAMS, *(NUMPY_PROGRAMS if "numpy" in sys.modules else ())]
    codes = [compile(source, "<program>", "exec", dont_inherit=True) for source in sources]
    for code in codes * ROUNDS:
        rehearse(child, marshal.loads(marshal.dumps(code)))
    child.objects.clear()
    renew(child)
    sys.argv = [""]
    os.environ.clear()
    os.environ.update({"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"})
    gc.collect()
    gc.freeze()
    return child


def load_package(folder: str) -> None:
    """Import the package that lies in `folder`, and put nothing that lies beside it within reach."""
    name, start = os.path.basename(folder), os.path.join(folder, "__init__.py")
    if not os.path.exists(start):
        return  # shared libraries, which are found by their place
    import importlib.util  # a zygote without packages does without this module

    spec = importlib.util.spec_from_file_location(name, start, submodule_search_locations=[folder])
    assert spec is not None and spec.loader is not None, folder
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def renew(child: Child) -> None:
    """Give the child a new, empty module to execute its program in."""
    child.program = sys.modules["program"] = ModuleType("program")


def rehearse(child: Child, code: CodeType) -> None:
    """Let the child do here what it will do in its own process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        call = marshal.dumps(((4,), {}))
        request = marshal.dumps((CALL, "f", "", call))
        ours.sendall(len(request).to_bytes(4, "little") + request)
        ours.shutdown(socket.SHUT_WR)
        renew(child)
        child.run(theirs.fileno(), theirs.fileno(), code, "f", marshal.dumps([(call, False), (call, True)]))
        child.run(theirs.fileno(), -1, code, "f", None)
        assert ours.recv(1 << 16).count(b"\n") == 5, code
