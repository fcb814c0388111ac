"""The system-call filter of the jail, assembled here as BPF and installed through prctl.

An allow-list: what is not named in syscalls.py fails with EPERM. It knows x86-64 and arm64 and no other machine; it
does not look at paths (a filter cannot), which is the work of the mounts and of landlock.
"""

from __future__ import annotations

import ctypes
import errno
import os

from harness.sandbox.jail.kernel import PR_SET_PDEATHSIG
from harness.sandbox.jail.syscalls import ALLOWED, CHECKED, IDLE, numbers

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# BPF: load a word, keep some bits, jump if equal / any bit set, return
LOAD, AND, JUMP_EQ, JUMP_SET, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
ALLOW, KILL, REFUSE, ABSENT = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
PRETEND = 0x00050000  # the caller is told 0, and nothing has been done
NR, ARCH, ARGS = 0, 4, 16  # offsets in struct seccomp_data

CLONE_THREAD = 0x00010000
CLONE_NEW = 0x7E020080  # every CLONE_NEW* flag: time, mount, cgroup, uts, ipc, user, pid, net
AF_UNIX = 1
SOCKET_KINDS = 0xF  # of socketpair's second argument; the rest are flags
CONNECTED = (1, 5)  # stream, seqpacket: a datagram socket could be sent from to any socket of the host that has a path
WRITING = 0x1 | 0x2 | 0x40 | 0x200  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC
FCNTL_ALLOWED = (0, 1, 2, 3, 4, 5, 6, 7, 1030, 1032, 1034)  # dup, flags, locks, dup-cloexec, pipe size, seals: read
IOCTL_ALLOWED = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451, 0x5413)  # TCGETS FIONREAD FIONBIO FIONCLEX FIOCLEX TIOCGWINSZ
PRCTL_NAMES = (15, 16, 0x53564D41)  # of threads and of memory areas (malloc)
PRCTL_ALLOWED = (*PRCTL_NAMES, 22)  # a further filter: the child's own
# what a socket is, its size and error: not who made it, of whom newer kernels give out a descriptor
SOCKET_OPTIONS = (3, 4, 7, 8, 30, 38, 39)
SIGCHLD = 17

# what neither landlock nor a read-only library folder keeps from the user's files: mode, times, attributes, and what
# old versions of landlock do not know; where a private root stands behind the filter they are harmless
UNCONFINED = """
chmod, fchmod, fchmodat, utimensat, truncate, rename, renameat, renameat2, mkdir, mkdirat, rmdir, creat, link, linkat,
unlink, unlinkat, symlink, symlinkat, readlink, readlinkat, getxattr, lgetxattr, fgetxattr, listxattr, llistxattr,
flistxattr
"""

TIMES = "utimensat"  # could touch a device of the host where that is not shown read-only

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


class BpfLine(ctypes.Structure):
    """struct sock_filter"""

    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class BpfProgram(ctypes.Structure):
    """struct sock_fprog; `lines` must outlive it."""

    _fields_ = [("length", ctypes.c_uint16), ("lines", ctypes.POINTER(BpfLine))]


def low(argument: int) -> int:
    """Offset of the low half of an argument (both machines are little-endian)."""
    return ARGS + 8 * argument


def one_of(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow when the low half of `argument` is one of `values`, refuse otherwise."""
    lines: list[Instruction] = [(LOAD, 0, 0, low(argument))]
    for value in values:
        lines += [(JUMP_EQ, 0, 1, value), (RETURN, 0, 0, ALLOW)]
    return [*lines, (RETURN, 0, 0, REFUSE)]


def when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Run `body` (which must return) for one system call; the accumulator holds the call's number."""
    assert len(body) < 256, len(body)
    return [(JUMP_EQ, 0, len(body), number), *body]


def unless_set(bits: int) -> list[Instruction]:
    """Refuse when any of `bits` is set in the loaded word, allow otherwise."""
    return [(JUMP_SET, 0, 1, bits), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]


def connected_pair() -> list[Instruction]:
    """Allow socketpair of the unix family and of kinds that know no other address than each other."""
    lines: list[Instruction] = [(LOAD, 0, 0, low(0)), (JUMP_EQ, 1, 0, AF_UNIX), (RETURN, 0, 0, REFUSE)]
    lines += [(LOAD, 0, 0, low(1)), (AND, 0, 0, SOCKET_KINDS)]
    for kind in CONNECTED:
        lines += [(JUMP_EQ, 0, 1, kind), (RETURN, 0, 0, ALLOW)]
    return [*lines, (RETURN, 0, 0, REFUSE)]


def children_told() -> list[Instruction]:
    """Let the action of every signal be set but that of SIGCHLD, which may only be asked for.

    Who ignores it is not told what its children used; then others seem to have used it (judging/starvation.py).
    """
    lines: list[Instruction] = [(LOAD, 0, 0, low(0)), (JUMP_EQ, 1, 0, SIGCHLD), (RETURN, 0, 0, ALLOW)]
    for half in (low(1), low(1) + 4):  # of the pointer to the new action
        lines += [(LOAD, 0, 0, half), (JUMP_EQ, 1, 0, 0), (RETURN, 0, 0, PRETEND)]
    return [*lines, (RETURN, 0, 0, ALLOW)]


def zygote_filter(machine: str, private: bool = True, writing: bool = True, refused: str = "") -> list[Instruction]:
    """Return the filter that the zygote enters once and every child inherits.

    Without a `private` root it refuses every call that changes files by their path; without `writing` also to open one
    for anything but reading. Calls of `refused` are left out beside.
    """
    checked = numbers(CHECKED, machine)
    lines: list[Instruction] = [
        (LOAD, 0, 0, ARCH),
        (JUMP_EQ, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NR),  # x32 numbers carry bit 30 and match nothing below
    ]
    allowed = numbers(ALLOWED, machine)
    out = (refused if private else f"{refused} {UNCONFINED}").replace(",", " ").split()
    allowed = {name: number for name, number in allowed.items() if name not in out}
    if not writing:
        for name, argument in (("open", 1), ("openat", 2)):
            if name in allowed:
                lines += when(allowed.pop(name), [(LOAD, 0, 0, low(argument)), *unless_set(WRITING)])
    for number in allowed.values():
        lines += when(number, [(RETURN, 0, 0, ALLOW)])
    for number in numbers(IDLE, machine).values():
        lines += when(number, [(RETURN, 0, 0, PRETEND)])
    # clone3's flags lie in memory that a filter cannot read: with ENOSYS the C library falls back to clone
    lines += when(checked["clone3"], [(RETURN, 0, 0, ABSENT)])
    lines += when(checked["clone"], [(LOAD, 0, 0, low(0)), *unless_set(CLONE_NEW)])
    lines += when(checked["fcntl"], one_of(1, FCNTL_ALLOWED))
    lines += when(checked["ioctl"], one_of(1, IOCTL_ALLOWED))
    # a child without namespaces asks to die with its zygote; its own filter then refuses to take that back
    lines += when(checked["prctl"], one_of(0, PRCTL_ALLOWED if private else (*PRCTL_ALLOWED, PR_SET_PDEATHSIG)))
    lines += when(checked["prlimit64"], one_of(0, (0,)))  # its own limits only
    lines += when(checked["socketpair"], connected_pair())
    lines += when(checked["getsockopt"], one_of(2, SOCKET_OPTIONS))
    lines += when(checked["rt_sigaction"], children_told())
    return [*lines, (RETURN, 0, 0, REFUSE)]


def child_filter(machine: str, signals: bool) -> list[Instruction]:
    """Return the small second filter of a child, and its last: threads may be started, processes may not.

    Without `signals` it may send none either: where there is no pid namespace they could reach the user's processes.
    """
    clone: list[Instruction] = [
        (LOAD, 0, 0, low(0)),
        (JUMP_SET, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, 0x00050000 | errno.EAGAIN),
        (RETURN, 0, 0, ALLOW),
    ]
    lines: list[Instruction] = [(LOAD, 0, 0, NR)]
    if not signals:
        for name in ("kill", "tgkill"):
            lines += when(numbers(ALLOWED, machine)[name], [(RETURN, 0, 0, REFUSE)])
    lines += when(numbers(CHECKED, machine)["prctl"], one_of(0, PRCTL_NAMES))
    return [*lines, *when(numbers(CHECKED, machine)["clone"], clone), (RETURN, 0, 0, ALLOW)]


def assemble(lines: list[Instruction]) -> BpfProgram:
    """Return the filter as the kernel reads it."""
    array = (BpfLine * len(lines))(*[BpfLine(*line) for line in lines])
    return BpfProgram(len(lines), array)


def known_machine() -> str:
    """Return this machine's name if the filter knows its numbers, else an empty string."""
    machine = os.uname().machine
    return machine if machine in AUDIT_ARCH else ""
