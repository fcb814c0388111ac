"""What is told of a level, what to do about a refused layer, and the text that macOS gets."""

from __future__ import annotations

import sys

from harness.sandbox.jail import seatbelt
from harness.sandbox.jail.launch import LEVELS
from harness.sandbox.remedies import PROMISES, Facts, remedies
from tests.sandbox.levels.machine import ROOT, Machine, need_filters


def test_every_level_has_its_promise() -> None:
    assert tuple(PROMISES) == LEVELS


def test_remedies_fit_the_machine() -> None:
    missing = ("full: user and other namespaces (unshare: Operation not permitted)",)
    ubuntu = remedies("no-namespaces", missing, Facts(apparmor=True))
    assert "apt install bubblewrap apparmor-profiles" in ubuntu[0] and "bwrap-userns-restrict" in ubuntu[0]
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in ubuntu[1]
    docker = remedies("no-namespaces", missing, Facts(container=True, bubblewrap="/usr/bin/bwrap"))
    assert "seccomp" in docker[0] and len(docker) == 2
    redhat = remedies("no-namespaces", missing, Facts(disabled="user.max_user_namespaces=15000", bubblewrap="x"))
    assert "sysctl -w user.max_user_namespaces=15000" in redhat[0]
    assert remedies("full", ("full, directly: ...",), Facts(apparmor=True)) == []
    assert all("sandbox.level=no-namespaces" in one[-1] for one in (ubuntu, docker, redhat))


def test_mac_profile_closes_network_files_and_programs() -> None:
    text = seatbelt.profile('/opt/odd "name"/bin/python3', ["/opt/lib"])
    lines = text.splitlines()
    assert lines[0] == "(version 1)" and "(deny network* system-socket)" in lines
    assert text.count("(") == text.count(")")
    assert '(literal "/opt/odd \\"name\\"/bin/python3")' in text
    assert lines.index("(deny file-write*)") < lines.index(
        '(allow file-write* (literal "/dev/null") (literal "/dev/zero"))'
    )
    assert lines.index("(deny process-exec*)") == len(lines) - 2  # and only the interpreter after it
    argv = seatbelt.command(["/usr/bin/python3", "-S", "-c", "code", "config"], "/place/of/harness")
    assert argv[:2] == ["/usr/bin/sandbox-exec", "-p"] and argv[4:] == ["-S", "-c", "code", "config"]
    assert '(subpath "/place/of/harness")' in argv[2]


def test_seatbelt_stands_below_no_namespaces_and_above_process_only() -> None:
    assert LEVELS == ("full", "no-namespaces", "seatbelt", "process-only")


def test_doctor_tells_what_was_refused_and_what_to_do_within_80_columns() -> None:
    need_filters()
    code = "import sys\nfrom harness.cli import main\nsys.exit(main(['doctor']))"
    process = Machine(sys.executable, ROOT, "no-namespaces", 0).start(code)
    out, err = process.communicate(timeout=60)
    lines = out.splitlines()
    assert process.returncode == 0 and lines[0] == "sandbox level: no-namespaces", err[-2000:]
    assert max(map(len, lines)) <= 80
    for wanted in ("  promised: ", "  refused here: full: user and other namespaces (unshare", "  to do: Or accept"):
        assert any(line.startswith(wanted) for line in lines), out
