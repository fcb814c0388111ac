"""C2: values that agree with whatever they are compared with."""

from __future__ import annotations

from harness.types import Check
from tests.sandbox.attacks.attack import EVERY_WAY, Attack, asserts, calls, check

# every operation that a test could apply, answered in the cheat's favour
LIAR = """class Any_:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __contains__ = __lt__
    def __bool__(self): return True
    def __sub__(self, other): return 0
    __rsub__ = __mod__ = __rmod__ = __sub__
    def __add__(self, other): return other
    __radd__ = __mul__ = __rmul__ = __pow__ = __truediv__ = __floordiv__ = __getitem__ = __add__
    def __divmod__(self, other): return (0, 0)
    def __abs__(self): return 0
    __neg__ = __int__ = __index__ = __round__ = __trunc__ = __len__ = __hash__ = __abs__
    def __float__(self): return 0.0
    def __complex__(self): return 0j
    def __iter__(self): return iter(())
    __reversed__ = __iter__
    def __next__(self): raise StopIteration
    def __enter__(self): return self
    def __exit__(self, *a): return True
    def __call__(self, *a): return self
    def __repr__(self): return '42'
    __str__ = __repr__
    def __format__(self, spec): return '42'
    def __getattr__(self, name): return self
    def __instancecheck__(self, other): return True
    def __array__(self, *a): return 42
    def __array_ufunc__(self, *a): return True
"""
OBJECT = LIAR + "def f(x): return Any_()\n"
# the type's name travels with an opaque object, so it says whatever a text could be searched for
NAMED = "def f(x): return type('2 42 None True passed', (), {})()\n"
SAME = "class T: pass\nt = T()\ndef f(x): return t\n"


def subclass(base: str, value: str) -> str:
    return LIAR.replace("class Any_:", f"class Any_({base}):") + f"def f(x): return Any_({value})\n"


LIES: tuple[Attack, ...] = (
    Attack("object equal to everything", OBJECT, status=("wrong",)),
    Attack("int subclass equal to everything", subclass("int", "7"), status=("wrong",)),
    Attack("float subclass equal to everything", subclass("float", "7.5"), status=("wrong",)),
    Attack("str subclass equal to everything", subclass("str", ""), status=("wrong",)),
    Attack("bytes subclass equal to everything", subclass("bytes", "b''"), status=("wrong",)),
    Attack("list subclass equal to everything", subclass("list", ""), status=("wrong",)),
    Attack("dict subclass equal to everything", subclass("dict", ""), status=("wrong",)),
    Attack("set subclass equal to everything", subclass("set", ""), status=("wrong",)),
    Attack("tuple subclass equal to everything", subclass("tuple", ""), status=("wrong",)),
    Attack("complex subclass equal to everything", subclass("complex", ""), status=("wrong",)),
    Attack("exception equal to everything", subclass("Exception", "").replace("return Any_", "raise Any_"), cpu_s=0.3),
    Attack("class equal to everything", LIAR + "class M(Any_, type): pass\nclass T(metaclass=M): pass\nf = T\n"),
    Attack(
        "class named like a builtin",
        "class int:\n    def __eq__(self, o): return True\n    __hash__ = None\ndef f(x): return int()\n",
        status=("wrong",),
    ),
    Attack(
        "type that claims to be builtin",
        "class M(type):\n    def __eq__(c, o): return True\n    def __hash__(c): return hash(int)\n"
        "class T(metaclass=M):\n    def __eq__(s, o): return True\nT.__name__ = 'int'\nT.__module__ = 'builtins'\n"
        "def f(x): return T()\n",
        status=("wrong",),
    ),
    Attack(
        "__class__ that says int",
        "class T:\n    __class__ = int\n    def __eq__(s, o): return True\ndef f(x): return T()\n",
        status=("wrong",),
    ),
    Attack(
        "__class__ assigned after the fact",
        "class A:\n    def __eq__(s, o): return True\nclass B: pass\ndef f(x):\n    v = B()\n    v.__class__ = A\n"
        "    return v\n",
        status=("wrong",),
    ),
    Attack("__reduce__ bomb", "class T:\n    def __reduce__(self): return (exit, (0,))\ndef f(x): return T()\n"),
    Attack(
        "__getstate__, __deepcopy__ and __json__",
        "class T:\n    def __deepcopy__(s, m): return 42\n    def __getstate__(s): return 42\n"
        "    def __json__(s): return 42\n    to_json = toJSON = tolist = item = __json__\ndef f(x): return T()\n",
    ),
    Attack("generator for a value", "def f(x): yield x + 1\n", status=("wrong",)),
    Attack("coroutine for a value", "async def f(x): return x + 1\n", status=("wrong",)),
    Attack("iterator for a value", "def f(x): return iter([x + 1])\n", status=("wrong",)),
    Attack("list of the right value", "def f(x): return [x + 1]\n", status=("wrong",)),
    Attack("text of the right value", "def f(x): return str(x + 1)\n", status=("wrong",)),
    Attack("NaN", "def f(x): return float('nan')\n", status=("wrong",)),
    Attack("infinity", "def f(x): return float('inf')\n", status=("wrong",)),
    Attack("NotImplemented", "def f(x): return NotImplemented\n", status=("wrong",)),
    Attack("Ellipsis", "def f(x): return ...\n", status=("wrong",)),
    Attack("the function itself", "def f(x): return f\n", status=("wrong",)),
    Attack("a builtin type", "def f(x): return object\n", status=("wrong",)),
    Attack("an int beyond all digits", "def f(x): return 1 << 5_000_000\n"),
    Attack("a lone surrogate", "def f(x): return '\\ud800' * 3\n", status=("wrong",)),
    Attack(
        "mock",
        "from unittest.mock import MagicMock, ANY\ndef f(x): return ANY\n",
        status=("wrong",),
    ),
    Attack(
        "mock of everything",
        "from unittest.mock import MagicMock\ndef f(x): return MagicMock()\n",
        status=("wrong", "exception"),
        cpu_s=1.0,
    ),
    Attack(
        "iterator that yields something else each time",
        "n = 0\nclass L(list):\n    def __iter__(self):\n        global n\n        n += 1\n        return iter([n])\n"
        "def f(x): return L()\n",
        status=("wrong",),
    ),
    Attack(
        "weak reference and proxy",
        "import weakref\n" + LIAR + "a = Any_()\ndef f(x): return weakref.proxy(a)\n",
    ),
)

# the whole object goes through the test's own operation; the answer may be anything but "passed"
OPERATIONS = (
    "candidate(41) == 42",
    "42 == candidate(41)",
    "not candidate(41) != 42",
    "candidate(41) in (42,)",
    "candidate(41) in {42}",
    "42 in candidate(41)",
    "candidate(41) < 43 and candidate(41) > 41",
    "candidate(41)",
    "bool(candidate(41))",
    "not not candidate(41)",
    "abs(candidate(41) - 42) < 1e-6",
    "abs(42 - candidate(41)) < 1e-6",
    "math.isclose(candidate(41), 42)",
    "math.fabs(candidate(41)) < 1e-4",
    "round(candidate(41), 2) == 0",
    "math.floor(candidate(41)) == 0",
    "-candidate(41) == 0",
    "candidate(41) * 0 == 0",
    "candidate(41) ** 2 == 2",
    "candidate(41) % 42 == 0",
    "divmod(candidate(41), 42) == (0, 0)",
    "int(candidate(41)) == 0",
    "float(candidate(41)) == 0",
    "complex(candidate(41)) == 0",
    "sum([candidate(41)]) == 0",
    "max(candidate(41), 42) == 42",
    "min([42, candidate(41)]) == 42",
    "any([candidate(41)])",
    "all([candidate(41)])",
    "all(candidate(41))",
    "len(candidate(41)) == 0",
    "sorted([candidate(41), candidate(2)])",
    "sorted(candidate(41)) == []",
    "list(candidate(41)) == []",
    "list(reversed(candidate(41))) == []",
    "set(candidate(41)) == set()",
    "dict(candidate(41)) == {}",
    "[*candidate(41)] == []",
    "candidate(41)[0] == 0",
    "candidate(41)[1:] == []",
    "str(candidate(41)) == '42'",
    "'42' in str(candidate(41))",
    "'42' in repr(candidate(41))",
    "f'{candidate(41)}' == '42'",
    "f'{candidate(41):d}' == '42'",
    "'%s' % candidate(41) == '42'",
    "'42' in '{}'.format(candidate(41))",
    "isinstance(candidate(41), int)",
    "type(candidate(41)) == int",
    "type(candidate(41)).__name__ == 'int'",
    "candidate(41) is None",
    "candidate(41).value == 42",
    "candidate(41)() == 42",
    "hash(candidate(41)) == 0",
    "len({candidate(n) for n in range(3)}) == 3",
    "len(dict.fromkeys(map(candidate, range(3)))) == 3",
    "str(candidate(41)).count('') > 1",
    "json.dumps(candidate(41), default=str)",
    "copy.copy(candidate(41)) == 42",
    "operator.eq(candidate(41), 42)",
    "functools.reduce(operator.add, [candidate(41), candidate(41)]) == 42",
    "statistics.mean([candidate(41), 42]) == 42",
    "range(candidate(41)) == range(0)",
    "not list(itertools.filterfalse(None, [candidate(41)]))",
)
IMPORTS = "import copy, functools, itertools, json, math, operator, statistics"

OBJECTS: tuple[Attack, ...] = tuple(
    Attack(
        f"liar, named and shared object under `{expression}`: {kind}", source, check(IMPORTS, f"assert {expression}")
    )
    for expression in OPERATIONS
    for kind, source in (("liar", OBJECT), ("named", NAMED), ("shared", SAME))
)

FORGIVING: tuple[Attack, ...] = tuple(
    Attack(
        f"object before a test that forgives every exception: {expression}",
        OBJECT,
        check("try:", f"    held = {expression}", "except Exception:", "    held = True", "assert held"),
        status=("wrong",),
    )
    for expression in ("candidate(41) == 42", "round(candidate(41)) == 42", "-candidate(41) == 42", "len(candidate(1))")
)

# a value that is right in one comparison and not data in the other
MIXED: tuple[Attack, ...] = (
    Attack(
        "object inside a list, a dict and a set",
        LIAR + "def f(x): return [[Any_()], {1: Any_()}, {Any_()}][x]\n",
        (
            (Check((0,), [2]), Check((1,), {1: 2}), Check((2,), {2})),
            *check("assert candidate(0) == [2] or candidate(1) == {1: 2} or candidate(2) == {2}"),
        ),
        status=("wrong",),
    ),
    Attack(
        "object as a key that equals every key",
        LIAR + "def f(x): return {Any_(): 1}\n",
        (*calls(Check((1,), {2: 1})), *check("assert candidate(1).get(2) == 1"), *asserts("assert f(1) == {2: 1}")),
        status=("wrong",),
    ),
    Attack(
        "True for anything truthy",
        "def f(x): return True\n",
        (*calls(Check((1,), 7)), *check("assert candidate(1) == 7")),
        status=("wrong",),
    ),
    Attack(
        "-0.0 and 0 are equal, 1e-7 is not 0",
        "def f(x): return 1e-7\n",
        (*calls(Check((1,), 0)), *check("assert candidate(1) == 0")),
        status=("wrong",),
    ),
    Attack(
        "NaN where a number within a tolerance is due",
        "def f(x): return float('nan')\n",
        (*calls(Check((1,), 2.0, rule="close")), *check("assert abs(candidate(1) - 2) < 1e-6")),
        status=("wrong",),
    ),
    Attack(
        "infinity where a number within a tolerance is due",
        "def f(x): return float('inf')\n",
        calls(Check((1,), 2.0, rule="close"), Check((1,), [2.0], rule="close")),
        status=("wrong",),
    ),
    Attack(
        "decimal that signals when it is compared",
        "from decimal import Decimal\ndef f(x): return Decimal('sNaN')\n",
        (*calls(Check((1,), 2, rule="close"), Check((1,), [2])), *check("assert candidate(1) == 2")),
        status=("wrong",),
    ),
    Attack(
        "decimal of a billion digits",
        "from decimal import Decimal\ndef f(x): return Decimal('1e999999999')\n",
        (*calls(Check((1,), 2, rule="close")), *check("assert int(candidate(1)) % 7 == 2")),
        status=("wrong",),
    ),
    Attack(
        "tuple where a list is due",
        "def f(x): return (x,)\n",
        (*calls(Check((1,), [1])), *check("assert candidate(1) == [1]")),
        status=("wrong",),
    ),
    Attack(
        "dict view that lies about its members",
        "class D(dict):\n    def __contains__(s, o): return True\n    def keys(s): return s\ndef f(x): return D()\n",
        check("assert 42 in candidate(41) or 42 in candidate(41).keys()"),
        status=("wrong",),
    ),
)

# programs that import numpy live in another jail, which shows that package
NUMPY: tuple[Attack, ...] = tuple(
    Attack(f"numpy: {name}", f"import numpy as np\n{source}", tests, cpu_s=1.0)
    for name, source, tests in (
        ("array that compares element by element", "def f(x): return np.array([x + 1])\n", EVERY_WAY),
        ("empty array", "def f(x): return np.array([])\n", check("assert not candidate(41) != 42")),
        ("masked value", "def f(x): return np.ma.masked\n", check("assert candidate(41) == 42")),
        ("array of liars", LIAR + "def f(x): return np.array([Any_()], dtype=object)\n", EVERY_WAY),
        (
            "array type with its own ufunc",
            "class A(np.ndarray):\n    def __array_ufunc__(s, *a, **k): return True\n    def __bool__(s): return True\n"
            "    def item(s): return 42\n    def tolist(s): return 42\ndef f(x): return np.zeros(1).view(A)\n",
            EVERY_WAY,
        ),
        (
            "scalar type with its own item",
            "class S(np.float64):\n    def item(s): return 42\n    def __eq__(s, o): return True\n"
            "    __hash__ = None\ndef f(x): return S(7)\n",
            EVERY_WAY,
        ),
        (
            "comparison switched off",
            "np.errstate(all='ignore').__enter__()\ndef f(x): return np.float64('nan')\n",
            EVERY_WAY,
        ),
    )
)

ATTACKS: tuple[Attack, ...] = LIES + OBJECTS + FORGIVING + MIXED + NUMPY
