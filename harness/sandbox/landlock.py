"""Landlock: no files but the libraries, for the level without namespaces. It cannot hide a file's existence or size."""

from __future__ import annotations

import ctypes
import os

from harness.sandbox.kernel import Kernel

READ_FILE, READ_DIR = 1 << 2, 1 << 3
FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # later: (1 << 16) - 1
TCP = 3  # bind and connect, from ABI 4
SCOPED = 3  # abstract unix sockets and signals, from ABI 6


class PathRule(ctypes.Structure):
    """struct landlock_path_beneath_attr"""

    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def confine(kern: Kernel, folders: list[str]) -> None:
    """Allow reading below `folders` and the null device, and no other use of files, from now on."""
    create, add, restrict = (
        ctypes.c_long(kern.numbers[f"landlock_{name}"]) for name in ("create_ruleset", "add_rule", "restrict_self")
    )
    null, zero = ctypes.c_void_p(None), ctypes.c_size_t(0)
    abi = kern.check(kern.libc.syscall(create, null, zero, ctypes.c_uint(1)), "landlock")
    files = FILES_BY_ABI.get(abi, (1 << 16) - 1)
    words = (ctypes.c_uint64 * 3)(files, TCP if abi >= 4 else 0, SCOPED if abi >= 6 else 0)
    size = ctypes.c_size_t(24 if abi >= 6 else 16 if abi >= 4 else 8)
    rules = kern.check(kern.libc.syscall(create, ctypes.byref(words), size, ctypes.c_uint(0)), "landlock ruleset")
    for path in [*folders, "/dev/null", "/dev/zero", "/dev/urandom"]:
        if not os.path.exists(path):
            continue
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = PathRule(READ_FILE | READ_DIR if os.path.isdir(path) else READ_FILE, folder)
        result = kern.libc.syscall(add, ctypes.c_int(rules), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint(0))
        os.close(folder)
        kern.check(result, f"landlock rule for {path}")
    kern.check(kern.libc.syscall(restrict, ctypes.c_int(rules), ctypes.c_uint(0)), "landlock restrict")
    os.close(rules)
