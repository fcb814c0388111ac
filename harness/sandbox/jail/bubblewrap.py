"""Level full where namespaces are granted to the program bwrap alone: bwrap is entered once, by the zygote.

It makes the namespaces and the file system; the interpreter that starts inside enters its own limits and filter. Built
for systems that let an AppArmor profile or a set-uid bit decide who may make a namespace (Ubuntu from 23.10 on).
"""

from __future__ import annotations

import marshal
import os
import stat
import sys
from typing import Any, NoReturn

from harness.sandbox.jail import isolation, kernel
from harness.sandbox.jail.kernel import Kernel

PROGRAMS = ("/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap", "/run/current-system/sw/bin/bwrap")
UP = b"\0"  # the interpreter inside says so on its error stream, where bwrap would have put a message
FAILED = 1

# what starts inside: our modules come as code on standard input, so that no file of the host has to be shown for them
LOADER = """
import marshal, sys
from _frozen_importlib import ModuleSpec
with open(0, "rb") as file:
    CODES = marshal.load(file)
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        folder = any(other.startswith(name + ".") for other in CODES)
        return ModuleSpec(name, Finder, is_package=folder) if name in CODES else None
    @staticmethod
    def create_module(spec):
        return None
    @staticmethod
    def exec_module(module):
        exec(CODES[module.__name__], module.__dict__)
for name in ("harness", "harness.sandbox"):
    sys.modules[name] = type(sys)(name)
    sys.modules[name].__path__ = []
sys.meta_path.insert(0, Finder)
from harness.sandbox.jail.launcher import inside
inside(sys.argv[1])
"""


def find() -> str:
    """Return the path of bwrap, or an empty string."""
    return next((path for path in PROGRAMS if os.access(path, os.X_OK)), "")


def is_setuid(program: str) -> bool:
    return bool(os.stat(program).st_mode & stat.S_ISUID)


def modules() -> bytes:
    """Return the code of every module of ours that is imported here, as LOADER reads it."""
    codes: dict[str, object] = {}
    for name, module in sys.modules.items():
        if name.startswith("harness.") and module.__spec__ is not None:  # not the stubs of the packages themselves
            loader: Any = module.__spec__.loader  # importlib.abc would name its type, and stay in the zygote's memory
            codes[name] = loader.get_code(name)
    return marshal.dumps(codes)


def loaded_files() -> list[str]:
    """Return the interpreter and every shared library that is mapped into this process now."""
    found = {os.path.realpath(sys.executable)}
    with open("/proc/self/maps") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            if len(fields) == 6 and "x" in fields[1] and fields[5].startswith("/"):
                found.add(fields[5].rstrip("\n"))
    return sorted(path for path in found if os.path.isfile(path))


def arguments(program: str, uid: int, inner: int, scratch_bytes: int, packages: tuple[str, ...] = ()) -> list[str]:
    """Return bwrap's argv up to the command, for a harness that runs as `uid` and programs that shall run as `inner`.

    Root needs no user namespace; it keeps what it takes to become another user inside, and gives that up there. A
    set-uid bwrap cannot limit the size of a tmpfs, so it gets none: programs then find no folder to write to.
    """
    setuid = is_setuid(program) and uid != 0
    argv = [program, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    argv += ["--hostname", "sandbox", "--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL"]
    if uid == 0:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            argv += ["--cap-add", capability]
    elif not setuid:
        argv += ["--unshare-user", "--uid", str(inner), "--gid", str(inner)]
    for path, target in isolation.root_links().items():
        argv += ["--symlink", target, path]
    argv += ["--dir", isolation.SCRATCH] if setuid else scratch(scratch_bytes)
    folders = isolation.library_folders()
    files = [path for path in loaded_files() if not any(path.startswith(folder + "/") for folder in folders)]
    for parent in parents([*folders, *files, *isolation.DEVICES, *map(isolation.shown, packages)]):
        argv += ["--perms", "0755", "--dir", parent]  # or some versions close them to all but their owner
    for folder in folders:
        argv += ["--ro-bind", folder, folder]
        for hidden in isolation.packages_below(folder):
            argv += ["--tmpfs", hidden, "--remount-ro", hidden]
    for package in packages:
        argv += ["--ro-bind", package, isolation.shown(package)]
    for path in files:
        argv += ["--ro-bind", path, path]
    for device in isolation.DEVICES:
        argv += ["--dev-bind", device, device]
    return [*argv, "--remount-ro", "/", "--chdir", isolation.SCRATCH, "--"]


def parents(paths: list[str]) -> list[str]:
    """Return the folders above `paths`, outermost first, but not the root."""
    found: set[str] = set()
    for path in paths:
        while (path := os.path.dirname(path)) not in ("/", isolation.SCRATCH):
            found.add(path)
    return sorted(found)


def scratch(size: int) -> list[str]:
    # mode 1777: where the harness is root, programs run as another user
    return ["--perms", "1777", "--size", str(size), "--tmpfs", isolation.SCRATCH]


class Spare:
    """A process forked before anything was entered, to start bwrap if entering it ourselves is refused half-way."""

    def __init__(
        self,
        kern: Kernel,
        program: str,
        inner: int,
        scratch_bytes: int,
        config: str,
        kept: list[int],
        packages: tuple[str, ...],
    ) -> None:
        self.program = program
        ready, self.go = os.pipe()
        self.errors, errors = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(ready)
            os.close(errors)
            return
        try:
            kern.prctl(kernel.PR_SET_PDEATHSIG, kernel.SIGKILL)
            os.close(self.go)
            if os.read(ready, 1):
                argv = arguments(program, os.geteuid(), inner, scratch_bytes, packages)
                become_bwrap(argv, config, errors, kept)
        finally:
            os._exit(FAILED)

    def dismiss(self) -> None:
        """It is not needed: end it."""
        os.close(self.go)
        os.close(self.errors)
        os.waitpid(self.pid, 0)

    def start(self) -> str:
        """Let it become bwrap; return what bwrap complained about, or nothing once the interpreter inside runs."""
        os.write(self.go, b"g")
        os.close(self.go)
        said = b""
        while UP not in said:
            chunk = os.read(self.errors, 4096)
            if not chunk:
                return said.decode(errors="replace").strip() or "it ended without a word"
            said += chunk
        os.close(self.errors)
        return ""


def become_bwrap(argv: list[str], config: str, errors: int, kept: list[int]) -> NoReturn:
    """Replace this process by bwrap, with our modules as its input and only `kept` open beside."""
    source = os.memfd_create("modules")
    with os.fdopen(os.dup(source), "wb") as file:
        file.write(modules())
    os.lseek(source, 0, os.SEEK_SET)
    os.dup2(source, 0)
    os.dup2(errors, 2)
    for descriptor in kept:
        os.set_inheritable(descriptor, True)
    python = os.path.realpath(sys.executable)
    os.execv(argv[0], [*argv, python, "-s", "-P", "-S", "-B", "-c", LOADER, config])
