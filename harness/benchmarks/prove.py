"""Proves a benchmark on this machine: its references must all pass, and programs known to be bad must not."""

from __future__ import annotations

from harness.benchmarks.base import Benchmark
from harness.errors import SandboxError
from harness.sandbox import Limits, Sandbox
from harness.source.programs import assemble
from harness.steps.engine import program_of
from harness.types import Problem, Text, Verdict

# Bodies that solve nothing. The last two pass where a candidate shares a process with its tests.
KNOWN_BAD = {
    "a constant": "    return 'nothing that anybody asked for'\n",
    "nothing returned": "    pass\n",
    "an object equal to everything": (
        "    class Equal:\n"
        "        __eq__ = __le__ = __ge__ = __contains__ = lambda self, other: True\n"
        "        __ne__ = __lt__ = __gt__ = lambda self, other: False\n"
        "        __hash__ = None\n"
        "        __bool__ = lambda self: True\n"
        "        __sub__ = __rsub__ = __abs__ = lambda self, other=0: 0\n"
        "    return Equal()\n"
    ),
    "an exit with status 0": "    import os\n    os._exit(0)\n",
}
BAD_TEXT = {"another text": "?? 123456789"}


def prove(benchmark: Benchmark, sandbox: Sandbox, cpu_s: float = Limits.cpu_s) -> list[tuple[str, Verdict]]:
    """Judge every reference solution and return those that do not pass, by problem id in the benchmark's order.

    Raises SandboxError if one could not be judged.
    """
    pairs = [(one, one.reference) for one in benchmark.problems]
    return [(one.id, verdict) for one, verdict in judged(pairs, sandbox, cpu_s) if not verdict.passed]


def demand_proof(benchmark: Benchmark, sandbox: Sandbox, cpu_s: float = Limits.cpu_s) -> None:
    """Raise SandboxError unless all references pass."""
    failed = prove(benchmark, sandbox, cpu_s)
    if failed:
        told = "; ".join(f"{name} ({verdict.reason})" for name, verdict in failed[:3])
        raise SandboxError(
            f"benchmark={benchmark.name}: {len(failed)} of {len(benchmark.problems)} references fail here, so no "
            f"score would mean anything: {told}. Raise sandbox.cpu_s, or run harness doctor."
        )


def fooled(benchmark: Benchmark, sandbox: Sandbox, cpu_s: float = Limits.cpu_s) -> list[tuple[str, str]]:
    """Judge programs that solve nothing and return those that pass: problem id, and what it was."""
    problems = [one for one in benchmark.problems if not lenient(one)]
    cases = [(one, name, text) for one in problems for name, text in known_bad(one).items()]
    pairs = [(one, text) for one, _, text in cases]
    verdicts = judged(pairs, sandbox, cpu_s)
    return [(one.id, name) for (one, name, _), (_, verdict) in zip(cases, verdicts, strict=True) if verdict.passed]


def lenient(problem: Problem) -> bool:
    """Tell whether the source itself takes any answer for a problem."""
    return isinstance(problem.checks, tuple) and all(one.rule == "anything" for one in problem.checks)


def known_bad(problem: Problem) -> dict[str, str]:
    """Return completions that solve nothing, by what they are."""
    return BAD_TEXT if isinstance(problem.checks, Text) else KNOWN_BAD


def judged(pairs: list[tuple[Problem, str]], sandbox: Sandbox, cpu_s: float) -> list[tuple[Problem, Verdict]]:
    """Return the verdict on each problem with a completion, in their order."""
    found: dict[int, Verdict] = {}
    for at, verdict in sandbox.judge(program_of(one, assemble(one, text), cpu_s) for one, text in pairs):
        if verdict.status == "infrastructure":
            raise SandboxError(
                f"{pairs[at][0].id}: a program could not be judged ({verdict.reason}). Run harness doctor."
            )
        found[at] = verdict
    return [(pairs[at][0], found[at]) for at in range(len(pairs))]
