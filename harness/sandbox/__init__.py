"""Runs candidate programs in a jail and judges them from outside it; serves others without the rest of the project."""

from harness.sandbox.launch import Level
from harness.sandbox.limits import Limits
from harness.sandbox.pool import Program, Sandbox, probe
from harness.sandbox.selftest import selftest

__all__ = ["Level", "Limits", "Program", "Sandbox", "probe", "selftest"]
