"""C6: programs that do not end, hide the time they take, or go on after their verdict."""

from __future__ import annotations

from harness.types import Status
from tests.sandbox.attacks.attack import CALLS, CHECK, Attack, check

TIMEOUT: tuple[Status, ...] = ("timeout",)
ONE = (CALLS,)
FAST = 0.05  # CPU seconds; each of these uses all of them

ATTACKS: tuple[Attack, ...] = (
    Attack("endless loop", "def f(x):\n    while True: pass\n", status=TIMEOUT, cpu_s=FAST),
    Attack("endless loop at import", "while True: pass\n", status=TIMEOUT, cpu_s=FAST),
    Attack(
        "loop that swallows everything",
        "import signal\nfor s in range(1, 65):\n    try: signal.signal(s, signal.SIG_IGN)\n    except (OSError, ValueError): pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ndef f(x):\n    while True:\n        try:\n"
        "            while True: pass\n        except BaseException: pass\n",
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "timers disarmed",
        "import signal\nfor t in (0, 1, 2): signal.setitimer(t, 0)\nsignal.alarm(0)\ndef f(x):\n    while True: pass\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "CPU limit lifted",
        "import resource\ntry: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))\nexcept (ValueError, OSError): pass\n"
        "def f(x):\n    while True: pass\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "right answer after the limit",
        "from time import process_time as now\ndef f(x):\n    end = now() + 0.15\n    while now() < end: pass\n    return x + 1\n",
        (CALLS, CHECK),
        status=TIMEOUT,
        cpu_s=0.1,
    ),
    Attack(
        "thousands of calls, each far below the limit",
        "from time import process_time as now\ndef f(x):\n    end = now() + 0.0005\n    while now() < end: pass\n    return x + 1\n",
        check("for x in range(600):", "    assert candidate(x) == x + 1"),
        status=TIMEOUT,
        cpu_s=0.1,
    ),
    Attack(
        "tests that never end, each call quick",
        "def f(x): return 0\n",
        check("while candidate(1) != 2:", "    pass"),
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "CPU burnt in threads",
        "import threading\ndef burn():\n    while True: pass\ndef f(x):\n"
        "    for _ in range(4): threading.Thread(target=burn, daemon=True).start()\n    threading.Event().wait()\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "CPU burnt in a thread while the answers come",
        "import threading, time\ndef burn():\n    while True: pass\nthreading.Thread(target=burn, daemon=True).start()\n"
        "def f(x):\n    time.sleep(0.1)\n    return x + 1\n",
        ONE,
        status=TIMEOUT,
        cpu_s=0.02,
    ),
    Attack(
        "regular expression that backtracks",
        "import re\ndef f(x): return re.match('(a+)+$', 'a' * 60 + 'b')\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "huge product in C",
        "import itertools\ndef f(x): return sum(1 for _ in itertools.product(range(99), repeat=9))\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack("huge power", "def f(x): return 7 ** 10 ** 8\n", ONE, status=(*TIMEOUT, "memory"), cpu_s=FAST),
    Attack(
        "huge int to text",
        "import sys\nsys.set_int_max_str_digits(0)\ndef f(x): return str(1 << 40_000_000)\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "endless sum of ones",
        "import itertools\ndef f(x): return sum(itertools.repeat(1))\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "endless list of a generator",
        "import itertools\ndef f(x): return itertools.count()\n",
        status=("output_limit",),
        cpu_s=1.0,
    ),
    Attack(
        "generator that does not end between its items",
        "def f(x):\n    yield 1\n    while True: pass\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "endless comparison of dict keys",
        "class K:\n    def __hash__(s): return 0\n    def __eq__(s, o):\n        while True: pass\ndef f(x): return {K(): 1, K(): 2}\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "endless message of an exception",
        "class E(Exception):\n    def __str__(s):\n        while True: pass\ndef f(x): raise E\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack(
        "endless name lookup",
        "class M(type):\n    def __getattribute__(c, n):\n        while True: pass\nclass T(metaclass=M): pass\n"
        "def f(x): return T()\n",
        ONE,
        cpu_s=FAST,
    ),
    Attack(
        "endless finalizer",
        "class T:\n    def __del__(s):\n        while True: pass\ndef f(x): T()\n",
        ONE,
        status=TIMEOUT,
        cpu_s=FAST,
    ),
    Attack("compiler kept busy", "x = " + "-" * 3000 + "1\ndef f(x): return x\n", ONE),
    Attack("compiler: lambdas in lambdas", "g = " + "lambda: " * 1500 + "0\ndef f(x): return x\n", ONE),
    Attack("compiler: brackets", "x = " + "(" * 199 + "1" + ")" * 199 + "\ndef f(x): return x\n", ONE),
    Attack("compiler: open braces", "x = " + "{1:" * 190 + "\ndef f(x): return x\n", ONE, status=("exception",)),
    Attack("compiler: a hundred thousand terms", "x = " + "+".join(["1"] * 100_000) + "\ndef f(x): return x\n", ONE),
    Attack("compiler: folded constants", "x = " + "(1,) * 255 * " * 200 + "1\ndef f(x): return x\n", ONE),
    Attack(
        "compiler: nested f-strings",
        "x = "
        + "f'{" * 1
        + "1"
        + "}'" * 1
        + "\n"
        + "try:\n    pass\nfinally:\n    pass\n" * 9000
        + "def f(x): return x\n",
        ONE,
        cpu_s=1.0,
    ),
    # what follows computes nothing and is stopped by the wall limit alone
    Attack("sleeps", "import time\ndef f(x): time.sleep(99)\n", ONE, status=TIMEOUT, waits=True),
    Attack("sleeps at import", "import time\ntime.sleep(99)\ndef f(x): return x\n", ONE, status=TIMEOUT, waits=True),
    Attack(
        "waits for a lock that it holds",
        "import threading\nl = threading.Lock()\ndef f(x):\n    l.acquire()\n    l.acquire()\n",
        ONE,
        status=TIMEOUT,
        waits=True,
    ),
    Attack("waits for a signal", "import signal\ndef f(x): signal.pause()\n", ONE, status=TIMEOUT, waits=True),
    Attack(
        "reads its channel empty",
        "import os\ndef f(x):\n    for fd in range(3, 64):\n        try:\n            while os.read(fd, 1 << 16): pass\n"
        "        except OSError: pass\n",
        ONE,
        status=TIMEOUT,
        waits=True,
    ),
    Attack(
        "drips an answer, byte by byte",
        "import os, time\ndef f(x):\n    while True:\n        for fd in range(3, 64):\n            try: os.write(fd, b'1')\n"
        "            except OSError: pass\n        time.sleep(0.0004)\n",
        (CHECK,),
        status=TIMEOUT,
        waits=True,
        cpu_s=1.0,
    ),
    Attack(
        "stops itself",
        "import os, signal\ndef f(x):\n    os.kill(os.getpid(), signal.SIGSTOP)\n    while True: pass\n",
        ONE,
        status=("crashed", "timeout"),
        waits=True,
    ),
    Attack(
        "thread that goes on after the answers",
        "import threading, time\ndef on():\n    while True: time.sleep(0.01)\nthreading.Thread(target=on).start()\n"
        "def f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "daemon that outlives its program",
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(99)\n    os._exit(0)\n"
        "def f(x): return x\n",
    ),
    Attack(
        "descendant that holds the channel open",
        "import os, time\nif os.fork() == 0:\n    time.sleep(99)\n    os._exit(0)\ndef f(x): os._exit(0)\n",
        ONE,
        waits=True,
    ),
    Attack(
        "CPU burnt in children",
        "import os\ndef f(x):\n    while True:\n        pid = os.fork()\n        if pid == 0:\n            while True: pass\n"
        "        os.waitpid(pid, 0)\n",
        ONE,
        waits=True,
    ),
    Attack(
        "right answer out of children beyond the limit",
        "import os\nfrom time import process_time as now\ndef f(x):\n    for _ in range(3):\n        if os.fork() == 0:\n"
        "            end = now() + 0.1\n            while now() < end: pass\n            os._exit(0)\n        os.wait()\n"
        "    return x + 1\n",
        ONE,
        waits=True,
        cpu_s=0.2,
    ),
)
