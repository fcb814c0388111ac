"""C9: programs that turn the interpreter they run in against the child's own code: frames, hooks, code, limits, source."""

from __future__ import annotations

import platform

from tests.sandbox.attacks.attack import CALLS, Attack
from tests.sandbox.attacks.writing_verdict import PUT

ONE = (CALLS,)
FRAMES = """import sys
def frames():
    frame = sys._getframe(1)
    while frame:
        yield frame
        frame = frame.f_back
"""
SPIN = " __import__('time').process_time() "

PROTOCOL: tuple[Attack, ...] = (
    Attack(
        "an empty line for each answer, and the end", PUT + "def f(x):\n    put(b'\\n\\n\\n.\\n')\n    os._exit(0)\n"
    ),
    Attack(
        "as many empty lines as there are calls",
        PUT + FRAMES + "def f(x):\n    for frame in frames():\n        calls = frame.f_locals.get('calls')\n"
        "        if type(calls) is list: put(b'\\n' * len(calls) + b'.\\n')\n    os._exit(0)\n",
    ),
    Attack("blanks for answers", PUT + "def f(x):\n    put(b' \\n\\t\\n\\r\\n.\\n')\n    os._exit(0)\n"),
    Attack("the end, and no answer", PUT + "def f(x):\n    put(b'.\\n' * 4)\n    os._exit(0)\n"),
    Attack("loaded, the end, gone", PUT + "put(b'[\"ok\"]\\n.\\n')\nos._exit(0)\n"),
    Attack(
        "the write of the child's own module",
        "import harness.sandbox.jail.child as c\nwrite = c.write\n"
        "def lie(fd, data): return write(fd, b'[\"v\", true]\\n') and len(data)\nc.write = lie\ndef f(x): return 0\n",
    ),
    Attack(
        "code of the child's functions replaced",
        "import harness.sandbox.jail.child as c\ndef batch(self, fd, pipe, function, calls):\n    import os\n"
        "    for _ in calls: os.write(pipe, b'[\"v\", true]\\n')\n    os.write(fd, b'.\\n')\n"
        "c.Child.batch.__code__ = batch.__code__\nc.Child.failure.__code__ = (lambda self, error: ['v', True]).__code__\n"
        "def f(x): return 0\n",
    ),
)

HOOKS: tuple[Attack, ...] = (
    Attack(
        "encoder of the child that stands in a frame",
        FRAMES + "class Yes:\n    result_bytes = 9\n    def encode(self, value): return ['y', 'object']\ndef f(x):\n"
        "    for frame in frames():\n        if 'self' in frame.f_locals: frame.f_locals['self'].encoder = Yes()\n"
        "    return [x]\n",
    ),
    Attack(
        "variables of the child's frame written back",
        FRAMES + "import ctypes\ndef f(x):\n    for frame in frames():\n        if 'calls' in frame.f_locals:\n"
        "            frame.f_locals['calls'].clear()\n            frame.f_locals['room'] = -1\n"
        "            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))\n    return x\n",
    ),
    Attack(
        "trace of frames that are already there, opcode by opcode",
        "import sys\ndef trace(frame, event, arg):\n    frame.f_trace_opcodes = True\n"
        "    for name in ('value', 'line', 'answer', 'kind'):\n"
        "        if name in frame.f_locals: frame.f_locals[name] = True\n    return trace\n"
        "frame = sys._getframe()\nwhile frame:\n    frame.f_trace = trace\n    frame = frame.f_back\nsys.settrace(trace)\n"
        "def f(x): return 0\n",
    ),
    Attack(
        "exception set from outside into the main thread",
        "import ctypes, threading\ndef f(x):\n"
        "    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(threading.main_thread().ident),"
        " ctypes.py_object(SystemExit))\n    for _ in range(1000): pass\n    return x\n",
    ),
    Attack(
        "pending call of the interpreter",
        "import ctypes, os\nleave = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda a: os._exit(0))\ndef f(x):\n"
        "    ctypes.pythonapi.Py_AddPendingCall(leave, None)\n    for _ in range(10**5): pass\n    return x\n",
    ),
    Attack(
        "timer whose handler answers",
        PUT + "import signal\nsignal.signal(signal.SIGALRM, lambda *a: put(b'[\"v\", 2]\\n'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\ndef f(x):\n    for _ in range(10**5): pass\n    return x\n",
        ONE,
        status=("wrong", "crashed", "timeout"),
    ),
    Attack(
        "timer whose handler raises into the child's own code",
        "import signal\ndef stop(*a): raise SystemExit(0)\nsignal.signal(signal.SIGALRM, stop)\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\ndef f(x): return x\n",
        ONE,
    ),
    Attack("limit of recursion at its least", "import sys\ndef f(x):\n    for n in range(1, 60):\n"
        "        try: sys.setrecursionlimit(n)\n        except RecursionError: continue\n        break\n    return x\n"),
    Attack("modules emptied", "import sys\nsys.modules.clear()\ndef f(x): return x\n", status=("wrong",)),
    Attack("builtins emptied", "def f(x): return x\nimport builtins\nbuiltins.__dict__.clear()\n"),
    Attack("BaseException replaced", "import builtins\nbuiltins.BaseException = KeyError\ndef f(x): raise ValueError\n"),
    Attack(
        "globals of the child's module emptied",
        "import harness.sandbox.jail.child as c\nc.__dict__.clear()\ndef f(x): return 0\n",
        status=("crashed",),
    ),
    Attack(
        "value that another thread changes while it is read",
        "import sys, threading\nsys.setswitchinterval(1e-9)\ndef f(x):\n    value = [x]\n    def lie():\n"
        "        for _ in range(2000): value[0] = value\n"
        "    threading.Thread(target=lie, daemon=True).start()\n    return value\n",
        cpu_s=1.0,
    ),
)  # fmt: skip

RAISED: tuple[Attack, ...] = (
    Attack(
        "exception whose class lies about its bases",
        "class M(type):\n    __mro__ = property(lambda c: (AssertionError,))\n    __name__ = property(lambda c: 'x' * (1 << 22))\n"
        "class E(Exception, metaclass=M): pass\ndef f(x): raise E('no')\n",
    ),
    Attack(
        "exception whose class cannot be asked for",
        "class E(BaseException):\n    @property\n    def __class__(self): raise SystemExit(0)\ndef f(x): raise E\n",
        status=("crashed",),
    ),
    Attack(
        "chain of a hundred thousand exceptions",
        "def f(x):\n    e = None\n    for i in range(10**5):\n        n = ValueError(i)\n        n.__context__ = e\n        e = n\n"
        "    raise e\n",
        status=("exception",),
        cpu_s=1.0,
    ),
    Attack(
        "exception that is its own cause, with notes",
        "def f(x):\n    e = ValueError('x')\n    e.__cause__ = e\n    e.add_note('passed' * 1000)\n    raise e\n",
        status=("exception",),
    ),
    Attack(
        "groups of exceptions, two thousand deep",
        "def f(x):\n    e = ValueError(1)\n    for _ in range(2000): e = ExceptionGroup('passed', [e])\n    raise e\n",
        status=("exception",),
    ),
    Attack("key whose text is a program", "def f(x): raise KeyError(type('K', (), {'__repr__': lambda s: '[]' * 99})())\n"),
    Attack("key whose text opens a hundred brackets", "class K:\n    def __repr__(s): return '(' * 299\ndef f(x): raise KeyError(K())\n"),
)  # fmt: skip

SOURCES: tuple[Attack, ...] = (
    Attack(
        "constants that collide",
        f"x = [{','.join(str(k * (2**61 - 1)) for k in range(1, 5000))}]\ndef f(x): return x\n",
        ONE,
        cpu_s=0.5,
    ),
    Attack("five thousand keywords", f"def f(x): return f({','.join(f'a{i}=1' for i in range(5000))})\n", ONE),
    Attack("names that grow when they are normalised", "def f(x): return " + "\ufdfa" * 20000 + "\n", ONE),
    Attack("attribute of an attribute, sixty thousand times", "@" + "a." * 60000 + "b\ndef f(x): return x\n", ONE),
    Attack("items of items", "def f(x): return x" + "[0]" * 60000 + "\n", ONE, cpu_s=1.0),
    Attack("comparisons of comparisons", "def f(x): return " + "x<" * 50000 + "x\n", ONE, cpu_s=1.0),
    Attack("comprehensions in comprehensions", "x = " + "[" * 90 + "1" + " for a in b]" * 90 + "\ndef f(x): return x\n", ONE),
    Attack("patterns without end", "match 1:\n    case " + "|".join(["(1, 2)"] * 5000) + ": pass\ndef f(x): return x\n", ONE, cpu_s=1.0),
    Attack("text as wide as a gigabyte", "x = '%0999999999d' % 1\ndef f(x): return x\n", ONE, status=("memory",)),
    Attack("text without its end", "def f(x):\n    '''" + "\\N{" * 50000 + "\n", ONE, status=("exception",)),
)  # fmt: skip

CHILDREN: tuple[Attack, ...] = (
    Attack(
        "children that end unseen",
        "import os, signal\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nif os.fork() == 0:\n"
        f"    end = {SPIN} + 0.3\n    while{SPIN}< end: pass\n    os._exit(0)\n"
        "try: os.waitpid(-1, 0)\nexcept ChildProcessError: pass\ndef f(x): return x + 1\n",
        ONE,
        status=("timeout",),
        waits=True,
    ),
    Attack(
        "SIGCHLD refused by the system call",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.syscall(13, 17, (ctypes.c_ulong * 4)(1, 2, 0, 0), 0, 8)\n"
        f"if os.fork() == 0:\n    end = {SPIN} + 0.3\n    while{SPIN}< end: pass\n    os._exit(0)\n"
        "try: os.waitpid(-1, 0)\nexcept ChildProcessError: pass\ndef f(x): return x + 1\n",
        ONE,
        status=("timeout",),
        waits=True,
    ),
    Attack(
        "child that gives itself to PID 1",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\ntext = 'fork'\nr, w = os.pipe()\n"
        "if libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:\n"
        f"    end = {SPIN} + 0.3\n    while{SPIN}< end: pass\n    os._exit(0)\n"
        "os.close(w)\nos.read(r, 1)\ndef f(x): return x + 1\n",
        ONE,
        waits=True,
    ),
)  # fmt: skip

BY_NUMBER = CHILDREN if platform.machine() == "x86_64" else CHILDREN[:1]  # system calls have other numbers elsewhere
ATTACKS: tuple[Attack, ...] = PROTOCOL + HOOKS + RAISED + SOURCES + BY_NUMBER
