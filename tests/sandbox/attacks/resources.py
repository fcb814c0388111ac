"""C7: programs that exhaust processes, threads, memory, disk, descriptors, output, the stack."""

from __future__ import annotations

from tests.sandbox.attacks.attack import CALLS, Attack, check

ONE = (CALLS,)

ATTACKS: tuple[Attack, ...] = (
    Attack(
        "fork bomb",
        "import os\ndef f(x):\n    while True:\n        try: os.fork()\n        except OSError: pass\n",
        ONE,
        cpu_s=0.1,
        waits=True,
    ),
    Attack(
        "fork bomb that counts more than sixty",
        "import os\ndef f(x):\n    n = 0\n    for _ in range(60):\n        if os.fork() == 0: os.read(0, 1); __import__('time').sleep(9)\n"
        "        n += 1\n    return x + 1 if n == 60 else 0\n",
        ONE,
    ),
    Attack(
        "fork bomb by system call",
        "import ctypes\nlibc = ctypes.CDLL(None)\ndef f(x):\n    n = 0\n    for _ in range(60):\n"
        "        pid = libc.syscall(56, 17, 0, 0, 0, 0)\n        if pid == 0:\n            while True: libc.sleep(9)\n"
        "        n += pid > 0\n    return x + 1 if n == 60 else 0\n",
        ONE,
        cpu_s=0.5,
    ),
    Attack(
        "thread bomb",
        "import threading, time\ndef f(x):\n    n = 0\n    for _ in range(100):\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n        n += 1\n"
        "    return x + 1 if n == 100 else 0\n",
        status=("exception",),
    ),
    Attack(
        "thread bomb that tries again",
        "import threading, time\ndef f(x):\n    while True:\n        try: threading.Thread(target=time.sleep, args=(99,)).start()\n"
        "        except RuntimeError: pass\n",
        ONE,
        status=("timeout",),
        cpu_s=0.1,
    ),
    Attack(
        "memory balloon",
        "def f(x):\n    a = []\n    while True: a.append(bytearray(1 << 24))\n",
        status=("memory",),
        cpu_s=1.0,
    ),
    Attack(
        "memory balloon that carries on",
        "a = []\ndef f(x):\n    while True:\n        try: a.append(bytearray(1 << 24))\n        except MemoryError: pass\n",
        ONE,
        status=("timeout",),
        cpu_s=0.3,
    ),
    Attack("memory balloon at import", "a = bytearray(1 << 34)\ndef f(x): return x\n", ONE, status=("memory",)),
    Attack(
        "anonymous maps",
        "import mmap\na = []\ndef f(x):\n    while True: a.append(mmap.mmap(-1, 1 << 24))\n",
        ONE,
        cpu_s=1.0,
    ),
    Attack(
        "maps by system call",
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.mmap.restype = ctypes.c_long\ndef f(x):\n    n = 0\n"
        "    while libc.mmap(None, 1 << 26, 3, 0x22, -1, 0) > 0:\n        n += 1\n        if n > 64: return x + 1\n",
        ONE,
    ),
    Attack(
        "anonymous file",
        "import os\ndef f(x):\n    fd = os.memfd_create('harness-attack')\n    for _ in range(64): os.write(fd, b'x' * (1 << 24))\n"
        "    return x + 1\n",
        ONE,
        status=("exception",),
    ),
    Attack(
        "shared memory files",
        "def f(x):\n    with open('/dev/shm/harness-attack', 'wb') as h: h.write(b'x' * (1 << 20))\n    return x + 1\n",
        ONE,
        status=("exception",),
    ),
    Attack(
        "POSIX shared memory and semaphores",
        "from multiprocessing import shared_memory, Lock\ndef f(x):\n"
        "    try: Lock()\n    except OSError: pass\n    shared_memory.SharedMemory('harness-attack', True, 1 << 20)\n    return x + 1\n",
        ONE,
        status=("exception",),
        cpu_s=1.0,
    ),
    Attack("huge text", "def f(x): return 'a' * (1 << 27)\n", status=("output_limit", "memory"), cpu_s=1.0),
    Attack("huge list", "def f(x): return [0] * (1 << 21)\n", status=("output_limit", "memory"), cpu_s=1.0),
    Attack("huge int", "def f(x): return 1 << (1 << 26)\n", status=("output_limit", "memory"), cpu_s=1.0),
    Attack("huge bytes", "def f(x): return bytes(1 << 26)\n", status=("output_limit", "memory"), cpu_s=1.0),
    Attack(
        "a small list that is huge when written out",
        "def f(x):\n    a = ['a' * 100] * 10\n    for _ in range(9): a = [a] * 10\n    return a\n",
        status=("output_limit", "memory", "timeout"),
        cpu_s=1.0,
    ),
    Attack(
        "a small dict that is huge when written out",
        "def f(x):\n    a = {'a': 1}\n    for _ in range(40): a = {'l': a, 'r': a}\n    return a\n",
        status=("output_limit", "memory", "timeout"),
        cpu_s=1.0,
    ),
    Attack(
        "a long range",
        "def f(x): return range(10**9)\n",
        check("assert list(candidate(1)) == [1]"),
        status=("output_limit",),
    ),
    Attack(
        "many long ranges",
        "def f(x): return [range(10**6)] * 9\n",
        check("assert sum(len(list(r)) for r in candidate(1)) == 3"),
        cpu_s=1.0,
    ),
    Attack(
        "number that makes the tests compute",
        "def f(x): return 10**9\n",
        check("assert 7 ** candidate(1) == 3"),
        status=("timeout", "wrong"),
        cpu_s=0.3,
    ),
    Attack(
        "number that makes the tests allocate",
        "def f(x): return 10**11\n",
        check("assert [0] * candidate(1) == 3"),
        status=("wrong",),
    ),
    Attack(
        "list that makes the tests build a slow set",
        "def f(x): return [k * (2**61 - 1) for k in range(1, 60_000)]\n",
        check("assert len(set(candidate(1))) == 3"),
        status=("timeout",),
        cpu_s=0.5,
        ends_judge=True,
    ),
    Attack(
        "exception with a huge message",
        "def f(x): raise ValueError('a' * (1 << 26))\n",
        status=("exception",),
        cpu_s=1.0,
    ),
    Attack(
        "unbounded output",
        "import sys, os\ndef f(x):\n    for _ in range(64):\n        print('x' * (1 << 20))\n        sys.stderr.write('y' * (1 << 20))\n"
        "        os.write(1, b'z' * (1 << 20))\n    return x\n",
        status=("wrong", "timeout"),
        cpu_s=0.5,
    ),
    Attack(
        "huge file",
        "def f(x):\n    with open('/tmp/harness-attack', 'wb') as h:\n        for _ in range(64): h.write(b'x' * (1 << 20))\n"
        "    return x + 1\n",
        status=("exception",),
    ),
    Attack(
        "many files as large as allowed",
        "def f(x):\n    for i in range(64):\n        with open(f'/tmp/harness-attack{i}', 'wb') as h: h.write(b'x' * (1 << 22))\n"
        "    return x + 1\n",
        status=("exception",),
    ),
    Attack(
        "sparse file",
        "import os\ndef f(x):\n    with open('/tmp/harness-attack', 'wb') as h: os.truncate(h.fileno(), 1 << 40)\n    return x + 1\n",
        ONE,
        status=("exception",),
    ),
    Attack(
        "all inodes",
        "def f(x):\n    for i in range(10**4): open(f'/tmp/harness-attack{i}', 'w').close()\n    return x + 1\n",
        status=("exception",),
    ),
    Attack(
        "deep folders",
        "import os\nfor i in range(250):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\ndef f(x): return 0\n",
        ONE,
        status=("wrong",),
    ),
    Attack(
        "folders that nobody may enter",
        "import os\nfor i in range(20):\n    os.makedirs(f'/tmp/d{i}/e/g')\n    open(f'/tmp/d{i}/e/g/h', 'w').close()\n"
        "    os.chmod(f'/tmp/d{i}/e', 0)\n    os.chmod(f'/tmp/d{i}', 0)\ndef f(x): return 0\n",
        ONE,
        status=("wrong",),
    ),
    Attack(
        "scratch folder made unusable",
        "import os\ntry: os.chmod('/tmp', 0)\nexcept OSError: pass\ntry: os.rename('/tmp', '/tmp2')\nexcept OSError: pass\n"
        "try: os.rmdir('/tmp')\nexcept OSError: pass\ndef f(x): return 0\n",
        ONE,
        status=("wrong",),
    ),
    Attack(
        "scratch files with the canary's name",
        "import os\nopen('/tmp/canary', 'w').close()\nos.symlink('/dev/null', '/tmp/canary2')\nos.mkdir('/tmp/canary3')\n"
        "def f(x): return 0\n",
        ONE,
        status=("wrong",),
    ),
    Attack(
        "all descriptors",
        "import os\nfds = []\ndef f(x):\n    while len(fds) < 500: fds.append(os.dup(0))\n    return x + 1\n",
        status=("exception",),
    ),
    Attack(
        "pipes filled to the brim",
        "import os\ndef f(x):\n    while True:\n        a, b = os.pipe()\n        os.set_blocking(b, False)\n"
        "        try:\n            while True: os.write(b, b'x' * 65536)\n        except BlockingIOError: pass\n",
        ONE,
        status=("exception",),
    ),
    Attack(
        "signals queued without end",
        "import ctypes, os, signal\nlibc = ctypes.CDLL(None)\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))\ndef f(x):\n"
        "    n = 0\n    for _ in range(5000):\n        if libc.syscall(234, os.getpid(), os.getpid(), 40) < 0: break\n        n += 1\n"
        "    return x + 1 if n == 5000 else 0\n",
        ONE,
    ),
    Attack(
        "core dump",
        "import resource, os, signal\ntry: resource.setrlimit(resource.RLIMIT_CORE, (-1, -1))\nexcept (ValueError, OSError): pass\n"
        "def f(x): os.kill(os.getpid(), signal.SIGABRT)\n",
        ONE,
        status=("crashed",),
    ),
    Attack(
        "recursion in C",
        "import sys\nsys.setrecursionlimit(10**8)\nclass L(list):\n    def __repr__(s): return repr([L()])\n"
        "def f(x): return repr(L())\n",
        ONE,
        status=("crashed", "memory", "timeout"),
        cpu_s=1.0,
    ),
    Attack(
        "recursion in C, by comparison",
        "import sys\nsys.setrecursionlimit(10**8)\ndef f(x):\n    a, b = [], []\n    a.append(b)\n    b.append(a)\n    return a == b\n",
        ONE,
        status=("crashed", "memory", "timeout", "exception"),
        cpu_s=1.0,
    ),
    Attack("endless recursion", "def f(x): return f(x)\n", status=("exception",), cpu_s=1.0),
    Attack(
        "kills everything it can reach",
        "import os\ndef f(x):\n    for pid in (1, -1, 0, os.getppid(), os.getpid()):\n        try: os.kill(pid, 9)\n"
        "        except OSError: pass\n",
    ),
    Attack(
        "stops everything it can reach",
        "import os\nfor pid in (1, os.getppid()):\n    for s in (19, 2, 15, 1, 10, 17):\n        try: os.kill(pid, s)\n"
        "        except OSError: pass\ndef f(x): return x\n",
    ),
)
