"""The walls of the jail: namespaces, a private file system, an unprivileged user, resource limits.

Entered once by the launcher and its zygote, never per program, which makes it free. It does not install the
system-call filter (seccomp.py) and starts no program.
"""

from __future__ import annotations

import glob
import os
import resource
import stat
import sys

from harness.sandbox import kernel
from harness.sandbox.kernel import Kernel

INNER_ID = 1000  # user and group inside; never root, for whom RLIMIT_NPROC does not hold
OUTER_ID = 65534  # who that is outside when the harness runs as root
OLD = "/.old"
SCRATCH = "/tmp"
DESCRIPTORS = 64  # that a program may have open
SYSTEM_FOLDERS = ("/lib64", "/usr/lib64", "/usr/share/zoneinfo")


def library_folders() -> list[str]:
    """Return the real folders that the interpreter and its extension modules load from, without site-packages."""
    standard = os.path.dirname(os.path.realpath(os.__file__))
    multiarch = getattr(sys.implementation, "_multiarch", "")
    folders = [standard, *SYSTEM_FOLDERS]
    near = [f"{root}/{multiarch}" for root in ("/lib", "/usr/lib") if multiarch]
    near = [folder for folder in near if os.path.isdir(folder)] or ["/usr/lib"]
    folders += near
    for root in (sys.base_prefix, sys.base_exec_prefix):
        if root not in ("/usr", "/usr/local"):
            folders.append(f"{root}/lib")
        elif root == "/usr/local":
            folders += glob.glob("/usr/local/lib/libpython*")
    real = sorted({os.path.realpath(folder) for folder in folders if os.path.exists(folder)})
    kept: list[str] = []
    for folder in real:  # sorted: a parent comes before what lies in it
        if not any(folder.startswith(parent + "/") for parent in kept):
            kept.append(folder)
    return kept


def packages_below(folder: str) -> list[str]:
    """Return folders of installed packages: benchmark packages carry the answers, so they are covered."""
    names = ("site-packages", "dist-packages")
    patterns = [f"{folder}/{depth}{name}" for depth in ("", "*/", "*/*/") for name in names]
    found = [path for pattern in patterns for path in glob.glob(pattern)]
    return sorted({path for path in found if os.path.isdir(path) and not os.path.islink(path)})


def map_line(inner: int, outer: int) -> str:
    return f"{inner} {outer} 1\n"


def write_file(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def enter_namespaces(kern: Kernel) -> None:
    """Leave the host's user, pid, net, mount, ipc and uts namespaces; the caller's next child becomes PID 1."""
    flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
    flags |= kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    if os.geteuid() == 0:
        enter_as_root(kern, flags)
    else:
        uid, gid = os.geteuid(), os.getegid()
        kern.unshare(flags)
        write_file("/proc/self/setgroups", "deny")
        write_file("/proc/self/gid_map", map_line(INNER_ID, gid))
        write_file("/proc/self/uid_map", map_line(INNER_ID, uid))
    kern.check(kern.libc.sethostname(b"sandbox", 7), "sethostname")


def enter_as_root(kern: Kernel, flags: int) -> None:
    """As above for root: a helper left outside maps two ids, root to mount and OUTER_ID to run programs."""
    unshared_read, unshared_write = os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(unshared_write)
            if os.read(unshared_read, 1) == b"u":
                for kind in ("uid", "gid"):
                    write_file(f"/proc/{target}/{kind}_map", map_line(0, 0) + map_line(INNER_ID, OUTER_ID))
                code = 0
        finally:
            os._exit(code)
    os.close(unshared_read)
    try:
        kern.unshare(flags)
        os.write(unshared_write, b"u")
    finally:
        os.close(unshared_write)
        status = os.waitpid(helper, 0)[1]
    if status != 0:
        raise OSError("the kernel refused to map user ids into the new user namespace")


def build_root(kern: Kernel, scratch_bytes: int) -> None:
    """Make a tmpfs the root; in it read-only libraries, four devices, a small writable /tmp, no /proc, nothing else."""
    folders = library_folders()
    links = [path for path in ("/lib", "/lib64") if os.path.islink(path)]
    links_to = {path: os.readlink(path) for path in links}
    kern.mount("none", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kern.mount("tmpfs", "/tmp", "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "size=1m,mode=755")
    os.mkdir("/tmp" + OLD)
    kern.pivot_root("/tmp", "/tmp" + OLD)
    os.chdir("/")
    for path, target in links_to.items():
        os.symlink(target, path)
    os.mkdir(SCRATCH)  # before the binds: the interpreter itself may live below it
    flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
    kern.mount("tmpfs", SCRATCH, "tmpfs", flags, f"size={scratch_bytes},nr_inodes=256,mode=1777")
    for folder in folders:
        bind(kern, folder)
    for folder in folders:
        for packages in packages_below(folder):
            kern.mount("tmpfs", packages, "tmpfs", kernel.MS_RDONLY | kernel.MS_NOSUID, "size=4k,nr_inodes=2,mode=755")
    os.mkdir("/dev")
    for device in ("null", "zero", "urandom", "random"):
        bind(kern, f"/dev/{device}")
    kern.umount(OLD)
    os.rmdir(OLD)
    kern.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | flags & ~kernel.MS_NOEXEC)


def bind(kern: Kernel, path: str) -> None:
    """Show a folder or file of the host at the same place, read-only."""
    source = OLD + path
    status = os.stat(source)
    if stat.S_ISDIR(status.st_mode):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, "")
    kern.mount(source, path, "", kernel.MS_BIND | kernel.MS_REC)
    kern.make_read_only(path, devices=stat.S_ISCHR(status.st_mode))


def become_nobody(kern: Kernel, namespaced: bool) -> None:
    """Give up every privilege for good."""
    if os.geteuid() == 0:
        user = INNER_ID if namespaced else OUTER_ID
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if namespaced:
        kern.drop_capabilities()
    kern.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kern.prctl(kernel.PR_SET_DUMPABLE, 0)


def set_limits(memory_bytes: int, file_bytes: int, processes: int | None) -> None:
    """Set the limits that hold for the zygote and every program alike; CPU time is set per program."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_STACK: 8 << 20,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if sys.platform == "linux":
        limits[resource.RLIMIT_MSGQUEUE] = 0
        if processes is not None:
            limits[resource.RLIMIT_NPROC] = processes
    for kind, wanted in limits.items():
        hard = resource.getrlimit(kind)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):
            if sys.platform == "linux":  # macOS refuses RLIMIT_AS below what is mapped
                raise
