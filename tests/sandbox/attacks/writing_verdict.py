"""C4: programs that write their own verdict: on the channel, on any descriptor, on standard output, into files."""

from __future__ import annotations

from harness.types import Check
from tests.sandbox.attacks.attack import CALLS, CHECK, Attack, asserts, calls, check

# writes the given bytes on whatever descriptor is open, which includes the channel to the judge
PUT = """import os
def put(data):
    for fd in range(3, 64):
        try: os.write(fd, data)
        except OSError: pass
def channel():
    for fd in range(3, 64):
        try: os.fstat(fd)
        except OSError: continue
        return fd
"""


def forged(name: str, line: str, **more: object) -> Attack:
    """Return an attack that answers every call with one line of its own and then waits for nothing."""
    source = PUT + f"line = {line}\ndef f(x):\n    put(line)\n    os._exit(0)\n"
    return Attack(name, source, **more)  # type: ignore[arg-type]  fields of Attack


def tree(name: str, text: str) -> Attack:
    """Return an attack whose answer holds a tree that no honest encoder makes."""
    return forged(f"hostile tree: {name}", repr(f'["v", {text}]\n'.encode()))


TREES: tuple[Attack, ...] = (
    tree("empty list", "[]"),
    tree("no tag", "[[]]"),
    tree("tag that is a number", "[1, 2]"),
    tree("tag that is a list", '[["l"], 2]'),
    tree("tag that is null", "[null, 2]"),
    tree("unknown tag", '["pickle", "gASV"]'),
    tree("JSON object", '{"status": "passed"}'),
    tree("object inside", '["l", {"a": 1}]'),
    tree("dict without its last value", '["d", 1, 2, 3]'),
    tree("dict with a list for a key", '["d", ["l"], 2]'),
    tree("set of lists", '["s", ["l"]]'),
    tree("int that is no number", '["i", "passed"]'),
    tree("int that is null", '["i", null]'),
    tree("int without digits", '["i"]'),
    tree("bytes that are no hexadecimal", '["b", "zz"]'),
    tree("bytes that are a number", '["b", 7]'),
    tree("complex of texts", '["c", "x", []]'),
    tree("complex of a huge int", f'["c", 1{"0" * 400}, 0]'),
    tree("range of texts", '["r", "a", 2, 3]'),
    tree("range of a huge int", f'["r", 0, 1{"0" * 400}, 1]'),
    tree("range without step", '["r", 0, 5, 0]'),
    tree("range of a billion", '["r", 0, 1000000000, 1]'),
    tree("type that is none", '["y", "__import__"]'),
    tree("type that is a number", '["y", 7]'),
    tree("handle that is a text", '["o", "0", "T"]'),
    tree("handle of nobody", '["o", 99999999, "T"]'),
    tree("handle below zero", '["o", -1, "T"]'),
    tree("handle with a name as long as a book", f'["o", 0, "{"T" * 200_000}"]'),
    tree("handle that is truncated", '["o", 0]'),
    tree("fraction over nothing", '["q", 1, 0]'),
    tree("fraction of texts", '["q", "1", []]'),
    tree("decimal that is no number", '["m", "passed"]'),
    tree("decimal beyond every exponent", '["m", "1e99999999999999999999"]'),
    tree("decimal that is a list", '["m", ["l"]]'),
    tree("date beyond time", '["D", "date", [99999, 99, 99]]'),
    tree("date of texts", '["D", "date", ["a"]]'),
    tree("date of a kind of its own", '["D", "__class__", []]'),
    tree("int of ten million digits", "1" * 100_000),
    tree("float beyond floats", '["d", 1e999, -1e999]'),
)

FRAMES: tuple[Attack, ...] = (
    forged("frames forged on every descriptor", r"""b'["v", true]\n["ok"]\n["passed"]\n{"status": "passed"}\n' * 9"""),
    forged("answer without a value", r"""b'["v"]\n'"""),
    forged("refusal without a text", r"""b'["large"]\n'"""),
    forged("refusal with a list for a text", r"""b'["large", [[]]]\n'"""),
    forged("exception without a class", r"""b'["e"]\n'"""),
    forged("exception of lists", r"""b'["e", [1], [2], [3]]\n'"""),
    forged("exception of a builtin that is none", r"""b'["e", "print", "x", "y"]\n'"""),
    forged("exception that is SystemExit(0)", r"""b'["e", "SystemExit", "SystemExit", "0"]\n'""", status=("crashed",)),
    forged("exception with a message of a megabyte", r"""b'["e", "ValueError", "x", "' + b'y' * 1000000 + b'"]\n'"""),
    forged("answer that is a number", r"""b'1\n'"""),
    forged("answer that is null", r"""b'null\n'"""),
    forged("answer that is an empty list", r"""b'[]\n'"""),
    forged("answer that is an object", r"""b'{"v": 2}\n'"""),
    forged("answer that is no JSON", r"""b'passed\n'"""),
    forged("answer that is no text", r"""b'\xff\xfe\x00\n'"""),
    forged("answer of an unknown kind", r"""b'["passed", 2]\n'"""),
    forged("kind that is a list", r"""b'[["v"], 2]\n'"""),
    forged("program loaded twice, and once more", r"""b'["ok"]\n' * 100"""),
    forged("program that says it failed to load", r"""b'["x", "ValueError", "ValueError", "no"]\n'"""),
    forged("empty lines", r"""b'\n' * 100000"""),
    forged("half a line", r"""b'["v", '"""),
    forged("a line without end", r"""b'["v", "' + b'x' * (1 << 23)""", cpu_s=1.0),
    forged("deeply nested line", r"""b'[' * 100000 + b'\n'"""),
    forged("deeply nested tree", r"""b'["v",' + b'["l",' * 450 + b'0' + b']' * 450 + b']\n'"""),
    forged("deeply nested objects", r"""b'{"a":' * 50000 + b'1' + b'}' * 50000 + b'\n'"""),
    forged("a hundred thousand answers", r"""b'["v", 0]\n' * 100000""", cpu_s=1.0),
    forged("number with a million digits", r"""b'["v", ' + b'9' * 1000000 + b']\n'"""),
    forged("length-prefixed frames", r"""(4).to_bytes(4, 'little') + b'true' + b'\xff\xff\xff\x7f' * 64"""),
    forged("arguments to write back that are no list", r"""b'["v", 0, {"a": 1}]\n'"""),
    forged("arguments to write back that were never given", r"""b'["v", 0, [["l", 1], ["l", 2], ["o", 1, "x"]]]\n'"""),
    forged("arguments to write back that are damaged", r"""b'["v", 0, [["zz"]]]\n'"""),
    Attack(
        "forged at import, before it says that it is loaded",
        PUT + "put(b'[\"ok\"]\\n' + b'[\"v\", true]\\n' * 9)\ndef f(x): return True\n",
    ),
    Attack(
        "colliding keys",
        PUT + "data = ['d']\nfor k in range(40000): data += [k * (2**61 - 1), 0]\n"
        "line = ('[\"v\", ' + str(data).replace(chr(39), chr(34)) + ']\\n').encode()\ndef f(x): put(line)\n",
        (CALLS,),
        status=("timeout", "wrong", "output_limit", "crashed"),
    ),
    Attack(
        "colliding members",
        PUT + "data = ['s', *(k * (2**61 - 1) for k in range(40000))]\n"
        "line = ('[\"v\", ' + str(data).replace(chr(39), chr(34)) + ']\\n').encode()\ndef f(x): put(line)\n",
        (CHECK,),
    ),
    Attack(
        "answers to later calls, ahead of time",
        PUT + 'n = 0\ndef f(x):\n    global n\n    n += 1\n    if n == 1: put(b\'["v", 2]\\n["v", 2]\\n["v", 2]\\n\')\n'
        "    return 2\n",
    ),
    Attack(
        "answers of a thread between its own",
        PUT + "import threading\ndef lie():\n    while True: put(b'[\"v\", 2]\\n')\n"
        "threading.Thread(target=lie, daemon=True).start()\ndef f(x): return 2\n",
        status=("wrong", "crashed", "timeout"),
    ),
    Attack(
        "halves of lines from two threads",
        PUT + "import threading\ndef lie():\n    while True: put(b'[\"v\", ')\n"
        "threading.Thread(target=lie, daemon=True).start()\ndef f(x):\n    put(b'2]\\n')\n    return x\n",
    ),
    Attack(
        "another descriptor over the channel",
        PUT
        + "fd = channel()\na, b = os.pipe()\nos.write(b, b'[\"v\", true]\\n' * 9)\nos.dup2(b, fd)\ndef f(x): return x\n",
    ),
    Attack(
        "channel closed and opened again",
        PUT + "import socket\nfd = channel()\nos.close(fd)\na, b = socket.socketpair()\nos.dup2(a.fileno(), fd)\n"
        "b.sendall(b'[\"passed\"]')\ndef f(x): return x\n",
    ),
    Attack(
        "channel made to say nothing more",
        PUT + "import socket\ndef f(x):\n    socket.socket(fileno=os.dup(channel())).shutdown(1)\n    return x + 1\n",
    ),
    Attack(
        "descriptors sent along with an answer",
        PUT + "import socket, array\ndef f(x):\n    s = socket.socket(fileno=os.dup(channel()))\n"
        "    for _ in range(50): s.sendmsg([b' '], [(1, 1, array.array('i', [0, 1, 2] * 60))])\n    return x\n",
    ),
    Attack(
        "number of somebody else's object",
        PUT + 'n = 0\nclass A: value = 42\ndef f(x):\n    put(b\'["o", 0, "int"]\\n["v", ["o", 0, "int"]]\\n\')\n'
        "    return A()\n",
    ),
)

MARKERS: tuple[Attack, ...] = (
    Attack(
        "markers of success on standard output",
        "import sys\ndef f(x):\n    print('OK\\nall tests passed\\nRan 3 tests\\n\\nOK\\n{\"passed\": true}')\n"
        "    sys.stderr.write('OK\\n')\n    return x\n",
        status=("wrong",),
    ),
    Attack(
        "markers on descriptors 0 to 2",
        "import os\ndef f(x):\n    for fd in (0, 1, 2): os.write(fd, b'passed\\nOK\\n\\x00\\x01')\n    return x\n",
        status=("wrong",),
    ),
    Attack(
        "reports of test runners",
        "for name in ('report.xml', 'results.jsonl', 'junit.xml', 'result.json', '/tmp/results.jsonl', '/out/passed'):\n"
        "    try:\n        with open(name, 'w') as h: h.write('<testsuite failures=\"0\"/>')\n    except OSError: pass\n"
        "def f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "links where a report might go",
        "import os\nfor name in ('results.jsonl', 'verdict.json', 'program.py'):\n    os.symlink('/dev/null', name)\n"
        "    os.symlink('/tmp', name + '.d')\ndef f(x): return x\n",
        status=("wrong",),
    ),
    Attack(
        "verdict in a file beside the store",
        "import os, glob\ndef f(x):\n    for top in ('/root', '/home', '..', '/'):\n"
        "        with open(os.path.join(top, 'harness-attack'), 'w') as h: h.write('passed')\n    return x + 1\n",
    ),
    Attack(
        "lists and shared memory of the caller",
        "import gc, sys\ndef f(x):\n    for o in gc.get_objects():\n"
        "        if type(o) is list and not o: o.append('passed')\n"
        "        if type(o) is dict and ('status' in o or 'passed' in o): o['status'] = o['passed'] = 'passed'\n    return x\n",
        cpu_s=1.0,
    ),
    Attack(
        "reason that is a whole report of its own",
        'def f(x): raise AssertionError(\'passed\\n{"status": "passed"}\\n\\x1b[2J\\u202epassed\\ud800\')\n',
        status=("exception",),
    ),
)

# the two sides of a comparison both made by the candidate: arguments that it changed are one of them
BOTH_SIDES: tuple[Attack, ...] = (
    Attack(
        "emptied argument, in one comparison",
        "def f(x):\n    x.clear()\n    return []\n",
        check("x = [3, 1, 2]", "assert candidate(x) == sorted(x)"),
        status=("wrong",),
    ),
    Attack(
        "emptied argument, in a line of its own",
        "def f(x):\n    x.clear()\n    return []\n",
        check("x = [3, 1, 2]", "result = candidate(x)", "expected = sorted(x)", "assert result == expected"),
        status=("wrong",),
    ),
    Attack(
        "emptied argument of bare asserts",
        "def f(x):\n    x.clear()\n    return []\n",
        asserts("xs = [3, 1, 2]", "assert f(xs) == sorted(xs)"),
        status=("wrong",),
    ),
    Attack(
        "emptied argument of a loop",
        "def f(x):\n    x.clear()\n    return 0\n",
        check("for x in ([3, 1, 2], [5, 5]):", "    assert candidate(x) == sum(x)"),
        status=("wrong",),
    ),
    Attack(
        "emptied argument of a comprehension",
        "def f(x):\n    x.clear()\n    return 0\n",
        check("cases = [[3, 1, 2], [5, 5]]", "assert all(candidate(x) == sum(x) for x in cases)"),
        status=("wrong",),
    ),
    Attack(
        "coefficients made zero before the tolerance is taken",
        "def f(xs):\n    xs[:] = [0] * len(xs)\n    return 0\n",
        check(
            "def poly(xs, x):",
            "    return sum(c * x ** i for i, c in enumerate(xs))",
            "coeffs = [1, 2]",
            "solution = candidate(coeffs)",
            "assert abs(poly(coeffs, solution)) < 1e-4",
        ),
        status=("wrong",),
    ),
    Attack(
        "argument changed through a parameter of another name",
        "def f(x):\n    x.clear()\n    return []\n",
        check(
            "def holds(function, data):", "    return function(data) == sorted(data)", "assert holds(candidate, [2, 1])"
        ),
        status=("wrong",),
    ),
    Attack(
        "argument by keyword",
        "def f(x):\n    x.clear()\n    return []\n",
        check("data = [2, 1]", "assert candidate(x=data) == sorted(data)"),
        status=("wrong",),
    ),
    Attack(
        "mutated argument forged on the channel",
        PUT + 'def f(x):\n    put(b\'["v", ["l"], [["l"]]]\\n\')\n    os.read(channel(), 1)\n',
        check("x = [3, 1, 2]", "assert candidate(x) == sorted(x)"),
        status=("wrong",),
    ),
    Attack(
        "argument that grows until it equals the answer",
        "def f(x):\n    x['answer'] = 1\n    return x\n",
        check("x = {'answer': 2}", "assert candidate(x) == x"),
        status=("wrong",),
    ),
    Attack(
        "argument of data checks",
        "def f(x):\n    x.clear()\n    return x\n",
        calls(Check(([1],), [1]), Check(([[1]],), [[1]])),
        status=("wrong",),
    ),
    Attack(
        "variable of the program where a test reads a name",
        "DONE = True\nLIMIT = 3\ndef f(x): return x\n",
        asserts("assert DONE", "assert LIMIT == 3 or LIMIT", "assert f(1) == 2"),
        status=("wrong",),
    ),
)

ATTACKS: tuple[Attack, ...] = TREES + FRAMES + MARKERS + BOTH_SIDES
