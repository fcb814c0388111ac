"""Landlock: no files but the libraries, for the level without namespaces.

It cannot hide that a file exists or how large it is, and does not know calls that change a file's mode or times: those
are refused by the system-call filter.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from harness.sandbox.jail.isolation import packages_below
from harness.sandbox.jail.kernel import Kernel

WRITE_FILE, READ_FILE, READ_DIR = 1 << 1, 1 << 2, 1 << 3
FILES_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}  # later: (1 << 16) - 1
TCP = 3  # bind and connect, from ABI 4
SCOPED = 3  # abstract unix sockets and signals, from ABI 6
OPEN_DEVICES = {"/dev/null": READ_FILE | WRITE_FILE, "/dev/zero": READ_FILE, "/dev/urandom": READ_FILE}


class PathRule(ctypes.Structure):
    """struct landlock_path_beneath_attr"""

    _pack_ = 1
    _fields_ = [("access", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def rules_for(folders: Iterable[str]) -> dict[str, int]:
    """Return path -> rights that open `folders` for reading, but not what packages installed below them hold."""
    rules = dict(OPEN_DEVICES)
    for folder in folders:
        packages = packages_below(folder)
        if packages:
            open_around(folder, packages, rules)
        else:
            rules[folder] = READ_FILE | READ_DIR
    return rules


def open_around(folder: str, closed: list[str], rules: dict[str, int]) -> None:
    """Open a folder except for some folders below it; rights only add up, so its entries are opened one by one."""
    rules[folder] = READ_DIR
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.path in closed:
                continue
            if entry.is_symlink():
                continue  # what it leads to has its own rule, or none
            if any(path.startswith(entry.path + "/") for path in closed):
                open_around(entry.path, closed, rules)
            else:
                rules[entry.path] = READ_FILE | READ_DIR if entry.is_dir() else READ_FILE


def confine(kern: Kernel, rules: dict[str, int]) -> None:
    """Allow what `rules` open, and no other use of files, from now on."""
    create, add, restrict = (
        ctypes.c_long(kern.numbers[f"landlock_{name}"]) for name in ("create_ruleset", "add_rule", "restrict_self")
    )
    null, zero = ctypes.c_void_p(None), ctypes.c_size_t(0)
    abi = kern.check(kern.libc.syscall(create, null, zero, ctypes.c_uint(1)), "landlock")
    files = FILES_BY_ABI.get(abi, (1 << 16) - 1)
    words = (ctypes.c_uint64 * 3)(files, TCP if abi >= 4 else 0, SCOPED if abi >= 6 else 0)
    size = ctypes.c_size_t(24 if abi >= 6 else 16 if abi >= 4 else 8)
    ruleset = kern.check(kern.libc.syscall(create, ctypes.byref(words), size, ctypes.c_uint(0)), "landlock ruleset")
    for path, rights in rules.items():
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        rule = PathRule(rights, descriptor)
        result = kern.libc.syscall(add, ctypes.c_int(ruleset), ctypes.c_int(1), ctypes.byref(rule), ctypes.c_uint(0))
        os.close(descriptor)
        kern.check(result, f"landlock rule for {path}")
    kern.check(kern.libc.syscall(restrict, ctypes.c_int(ruleset), ctypes.c_uint(0)), "landlock restrict")
    os.close(ruleset)
