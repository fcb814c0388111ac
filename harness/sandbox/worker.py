"""One judge process as the harness sees it: start, send, receive, stop; which program goes where is not its matter.

Nothing here blocks. Whatever takes time is a generator that yields what it waits for, so that plain calls and asyncio
run the same code: `run(steps)` here, `await run_async(steps)` in awaiting.py.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from harness.errors import SandboxError
from harness.sandbox.jail.launch import Level, clean_environment, command, package_folders
from harness.sandbox.job import Job
from harness.sandbox.limits import Limits

CLOSE_S = 3.0
START_S = 120.0  # a judge starts in 0.1 s; on a crowded core that has taken a minute
MESSAGE_BYTES = 1 << 16  # of a verdict: five texts of at most 300 characters

T = TypeVar("T")


@dataclass(frozen=True)
class Wait:
    """What the next step waits for: a descriptor of `read` or `write` is ready, or the time is up."""

    read: tuple[int, ...]
    write: tuple[int, ...] = ()
    timeout_s: float = 1.0

    def block(self) -> set[int]:
        """Wait here; return the descriptors that are ready."""
        poll = select.poll()  # select() cannot take descriptors above 1023
        for fd in {*self.read, *self.write}:
            poll.register(fd, (fd in self.read) * select.POLLIN | (fd in self.write) * select.POLLOUT)
        return {fd for fd, _ in poll.poll(self.timeout_s * 1000)}


Steps = Generator[Wait, set[int], T]


def run(steps: Steps[T]) -> T:
    """Take steps to their end, waiting here."""
    ready: set[int] | None = None
    while True:
        try:
            wait = next(steps) if ready is None else steps.send(ready)
        except StopIteration as end:
            return end.value
        ready = wait.block()


def spread(workers: int) -> tuple[int | None, ...]:
    """Return the core that each judge, with its zygote and its programs, keeps to; None where the kernel chooses.

    Judges that take all cores anyway keep to one each: what passes between judge and program then stays in one core's
    caches (two judges on two cores: 1.7 times one, 1.9 so). Fewer judges might choose the same core as another
    sandbox's, so they are left to the kernel.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if not cores or workers < len(cores):
        return (None,) * workers
    return tuple(cores[place % len(cores)] for place in range(workers))


class Worker:
    """A judge in a process of its own, and the channel to it. The harness is never forked."""

    def __init__(self, levels: tuple[Level, ...], limits: Limits, core: int | None = None) -> None:
        ours, theirs = socket.socketpair()
        lifeline_read, lifeline = os.pipe()
        witness, witness_write = os.pipe()
        config = {
            "levels": levels,
            "limits": asdict(limits),
            "channel": theirs.fileno(),
            "lifeline": lifeline_read,
            "witness": witness_write,
            "core": core,
            "numpy": package_folders("numpy"),
        }
        try:
            self.process = subprocess.Popen(
                command("judging.judge", json.dumps(config)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=clean_environment(),
                pass_fds=(theirs.fileno(), lifeline_read, witness_write),
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(lifeline)
            os.close(witness)
            raise SandboxError(f"a judge could not be started: {error}. Is the machine out of memory?") from error
        finally:
            theirs.close()
            os.close(lifeline_read)
            os.close(witness_write)
        ours.setblocking(False)
        self.core = core
        self.channel = ours
        self.lifeline = lifeline
        self.witness = witness
        self.jobs: deque[Job] = deque()  # sent and not answered, in order
        self.ready = False  # it has said at which level it stands
        self.began = time.monotonic()
        self.incoming = b""
        self.outgoing = bytearray()

    def send(self, data: bytes) -> None:
        """Send a message, or as much of it as the channel takes now; `flush` sends the rest."""
        self.outgoing += data
        self.flush()

    def flush(self) -> None:
        try:
            while self.outgoing:
                del self.outgoing[: self.channel.send(self.outgoing)]
        except BlockingIOError:
            return
        except OSError:
            self.outgoing.clear()  # a dead judge is noticed when its answer is read

    def receive(self) -> list[dict[str, Any]] | None:
        """Return the messages that have arrived, or None when the judge is gone."""
        try:
            chunk = self.channel.recv(1 << 20)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        if not chunk:
            return None
        self.incoming += chunk
        found: list[dict[str, Any]] = []
        while len(self.incoming) >= 4:
            end = 4 + int.from_bytes(self.incoming[:4], "little")
            if end > MESSAGE_BYTES:
                return None  # no judge says so much
            if len(self.incoming) < end:
                break
            found.append(json.loads(self.incoming[4:end]))
            self.incoming = self.incoming[end:]
        return found

    def hello(self) -> Steps[dict[str, Any]]:
        """Wait until the judge says at which level it stands; it has been given nothing yet."""
        end = self.began + START_S
        while (left := end - time.monotonic()) > 0:
            yield Wait((self.channel.fileno(),), timeout_s=left)
            messages = self.receive()
            if messages is None:
                break
            if messages:
                return messages[0]
        raise SandboxError(f"a judge did not start ({sys.executable}, exit status {self.process.poll()})")

    def ended_by_watchdog(self) -> bool:
        """Whether the judge ended because one program kept it busy: that is the program's doing."""
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(0.2) == -signal.SIGVTALRM
        return False

    def hang_up(self, kill: bool) -> None:
        """Tell the judge to end, or end it."""
        self.channel.close()
        if kill:
            self.process.kill()

    def gone(self) -> Steps[None]:
        """Wait, after `hang_up`, until the judge and all below it are gone; they all hold the witness's other end."""
        if self.witness < 0:
            return
        yield Wait((self.witness,), timeout_s=CLOSE_S)
        if self.process.poll() is None:
            self.process.kill()  # either it hangs, or it is on its last instruction
        self.process.wait()
        os.close(self.lifeline)
        yield Wait((self.witness,), timeout_s=CLOSE_S)
        os.close(self.witness)
        self.witness = -1


def stop_all(workers: list[tuple[Worker, bool]]) -> Steps[None]:
    """End workers side by side, killing those marked so; done when nothing of them is left."""
    for worker, kill in workers:
        worker.hang_up(kill)
    for worker, _ in workers:
        yield from worker.gone()
