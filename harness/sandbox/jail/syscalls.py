"""Numbers of the system calls that the jail lets through, checks, or uses to build itself (x86-64 and arm64).

Data and one lookup; it makes no call. Taken from the kernel's own tables (unistd_64.h, asm-generic/unistd.h).
"""

from __future__ import annotations

# name, number on x86-64, number on arm64 ("-": the architecture has no such call)
ALLOWED = """
read 0 63, write 1 64, close 3 57, fstat 5 80, stat 4 -, lstat 6 -, newfstatat 262 79, statx 332 291, poll 7 -,
ppoll 271 73, lseek 8 62, mmap 9 222, mprotect 10 226, munmap 11 215, mremap 25 216, brk 12 214, madvise 28 233,
msync 26 227, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigtimedwait 128 137, rt_sigsuspend 130 133, sigaltstack 131 132, restart_syscall 219 128, pread64 17 67,
pwrite64 18 68, readv 19 65, writev 20 66, preadv 295 69, pwritev 296 70, access 21 -, faccessat 269 48, faccessat2
439 439, pipe 22 -, pipe2 293 59, select 23 -, pselect6 270 72, sched_yield 24 124, dup 32 23, dup2 33 -, dup3 292
24, pause 34 -, nanosleep 35 101, clock_nanosleep 230 115, getitimer 36 102, setitimer 38 103, alarm 37 -, getpid
39 172, gettid 186 178, getppid 110 173, getpgid 121 155, getpgrp 111 -, getsid 124 156, getuid 102 174, geteuid
107 175, getgid 104 176, getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, sendfile 40 71,
sendto 44 206, recvfrom 45 207, sendmsg 46 211, recvmsg 47 212, shutdown 48 210, getsockname 51 204, getpeername 52
205, exit 60 93, exit_group 231 94, wait4 61 260, waitid 247 95, kill 62 129, tgkill 234 131,
uname 63 160, truncate 76 45, ftruncate 77 46, getdents 78 -, getdents64
217 61, getcwd 79 17, chdir 80 49, fchdir 81 50, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -,
mkdirat 258 34, rmdir 84 -, creat 85 -, link 86 -, linkat 265 37, unlink 87 -, unlinkat 263 35, symlink 88 -,
symlinkat 266 36, readlink 89 -, readlinkat 267 78, chmod 90 -, fchmod 91 52, fchmodat 268 53, umask 95 166,
utimensat 280 88, gettimeofday 96 169, getrlimit 97 163, setrlimit 160 164, getrusage 98 165, times 100 153,
sysinfo 99 179, statfs 137 43, fstatfs 138 44, futex 202 98, sched_getaffinity 204 123, set_robust_list 273 99,
set_tid_address 218 96, rseq 334 293, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21, epoll_wait 232 -,
epoll_pwait 281 22, eventfd2 290 19, openat 257 56, open 2 -, clock_gettime 228 113, clock_getres 229 114, time 201
-, getrandom 318 278, getcpu 309 168, close_range 436 436, fadvise64 221 223, fallocate 285 47,
getxattr 191 8, lgetxattr 192 9, fgetxattr 193 10, listxattr 194 11, llistxattr 195 12, flistxattr 196 13
"""

# let through only with harmless arguments: the rules are in seccomp.py
CHECKED = """
clone 56 220, clone3 435 435, fcntl 72 25, ioctl 16 29, prctl 157 167, prlimit64 302 261, socketpair 53 199,
rt_sigaction 13 134, getsockopt 55 209
"""

# answered with success and not done: a lock would outlive its program on a descriptor that all share, and a disk of the
# host's, on which the libraries lie, would be made to write; of what a program may write nothing lies on a disk
IDLE = """
flock 73 32, fsync 74 82, fdatasync 75 83
"""

# made once by the launcher and the zygote while they build the jail, refused afterwards
BUILDING = """
mount 165 40, umount2 166 39, pivot_root 155 41, unshare 272 97, seccomp 317 277, capset 126 91, capget 125 90,
mount_setattr 442 442, landlock_create_ruleset 444 444, landlock_add_rule 445 445, landlock_restrict_self 446 446
"""


def numbers(table: str, machine: str) -> dict[str, int]:
    """Return name -> number of one table for `machine` (as `os.uname().machine` spells it)."""
    column = 1 if machine == "x86_64" else 2
    found: dict[str, int] = {}
    for entry in table.replace("\n", " ").split(", "):
        fields = entry.split()
        if fields[column] != "-":
            found[fields[0]] = int(fields[column])
    return found
