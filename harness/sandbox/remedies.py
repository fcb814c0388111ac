"""What to do about a layer of isolation that this machine refuses, and what each level promises: text only.

It looks at a few files that say why a kernel refuses namespaces; it tries nothing out and changes nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.sandbox.jail import bubblewrap

PROMISES = {
    "full": "programs see read-only libraries and a small /tmp, no process, no network and no file of this machine",
    "no-namespaces": "programs read libraries only, write nothing, start nothing and reach no network; they can see "
    "that files exist",
    "seatbelt": "programs read no private file, write nothing and reach no network; memory is not limited",
    "process-only": "verdicts cannot be forged, but files may be read: for programs that you would run yourself",
}
PROFILE = "bwrap-userns-restrict"
APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
CLONE = "/proc/sys/kernel/unprivileged_userns_clone"
MOST = "/proc/sys/user/max_user_namespaces"


@dataclass(frozen=True)
class Facts:
    """What a machine says about the layers; each field in the words of `facts`."""

    root: bool = False
    mac: bool = False
    apparmor: bool = False  # user namespaces are kept to programs with an AppArmor profile
    disabled: str = ""  # the setting that forbids user namespaces, as sysctl wants it to allow them
    container: bool = False
    bubblewrap: str = ""  # its path


def facts() -> Facts:
    """Look at this machine."""
    disabled = ""
    if read(MOST) == "0":
        disabled = "user.max_user_namespaces=15000"
    elif read(CLONE) == "0":
        disabled = "kernel.unprivileged_userns_clone=1"
    return Facts(
        root=os.geteuid() == 0,
        mac=sys.platform == "darwin",
        apparmor=read(APPARMOR) not in ("", "0"),
        disabled=disabled,
        container=any(os.path.exists(path) for path in ("/.dockerenv", "/run/.containerenv"))
        or "KUBERNETES_SERVICE_HOST" in os.environ,
        bubblewrap=bubblewrap.find(),
    )


def read(path: str) -> str:
    with suppress(OSError), open(path) as file:
        return file.read().strip()
    return ""


def remedies(level: str, missing: Sequence[str], found: Facts) -> list[str]:
    """Return what can be done to reach a stronger level than `level`, most promising first."""
    refused = [one for one in missing if not one.startswith(level)]
    if level == "full" or found.mac or not refused:
        return []
    advice = namespace_advice(found)
    if any("landlock" in one for one in refused):
        advice.append("For no-namespaces: Linux 5.13 or later with landlock among the `lsm=` of its command line.")
    if any("no user but root can read" in one for one in refused):
        advice.append("For no-namespaces: an interpreter that every user can read, not one below /root.")
    if any("no table" in one for one in refused):
        advice.append("The system-call filter knows x86-64 and arm64 (not their 32-bit programs).")
    return [*advice, f"Or accept the weaker level: sandbox.level={level}, in Python minimum={level!r}."]


def namespace_advice(found: Facts) -> list[str]:
    advice: list[str] = []
    if found.disabled:
        advice.append(f"The kernel forbids user namespaces. Allow them: sudo sysctl -w {found.disabled}")
    if found.apparmor and not found.root:
        install = "" if found.bubblewrap else "bubblewrap "
        advice.append(
            f"Ubuntu keeps namespaces to programs with an AppArmor profile. Give bubblewrap its own: sudo apt install "
            f"{install}apparmor-profiles; sudo install -m 644 /usr/share/apparmor/extra-profiles/{PROFILE} "
            f"/etc/apparmor.d/; sudo apparmor_parser -r /etc/apparmor.d/{PROFILE}"
        )
        advice.append(
            "Or allow namespaces to every program: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if found.container:
        advice.append(
            "Docker's and Kubernetes's default profiles refuse namespaces. Run the container with --security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined, or with a seccomp profile that permits unshare, "
            "clone, mount, umount2, pivot_root, mount_setattr and sethostname."
        )
    if not found.bubblewrap and not found.apparmor:
        advice.append(
            "Install bubblewrap, which may be allowed what others are not: sudo apt (dnf, apk) install bubblewrap"
        )
    return advice
