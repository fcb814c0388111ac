"""Thin ctypes wrappers of the Linux calls that Python lacks; each raises OSError with the call's name.

Imported by the launcher, the zygote and the judge, so it imports next to nothing.
"""

from __future__ import annotations

import ctypes
import os

from harness.sandbox.jail.syscalls import BUILDING, numbers

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_DUMPABLE, PR_GET_SECCOMP, PR_SET_SECCOMP = 1, 3, 4, 21, 22
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 24, 38, 39, 47, 4
PR_SET_KEEPCAPS, PR_SET_CHILD_SUBREAPER = 8, 36
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION = 0x20080522
SIGKILL = 9


class Kernel:
    """The C library, opened without releasing the interpreter lock: fork must not race with other threads."""

    def __init__(self) -> None:
        self.libc = ctypes.PyDLL(None, use_errno=True)
        self.numbers = numbers(BUILDING, os.uname().machine)
        self.libc.syscall.restype = ctypes.c_long
        self.libc.mount.argtypes = [
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_ulong,
            ctypes.c_char_p,
        ]
        self.libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4

    def check(self, result: int, what: str) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{what}: {os.strerror(code)}")
        return result

    def prctl(self, option: int, first: int = 0, second: int = 0) -> int:
        return self.check(self.libc.prctl(option, first, second, 0, 0), f"prctl {option}")

    def unshare(self, flags: int) -> None:
        self.check(self.libc.unshare(ctypes.c_int(flags)), "unshare")

    def mount(self, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
        result = self.libc.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode())
        self.check(result, f"mount {kind or source} on {target}")

    def umount(self, target: str) -> None:
        self.check(self.libc.umount2(target.encode(), ctypes.c_int(MNT_DETACH)), f"umount {target}")

    def pivot_root(self, new: str, old: str) -> None:
        number = ctypes.c_long(self.numbers["pivot_root"])
        self.check(self.libc.syscall(number, new.encode(), old.encode()), "pivot_root")

    def make_read_only(self, target: str, devices: bool = False) -> None:
        """Make a bind, and every mount below it, read-only, without set-uid and (unless `devices`) without devices."""
        attributes = 0x1 | 0x2 | (0 if devices else 0x4)  # MOUNT_ATTR_RDONLY | NOSUID | NODEV
        request = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)  # struct mount_attr: set, clear, propagation, userns
        number = ctypes.c_long(self.numbers["mount_setattr"])
        result = self.libc.syscall(
            number,
            ctypes.c_int(AT_FDCWD),
            target.encode(),
            ctypes.c_uint(AT_RECURSIVE),
            ctypes.byref(request),
            ctypes.c_size_t(32),
        )
        if result == 0:
            return
        # before Linux 5.12: only the top mount, and flags that the parent locked must be repeated
        locked = os.statvfs(target).f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | 1024 | 2048)
        flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | (0 if devices else MS_NODEV) | locked
        self.mount("none", target, "", flags)

    def drop_bounding_set(self) -> None:
        """Make every capability impossible to gain, as far as we may, and empty the ambient set."""
        for capability in range(64):
            if self.libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0:
                break  # beyond the last one that this kernel knows, or not ours to drop
        self.libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)  # older kernels have none to clear

    def permitted(self) -> int:
        """Return the capabilities that this process may use, one bit each (the first 32)."""
        header, sets = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
        number = ctypes.c_long(self.numbers["capget"])
        self.check(self.libc.syscall(number, ctypes.byref(header), ctypes.byref(sets)), "capget")
        return sets[1]

    def set_capabilities(self, effective: int, permitted: int) -> None:
        """Keep these of the first 32 capabilities, and none to inherit."""
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        sets = (ctypes.c_uint32 * 6)(effective, permitted, 0, 0, 0, 0)
        number = ctypes.c_long(self.numbers["capset"])
        self.check(self.libc.syscall(number, ctypes.byref(header), ctypes.byref(sets)), "capset")

    def enter_filter(self, program: ctypes.Structure) -> None:
        self.prctl(PR_SET_SECCOMP, 2, ctypes.addressof(program))
