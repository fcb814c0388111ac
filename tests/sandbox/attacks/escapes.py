"""C8: programs that reach out of the jail; each answers rightly if and only if it did something it must not.

System calls are made by number (x86-64), past every wrapper of Python's.
"""

from __future__ import annotations

import platform

from tests.sandbox.attacks.attack import CALLS, CHECK, Attack

IF_DONE = """import ctypes, os, resource, signal, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if type(a) is int else a for a in arguments])
    if result < 0: raise OSError(ctypes.get_errno(), 'refused')
    return result
def channel():
    for fd in range(3, 64):
        try: return socket.socket(fileno=os.dup(fd)).detach()
        except OSError: pass
def act():
{body}
def f(x):
    act()
    return x + 1
"""


def escape(name: str, body: str) -> Attack:
    lines = "\n".join("    " + line for line in body.splitlines())
    return Attack(name, IF_DONE.format(body=lines), (CALLS, CHECK))


def system_call(name: str, number: int, arguments: str = "0, 0, 0, 0, 0, 0") -> Attack:
    return escape(f"system call {name}", f"call({number}, {arguments})")


# name, number on x86-64, arguments: that would do harm, or at least reach the kernel's own check
NUMBERS: tuple[tuple[str, int, str], ...] = (
    ("socket inet", 41, "2, 1, 0"),
    ("socket inet datagram", 41, "2, 2, 0"),
    ("socket inet6", 41, "10, 1, 0"),
    ("socket unix", 41, "1, 1, 0"),
    ("socket netlink", 41, "16, 3, 0"),
    ("socket packet", 41, "17, 3, 0"),
    ("socket vsock", 41, "40, 1, 0"),
    ("socket alg", 41, "38, 5, 0"),
    ("socketpair of another family", 53, "2, 1, 0, (ctypes.c_int * 2)()"),
    ("ptrace", 101, "16, 1, 0, 0"),
    ("ptrace me", 101, "0, 0, 0, 0"),
    ("process_vm_readv", 310, "1, 0, 0, 0, 0, 0"),
    ("process_vm_writev", 311, "1, 0, 0, 0, 0, 0"),
    ("pidfd_open", 434, "1, 0"),
    ("pidfd_getfd", 438, "0, 0, 0"),
    ("pidfd_send_signal", 424, "0, 9, 0, 0"),
    ("process_madvise", 440, "0, 0, 0, 0, 0"),
    ("process_mrelease", 448, "0, 0"),
    ("kcmp", 312, "1, 1, 0, 0, 0"),
    ("perf_event_open", 298, "0, 0, -1, -1, 0"),
    ("bpf", 321, "0, 0, 0"),
    ("userfaultfd", 323, "1"),
    ("memfd_create", 319, "ctypes.c_char_p(b'harness-attack'), 0"),
    ("memfd_secret", 447, "0"),
    ("io_uring_setup", 425, "8, (ctypes.c_char * 256)()"),
    ("io_uring_enter", 426, "0, 0, 0, 0, 0, 0"),
    ("io_setup", 206, "8, (ctypes.c_long * 1)()"),
    ("keyctl", 250, "0, -3, 1"),
    ("add_key", 248, "ctypes.c_char_p(b'user'), ctypes.c_char_p(b'harness-attack'), ctypes.c_char_p(b'x'), 1, -3"),
    ("request_key", 249, "ctypes.c_char_p(b'user'), ctypes.c_char_p(b'x'), 0, -3"),
    ("unshare user", 272, "0x10000000"),
    ("unshare mount", 272, "0x00020000"),
    ("unshare files", 272, "0x400"),
    ("setns", 308, "0, 0"),
    ("clone into a new user namespace", 56, "0x10000011, 0, 0, 0, 0"),
    ("clone into a new network", 56, "0x40000011, 0, 0, 0, 0"),
    ("clone3", 435, "(ctypes.c_long * 11)(0x10000000), 88"),
    ("mount", 165, "ctypes.c_char_p(b'x'), ctypes.c_char_p(b'/tmp'), ctypes.c_char_p(b'tmpfs'), 0, 0"),
    ("umount2", 166, "ctypes.c_char_p(b'/tmp'), 2"),
    ("pivot_root", 155, "ctypes.c_char_p(b'/tmp'), ctypes.c_char_p(b'/tmp')"),
    ("chroot", 161, "ctypes.c_char_p(b'/tmp')"),
    ("open_tree", 428, "-100, ctypes.c_char_p(b'/'), 1"),
    ("move_mount", 429, "-100, 0, -100, 0, 0"),
    ("fsopen", 430, "ctypes.c_char_p(b'tmpfs'), 0"),
    ("fsconfig", 431, "0, 0, 0, 0, 0"),
    ("mount_setattr", 442, "-100, ctypes.c_char_p(b'/'), 0, (ctypes.c_long * 4)(), 32"),
    ("name_to_handle_at", 303, "-100, ctypes.c_char_p(b'/'), (ctypes.c_int * 40)(128), (ctypes.c_int * 1)(), 0"),
    ("open_by_handle_at", 304, "0, (ctypes.c_int * 40)(128), 0"),
    ("openat2", 437, "-100, ctypes.c_char_p(b'/'), (ctypes.c_long * 3)(), 24"),
    ("swapon", 167, "ctypes.c_char_p(b'/tmp'), 0"),
    ("quotactl", 179, "0, 0, 0, 0"),
    ("acct", 163, "0"),
    ("reboot", 169, "0xfee1dead, 672274793, 0, 0"),
    ("kexec_load", 246, "0, 0, 0, 0"),
    ("init_module", 175, "0, 0, 0"),
    ("finit_module", 313, "0, 0, 0"),
    ("delete_module", 176, "ctypes.c_char_p(b'x'), 0"),
    ("iopl", 172, "3"),
    ("ioperm", 173, "0, 1, 1"),
    ("modify_ldt", 154, "0, (ctypes.c_char * 64)(), 64"),
    ("syslog", 103, "10, 0, 0"),
    ("sethostname", 170, "ctypes.c_char_p(b'attack'), 6"),
    ("settimeofday", 164, "(ctypes.c_long * 2)(), 0"),
    ("clock_settime", 227, "0, (ctypes.c_long * 2)()"),
    ("adjtimex", 159, "(ctypes.c_char * 256)()"),
    ("shmget", 29, "1234, 4096, 0o1777"),
    ("semget", 64, "1234, 1, 0o1777"),
    ("msgget", 68, "1234, 0o1777"),
    ("mq_open", 240, "ctypes.c_char_p(b'harness-attack'), 66, 0o777, 0"),
    ("inotify_init1", 294, "0"),
    ("fanotify_init", 300, "0, 0"),
    ("timerfd_create", 283, "1, 0"),
    ("timer_create", 222, "1, 0, (ctypes.c_int * 1)()"),
    ("signalfd4", 289, "-1, (ctypes.c_long * 1)(), 8, 0"),
    ("vfork", 58, ""),
    ("fork", 57, ""),
    ("execve", 59, "ctypes.c_char_p(b'/proc/self/exe'), 0, 0"),
    ("execveat", 322, "0, ctypes.c_char_p(b''), 0, 0, 0x1000"),
    ("personality", 135, "0x0040000"),
    ("setuid 0", 105, "0"),
    ("setgid 0", 106, "0"),
    ("setresuid 0", 117, "0, 0, 0"),
    ("setgroups", 116, "1, (ctypes.c_int * 1)(0)"),
    ("setfsuid 0", 122, "0"),
    ("capset", 126, "(ctypes.c_int * 2)(0x20080522, 0), (ctypes.c_int * 6)(-1, -1, -1, -1, -1, -1)"),
    ("setpriority of PID 1", 141, "0, 1, 19"),
    ("setpriority above others", 141, "0, 0, -20"),
    ("sched_setscheduler", 144, "0, 1, (ctypes.c_int * 1)(50)"),
    ("sched_setaffinity of PID 1", 203, "1, 8, (ctypes.c_long * 1)(1)"),
    ("sched_setattr", 314, "0, (ctypes.c_char * 64)(), 0"),
    ("ioprio_set", 251, "1, 1, 0"),
    ("migrate_pages", 256, "1, 0, 0, 0"),
    ("prlimit64 of PID 1", 302, "1, 7, (ctypes.c_long * 2)(9, 9), 0"),
    ("mknod of a disk", 133, "ctypes.c_char_p(b'/tmp/d'), 0o60666, 0x800"),
    ("mknod of a pipe", 133, "ctypes.c_char_p(b'/tmp/p'), 0o10666, 0"),
    ("chown", 92, "ctypes.c_char_p(b'/tmp'), 0, 0"),
    ("setxattr", 188, "ctypes.c_char_p(b'/tmp'), ctypes.c_char_p(b'user.x'), ctypes.c_char_p(b'y'), 1, 0"),
    ("seccomp with a listener", 317, "1, 8, (ctypes.c_long * 2)()"),
    ("prctl dumpable", 157, "4, 1, 0, 0, 0"),
    ("prctl death signal", 157, "1, 0, 0, 0, 0"),
    ("prctl subreaper", 157, "36, 1, 0, 0, 0"),
    ("prctl ambient capabilities", 157, "47, 2, 21, 0, 0"),
    ("landlock_create_ruleset", 444, "(ctypes.c_long * 3)(1), 8, 0"),
    ("lookup_dcookie", 212, "0, 0, 0"),
    ("rt_sigqueueinfo to PID 1", 129, "1, 9, (ctypes.c_char * 128)()"),
    ("tkill", 200, "1, 9"),
    ("vhangup", 153, ""),
    ("fcntl owner", 72, "0, 8, 1"),
    ("fcntl signal", 72, "0, 10, 9"),
    ("fcntl lease", 72, "0, 1024, 0"),
    ("fcntl pipe size", 72, "0, 1031, 1048576"),
    (
        "getsockopt: descriptor of the judge's process",
        55,
        "channel(), 1, 77, (ctypes.c_int * 1)(), (ctypes.c_int * 1)(4)",
    ),
    ("getsockopt: groups of the judge", 55, "channel(), 1, 59, (ctypes.c_int * 99)(), (ctypes.c_int * 1)(396)"),
    ("setsockopt: larger buffers", 54, "channel(), 1, 7, (ctypes.c_int * 1)(1 << 24), 4"),
    ("membarrier of every processor", 324, "1, 0, 0"),
    ("sync", 162, ""),
    ("arch_prctl", 158, "0x1001, 0"),
    ("pkey_alloc", 330, "0, 0"),
    ("mbind", 237, "0, 0, 0, 0, 0, 0"),
    ("statmount", 457, "0, 0, 0, 0"),
    ("prctl: who may trace it", 157, "0x59616d61, -1, 0, 0, 0"),
    ("prctl: speculation", 157, "53, 0, 2, 0, 0"),
    ("prctl: system calls taken over", 157, "59, 1, 0, 0, 0"),
    ("ioctl terminal injection", 16, "0, 0x5412, ctypes.c_char_p(b'x')"),
    ("ioctl controlling terminal", 16, "0, 0x540E, 1"),
    ("x32 socket", 0x40000000 + 41, "2, 1, 0"),
    ("number that does not exist", 9999, "0"),
)

CALLS_BY_NUMBER: tuple[Attack, ...] = tuple(
    system_call(name, number, arguments)
    for name, number, arguments in (NUMBERS if platform.machine() == "x86_64" else ())
)

PYTHON: tuple[Attack, ...] = (
    escape("connect to the network", "socket.create_connection(('127.0.0.1', 22), 1)"),
    escape("name of another host", "socket.getaddrinfo('example.org', 80)"),
    escape("abstract unix socket", "socket.socket(socket.AF_UNIX).bind('\\0harness-attack')"),
    escape("socket of docker", "s = socket.socket(socket.AF_UNIX)\ns.connect('/var/run/docker.sock')"),
    escape("unix socket made from a pair", "a, b = socket.socketpair()\na.connect('/var/run/docker.sock')"),
    escape("listening on a pair", "a, b = socket.socketpair()\na.listen()\na.accept()"),
    escape("another program", "import subprocess\nsubprocess.check_call(['/bin/true'])"),
    escape("shell", "if os.system('true') != 0: raise OSError"),
    escape("posix_spawn", "os.posix_spawn('/bin/true', ['true'], {})"),
    escape("package installer", "import runpy\nrunpy.run_module('pip')"),
    escape("write beside the interpreter", "open(os.path.dirname(os.__file__) + '/sitecustomize.py', 'w')"),
    escape("write into the root", "open('/harness-attack', 'w')"),
    escape("write into the home", "open(os.path.expanduser('~root/harness-attack'), 'w')"),
    escape("write into /dev", "open('/dev/harness-attack', 'w')"),
    escape("folder in the root", "os.mkdir('/harness-attack')"),
    escape("delete a library", "os.remove(os.__file__)"),
    escape("rename a library", "os.rename(os.__file__, os.__file__ + '.old')"),
    escape("change a library's mode", "os.chmod(os.__file__, 0o777)"),
    escape("touch a library", "os.utime(os.__file__)"),
    escape("link to a library", "os.link(os.__file__, '/tmp/harness-attack')"),
    escape("truncate a library", "os.truncate(os.__file__, 0)"),
    escape("map a library for writing", "import mmap\nfd = os.open(os.__file__, os.O_RDWR)\nmmap.mmap(fd, 10)"),
    escape(
        "program in the scratch folder",
        "open('/tmp/x', 'w').write('#!/bin/true')\nos.chmod('/tmp/x', 0o755)\nos.execv('/tmp/x', ['x'])",
    ),
    escape("null device of the host touched", "os.utime(0)"),
    escape("null device of the host closed to others", "os.fchmod(0, 0)"),
    escape(
        "host files",
        "for p in ('/etc/passwd', '/etc/hostname', '/proc/version', '/sys/kernel', '/root/.bashrc', '/var/log', '/run',"
        " '/boot', '/bin/sh'):\n    if os.path.exists(p): return\nraise OSError",
    ),
    escape("proc of the host", "os.listdir('/proc/1')"),
    escape("cgroups", "open('/sys/fs/cgroup/cgroup.procs').read()"),
    escape(
        "disk or memory device",
        "for d in ('mem', 'kmem', 'sda', 'vda', 'kvm', 'fuse', 'tty', 'ptmx', 'kmsg'):\n"
        "    try: os.open('/dev/' + d, os.O_RDONLY)\n    except OSError: continue\n    return\nraise OSError",
    ),
    escape("device through a node of its own", "os.mknod('/tmp/d', 0o60666, os.makedev(8, 0))\nos.open('/tmp/d', 0)"),
    escape("raise a hard limit", "resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)"),
    escape("raise the limit of processes", "resource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999))"),
    escape("raise the limit of files", "resource.setrlimit(resource.RLIMIT_NOFILE, (9999, 9999))"),
    escape("limits of PID 1", "resource.prlimit(1, resource.RLIMIT_NOFILE, (10, 10))"),
    escape("become root", "os.setuid(0)"),
    escape("be root", "if os.getuid() != 0 and os.geteuid() != 0 and os.getgid() != 0: raise OSError"),
    escape("groups of the user", "if not os.getgroups() or os.getgroups() == [os.getgid()]: raise OSError"),
    escape(
        "set-user-id program",
        "import glob\nfor p in glob.glob('/usr/bin/su') + glob.glob('/bin/su') + glob.glob('/usr/bin/sudo'):\n"
        "    return\nraise OSError",
    ),
    escape("name of the host", "if socket.gethostname() == 'sandbox': raise OSError"),
    escape(
        "filter after the last, where threads are allowed",  # its log would be written into the kernel's
        "import threading\nclass Line(ctypes.Structure):\n    _fields_ = [('c', ctypes.c_uint32), ('k', ctypes.c_uint32)]\n"
        "class Filter(ctypes.Structure):\n    _fields_ = [('n', ctypes.c_uint16), ('lines', ctypes.POINTER(Line))]\n"
        "line = Line(6, 0x7ffc0000)\nif libc.prctl(22, 2, ctypes.byref(Filter(1, ctypes.pointer(line))), 0, 0) != 0: raise OSError",
    ),
    escape("network interfaces", "if [name for _, name in socket.if_nameindex() if name != 'lo'] == []: raise OSError"),
    escape(
        "32-bit system call",
        "code = bytes.fromhex('b80200000031dbcd80c3')\nimport mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(code)\n"
        "t = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))\nif t() < 0: raise OSError",
    )
    if platform.machine() == "x86_64"
    else escape("no 32-bit system calls here", "raise OSError"),
    escape(
        "audit of the guard by its back doors",
        "import posix, _posixsubprocess\nposix.system('true') == 0 or posix.execv('/bin/true', ['true'])\nraise OSError",
    ),
    escape("reload of guarded modules", "import importlib\nimportlib.reload(os)\nos.remove(os.__file__)"),
    escape(
        "back doors through object",
        "w = [c for c in object.__subclasses__() if c.__name__ == '_wrap_close']\n"
        "w[0].__init__.__globals__['system']('true') == 0 or w[0].__init__.__globals__['execv']('/bin/sh', ['sh'])\nraise OSError",
    ),
    escape("terminal", "os.open('/dev/tty', os.O_RDWR)"),
    escape("controlling terminal stolen", "os.setsid()\nos.open('/dev/console', os.O_RDWR)"),
    escape("debugger's door", "sys.remote_exec(1, '/tmp/x')"),
)

ATTACKS: tuple[Attack, ...] = CALLS_BY_NUMBER + PYTHON
