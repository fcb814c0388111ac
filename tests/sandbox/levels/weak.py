"""The start of a process on a weaker machine (machine.py): refuse system calls, change the user, run the code.

It runs under whatever interpreter the machine has, so it imports nothing but the sandbox.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

from harness.sandbox.jail import kernel, seccomp
from harness.sandbox.jail.kernel import Kernel
from harness.sandbox.jail.syscalls import BUILDING, CHECKED, numbers

BWRAP = "/usr/bin/bwrap"


def refuse(kern: Kernel, calls: tuple[str, ...]) -> None:
    """Have the kernel refuse these calls from now on: clone with namespaces only, prctl for filters only."""
    machine = seccomp.known_machine()
    table = {**numbers(BUILDING, machine), **numbers(CHECKED, machine)}
    lines: list[seccomp.Instruction] = [(seccomp.LOAD, 0, 0, seccomp.NR)]
    for call in calls:
        body: list[seccomp.Instruction] = [(seccomp.RETURN, 0, 0, seccomp.REFUSE)]
        if call.startswith("clone"):
            flags = kernel.CLONE_NEWUSER if call == "clone user" else seccomp.CLONE_NEW
            body = [(seccomp.LOAD, 0, 0, seccomp.low(0)), *seccomp.unless_set(flags)]
        elif call == "prctl":
            body = [(seccomp.LOAD, 0, 0, seccomp.low(0)), (seccomp.JUMP_EQ, 0, 1, kernel.PR_SET_SECCOMP), *body]
            body.append((seccomp.RETURN, 0, 0, seccomp.ALLOW))
        lines += seccomp.when(table[call.split()[0]], body)
    kern.enter_filter(seccomp.assemble([*lines, (seccomp.RETURN, 0, 0, seccomp.ALLOW)]))


def set_bwrap_uid(kern: Kernel, folder: str) -> None:
    """In a mount namespace of our own, show a set-uid copy of bwrap in bwrap's place."""
    copy = os.path.join(folder, "bwrap")
    shutil.copy(BWRAP, copy)
    os.chmod(copy, 0o4755)
    kern.unshare(kernel.CLONE_NEWNS)
    kern.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kern.mount(copy, BWRAP, "", kernel.MS_BIND)


def main() -> None:
    request = json.loads(sys.argv.pop(1))
    kern = Kernel()
    if request["setuid"]:
        set_bwrap_uid(kern, os.getcwd())
    elif request["refused"]:
        kern.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if request["refused"]:
        refuse(kern, tuple(request["refused"]))
    if request["user"]:
        os.setgroups([])
        os.setresgid(request["user"], request["user"], request["user"])
        os.setresuid(request["user"], request["user"], request["user"])
    exec(request["code"], {"__name__": "__main__"})


if __name__ == "__main__":
    main()
