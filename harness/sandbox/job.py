"""One program on its way through the sandbox: as its judge reads it, and the verdict as it comes back."""

from __future__ import annotations

import marshal
from dataclasses import dataclass, field
from typing import Any

from harness.errors import SandboxError
from harness.sandbox.jail.launch import Level
from harness.sandbox.limits import Limits
from harness.sandbox.recent import Recent
from harness.types import Check, Failure, Script, Text, Verdict

PROBLEMS = 64  # whose checks are kept ready; those of HumanEval+ take 100 kB each


@dataclass(frozen=True)
class Program:
    """One program to judge."""

    source: str  # whole program text; of a Text check the answer itself
    entry_point: str
    checks: tuple[Check, ...] | Script | Text
    prompt: str = ""  # the problem's own text: what it defines beside the entry point is run in the judge
    id: str = ""
    cpu_s: float | None = None  # None: the sandbox's limit


@dataclass
class Job:
    """A program under way."""

    index: int
    program: Program
    key: bytes | None = None  # of its verdict in the cache
    followers: list[int] = field(default_factory=list[int])  # places of equal programs that wait for its verdict
    crashes: int = 0  # judges that died with it
    alone: bool = False  # its second run, after an end that may have been the machine's fault
    ticket: int = 0
    sent: float = 0.0  # when it came to stand first in its worker's queue


class Packed:
    """Checks as judges read them, made once for each checks object: a problem's samples share one."""

    def __init__(self) -> None:
        self.known: Recent[int, tuple[object, Any]] = Recent(PROBLEMS)

    def of(self, checks: tuple[Check, ...] | Script | Text) -> Any:
        """Return checks in plain data; raises ValueError where they hold anything else."""
        found = self.known.recall(id(checks))
        if found is not None and found[0] is checks:  # kept alive here, so no other object can have its id
            return found[1]
        assert not isinstance(checks, Text), "an answer that is text is compared, never sent to a judge"
        if isinstance(checks, Script):
            visible = [marshal.dumps(check.args, 0) for check in checks.visible]
            made: Any = {"text": checks.text, "style": checks.style, "visible": visible}
        else:
            # read by the judge once for all samples of a problem, so packed once more
            made = marshal.dumps([(packed(check), check.expected, check.rule, check.visible) for check in checks])
        self.known.keep(id(checks), (checks, made))
        return made


def message(job: Job, limits: Limits, checks: Packed) -> bytes:
    """Return a program as its judge reads it. Arguments travel marshalled one by one: each call gets a fresh copy."""
    program = job.program
    try:
        data = marshal.dumps(
            {
                "ticket": job.ticket,
                "source": program.source,
                "entry_point": program.entry_point,
                "checks": checks.of(program.checks),
                "prompt": program.prompt,
                "cpu_s": float(limits.cpu_s if program.cpu_s is None else program.cpu_s),
                "wall_s": wall_of(program, limits),
                "careful": job.crashes > 0,
            }
        )
    except ValueError as error:
        raise not_plain(program, job.index, error) from error
    return len(data).to_bytes(4, "little") + data


def wall_of(program: Program, limits: Limits) -> float:
    """Return a program's wall limit in seconds: one that may compute for longer may also take longer."""
    return limits.wall_s * max(1.0, (program.cpu_s or 0.0) / limits.cpu_s)


def packed(check: Check) -> bytes:
    """Return a call as its child reads it: arguments, keywords, and whether the answer's digest is asked for."""
    return marshal.dumps((check.args, {}, True) if check.rule == "digest" else (check.args, {}))


def not_plain(program: Program, index: int, error: ValueError) -> SandboxError:
    name = program.id or f"program {index}"
    return SandboxError(f"{name}: a check holds a value that is not plain data ({error})")


def verdict_of(fields: dict[str, Any]) -> Verdict:
    failure = fields["first_fail"]
    return Verdict(
        status=fields["status"],
        reason=fields["reason"],
        first_fail=None if failure is None or fields["status"] == "passed" else Failure(*failure),
        n_passed=fields["n_passed"],
        n_checks=fields["n_checks"],
        cpu_s=fields["cpu_s"],
        wall_s=fields["wall_s"],
        peak_bytes=fields["peak_bytes"],
        level=fields["level"],
        in_process=fields.get("in_process", False),
    )


def overwork(level: Level) -> Verdict:
    reason = "its source, its data or its tests kept the judge busy for too long"
    return Verdict("timeout", reason, None, 0, 0, 0.0, 0.0, 0, level)


def infrastructure(reason: str, level: Level) -> Verdict:
    return Verdict("infrastructure", reason, None, 0, 0, 0.0, 0.0, 0, level)
