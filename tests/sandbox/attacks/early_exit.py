"""C1: programs that leave before they have answered, in the hope that no failure means success."""

from __future__ import annotations

from harness.types import Status
from tests.sandbox.attacks.attack import Attack

CRASHED: tuple[Status, ...] = ("crashed",)

ATTACKS: tuple[Attack, ...] = (
    Attack("sys.exit(0) in the function", "import sys\ndef f(x): sys.exit(0)\n", status=CRASHED),
    Attack("os._exit(0) in the function", "import os\ndef f(x): os._exit(0)\n", status=CRASHED),
    Attack("os._exit(0) at import", "import os\nos._exit(0)\n", status=CRASHED),
    Attack("sys.exit(0) at import", "import sys\ndef f(x): return x\nsys.exit(0)\n", status=CRASHED),
    Attack("quit() at import", "def f(x): return x\nraise SystemExit\n", status=CRASHED),
    Attack(
        "subclass of SystemExit with code 0",
        "class E(SystemExit): code = 0\ndef f(x): raise E(0)\n",
        status=CRASHED,
    ),
    Attack("KeyboardInterrupt", "def f(x): raise KeyboardInterrupt\n", status=CRASHED),
    Attack("GeneratorExit", "def f(x): raise GeneratorExit\n", status=("exception",)),
    Attack("atexit", "import atexit, os\natexit.register(os._exit, 0)\ndef f(x): raise SystemExit\n", status=CRASHED),
    Attack(
        "signal handler that exits 0",
        "import os, signal\nsignal.signal(15, lambda *a: os._exit(0))\ndef f(x): os.kill(os.getpid(), 15)\n",
        status=CRASHED,
    ),
    Attack(
        "replaced by /bin/true",
        "import os\ndef f(x):\n    for path in ('/bin/true', '/usr/bin/true', '/proc/self/exe'):\n"
        "        try: os.execv(path, ['true'])\n        except OSError: pass\n",
    ),
    Attack(
        "spawned /bin/true answers for it",
        "import subprocess\ndef f(x): return subprocess.run(['true']).returncode + x + 1\n",
    ),
    Attack("abort", "import os\ndef f(x): os.abort()\n", status=CRASHED),
    Attack("raise_signal of SIGTERM", "import signal\ndef f(x): signal.raise_signal(15)\n", status=CRASHED),
    Attack("kills itself", "import os\ndef f(x): os.kill(os.getpid(), 9)\n", status=CRASHED),
    Attack("interrupts its main thread", "import _thread\ndef f(x): _thread.interrupt_main()\n"),
    Attack(
        "excepthook and threading._shutdown replaced",
        "import sys, threading, os\nsys.excepthook = threading.excepthook = lambda *a: os._exit(0)\n"
        "threading._shutdown = lambda: os._exit(0)\ndef f(x): raise AssertionError\n",
        status=("exception",),
    ),
    Attack(
        "exit(0) of the C library",
        "import ctypes\ndef f(x): ctypes.CDLL(None).exit(0)\n",
        status=CRASHED,
    ),
    Attack(
        "another thread leaves while the call waits",
        "import os, threading, time\ndef f(x):\n    threading.Thread(target=os._exit, args=(0,)).start()\n"
        "    time.sleep(1)\n",
        status=CRASHED,
    ),
    Attack(
        "right twice, then gone",
        "import os\nn = 0\ndef f(x):\n    global n\n    n += 1\n    if n == 3: os._exit(0)\n    return x + 1\n",
        status=CRASHED,
    ),
    Attack(
        "leaves when its value is encoded",
        "import os\nclass B(bytes):\n    def __len__(self): os._exit(0)\n    def __bytes__(self): os._exit(0)\n"
        "def f(x): return B()\n",
    ),
    Attack("leaves out of an iterator", "import os\ndef f(x):\n    yield x + 1\n    os._exit(0)\n"),
    Attack(
        "leaves in __del__",
        "import os\nclass T:\n    def __del__(self): os._exit(0)\ndef f(x):\n    T()\n    return x\n",
        status=CRASHED,
    ),
    Attack(
        "leaves in the message of its exception",
        "import os\nclass E(Exception):\n    def __str__(self): os._exit(0)\ndef f(x): raise E\n",
        status=CRASHED,
    ),
    Attack(
        "raises in the message of its exception",
        "class E(Exception):\n    def __str__(self): raise SystemExit(0)\ndef f(x): raise E\n",
    ),
    Attack(
        "closes its channel",
        "import os\ndef f(x):\n    os.closerange(3, 64)\n    return x + 1\n",
    ),
    Attack(
        "shuts its channel down",
        "import os, socket\ndef f(x):\n    for fd in range(3, 64):\n"
        "        try: socket.socket(fileno=os.dup(fd)).shutdown(2)\n        except OSError: pass\n    return x + 1\n",
    ),
    Attack(
        "exception whose class is made up on the way",
        "class M(type):\n    def mro(cls): return (cls, *type.mro(cls)[1:])\n"
        "class AssertionError(Exception, metaclass=M): __name__ = 'passed'\n"
        "def f(x): raise AssertionError('passed')\n",
        status=("exception",),
    ),
    Attack("exception group of nothing wrong", "def f(x): raise BaseExceptionGroup('passed', [SystemExit(0)])\n"),
    Attack("falls off the stack of C", "import ctypes\ndef f(x): return ctypes.string_at(0)\n", status=CRASHED),
)
