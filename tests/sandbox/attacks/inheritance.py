"""C11: pairs of programs of which the first leaves something for the second, which answers rightly if it finds it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Legacy:
    """What the first program does on its way to a wrong answer, and what the second looks for."""

    name: str
    leaves: str
    found: str  # an expression
    needs: str = "import fcntl, mmap, os, resource, signal, sys, threading"

    @property
    def writer(self) -> str:
        return f"{self.needs}\ntry:\n    {self.leaves}\nexcept OSError: pass\ndef f(x): return x\n"

    @property
    def reader(self) -> str:
        return f"{self.needs}\ndef f(x): return x + 1 if {self.found} else x\n"


LOCKED = "not free(os.open('/dev/null', os.O_RDWR))"
FREE = """import fcntl, os
def free(fd):
    try: LOCK(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError: return False
    return True"""

LEGACIES: tuple[Legacy, ...] = (
    Legacy("flags of standard input", "fcntl.fcntl(0, fcntl.F_SETFL, os.O_APPEND)", "fcntl.fcntl(0, fcntl.F_GETFL) & os.O_APPEND"),
    Legacy("flags of standard error", "os.set_blocking(2, False)", "not os.get_blocking(2)"),
    Legacy("flags of a copy of standard output", "os.set_blocking(os.dup(1), False)", "not os.get_blocking(0)"),
    Legacy("lock of standard input", "fcntl.flock(0, fcntl.LOCK_EX)", LOCKED, FREE.replace("LOCK(", "fcntl.flock(")),
    Legacy("record lock of standard input", "fcntl.lockf(0, fcntl.LOCK_EX)", LOCKED, FREE.replace("LOCK(", "fcntl.lockf(")),
    Legacy("place in standard input", "os.lseek(0, 12345, 0)", "os.lseek(0, 0, 1)"),
    Legacy("times of the scratch folder", "os.utime('/tmp', (7, 7))", "os.stat('/tmp').st_mtime == 7"),
    Legacy("file of the scratch folder", "open('/tmp/left', 'w').close()", "os.path.exists('/tmp/left')"),
    Legacy("mode of the scratch folder", "os.chmod('/tmp', 0o700)", "os.stat('/tmp').st_mode & 0o777 == 0o700"),
    Legacy("mode of a device", "os.chmod('/dev/zero', 0o600)", "os.stat('/dev/zero').st_mode & 0o777 == 0o600"),
    Legacy("memory of a device", "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)[:4] = b'left'",
           "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)[:4] == b'left'"),
    Legacy("signals that wait", "[os.kill(os.getppid(), s) for s in range(34, 60)]", "signal.sigpending()"),
    Legacy("signals that are blocked", "signal.pthread_sigmask(signal.SIG_BLOCK, [2])", "signal.pthread_sigmask(0, [])"),
    Legacy("CPU time of children", "sum(range(3_000_000))", "resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime > 0.02"),
    Legacy("number of a further descriptor", "[os.dup(0) for _ in range(20)]", "os.dup(0) > 12"),
    Legacy("environment", "os.environ.update(LEFT='1')", "'LEFT' in os.environ"),
    Legacy("limits", "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))", "resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 20"),
    Legacy("modules", "sys.modules.update(left=sys)", "'left' in sys.modules"),
    Legacy("umask", "os.umask(0o123)", "os.umask(0) == 0o123"),
)  # fmt: skip
