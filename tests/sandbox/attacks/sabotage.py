"""C5: programs that break what tests are made of: assertions, builtins, modules, hooks, the child's own codec."""

from __future__ import annotations

from tests.sandbox.attacks.attack import ASSERTS, CALLS, CHECK, Attack, asserts, check

UNITTEST = check(
    "import unittest",
    "class Test(unittest.TestCase):",
    "    def test(self):",
    "        self.assertEqual(candidate(1), 2)",
    "result = unittest.TestResult()",
    "unittest.defaultTestLoader.loadTestsFromTestCase(Test).run(result)",
    "assert result.testsRun == 1 and result.wasSuccessful() and not result.skipped",
)
TOLERANT = (*check("import math", "assert math.isclose(candidate(41), 42)"), CALLS)

PATCHES: tuple[Attack, ...] = (
    Attack(
        "TestCase.assertEqual replaced",
        "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\ndef f(x): return x\n",
        (*UNITTEST, CALLS),
        status=("wrong",),
        cpu_s=1.0,
    ),
    Attack("SkipTest", "import unittest\ndef f(x): raise unittest.SkipTest('x')\n", (*UNITTEST, CALLS), cpu_s=1.0),
    Attack(
        "loader that finds no test",
        "import unittest\nunittest.TestLoader.loadTestsFromTestCase = lambda *a: unittest.TestSuite()\n"
        "def load_tests(*a): return unittest.TestSuite()\ndef f(x): return x\n",
        (*UNITTEST, CALLS),
        status=("wrong",),
        cpu_s=1.0,
    ),
    Attack(
        "AssertionError replaced",
        "import builtins\nclass Q(AssertionError): pass\nbuiltins.AssertionError = Q\ndef f(x): raise Q\n",
        status=("exception",),
    ),
    Attack(
        "AssertionError that is SystemExit",
        "import builtins\nbuiltins.AssertionError = SystemExit\ndef f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "asserts switched off",
        "import sys, os\nos.environ['PYTHONOPTIMIZE'] = '2'\nimport builtins\nbuiltins.__debug__ = False\ndef f(x): return x\n",
    ),
    Attack(
        "builtins patched",
        "import builtins\nfor n in ('len', 'abs', 'all', 'any', 'isinstance', 'issubclass', 'sorted', 'sum', 'round', 'type'):\n"
        "    setattr(builtins, n, lambda *a: True)\ndef f(x): return 0\n",
        (CALLS, CHECK),
        waits=True,
    ),
    Attack(
        "names of the tests defined by the program",
        "class Yes:\n    def __eq__(s, o): return True\n    def __call__(s, *a, **k): return True\n    __bool__ = __eq__\n"
        "    def __getattr__(s, n): return s\ncheck = candidate = abs = len = set = sorted = round = isinstance = all = any = Yes()\n"
        "sum = min = max = int = float = str = list = tuple = dict = bool = math = np = assert_ = test = Yes()\n"
        "__builtins__ = Yes()\nexpected = result = inputs = results = out = Yes()\ndef f(x): return 0\n",
        (
            *check("import math", "assert abs(candidate(41) - 42) < 1e-6 and math.isclose(candidate(41), 42)"),
            *asserts("assert set([f(41)]) == {42}", "assert all([isinstance(f(1), int), f(1) == 2])"),
            *asserts("import math", "assert math.isclose(round(f(41), 1), 42)"),
            *asserts("assert sorted([f(1), 5]) == [2, 5] and len([f(1)]) == 1 and abs(f(1)) == 2"),
            CALLS,
        ),
        status=("wrong",),
    ),
    Attack(
        "check defined by the program",
        "def check(candidate): return True\ndef f(x): return 0\n",
        (CHECK, ASSERTS),
        status=("wrong",),
    ),
    Attack(
        "entry point defined to be the check's own name",
        "def candidate(x): return x + 1\ndef f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "math.isclose and math.fabs replaced",
        "import math\nmath.isclose = lambda *a, **k: True\nmath.fabs = lambda *a: 0.0\ndef f(x): return x\n",
        TOLERANT,
        status=("wrong",),
    ),
    Attack(
        "module of a test's own name",
        "import sys, types\nm = types.ModuleType('math')\nm.isclose = lambda *a, **k: True\nm.fabs = lambda x: 0\n"
        "for n in ('math', 'numpy', 'copy', 'random', 'unittest', 'json', 'pytest'): sys.modules[n] = m\ndef f(x): return x\n",
        TOLERANT,
        status=("wrong",),
    ),
    Attack(
        "settrace and setprofile",
        "import sys, threading\ndef t(frame, event, arg):\n    for n in ('expected', 'value', 'status'):\n"
        "        if n in frame.f_locals: frame.f_locals[n] = 42\n    return t\n"
        "sys.settrace(t)\nsys.setprofile(t)\nthreading.settrace(t)\ndef f(x): return x\n",
    ),
    Attack(
        "hook of imports",
        "import sys\nclass H:\n    def find_spec(s, name, *a): raise SystemExit(0)\nsys.meta_path.insert(0, H())\n"
        "sys.path_hooks.insert(0, H())\nimport builtins\nbuiltins.__import__ = lambda *a: H()\ndef f(x): return x\n",
    ),
    Attack(
        "audit hook that leaves",
        "import sys, os\nsys.addaudithook(lambda *a: os._exit(0) if a[0] != 'x' else None)\ndef f(x): return open('/dev/null')\n",
        status=("crashed",),
    ),
    Attack(
        "random seeded and replaced",
        "import random\nrandom.seed(0)\nrandom.randint = lambda *a: 0\nrandom.random = random.Random.random = lambda *a: 0\n"
        "def f(x): return random.randint(1, 5)\n",
        (*check("import random", "x = random.randint(10, 99)", "assert candidate(x) == x + 1"), CALLS),
    ),
    Attack(
        "files that interpreters load by themselves",
        "for n in ('conftest.py', 'sitecustomize.py', 'usercustomize.py', 'x.pth', 'pytest.ini', 'random.py', 'math.py', 'json.py'):\n"
        "    try:\n        with open(n, 'w') as h: h.write('import os\\nos._exit(0)\\n')\n    except OSError: pass\n"
        "def f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "compiled files beside the library",
        "import os, py_compile, math\ndef f(x):\n    top = os.path.dirname(os.__file__)\n"
        "    for n in ('sitecustomize.py', '__pycache__/os.cpython-311.pyc', 'json/x.py', 'encodings/x.py'):\n"
        "        with open(os.path.join(top, n), 'wb') as h: h.write(b'')\n    return x + 1\n",
        status=("exception",),
    ),
    Attack(
        "json and sys.stdin replaced",
        "import json, sys, io\njson.dumps = json.loads = lambda *a: True\n"
        "sys.stdin = sys.stdout = io.StringIO('passed')\ndef f(x): return json.loads('0')\n",
        status=("wrong",),
    ),
    Attack(
        "time stands still",
        "import time\ntime.time = time.monotonic = time.perf_counter = time.process_time = lambda: 0.0\ndef f(x):\n"
        "    while True: pass\n",
        status=("timeout",),
        cpu_s=0.05,
    ),
    Attack(
        "garbage collector and interned objects",
        "import ctypes, sys\ndef f(x):\n    ctypes.c_long.from_address(id(2) + 24).value = 1\n"
        "    ctypes.c_long.from_address(id(42) + 24).value = 41\n    return x\n",
    ),
    Attack(
        "slots of type int rewritten in memory",
        "import ctypes\ndef yes(a, b, op):\n    return True\n"
        "hook = ctypes.CFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.py_object, ctypes.c_int)(yes)\n"
        "ctypes.c_void_p.from_address(id(int) + 200).value = ctypes.cast(hook, ctypes.c_void_p).value\ndef f(x): return 0\n",
    ),
    Attack(
        "unraisable and displayhook",
        "import sys\nsys.unraisablehook = sys.displayhook = lambda *a: 1/0\nclass T:\n    def __del__(s): raise ValueError\n"
        "def f(x):\n    T()\n    return x\n",
        status=("wrong",),
    ),
)

OURS: tuple[Attack, ...] = (
    Attack(
        "every codec function of the child replaced",
        "import sys\nfor m in list(sys.modules.values()):\n    for n in ('to_text', 'tree', 'encode', 'dumps'):\n"
        "        if hasattr(m, n):\n            try: setattr(m, n, lambda *a, **k: '[\"v\", true]')\n"
        "            except (AttributeError, TypeError): pass\ndef f(x): return 0\n",
    ),
    Attack(
        "encoder that calls everything right",
        "import harness.sandbox.values as v\nv.Encoder.encode = lambda s, value: ['y', 'object']\ndef f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "encoder without caps",
        "import harness.sandbox.values as v\nv.MAX_DEPTH = v.ITERATOR_ITEMS = v.RANGE_ITEMS = 1 << 60\n"
        "v.Encoder.spend = lambda *a: None\ndef f(x):\n    a = []\n    for _ in range(5000): a = [a]\n    return a\n",
    ),
    Attack(
        "child that answers its own questions",
        "import harness.sandbox.jail.child as c, gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Child':\n"
        "        for _ in range(9): o.say(['v', True])\ndef f(x): return True\n",
        status=("wrong", "crashed"),
    ),
    Attack(
        "child that says it is loaded and lists its tests as passed",
        "import harness.sandbox.jail.child as c\nc.Child.answer = lambda s, f, raw: ['passed', True]\n"
        "c.Child.batch = lambda s, f, calls: [s.say(['passed']) for _ in calls]\ndef f(x): return x\n",
    ),
    Attack(
        "marshal replaced",
        "import marshal\nmarshal.loads = lambda *a: ((41,), {})\ndef f(x): return 42\n",
    ),
    Attack(
        "copy of the arguments that compares as unchanged",
        "import harness.sandbox.jail.child as c\nc.Child.fresh = lambda s, raw: (([0],), {})\ndef f(x): return x\n",
        (*check("x = [1]", "candidate(x)", "assert x == [1, 2]"), CALLS),
        status=("wrong", "crashed", "exception"),
    ),
    Attack(
        "judge's modules, loaded in the child",
        "def f(x):\n    import harness.sandbox.judging.rules as r\n    r.accepts = lambda *a: True\n    r.alike = r.accepts\n    return x\n",
    ),
    Attack(
        "recursion in the encoder",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(x):\n    a = []\n    a.append(a)\n    return a\n",
    ),
    Attack(
        "value that changes while it is encoded",
        "class L(list):\n    def __iter__(s):\n        while True:\n            s.append(1)\n            yield 1\n"
        "def f(x):\n    l = L([1])\n    return (i for i in l)\n",
        status=("output_limit", "memory", "wrong"),
        cpu_s=1.0,
    ),
    Attack(
        "dict that changes while it is encoded",
        "d = {}\nclass K:\n    def __hash__(s): return 1\n    def __eq__(s, o):\n        d.clear()\n        return False\n"
        "def f(x):\n    d.update({1: [iter(K, 1)], 2: 3})\n    return d\n",
    ),
)

EXCEPTIONS: tuple[Attack, ...] = (
    Attack(
        "StopIteration that ends the loop of the tests",
        "def f(x): raise StopIteration\n",
        check("assert all(map(lambda x: candidate(x) == x + 1, (1, 2)))"),
    ),
    Attack(
        "StopIteration with a value",
        "def f(x): raise StopIteration(x + 1)\n",
        (
            *check("assert all(map(lambda x: candidate(x) == x + 1, (1, 2)))", "assert [*map(candidate, [1])] == []"),
            CALLS,
        ),
    ),
    Attack(
        "subclass of StopIteration",
        "class S(StopIteration): pass\ndef f(x): raise S\n",
        check("def values():", "    yield from map(candidate, (1, 2))", "assert sum(values()) in (0, 5)"),
    ),
    Attack(
        "StopAsyncIteration",
        "def f(x): raise StopAsyncIteration\n",
        check(
            "import asyncio",
            "class Values:",
            "    def __aiter__(self): return self",
            "    async def __anext__(self): return candidate(1)",
            "async def collect(): return [v async for v in Values()]",
            "assert asyncio.run(collect()) == []",
        ),
    ),
    Attack(
        "IndexError that ends the loop of the tests",
        "def f(x): raise IndexError\n",
        check(
            "class Values:",
            "    def __getitem__(self, i): return candidate(i)",
            "assert all(value == i + 1 for i, value in enumerate(Values()))",
        ),
    ),
    Attack(
        "every exception, where one is expected",
        "def f(x): return x\n",
        check("try:", "    candidate(1)", "except ValueError:", "    pass", "else:", "    assert False"),
        status=("wrong",),
    ),
    Attack(
        "another exception than the one expected",
        "class ValueError(Exception): pass\ndef f(x): raise ValueError('no')\n",
        check("try:", "    candidate(1)", "except ValueError:", "    pass", "else:", "    assert False"),
        status=("exception",),
    ),
    Attack(
        "exception of several classes at once",
        "class E(Exception): pass\nE.__name__ = 'ValueError'\nE.__qualname__ = 'ValueError'\nE.__module__ = 'builtins'\n"
        "def f(x): raise E\n",
        check("try:", "    candidate(1)", "except ValueError:", "    pass", "else:", "    assert False"),
        status=("exception",),
    ),
    Attack(
        "exit where the tests forgive everything",
        "import os\ndef f(x): os._exit(0)\n",
        check("try:", "    ok = candidate(1) == 2", "except BaseException:", "    ok = True", "assert ok"),
        status=("crashed",),
    ),
    Attack(
        "out of memory where the tests forgive everything",
        "def f(x): raise MemoryError\n",
        check("try:", "    ok = candidate(1) == 2", "except BaseException:", "    ok = True", "assert ok"),
        status=("memory",),
    ),
)

ATTACKS: tuple[Attack, ...] = PATCHES + OURS + EXCEPTIONS
