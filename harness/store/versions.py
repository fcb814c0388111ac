"""The versions of what computes, as they stand in keys: without a patch level, and only where they can move a bit."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from harness.store.keys import Json


@cache
def libraries() -> dict[str, Json]:
    """Return the versions of what computes a number; another one may move its last bits."""
    versions: dict[str, Json] = {}
    for name in ("torch", "transformers", "tokenizers"):
        versions |= version_of(name)
    return versions


def fit_libraries(*, adapter: bool, launched: bool) -> dict[str, Json]:
    """Return the versions of what computes a fit: of an adapter peft's too, of several processes what joins them.

    In one process accelerate hands rows and gradients through as they are, so that its version is not said there.
    """
    more = (*(("peft",) if adapter else ()), *(("accelerate", "deepspeed") if launched else ()))
    versions = dict(libraries())
    for name in more:
        versions |= version_of(name)
    return versions


@cache
def version_of(package: str) -> dict[str, Json]:
    """Return a package's version without its patch level, by its name; nothing where it is not installed."""
    try:
        return {package: ".".join(metadata.version(package).split(".")[:2])}
    except metadata.PackageNotFoundError:
        return {}
