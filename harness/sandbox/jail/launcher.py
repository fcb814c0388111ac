"""The launcher: builds the jail of one level, once, and lets the zygote serve in it.

Run by the judge as `main(config)`. Where processes may outlive the zygote it stays outside and waits. It never sees a
test or an expected value, and decides nothing. Before its zygote is ready it may say `?` and a remark about the level,
or `!` and the layer that was refused.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from harness.sandbox.jail import bubblewrap, isolation, kernel, landlock, orphans, privileges, seatbelt, seccomp, zygote
from harness.sandbox.jail.kernel import Kernel

MOST_DESCRIPTORS = 1 << 20  # that the launcher may have inherited
UNFILTERED = "process-only without a system-call filter"
FILTERED = "process-only with a system-call filter: no network, no processes, no file written, but files can be read"


class Refused(Exception):
    """A layer of the jail could not be set up; the text names the layer."""


class Config:
    """What the judge asks for; it comes as JSON in argv and holds nothing secret."""

    def __init__(self, text: str) -> None:
        values = json.loads(text)
        self.values = values
        self.level: str = values["level"]
        self.control: int = values["control"]
        self.witness: int = values["witness"]
        self.memory_bytes: int = values["memory_bytes"]
        self.result_bytes: int = values["result_bytes"]
        self.file_bytes: int = values["file_bytes"]
        self.scratch_bytes: int = values["scratch_bytes"]
        self.threads: int = values["threads"]
        self.packages: tuple[str, ...] = tuple(values["packages"])  # folders that programs may import from
        # of a second start, inside bubblewrap or sandbox-exec
        self.user: int = values.get("user", -1)
        self.processes: int = values.get("processes", 0)

    def with_values(self, **values: int) -> str:
        return json.dumps({**self.values, **values})


def main(text: str) -> NoReturn:
    """Become the launcher; never returns."""
    config = Config(text)
    isolation.keep_only((config.control, config.witness), MOST_DESCRIPTORS)
    if config.witness >= isolation.DESCRIPTORS:  # a harness with many open files: ours must lie below the limit
        os.dup(config.witness)
        os.close(config.witness)
    control = socket.socket(fileno=config.control)
    try:
        if config.level == "full":
            run_full(config, control)
        elif config.level == "no-namespaces":
            run_confined(config, control)
        elif config.level == "seatbelt":
            run_seatbelt(config, control)
        run_plain(config, control)
    except (OSError, Refused, AttributeError) as error:
        # AttributeError: a C library without a call that we need
        tell(control, "!", plain(error))
    os._exit(1)


def tell(control: socket.socket, mark: str, text: str) -> None:
    with suppress(OSError):
        control.send((mark + text).encode()[:900])


def run_full(config: Config, control: socket.socket) -> NoReturn:
    """Enter the namespaces, fork the zygote as their PID 1, wait until it is gone."""
    kern = Kernel()
    machine = filtered_machine()
    with suppress(OSError):
        isolation.write_file("/proc/self/oom_score_adj", "1000")  # memory runs out: this goes first
    spare, user = None, privileges.spare_id()
    if program := bubblewrap.find():
        again = config.with_values(user=user, processes=limit_inside(config, user, program))
        spare = bubblewrap.Spare(
            kern,
            program,
            privileges.INNER_ID,
            config.scratch_bytes,
            again,
            [config.control, config.witness],
            config.packages,
        )
    processes = privileges.process_limit(config.threads, user if os.geteuid() == 0 else os.geteuid(), namespaced=True)
    try:
        step(isolation.enter_namespaces, "user and other namespaces", kern, privileges.INNER_ID, user)
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
        step(isolation.build_root, "private file system", kern, config.scratch_bytes, config.packages)
    except Refused as error:
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
        if spare is None:
            raise Refused(f"{error}; and bubblewrap is not installed") from error
        wait_for_bubblewrap(config, control, kern, spare, str(error))
    if spare is not None:
        spare.dismiss()
    first = os.fork()
    if first == 0:
        try:
            os.chdir(isolation.SCRATCH)
            jail(config, control, kern, machine, privileges.INNER_ID, processes)
        finally:
            os._exit(1)
    control.close()
    os.waitpid(first, 0)
    os._exit(0)


def limit_inside(config: Config, user: int, program: str) -> int:
    """Return the limit on processes for programs inside bubblewrap, where /proc cannot be read."""
    if os.geteuid() == 0:
        return privileges.process_limit(config.threads, user, namespaced=False)
    return privileges.process_limit(config.threads, os.geteuid(), namespaced=not bubblewrap.is_setuid(program))


def wait_for_bubblewrap(
    config: Config, control: socket.socket, kern: Kernel, spare: bubblewrap.Spare, refused: str
) -> NoReturn:
    """Let the spare process become bwrap, wait until it is gone, and end what is left below it."""
    tell(control, "?", f"full, directly: {refused}. Entered through {spare.program} instead")
    orphans.inherit(kern)
    if complaint := spare.start():
        raise Refused(f"{refused}; through {spare.program}: {complaint}")
    control.close()
    os.waitpid(spare.pid, 0)
    orphans.end_all()  # where the harness is root, bwrap has no right to take its child along
    os._exit(0)


def inside(text: str) -> NoReturn:
    """Go on as PID 1 of bubblewrap's namespaces."""
    os.write(2, bubblewrap.UP)
    config = Config(text)
    isolation.keep_only((config.control, config.witness), MOST_DESCRIPTORS)
    control = socket.socket(fileno=config.control)
    jail(config, control, Kernel(), seccomp.known_machine(), config.user, config.processes, seccomp.TIMES)


def jail(
    config: Config, control: socket.socket, kern: Kernel, machine: str, user: int, processes: int, refused: str = ""
) -> NoReturn:
    """Put up what is left of level full around this process, which is PID 1, and serve."""
    with suppress(PermissionError):  # it leads a session already
        os.setsid()  # a process group reaches out of its pid namespace: kill(0, 9) would end the judge
    try:
        null = os.open(os.devnull, os.O_RDWR)  # the read-only one of the jail: the host's could be touched
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        if null > 2:
            os.close(null)
        privileges.become(kern, user)
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)  # after the change of user, which clears it
        privileges.set_limits(config.memory_bytes, config.file_bytes, processes)
        rules = seccomp.zygote_filter(machine, refused=refused)
        step(kern.enter_filter, "system-call filter", seccomp.assemble(rules))
        assert os.getpid() == 1 and os.getuid() != 0, (os.getpid(), os.getuid())
        zygote.serve(
            control,
            kern,
            machine,
            alone=True,
            result_bytes=config.result_bytes,
            packages=tuple(map(isolation.shown, config.packages)),
        )
    except (OSError, Refused) as error:
        tell(control, "!", plain(error))
    os._exit(1)


def run_confined(config: Config, control: socket.socket) -> NoReturn:
    """Level no-namespaces: landlock, a filter that knows that no wall stands behind it, another user where we may."""
    os.chdir("/")
    kern, machine = Kernel(), filtered_machine()
    user = privileges.spare_id() if os.geteuid() == 0 else os.geteuid()
    processes = privileges.process_limit(config.threads, user, namespaced=False)
    rules = landlock.rules_for([*isolation.library_folders(), *config.packages])
    step(privileges.become_reader, "another user than root", kern, user)
    kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
    step(landlock.confine, "landlock", kern, rules)
    privileges.set_limits(config.memory_bytes, 0, processes)
    step(kern.enter_filter, "system-call filter", seccomp.assemble(seccomp.zygote_filter(machine, private=False)))
    zygote.serve(control, kern, machine, alone=False, result_bytes=config.result_bytes, packages=config.packages)


def run_seatbelt(config: Config, control: socket.socket) -> NoReturn:
    """macOS: start once more inside sandbox-exec, then go on as at level process-only."""
    if config.user < 0:
        if sys.platform != "darwin":
            raise Refused("seatbelt exists on macOS only")
        control.detach()
        argv = [*sys.orig_argv[:-1], config.with_values(user=os.geteuid())]
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        argv = seatbelt.command(argv, package)
        for descriptor in (config.control, config.witness):
            os.set_inheritable(descriptor, True)
        os.execv(argv[0], argv)
    os.chdir("/")
    privileges.set_limits(config.memory_bytes, 0, None)
    zygote.serve(control, None, "", alone=False, result_bytes=config.result_bytes, packages=config.packages)


def run_plain(config: Config, control: socket.socket) -> NoReturn:
    """Level process-only: limits, and whatever else the kernel grants; a parent stays behind to end orphans."""
    os.chdir("/")
    if sys.platform != "linux":
        privileges.set_limits(config.memory_bytes, 0, None)
        zygote.serve(control, None, "", alone=False, result_bytes=config.result_bytes, packages=config.packages)
    kern = Kernel()
    user = privileges.spare_id() if os.geteuid() == 0 else os.geteuid()
    processes = privileges.process_limit(config.threads, user, namespaced=False)
    orphans.inherit(kern)
    first = os.fork()
    if first:
        control.close()
        os.waitpid(first, 0)
        orphans.end_all()
        os._exit(0)
    try:
        with suppress(OSError):  # root that may not change its user, or an interpreter that only root can read
            privileges.become_reader(kern, user)
        kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
        orphans.inherit(kern)
        machine = filter_if_granted(kern)
        tell(control, "?", FILTERED if machine else UNFILTERED)
        privileges.set_limits(config.memory_bytes, config.file_bytes, processes)
        zygote.serve(control, kern, machine, alone=False, result_bytes=config.result_bytes, packages=config.packages)
    except OSError as error:
        tell(control, "!", plain(error))
    finally:
        os._exit(1)


def filter_if_granted(kern: Kernel) -> str:
    """Enter the filter of level process-only; return the machine's name, or nothing where it was refused."""
    machine = seccomp.known_machine()
    if machine:
        try:
            kern.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kern.enter_filter(seccomp.assemble(seccomp.zygote_filter(machine, private=False, writing=False)))
        except OSError:
            return ""
    return machine


def filtered_machine() -> str:
    machine = seccomp.known_machine()
    if not machine:
        raise Refused(f"system-call filter (no table for {os.uname().machine})")
    return machine


def step(action: Callable[..., object], layer: str, *arguments: object) -> None:
    """Run one part of the set-up; a refusal names the layer."""
    try:
        action(*arguments)
    except (OSError, KeyError) as error:
        raise Refused(f"{layer} ({plain(error)})") from error


def plain(error: Exception) -> str:
    """Return what an error says, without its number."""
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
