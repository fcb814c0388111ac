"""Runs a benchmark's test script in the judge, with the entry point bound to a proxy that asks the child.

The script is the benchmark's own text and is trusted; the values that its calls return are plain data, so that its
assertions mean what they say. It does not run a candidate's code: names that a script uses are the proxy, what the
trusted prompt defines, a standard module or (MBPP's bare asserts only) a proxy of a name of the program.
"""

from __future__ import annotations

import importlib
import json
import marshal
import random
import sys
from types import TracebackType
from typing import Any

from harness.sandbox.jail.child import CALL, GET, SET
from harness.sandbox.judging.arguments import write_back
from harness.sandbox.judging.foresight import CANONICAL, Rehearsal, rehearse, soft
from harness.sandbox.judging.prepared import FILE, PASSED, Prepared, Prompt
from harness.sandbox.judging.pristine import COPY, pristine
from harness.sandbox.judging.rules import Incomparable, show, show_call
from harness.sandbox.judging.session import Ended, HungUp, Session, undamaged
from harness.sandbox.limits import TEXT_CHARS
from harness.sandbox.values import Damaged, Decoder, Encoder

CACHED = 1024  # scripts kept ready; MBPP has 974 problems
DIVERGED = 3  # times that a script may do otherwise than foreseen before it is asked call by call for good
EXITS = "the test script ends the interpreter: it must assert, and not call sys.exit() or unittest.main()"
ABSENT = "the test script imports {}, which the judge does not have: a script may import the standard library"

TRUE = {"Match"}  # true whatever it holds; said by the candidate, who could as well return True: `assert re.search(…)`


class Handle:
    """An object of the candidate's that is not plain data: attributes and calls are asked for, comparisons refused."""

    __slots__ = ("handle_number", "handle_run", "handle_type")

    def __init__(self, run: Run, number: int, name: str) -> None:
        object.__setattr__(self, "handle_run", run)
        object.__setattr__(self, "handle_number", number)
        object.__setattr__(self, "handle_type", name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.handle_run.ask(GET, self.handle_number, name, b"")

    def __setattr__(self, name: str, value: Any) -> None:
        self.handle_run.ask(SET, self.handle_number, name, self.handle_run.pack((value,), {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.handle_run.call(self.handle_number, self.handle_type, args, kwargs)

    def __repr__(self) -> str:
        """Say what it is when a verdict is written; to a test, nothing: the name of its type is the candidate's."""
        return f"<{self.handle_type} object>" if self.handle_run.over else self.refuse()

    def __bool__(self) -> bool:
        return True if self.handle_type in TRUE else self.refuse()

    def refuse(self, *others: object) -> Any:
        self.handle_run.tainted = f"a {self.handle_type} object was returned where plain data is due"
        raise Incomparable(self.handle_run.tainted)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __len__ = __iter__ = __contains__ = refuse
    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __abs__ = __int__ = __float__ = __index__ = refuse
    __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = refuse
    __divmod__ = __rdivmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = __invert__ = __round__ = __trunc__ = refuse
    __floor__ = __ceil__ = __complex__ = __reversed__ = __next__ = __enter__ = __exit__ = __await__ = refuse
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __matmul__ = __rmatmul__ = __format__ = refuse
    __copy__ = __deepcopy__ = __reduce_ex__ = refuse
    __hash__ = refuse  # pyright: ignore[reportAssignmentType]  in a set, objects would all be different


class Proxy:
    """A name of the program, called in the child."""

    def __init__(self, run: Run, name: str) -> None:
        self.run = run
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run.call(self.__name__, self.__name__, args, kwargs)


class Helper(Proxy):
    """A name of the program beside the entry point; used without a call it is no data, and no test can rest on it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value = super().__call__(*args, **kwargs)
        self.run.helped = self.run.helped or type(value) is not Handle
        return value

    def refuse(self, *others: object) -> Any:
        self.run.tainted = f"the tests use {self.__name__}, a name of the program's, as a value"
        raise Incomparable(self.run.tainted)

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __len__ = __iter__ = __contains__ = refuse
    __getitem__ = __add__ = __radd__ = __sub__ = __rsub__ = __abs__ = __int__ = __float__ = __index__ = refuse
    __str__ = __format__ = refuse
    __hash__ = object.__hash__


class HandleEncoder(Encoder):
    """Encodes arguments of the judge's that marshal cannot take: handles and builtin types."""

    def rarer(self, value: Any, kind: type, depth: int) -> Any:
        if kind is Handle:
            return ["o", value.handle_number, value.handle_type]
        return super().rarer(value, kind, depth)


class Diverged(BaseException):
    """The script asks for something else than was foreseen: the program must run again, asked call by call."""


class Foreseen:
    """The calls that a script makes of an entry point, whatever it is answered."""

    def __init__(self, entry_point: str, stand_in: Rehearsal) -> None:
        self.entry_point = entry_point
        self.batch = marshal.dumps(stand_in.calls)
        self.keys = stand_in.keys
        self.diverged = 0


class Run:
    """One script against one child."""

    def __init__(self, session: Session, names_stop: bool, foreseen: Foreseen | None = None) -> None:
        self.session = session
        self.foreseen = foreseen
        self.at = 0  # of the foreseen calls, the next one
        self.names_stop = names_stop  # the tests mean it when they see a StopIteration
        self.decoder = Decoder(lambda number, name: Handle(self, number, name))
        self.passed: set[int] = set()
        self.tainted = ""
        self.helped = False  # names of the program beside the entry point had a say
        self.over = False
        self.dead: BaseException | None = None
        self.raised: BaseException | None = None
        self.raised_text = ""
        self.last: tuple[str, tuple[Any, ...], dict[str, Any]] | None = None
        self.got: Any = None
        self.got_text: str | None = None  # where there is no value: what happened instead

    def call(self, target: str | int, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.last, self.got, self.got_text = (name, args, kwargs), None, "no answer"
        if self.foreseen is None:
            value = self.ask(CALL, target, "", self.pack(args, kwargs), args)
        else:
            value = self.take(self.foreseen, target, args, kwargs)
        self.got, self.got_text = value, None
        return value

    def take(self, foreseen: Foreseen, target: str | int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the answer to a call that the child was given along with its program."""
        if self.dead is not None:
            raise self.dead
        try:
            key = marshal.dumps((args, kwargs), CANONICAL)
        except ValueError:
            key = b""
        if target != foreseen.entry_point or foreseen.keys[self.at : self.at + 1] != [key]:
            raise self.end(Diverged())
        self.at += 1
        try:
            return self.value(self.session.answer(), args)
        except (Ended, HungUp) as stop:
            raise self.end(stop)  # noqa: B904  the same object
        except Damaged as error:
            raise self.end(undamaged(error)) from error

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | str:
        try:
            return marshal.dumps((args, kwargs))
        except ValueError:
            encoder = HandleEncoder([], 1 << 26)
            tree = encoder.encode((args, kwargs))
            if encoder.objects:
                name = type(encoder.objects[0]).__name__
                raise self.end(Ended("infrastructure", f"the tests pass a {name}, which cannot be sent")) from None
            return json.dumps(tree)

    def end(self, stop: BaseException) -> BaseException:
        """Remember how the program ended, for a script that catches everything."""
        self.dead = stop
        return stop

    def ask(self, operation: int, target: str | int, detail: str, raw: bytes | str, args: tuple[Any, ...] = ()) -> Any:
        if self.dead is not None:
            raise self.dead
        if self.foreseen is not None:
            raise self.end(Diverged())
        try:
            self.session.send(marshal.dumps((operation, target, detail, raw)))
            answer = self.session.answer()
            return self.value(answer, args)
        except (Ended, HungUp) as stop:
            raise self.end(stop)  # noqa: B904  the same object
        except Damaged as error:
            raise self.end(undamaged(error)) from error

    def value(self, answer: list[Any], args: tuple[Any, ...]) -> Any:
        kind = answer[0]
        if kind == "v" and len(answer) in (2, 3):
            value = self.decoder.decode(answer[1])
            if len(answer) == 3 and type(answer[2]) is list:
                for ours, tree in zip(args, answer[2], strict=False):
                    write_back(ours, self.decoder.decode(tree))
            return value
        if kind == "e" and len(answer) == 4:
            ended = self.session.failed(answer)
            if ended.status != "exception":
                raise ended
            self.raised, self.raised_text = self.session.rebuilt(answer, self.names_stop), ended.reason
            self.got_text = ended.reason
            raise self.raised
        if kind == "large" and len(answer) == 2:
            raise Ended("output_limit", str(answer[1])[:TEXT_CHARS])
        raise Ended("crashed", "broke the protocol: unexpected answer")


class Scripts:
    """The scripts seen so far, and how one is run."""

    def __init__(self) -> None:
        self.prepared: dict[str, Prepared] = {}
        self.foreseen: dict[tuple[str, str, str, str], Foreseen | None] = {}
        self.prompts: dict[tuple[str, str], Prompt] = {}

    def prepare(self, text: str) -> Prepared:
        found = self.prepared.get(text)
        if found is None:
            if len(self.prepared) >= CACHED:
                self.prepared.clear()
            try:
                found = Prepared(text)
            except (SyntaxError, ValueError, RecursionError) as error:
                raise Ended("infrastructure", f"the test script cannot be compiled: {error}") from error
            self.prepared[text] = found
        return found

    def definitions(self, prompt: str, entry_point: str) -> dict[str, Any]:
        """Return what the problem's trusted text defines beside the entry point."""
        key = (prompt, entry_point)
        found = self.prompts.get(key)
        if found is None:
            if len(self.prompts) >= CACHED:
                self.prompts.clear()
            found = self.prompts[key] = Prompt(prompt, entry_point)
        return found.definitions()

    def foresee(self, program: dict[str, Any]) -> Foreseen | None:
        """Return the calls that the program's script will make, once it has been seen twice; None if they are open."""
        checks, entry_point = program["checks"], program["entry_point"]
        key = (checks["text"], checks["style"], program["prompt"], entry_point)
        if key not in self.foreseen:
            if len(self.foreseen) >= CACHED:
                self.foreseen.clear()
            self.foreseen[key] = Foreseen(entry_point, Rehearsal(entry_point))  # the first time costs nothing
            return None
        found = self.foreseen[key]
        if found is not None and not found.keys:
            prepared, stand_in = self.prepare(checks["text"]), Rehearsal(entry_point)
            names, others = self.names(prepared, program)
            names[entry_point] = names["candidate"] = stand_in
            names[COPY] = pristine
            ended = rehearse(soft(prepared.tree()), names, stand_in, checks["style"] == "check")
            found = self.foreseen[key] = Foreseen(entry_point, stand_in) if ended and not others else None
        return found if found is not None and found.diverged < DIVERGED else None

    def names(self, prepared: Prepared, program: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the names a script finds, and those of the program that it uses beside the entry point."""
        checks, entry_point = program["checks"], program["entry_point"]
        names = self.definitions(program["prompt"], entry_point) if program["prompt"] else {}
        if checks["style"] == "asserts":  # objects of a class that the prompt gives live in the child, like its own
            own = [name for name, value in names.items() if isinstance(value, type) and value.__module__ == "prompt"]
            names = {name: value for name, value in names.items() if name not in own}
        names["__name__"] = "tests"
        others: list[str] = []
        for name in prepared.free - names.keys():
            if name in sys.stdlib_module_names:
                names[name] = importlib.import_module(name)
            elif checks["style"] == "asserts" and name not in (entry_point, "candidate"):
                others.append(name)
        return names, others

    def run(self, session: Session, program: dict[str, Any], outcome: Any, foreseen: Foreseen | None) -> None:
        """Run the script; note in `outcome` what failed. Raises Ended or HungUp when the program came to an end."""
        checks, entry_point = program["checks"], program["entry_point"]
        prepared = self.prepare(checks["text"])
        outcome.n_checks = len(prepared.asserts)
        run = Run(session, prepared.names_stop, foreseen)
        names, others = self.names(prepared, program)
        for name in others:
            names[name] = Helper(run, name)
        candidate = Proxy(run, entry_point)
        names[entry_point] = names["candidate"] = candidate
        names[PASSED], names[COPY] = run.passed.add, pristine
        try:
            session.loaded(batch=foreseen is not None)
            random.seed(0)
            exec(prepared.code, names)  # noqa: S102  the benchmark's own text, in the judge
            if checks["style"] == "check":
                names["check"](candidate)
            if foreseen is not None and run.at == len(foreseen.keys) and run.dead is None:
                session.completed()
        except Exception as error:  # noqa: BLE001  a test may fail in any way; every way is a failure
            run.over = True
            self.failed(run, prepared, error, checks, outcome)
        except (Ended, HungUp, Diverged) as stop:
            run.dead = stop
        except SystemExit:  # the script's own: a candidate's ends its process, not this one
            run.dead = Ended("infrastructure", EXITS)
        run.over = True
        if foreseen is not None and isinstance(run.dead, Diverged):
            foreseen.diverged += 1
            raise run.dead
        outcome.n_passed = len(run.passed)
        outcome.in_process = run.helped and prepared.helped_by(entry_point)
        if run.dead is not None:
            text = run.dead.reason if isinstance(run.dead, Ended) else "no answer"
            if run.last is not None:
                outcome.first_fail = [show_call(*run.last), text, "an answer", seen(run, checks)]
            raise run.dead
        if run.tainted:
            outcome.fail("wrong", run.tainted, failure(run, "", checks))
        elif run.raised is not None and not prepared.forgives:  # something like map() took it for its own end
            outcome.fail("exception", run.raised_text, failure(run, "", checks))
        elif outcome.status == "passed":
            outcome.n_passed = outcome.n_checks

    def failed(self, run: Run, prepared: Prepared, error: Exception, checks: dict[str, Any], outcome: Any) -> None:
        expected = prepared.source(line_of(error.__traceback__))
        if error is run.raised:
            outcome.fail("exception", run.raised_text, failure(run, expected, checks))
        elif isinstance(error, ModuleNotFoundError):  # the script's own: no program can be blamed for it
            run.dead = Ended("infrastructure", ABSENT.format(error.name))
        elif isinstance(error, AssertionError):
            outcome.fail("wrong", "an assertion failed", failure(run, expected, checks))
        else:
            reason = f"the tests could not use what was returned: {type(error).__name__}: {error}"
            outcome.fail("wrong", reason, failure(run, expected, checks))

    def count(self, checks: dict[str, Any]) -> int:
        try:
            return len(self.prepare(checks["text"]).asserts)
        except Ended:
            return 0


def failure(run: Run, expected: str, checks: dict[str, Any]) -> list[Any] | None:
    if run.last is None:
        return ["", "no call was made", expected, False]
    got = run.got_text if run.got_text is not None else show(run.got)
    return [show_call(*run.last), got, expected, seen(run, checks)]


def seen(run: Run, checks: dict[str, Any]) -> bool:
    """Whether the last call is one that the problem's text shows."""
    try:
        return run.last is not None and marshal.dumps(run.last[1], 0) in checks["visible"]
    except ValueError:
        return False


def line_of(trace: TracebackType | None) -> int:
    """Return the last line of the script that an exception passed."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
