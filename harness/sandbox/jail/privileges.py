"""Who the jailed processes are and what they may use: another user, no capabilities, resource limits.

Entered once by the launcher and its zygote, never per program. It builds no namespace and installs no filter.
"""

from __future__ import annotations

import os
import resource
import sys
from contextlib import suppress

from harness.sandbox.jail import isolation, kernel
from harness.sandbox.jail.kernel import Kernel

INNER_ID = 1000  # user and group inside namespaces; never root, for whom RLIMIT_NPROC does not hold
NOBODY = 65534
SPARE_IDS = 0x60000000  # no distribution and no user database gives out numbers from here on
SIGNALS = 128  # that may wait to be delivered: the kernel keeps them for the harness's user too
OTHERS = 1024  # processes that the same user may start elsewhere before a program's threads are refused


class Unreadable(OSError):
    """No user but root can read the interpreter, and the capability to do so was refused."""


def spare_id() -> int:
    """Return a user and group number for root to run programs as: nobody else's, or nobody's where none is mapped.

    One number per launcher: limits that the kernel counts per user then hold for each zygote alone, and no program
    can signal those of another.
    """
    wanted = SPARE_IDS + os.getpid()
    for kind in ("uid", "gid"):
        try:
            with open(f"/proc/self/{kind}_map") as lines:
                ranges = [[int(number) for number in line.split()] for line in lines]
        except OSError:
            return NOBODY
        if not any(first <= wanted < first + size for first, _, size in ranges):
            return NOBODY
    return wanted


def counts_per_namespace() -> bool:
    """Whether the kernel counts a user's processes in each user namespace apart (since Linux 5.14)."""
    numbers = os.uname().release.split("-")[0].split(".")
    with suppress(ValueError, IndexError):
        return (int(numbers[0]), int(numbers[1])) >= (5, 14)
    return False


def process_limit(threads: int, user: int, namespaced: bool) -> int:
    """Return RLIMIT_NPROC for programs that run as `user`; call it before /proc is out of reach.

    Where nobody else runs under that number the limit is exact. Else the kernel counts the user's other processes
    too, which come and go: then it only bounds what a program can start.
    """
    if user >= SPARE_IDS or (namespaced and counts_per_namespace()):
        return threads + 3  # the zygote, one child, its threads, and the launcher where it has the same user
    return tasks_of(user) + threads + OTHERS


def tasks_of(user: int) -> int:
    """Return the number of threads that a user has now, as far as /proc shows."""
    count = 0
    with suppress(OSError):
        for entry in os.scandir("/proc"):
            if entry.name.isdigit():
                with suppress(OSError):  # it has ended meanwhile
                    if entry.stat().st_uid == user:
                        count += os.stat(f"{entry.path}/task").st_nlink - 2
    return count


def give_up(kern: Kernel) -> None:
    """Give up every capability for good, and the means to gain one or to be read by a debugger."""
    kern.drop_bounding_set()
    kern.set_capabilities(0, 0)
    seal(kern)


def become(kern: Kernel, user: int) -> None:
    """As above, and from root to another user first."""
    if os.geteuid() == 0:
        kern.drop_bounding_set()
        change_user(user)
    give_up(kern)


def become_reader(kern: Kernel, user: int) -> bool:
    """As above where files stay where they are; True if one capability had to be kept to read the interpreter.

    An interpreter below /root is closed to every other user. CAP_DAC_READ_SEARCH opens it, and nothing else where
    landlock confines reading; without landlock it opens every file for reading, which is still less than root.
    """
    if os.geteuid() != 0:
        give_up(kern)
        return False
    kept = (1 << kernel.CAP_DAC_READ_SEARCH) & kern.permitted()
    kern.drop_bounding_set()
    kern.prctl(kernel.PR_SET_KEEPCAPS, 1)
    change_user(user)
    kern.set_capabilities(0, kept)
    if readable():
        kept = 0
    kern.set_capabilities(kept, kept)
    if not readable():
        raise Unreadable(f"no user but root can read {os.path.dirname(os.__file__)}")
    seal(kern)
    return kept != 0


def change_user(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def seal(kern: Kernel) -> None:
    kern.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kern.prctl(kernel.PR_SET_DUMPABLE, 0)


def readable() -> bool:
    """Whether the standard library can be read now (os.access would ignore capabilities)."""
    try:
        os.close(os.open(os.__file__, os.O_RDONLY))
    except OSError:
        return False
    return True


def set_limits(memory_bytes: int, file_bytes: int, processes: int | None) -> None:
    """Set the limits that hold for the zygote and every program alike; CPU time is set per program."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: isolation.DESCRIPTORS,
        resource.RLIMIT_STACK: 8 << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if processes is not None:
        limits[resource.RLIMIT_NPROC] = processes
    if sys.platform == "linux":
        limits[resource.RLIMIT_MSGQUEUE] = 0
        limits[resource.RLIMIT_SIGPENDING] = SIGNALS
    for kind, wanted in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what is mapped
                raise
