"""Harness for comparing ways of distilling code models: one trainer, one sandbox, one budget."""

__version__ = "0.1.0"
