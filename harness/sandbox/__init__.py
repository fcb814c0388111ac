"""Runs candidate programs in a jail and judges them from outside it; serves others without the rest of the project."""

from harness.sandbox.jail.launch import LEVELS, Level
from harness.sandbox.job import Program
from harness.sandbox.limits import Limits
from harness.sandbox.pool import Sandbox, probe
from harness.sandbox.selftest import selftest
from harness.types import Check, Failure, Script, Text, Verdict

__all__ = [
    "LEVELS",
    "Check",
    "Failure",
    "Level",
    "Limits",
    "Program",
    "Sandbox",
    "Script",
    "Text",
    "Verdict",
    "probe",
    "selftest",
]
