"""The walls of the jail: namespaces and a private file system.

Entered once by the launcher, never per program, which makes it free. It changes no user (privileges.py), installs no
system-call filter (seccomp.py) and starts no program.
"""

from __future__ import annotations

import glob
import os
import stat
import sys

from harness.sandbox.jail import kernel
from harness.sandbox.jail.kernel import Kernel

OLD = "/.old"  # the host's root, while the new one is built
SCRATCH = "/tmp"
PACKAGES = "/packages"  # where a named package is shown; installed packages are not shown where they lie
DESCRIPTORS = 64  # that a program may have open
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
SYSTEM_FOLDERS = ("/lib64", "/usr/lib64", "/usr/share/zoneinfo")


def library_folders() -> list[str]:
    """Return the real folders that the interpreter and its extension modules load from, without site-packages."""
    standard = os.path.dirname(os.path.realpath(os.__file__))
    multiarch = getattr(sys.implementation, "_multiarch", "")
    folders = [standard, *SYSTEM_FOLDERS]
    near = [f"{root}/{multiarch}" for root in ("/lib", "/usr/lib") if multiarch]
    near = [folder for folder in near if os.path.isdir(folder)] or ["/lib", "/usr/lib"]
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


def enter_namespaces(kern: Kernel, inner: int, outer: int) -> None:
    """Leave the host's user, pid, net, mount, ipc and uts namespaces; the caller's next child becomes PID 1.

    Programs will run as `inner`; where the harness is root, that is the user `outer` of the host.
    """
    flags = kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET
    flags |= kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    if os.geteuid() == 0:
        enter_as_root(kern, flags, inner, outer)
    else:
        uid, gid = os.geteuid(), os.getegid()
        kern.unshare(flags)
        write_file("/proc/self/setgroups", "deny")
        write_file("/proc/self/gid_map", map_line(inner, gid))
        write_file("/proc/self/uid_map", map_line(inner, uid))
    kern.check(kern.libc.sethostname(b"sandbox", 7), "sethostname")


def enter_as_root(kern: Kernel, flags: int, inner: int, outer: int) -> None:
    """As above for root: a helper left outside maps two ids, root to mount and `outer` to run programs."""
    unshared_read, unshared_write = os.pipe()
    target = os.getpid()
    helper = os.fork()
    if helper == 0:
        code = 1
        try:
            os.close(unshared_write)
            if os.read(unshared_read, 1) == b"u":
                for kind in ("uid", "gid"):
                    write_file(f"/proc/{target}/{kind}_map", map_line(0, 0) + map_line(inner, outer))
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


def root_links() -> dict[str, str]:
    """Return the links at the root that libraries are found by, and where they lead."""
    return {path: os.readlink(path) for path in ("/lib", "/lib64") if os.path.islink(path)}


def shown(package: str) -> str:
    """Return where a package's folder of the host is found inside the private root."""
    return f"{PACKAGES}/{os.path.basename(package)}"


def build_root(kern: Kernel, scratch_bytes: int, packages: tuple[str, ...] = ()) -> None:
    """Make a tmpfs the root; in it read-only libraries, four devices, a small writable /tmp, no /proc, nothing else.

    Nothing else but the folders of `packages`, read-only.
    """
    folders = library_folders()
    links_to = root_links()
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
        for hidden in packages_below(folder):
            kern.mount("tmpfs", hidden, "tmpfs", kernel.MS_RDONLY | kernel.MS_NOSUID, "size=4k,nr_inodes=2,mode=755")
    for package in packages:
        bind(kern, package, shown(package))
    os.mkdir("/dev")
    for device in DEVICES:
        bind(kern, device)
    kern.umount(OLD)
    os.rmdir(OLD)
    kern.mount("none", "/", "", kernel.MS_REMOUNT | kernel.MS_BIND | kernel.MS_RDONLY | flags & ~kernel.MS_NOEXEC)


def bind(kern: Kernel, path: str, place: str = "") -> None:
    """Show a folder or file of the host, at the same place or at another, read-only."""
    source, path = OLD + path, place or path
    status = os.stat(source)
    if stat.S_ISDIR(status.st_mode):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, "")
    kern.mount(source, path, "", kernel.MS_BIND | kernel.MS_REC)
    kern.make_read_only(path, devices=stat.S_ISCHR(status.st_mode))


def keep_only(descriptors: tuple[int, ...], end: int) -> None:
    """Close every descriptor but these and the null devices at 0 to 2: an open one is a way around all walls."""
    first = 3
    for descriptor in sorted(descriptors):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, end)
