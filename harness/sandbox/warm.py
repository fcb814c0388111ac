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

from harness.sandbox.child import Child

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


def prepare(result_bytes: int) -> None:
    """Import, execute and forget; afterwards the heap is frozen so that no collection touches it in a child."""
    for name in MODULES:
        importlib.import_module(name)
    ours, theirs = socket.socketpair()
    ours.settimeout(1.0)
    call = marshal.dumps(((4,), {}))
    for source in PROGRAMS:
        code = marshal.loads(marshal.dumps(compile(source, "<program>", "exec", dont_inherit=True)))
        child = Child(theirs.fileno(), result_bytes)
        payload = marshal.dumps((code, "f", [call], 1))
        ours.sendall(len(payload).to_bytes(4, "little") + payload)
        marshal.loads(child.read_frame() or b"")
        names = child.run(code, "f")
        assert names is not None, source
        child.batch(names["f"], [call, call])
        child.say(child.answer(names["f"], marshal.dumps(((4,), {}))))
        ours.recv(1 << 20)
        names.clear()
    ours.close()
    theirs.close()
    sys.modules.pop("program", None)
    sys.argv = [""]
    os.environ.clear()
    os.environ.update({"PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0"})
    gc.collect()
    gc.freeze()
